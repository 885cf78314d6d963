"""The flag that can be polled."""

from __future__ import annotations

import os
import select
import threading

import pytest

from glide_redis.seam import signal_fd
from glide_redis.seam.signal_fd import Signal

PATIENCE = 20.0


@pytest.fixture(params=["eventfd", "pipe"])
def signal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Signal:
    """A signal, made as on Linux and as elsewhere."""
    if request.param == "pipe":
        monkeypatch.delattr(signal_fd.os, "eventfd")
    made = Signal()
    assert (made.reading == made.writing) is (request.param == "eventfd")
    return made


def readable(signal: Signal) -> bool:
    return bool(select.select([signal.reading], [], [], 0)[0])


def test_it_is_readable_while_it_is_set(signal: Signal) -> None:
    assert not readable(signal)
    signal.set()
    signal.set()
    assert readable(signal)
    signal.clear()
    assert not readable(signal)
    signal.clear()
    assert not readable(signal)


def test_setting_never_blocks(signal: Signal) -> None:
    for _ in range(10_000):
        signal.set()
    assert readable(signal)
    while readable(signal):
        signal.clear()


def test_waiting_ends_when_it_is_set(signal: Signal) -> None:
    waiting = threading.Thread(target=signal.wait, args=[None])
    waiting.start()
    signal.set()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def test_waiting_ends_with_patience(signal: Signal) -> None:
    signal.wait(0.01)
    signal.wait(-1)
    assert not readable(signal)


def test_the_descriptors_are_closed(signal: Signal) -> None:
    descriptors = {signal.reading, signal.writing}
    signal.close()
    signal.close()
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_the_descriptors_are_closed_with_the_last_reference(signal: Signal) -> None:
    made = Signal()
    descriptors = {made.reading, made.writing}
    del made
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    assert not readable(signal)
