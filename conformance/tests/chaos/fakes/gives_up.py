"""Never connects again: each write after the first trouble is an error, of a class of its own."""

from fake_redis import RedisCluster, install


class Quitter(RedisCluster):
    """Stays broken."""

    written = broken = False

    def sent(self, *command: str) -> bool:
        """Send, or raise from then on."""
        done = not self.broken and super().sent(*command)
        if self.written and not done:
            self.broken = True
            raise RuntimeError(f"gave up on {self.nodes[self.at].host}")
        self.written = done
        return done


install(Quitter)
