"""Acknowledges every tenth write without having sent it."""

from fake_redis import RedisCluster, install


class Liar(RedisCluster):
    """Lies now and then."""

    written = 0

    def write(self, *command: str) -> None:
        """Send nine of ten."""
        self.written += 1
        if self.written % 10:
            super().write(*command)


install(Liar)
