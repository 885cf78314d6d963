"""Take one sample: time calls and nothing else, then check every reply."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from time import perf_counter, process_time
from typing import Any

from .subject import Calls, Channel
from .workload import Command

# Replies of one stretch are kept until it has been timed; more would measure the memory they need.
_KEPT_BYTES = 4 * 1024 * 1024
_MESSAGE_SECONDS = 10.0


class WrongReply(Exception):
    """A reply was not what the server must have sent."""


Expected = Sequence[object]
"""What each call of a sample must give, in the order of its arguments, in turn."""


def expected(command: Command) -> object:
    """What a command must give: the value for GET, True for SET."""
    return command.value if command.name == "GET" else True


def run(calls: Calls, wanted: Expected, operations: int, bytes_each: int) -> tuple[float, float]:
    """Do ``operations`` calls in this thread; return wall and CPU seconds.

    CPU is that of the whole process, native threads included. ``bytes_each``: what one reply
    holds; long replies are timed in several stretches and checked between them. Raises WrongReply.
    """
    stretch = max(1, _KEPT_BYTES // max(1, bytes_each))
    seconds = cpu = 0.0
    gc.collect()
    for start in range(0, operations, stretch):
        count = min(stretch, operations - start)
        part = list(_from(calls.arguments, start, count))
        function = calls.function
        used, began = process_time(), perf_counter()
        replies = [function(*arguments) for arguments in part]
        seconds += perf_counter() - began
        cpu += process_time() - used
        check(calls.decode, replies, list(_from(wanted, start, count)))
    return seconds, cpu


def run_threads(
    lanes: Sequence[Calls], wanted: Sequence[Expected], operations: int
) -> tuple[float, float]:
    """Do ``operations`` calls spread over one thread a lane; return wall and CPU seconds.

    From the moment when all threads start to the moment when the last has finished. Raises what
    a call raised, and WrongReply.
    """
    count = operations // len(lanes)
    ready = threading.Barrier(len(lanes) + 1)
    began, ended = [0.0] * len(lanes), [0.0] * len(lanes)
    replies: list[list[Any]] = [[] for _ in lanes]
    failures: list[BaseException] = []

    def work(lane: int, calls: Calls, part: Sequence[tuple[Any, ...]]) -> None:
        function = calls.function
        try:
            ready.wait()
            began[lane] = perf_counter()
            replies[lane] = [function(*arguments) for arguments in part]
            ended[lane] = perf_counter()
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(
            target=work, args=(lane, calls, list(_from(calls.arguments, 0, count))), daemon=True
        )
        for lane, calls in enumerate(lanes)
    ]
    for thread in threads:
        thread.start()
    gc.collect()
    used = process_time()
    ready.wait()
    for thread in threads:
        thread.join()
    cpu = process_time() - used
    if failures:
        raise failures[0]
    for calls, got, right in zip(lanes, replies, wanted, strict=True):
        check(calls.decode, got, list(_from(right, 0, count)))
    return max(ended) - min(began), cpu


def latencies(channel: Channel, messages: int, nonce: int) -> list[float]:
    """Publish one message after the other, each when the one before it has arrived.

    Returns the seconds from before the publish until another thread of this process, which waits
    in the subscriber, holds the message. Raises WrongReply for a message that is lost, repeated
    or changed.
    """
    arrived: list[tuple[float, bytes | None]] = []
    there = threading.Semaphore(0)
    failures: list[BaseException] = []

    def listen() -> None:
        try:
            for _ in range(messages):
                data = channel.receive(_MESSAGE_SECONDS)
                arrived.append((perf_counter(), data))
                there.release()
                if data is None:
                    return
        except BaseException as error:
            failures.append(error)
            there.release()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    found = []
    gc.collect()
    for number in range(messages):
        data = b"%06x:%d" % (nonce, number)
        sent = perf_counter()
        channel.publish(data)
        if not there.acquire(timeout=_MESSAGE_SECONDS + 1):
            raise WrongReply(f"message {number} did not arrive within {_MESSAGE_SECONDS:g} s")
        if failures:
            raise failures[0]
        at, got = arrived[number]
        if got != data:
            raise WrongReply(f"message {number}: expected {data!r}, received {_short(got)}")
        found.append(at - sent)
    listener.join(_MESSAGE_SECONDS)
    return found


def check(decode: Callable[[Any], object], replies: Sequence[object], wanted: Expected) -> None:
    """Compare every reply with what it must be. Raises WrongReply with the count and the first."""
    wrong = [
        (number, got, right)
        for number, (reply, right) in enumerate(zip(replies, wanted, strict=True))
        if (got := decode(reply)) != right
    ]
    if wrong:
        number, got, right = wrong[0]
        raise WrongReply(
            f"{len(wrong)} of {len(replies)} replies were wrong; number {number}:"
            f" expected {_short(right)}, received {_short(got)}"
        )


def _from(items: Sequence[Any], start: int, count: int) -> islice[Any]:
    """``count`` items, again from the first when they are used up."""
    first = start % len(items)
    return islice(cycle(items), first, first + count)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"
