"""Forks beside busy threads: does any child or the parent hang, or get a wrong answer?

    python benchmarks/fork_storm.py PORT [--forks 1000] [--threads 4] [--churn]
                                    [--engine accelerated]

PORT is a standalone server of yours on this machine; its keys ``fork-storm:*`` are written. Threads
of the parent SET and GET without a pause and check every answer, while children are forked one
after another. With ``--churn`` each pair is done on a client opened for it. Each child opens a
client, does SET and GET, and ends: by ``os._exit`` or ``sys.exit`` in turn, every tenth after a
child of its own. Printed: hangs, wrong answers, and how long a child took from the fork to its
second answer.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import threading
import time

from glide_redis.native.engine import Engine, choose
from glide_redis.native.request import Options
from glide_redis.native.values import Closed

PATIENCE_S = 30.0
GRANDCHILD_EVERY = 10


def options(port: int) -> bytes:
    return Options(addresses=(("127.0.0.1", port),), request_timeout_ms=20_000).serialize()


def exchange(native: Engine, client: int, name: str, count: int) -> str:
    """SET and GET; what was wrong, or nothing."""
    value = f"{name}-{count}".encode()
    key = f"fork-storm:{name}"
    if (answer := native.execute(client, ("SET", key, value), 20)) != b"OK":
        return f"SET {key}: {answer!r}"
    if (answer := native.execute(client, ("GET", key), 20)) != value:
        return f"GET {key}: {answer!r} instead of {value!r}"
    return ""


class Busy(threading.Thread):
    """Works and checks until it is told to stop."""

    def __init__(self, native: Engine, client: int, number: int, churn: bytes) -> None:
        super().__init__(name=f"busy {number}", daemon=True)
        self.native, self.client, self.number, self.churn = native, client, number, churn
        self.stop = False
        self.done = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self.stop:
            try:
                client = self.native.open(self.churn, None) if self.churn else self.client
                problem = exchange(self.native, client, f"thread-{self.number}", self.done)
                if self.churn:
                    self.native.close(client)
            except Exception as error:
                problem = repr(error)
            if problem:
                self.wrong.append(problem)
            self.done += 1


def child(native: Engine, inherited: int, port: int, depth: int, report: int) -> int:
    """Work in a child; the exit status is 0 when everything was right."""
    began = time.perf_counter()
    try:
        native.execute(inherited, ("GET", "fork-storm:x"), 20)
    except Closed:
        pass
    else:
        return 3
    client = native.open(options(port), None)
    if exchange(native, client, f"child-{os.getpid()}", 1):
        return 4
    took = time.perf_counter() - began
    if depth:
        pid = os.fork()
        if pid == 0:
            os._exit(child(native, client, port, depth - 1, report))
        if os.waitpid(pid, 0)[1]:
            return 5
        if exchange(native, client, f"child-{os.getpid()}", 2):
            return 6
    elif report >= 0:
        os.write(report, f"{took:.6f}\n".encode())
    native.execute(client, ("DEL", f"fork-storm:child-{os.getpid()}"), 20)
    return 0


def await_child(pid: int) -> int | None:
    """Its exit status, or None when it hung (it is killed then)."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    print(f"hung: {pid}", file=sys.stderr)
    if os.environ.get("FORK_STORM_KEEP"):
        input("press Enter to kill it ")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def spread(figures: list[float]) -> str:
    p95 = statistics.quantiles(figures, n=20)[18]
    return f"median {statistics.median(figures):.1f}, p95 {p95:.1f}, max {max(figures):.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--forks", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--churn", action="store_true")
    parser.add_argument("--engine", default="")
    arguments = parser.parse_args()

    native = choose(arguments.engine)
    client = native.open(options(arguments.port), None)
    churn = options(arguments.port) if arguments.churn else b""
    threads = [Busy(native, client, number, churn) for number in range(arguments.threads)]
    for thread in threads:
        thread.start()
    reading, writing = os.pipe()
    hung, failed, costs, forking = 0, [], [], []
    for number in range(arguments.forks):
        began = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            grand = number % GRANDCHILD_EVERY == GRANDCHILD_EVERY - 1
            status = child(native, client, arguments.port, int(grand), writing)
            if number % 2:
                os._exit(status)
            sys.exit(status)
        forking.append((time.perf_counter() - began) * 1e3)
        status = await_child(pid)
        if status is None:
            hung += 1
        elif status:
            failed.append((number, status))
    os.set_blocking(reading, False)
    os.close(writing)
    with os.fdopen(reading) as lines:
        costs = [float(line) * 1e3 for line in lines]
    for thread in threads:
        thread.stop = True
    for thread in threads:
        thread.join(PATIENCE_S)
    stuck = [thread.name for thread in threads if thread.is_alive()]
    wrong = [problem for thread in threads for problem in thread.wrong]
    print(f"engine {native.name}: {arguments.forks} forks beside {arguments.threads} threads")
    print(f"children hung: {hung}; ended badly (number, status): {failed}")
    print(
        f"parent: {sum(t.done for t in threads)} pairs of SET and GET, stuck {stuck}, wrong {wrong}"
    )
    print(f"child, from fork to its second answer, ms: {spread(costs)}")
    print(f"fork itself, in the parent, ms: {spread(forking)}")
    return bool(hung or failed or stuck or wrong)


if __name__ == "__main__":
    sys.exit(main())
