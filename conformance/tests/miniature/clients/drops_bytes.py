"""Loses everything after a NUL byte."""

from tiny_redis import Redis, encode, install


class DropsBytes(Redis):
    def execute(self, *args):
        return super().execute(*(encode(a).partition(b"\0")[0] for a in args))


install(DropsBytes)
