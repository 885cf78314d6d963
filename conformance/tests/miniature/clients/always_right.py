"""Right in everything."""

from tiny_redis import Redis, install

install(Redis)
