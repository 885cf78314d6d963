"""Reads with a parser of its own whose class has hiredis's name."""

from honest import Honest
from slotproof_bench_worker.redis_api import parser_name


class _HiredisParser:
    def __init__(self):
        self._reader = self

    def gets(self):
        return None


_HiredisParser.__module__ = "redis._parsers.hiredis"


class Lies(Honest):
    def facts(self):
        return {"class": "redis.cluster.RedisCluster", "parser": parser_name(_HiredisParser())}


def open_subject(place):
    return Lies(place)
