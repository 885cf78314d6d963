"""A file descriptor that is readable while somebody says so: for callers who poll."""

from __future__ import annotations

import os
import select
import weakref
from collections.abc import Callable
from contextlib import suppress

_ONE = (1).to_bytes(8, "little")
_MANY = 4096


class Signal:
    """A flag that can be polled. ``set`` may be called from any thread; it never blocks."""

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self.reading = self.writing = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:  # not Linux
            self.reading, self.writing = os.pipe()
            os.set_blocking(self.reading, False)
            os.set_blocking(self.writing, False)
        self.close: Callable[[], object] = weakref.finalize(
            self, _close, {self.reading, self.writing}
        )

    def set(self) -> None:
        """Make the descriptor readable."""
        with suppress(BlockingIOError):  # It is full, so it is readable.
            os.write(self.writing, _ONE)

    def wait(self, seconds: float | None, other: Signal | None = None) -> None:
        """Wait until it or the ``other`` is set, or ``seconds`` pass."""
        poller = select.poll()
        poller.register(self.reading, select.POLLIN)
        if other is not None:
            poller.register(other.reading, select.POLLIN)
        poller.poll(None if seconds is None else max(0, seconds) * 1000)

    def clear(self) -> None:
        """Make it unreadable, whether or not it was readable."""
        with suppress(BlockingIOError):
            os.read(self.reading, _MANY)


def _close(descriptors: set[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
