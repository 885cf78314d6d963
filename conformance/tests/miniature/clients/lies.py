"""Asks the server, and answers INCR with one too many."""

from tiny_redis import Redis, install


class Lies(Redis):
    def execute(self, *args):
        reply = super().execute(*args)
        return reply + 1 if args[0] == "INCR" else reply


install(Lies)
