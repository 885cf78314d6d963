"""Never comes back from a batch."""

import threading

from honest import Honest
from slotproof_bench_worker.subject import Calls


class Hangs(Honest):
    def pipelines(self, batches):
        return Calls(lambda _batch: threading.Event().wait(), [(b,) for b in batches], list)


def open_subject(place):
    return Hangs(place)
