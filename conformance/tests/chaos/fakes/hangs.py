"""Hangs for good as soon as anything goes wrong, after it has once written."""

import time

from fake_redis import RedisCluster, install


class Hanger(RedisCluster):
    """Never leaves a node."""

    written = False

    def sent(self, *command: str) -> bool:
        """Send, or never return."""
        done = super().sent(*command)
        while self.written and not done:
            time.sleep(3600)
        self.written = done
        return done


install(Hanger)
