"""Prints on standard output with every write, as native cores do."""

import os

from fake_redis import RedisCluster, install


class Chatterer(RedisCluster):
    """Talks too much."""

    def write(self, *command: str) -> None:
        """Write and print."""
        print("written", flush=True)
        os.write(1, b"not JSON\n")
        super().write(*command)


install(Chatterer)
