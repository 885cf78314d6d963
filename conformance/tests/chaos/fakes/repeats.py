"""Sends every increment twice, as a client that repeats blindly may."""

from fake_redis import RedisCluster, install


class Repeater(RedisCluster):
    """Repeats what must not be repeated."""

    def incr(self, key: str) -> None:
        """Increment twice."""
        super().incr(key)
        super().incr(key)


install(Repeater)
