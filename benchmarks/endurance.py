"""Many signals and many clients: is each wait interrupted at once, and is nothing left behind?

    python benchmarks/endurance.py alarms PORT [--count 1000] [--engine accelerated]
    python benchmarks/endurance.py clients PORT [--count 10000] [--engine accelerated]

PORT is a standalone server of yours on this machine.

``alarms``: SIGALRM into a blocked BLPOP on a connection of its own, whose handler raises; every
other one a few microseconds after the wait began. Printed: how late the exceptions came. After
each, the connection is closed and another client must answer.

``clients``: opened, used and closed, in turn by ``close``, by being dropped, and with commands on
their way. Printed: memory, threads and descriptors, every tenth of the way.
"""

from __future__ import annotations

import argparse
import gc
import resource
import signal
import statistics
import sys
import time
import weakref
from pathlib import Path
from types import FrameType

from glide_redis.native.engine import Engine, choose
from glide_redis.native.request import Options

BAR_S = 0.1
PATIENCE_S = 30.0


def requests(port: int) -> tuple[bytes, bytes]:
    """Those of a plain client and of the parent of a connection of its own."""
    address = (("127.0.0.1", port),)
    return (
        Options(addresses=address, request_timeout_ms=20_000).serialize(),
        Options(addresses=address, lazy=True, request_timeout_ms=2**31 - 1).serialize(),
    )


class Alarm(Exception):
    """Raised by the handler."""


def ring(_number: int, _frame: FrameType | None) -> None:
    raise Alarm


def alarms(native: Engine, port: int, count: int) -> bool:
    plain, lazy = requests(port)
    client = native.open(plain, None)
    signal.signal(signal.SIGALRM, ring)
    late: list[float] = []
    wrong = 0
    for number in range(count):
        parent = native.open(lazy, None)
        call = native.link(native.acquire(parent, lazy, 10), (b"BLPOP", b"endurance:none", b"0"))
        after = 0.005 if number % 2 else (1 + number % 100) * 1e-6
        due = time.monotonic() + after
        try:
            signal.setitimer(signal.ITIMER_REAL, after)
            call.wait(None)
        except Alarm:
            late.append(time.monotonic() - due)
        else:
            wrong += 1
        native.close(parent)
        text = str(number).encode()
        wrong += native.execute(client, ("ECHO", text), 10) != text
    p99 = statistics.quantiles(late, n=100)[98]
    print(
        f"engine {native.name}: {len(late)} of {count} alarms interrupted the wait, wrong {wrong}; "
        f"late by median {statistics.median(late) * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, "
        f"max {max(late) * 1e3:.2f} ms"
    )
    return len(late) == count and not wrong and max(late) < BAR_S


class Owner:
    """A client that is closed when its owner is dropped."""

    def __init__(self, native: Engine, request: bytes) -> None:
        self.client = native.open(request, None)
        weakref.finalize(self, native.close, self.client)


def counts() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    return len(list(Path("/proc/self/task").iterdir())), len(list(Path("/proc/self/fd").iterdir()))


def resident() -> float:
    """Megabytes of memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def settle(before: tuple[int, int]) -> tuple[int, int]:
    """Wait until the clients that were closed are gone."""
    deadline = time.monotonic() + PATIENCE_S
    while counts() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    return counts()


def clients(native: Engine, port: int, count: int) -> bool:
    plain, lazy = requests(port)
    keeper = native.open(plain, None)

    def live(number: int) -> None:
        if number % 4 == 0:
            client = native.open(plain, None)
            native.execute(client, ("PING",), 20)
            native.close(client)
        elif number % 4 == 1:
            owner = Owner(native, plain)
            native.execute(owner.client, ("PING",), 20)
        elif number % 4 == 2:
            client = native.open(plain, None)
            calls = [native.command(client, ("ECHO", "x" * 100)) for _ in range(10)]
            native.close(client)
            del calls
        else:
            parent = native.open(lazy, None)
            scope = native.acquire(parent, lazy, 20)
            native.link(scope, (b"BLPOP", b"endurance:none", b"0"))
            native.close(parent)

    for number in range(100):
        live(number)
    time.sleep(1)
    before = counts()
    memory: list[float] = []
    for number in range(count):
        live(number)
        if (number + 1) % (count // 10) == 0:
            gc.collect()
            now = settle(before)
            memory.append(resident())
            print(f"{number + 1:6d} clients: {memory[-1]:.1f} MB, threads and descriptors {now}")
    native.execute(keeper, ("PING",), 20)
    after = settle(before)
    # The allocator's noise aside, the second half must not grow.
    half = len(memory) // 2
    grown = statistics.mean(memory[half:]) - statistics.mean(memory[:half])
    print(f"engine {native.name}: before {before}, after {after}; second half {grown:+.1f} MB")
    return after <= before and grown < 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=("alarms", "clients"))
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--engine", default="")
    arguments = parser.parse_args()
    native = choose(arguments.engine)
    if arguments.what == "alarms":
        return not alarms(native, arguments.port, arguments.count or 1000)
    return not clients(native, arguments.port, arguments.count or 10_000)


if __name__ == "__main__":
    sys.exit(main())
