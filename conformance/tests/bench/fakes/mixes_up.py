"""Gives one thread's reply to another, now and then."""

from honest import Honest
from slotproof_bench_worker.subject import Calls


class MixesUp(Honest):
    def singles(self, commands, lane):
        calls = super().singles(commands, lane)
        arguments = list(calls.arguments)
        arguments[5], arguments[6] = arguments[6], arguments[5]
        return Calls(calls.function, arguments, calls.decode)


def open_subject(place):
    return MixesUp(place)
