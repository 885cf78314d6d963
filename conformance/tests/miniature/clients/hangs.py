"""Never returns from LPUSH."""

import threading

from tiny_redis import Redis, install


class Hangs(Redis):
    def execute(self, *args):
        if args[0] == "LPUSH":
            threading.Event().wait()
        return super().execute(*args)


install(Hangs)
