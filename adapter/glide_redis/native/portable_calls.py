"""Calls of the portable engine: settled by a thread of GLIDE, waited for by one of Python."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final

from glide_redis.native.values import Closed, TimedOut, Value

_SLICE_S: Final = 0.025
_ONE: Final = (1).to_bytes(8, sys.byteorder)

# One more in each forked child: what was made in another epoch belongs to another process.
_epoch = 0
_ending = False


def forked() -> None:
    """Note, in a forked child, that the calls made so far belong to the parent."""
    global _epoch, _ending  # noqa: PLW0603
    _epoch += 1
    _ending = False


def end() -> None:
    """Note that the interpreter ends."""
    global _ending  # noqa: PLW0603
    _ending = True


def rest() -> None:
    """Let a daemon thread rest while the interpreter ends: it would complain of closed clients."""
    if _ending and threading.current_thread() is not threading.main_thread():
        threading.Event().wait()


class Pending:
    """What GLIDE's thread and the waiting thread share of a call."""

    __slots__ = ("_ready", "epoch", "fd", "lock", "of_scope", "outcome", "over")

    def __init__(self, fd: int = -1, of_scope: bool = False) -> None:
        self.fd = fd
        self.of_scope = of_scope
        self.epoch = _epoch
        self.lock = threading.Lock()
        self.over = False
        self.outcome: Any = None
        self._ready = threading.Lock()
        self._ready.acquire()

    def inherited(self) -> bool:
        """Whether another process made it: its lock may be held for ever."""
        return self.epoch != _epoch

    def settle(self, outcome: Any) -> bool:
        """Hand in the reply, or an exception. False when nobody waits for it any more."""
        with self.lock:
            if self.over:
                return False
            self.outcome = outcome
            # Who sees that it is over need not wait; who sees it by the fd sees that it is over.
            self._ready.release()
            self.over = True
            if self.fd >= 0:
                with suppress(OSError):
                    os.write(self.fd, _ONE)
            return True

    def abandon(self) -> None:
        """Give up; nothing is written to the fd afterwards."""
        if self.inherited():
            return
        with self.lock:
            if not self.over:
                self.outcome = Closed("the call was given up")
                self._ready.release()
                self.over = True

    def wait(self, timeout: float | None) -> Any:
        """See ``engine.Call``."""
        if self.inherited():
            raise Closed("the call was made by the process that this one was forked from")
        try:
            came = self._sleep(timeout)
        except BaseException:
            self.abandon()
            raise
        if not came:
            self.abandon()
            raise TimedOut(f"no reply within {timeout:g} s")
        rest()
        with self.lock:
            outcome, self.outcome = self.outcome, Closed("the reply was taken already")
            self._ready.release()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _sleep(self, timeout: float | None) -> bool:
        if threading.current_thread() is not threading.main_thread():
            limit = -1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)
            return self._ready.acquire(timeout=limit)
        # Python misses a signal that comes just before the sleep.
        until = math.inf if timeout is None else time.monotonic() + timeout
        came = self._ready.acquire(blocking=False)
        while not came and (left := until - time.monotonic()) > 0:
            came = self._ready.acquire(timeout=min(left, _SLICE_S))
        return came


class PortableCall:
    """See ``engine.Call``."""

    __slots__ = ("_pending",)

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def wait(self, timeout: float | None) -> Value:
        """See ``engine.Call``."""
        value: Value = self._pending.wait(timeout)
        return value

    def done(self) -> bool:
        """See ``engine.Call``."""
        return self._pending.inherited() or self._pending.over

    def abandon(self) -> None:
        """See ``engine.Call``."""
        self._pending.abandon()

    def __del__(self) -> None:
        self._pending.abandon()
