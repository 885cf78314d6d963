"""Raises ConnectionError at once."""

from tiny_redis import ConnectionError, Redis, install


class NeverConnects(Redis):
    def execute(self, *args):
        raise ConnectionError("no, thank you")


install(NeverConnects)
