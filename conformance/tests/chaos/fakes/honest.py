"""Does what it says."""

from fake_redis import RedisCluster, install

install(RedisCluster)
