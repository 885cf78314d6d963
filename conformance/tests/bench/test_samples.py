"""Samples: what is called how often, and that no wrong reply gets through."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slotproof.bench.foreign.slotproof_bench_worker import samples
from slotproof.bench.foreign.slotproof_bench_worker.samples import WrongReply
from slotproof.bench.foreign.slotproof_bench_worker.subject import Calls

ITEMS = [f"k{n}" for n in range(7)]


def same(reply: object) -> object:
    return reply


def echo(seen: list[str]) -> Calls:
    def call(item: str) -> str:
        seen.append(item)
        return item.upper()

    return Calls(call, [(item,) for item in ITEMS], same)


WANTED = [item.upper() for item in ITEMS]


@given(st.integers(1, 60), st.integers(1, 3 * 4 * 1024 * 1024))
@settings(deadline=None, max_examples=15)
def test_each_call_is_made_once_in_turn_however_long_the_replies(count: int, size: int) -> None:
    seen: list[str] = []
    seconds, cpu = samples.run(echo(seen), WANTED, count, size)
    assert seen == [ITEMS[n % 7] for n in range(count)]
    assert seconds > 0
    assert cpu >= 0


def test_a_wrong_reply_is_counted_and_shown() -> None:
    wrong = [*WANTED[:3], "other", *WANTED[4:]]
    with pytest.raises(WrongReply, match=r"2 of 14 replies .*number 3: expected 'other'"):
        samples.run(echo([]), wrong, 14, 1)


def test_a_wrong_reply_in_a_later_stretch_is_found() -> None:
    calls = 0

    def last_is_wrong(item: str) -> str:
        nonlocal calls
        calls += 1
        return "" if calls == 7 else item.upper()

    calls_of = Calls(last_is_wrong, [(item,) for item in ITEMS], same)
    with pytest.raises(WrongReply):
        samples.run(calls_of, WANTED, 7, 4 * 1024 * 1024)


def test_threads_share_the_operations_and_run_side_by_side() -> None:
    together = threading.Barrier(3)
    seen: list[list[str]] = [[], [], []]

    def lane(number: int) -> Calls:
        def call(item: str) -> str:
            if not seen[number]:
                together.wait(10)  # breaks unless all threads are in a call at once
            seen[number].append(item)
            return item.upper()

        return Calls(call, [(item,) for item in ITEMS], same)

    seconds, _ = samples.run_threads([lane(n) for n in range(3)], [WANTED] * 3, 30)
    assert [len(one) for one in seen] == [10, 10, 10]
    assert seconds > 0


def test_one_wrong_reply_in_one_thread_is_found() -> None:
    bad = Calls(lambda item: "x" if item == "k6" else item.upper(), [(i,) for i in ITEMS], same)
    with pytest.raises(WrongReply, match="1 of 7"):
        samples.run_threads([echo([]), bad], [WANTED, WANTED], 14)


def test_what_a_thread_raises_is_raised() -> None:
    def broken(item: str) -> str:
        raise ConnectionError(item)

    lanes = [echo([]), Calls(broken, [(i,) for i in ITEMS], same)]
    with pytest.raises(ConnectionError, match="k0"):
        samples.run_threads(lanes, [WANTED, WANTED], 14)


class Pipe:
    """A channel within the process; ``change`` spoils what arrives."""

    def __init__(self, change: Any = lambda _number, data: data) -> None:
        self.data: list[bytes] = []
        self.there = threading.Semaphore(0)
        self.change = change
        self.number = 0

    def publish(self, data: bytes) -> None:
        self.data.append(data)
        self.there.release()

    def receive(self, seconds: float) -> bytes | None:
        if not self.there.acquire(timeout=seconds):
            return None
        self.number += 1
        result: bytes | None = self.change(self.number, self.data.pop(0))
        return result

    def close(self) -> None:
        pass


def test_each_message_has_a_latency() -> None:
    found = samples.latencies(Pipe(), 25, 1)
    assert len(found) == 25
    assert all(seconds > 0 for seconds in found)


@pytest.mark.parametrize(
    "change",
    [
        lambda n, data: None if n == 3 else data,
        lambda n, data: data + b"!" if n == 3 else data,
        lambda n, data: b"000001:1" if n == 3 else data,
    ],
    ids=["lost", "changed", "repeated"],
)
def test_a_message_that_is_not_the_one_sent_is_named(change: Any) -> None:
    with pytest.raises(WrongReply, match="message 2: expected b'000001:2'"):
        samples.latencies(Pipe(change), 5, 1)


def test_what_the_subscriber_raises_is_raised() -> None:
    def broken(_number: int, _data: bytes) -> bytes:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        samples.latencies(Pipe(broken), 5, 1)
