"""Takes the interpreter down in SADD, as native code can."""

import os

from tiny_redis import Redis, install


class Crashes(Redis):
    def execute(self, *args):
        if args[0] == "SADD":
            os.abort()
        return super().execute(*args)


install(Crashes)
