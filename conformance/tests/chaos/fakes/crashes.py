"""Takes its process down as soon as anything goes wrong, after it has once written."""

import os

from fake_redis import RedisCluster, install


class Crasher(RedisCluster):
    """Aborts, as a native core may."""

    written = False

    def sent(self, *command: str) -> bool:
        """Send, or end the process."""
        done = super().sent(*command)
        if self.written and not done:
            os.abort()
        self.written = done
        return done


install(Crasher)
