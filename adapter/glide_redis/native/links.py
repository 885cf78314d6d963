"""Links: one connection to one node each, that holds state, may block, and never reconnects.

A link is GLIDE's *isolated scope*, taken from a parent client that exists for it alone. The parent
is lazy: it never connects (with certificates it must, since the scope takes them from it). Closing
the parent closes the link's TCP connection at once, whatever the link waits for, so that a server
never hands an element to a call that was given up.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from glide_redis.native.engine import Call, Engine, engine
from glide_redis.native.request import Options
from glide_redis.native.values import Closed, Lost, TimedOut

_FIRST_SLICE = 0.02
_LAST_SLICE = 0.25
# What GLIDE says while it waits on, after an attempt that failed.
_FAILED = "attempt failed"
# A link's own waits bound its calls; GLIDE must not give up before.
_NO_TIMEOUT_MS = 2**31 - 1


class Link:
    """A dedicated connection. Not for use by several threads at a time."""

    def __init__(self, native: Engine, parent: int, scope: int) -> None:
        self._engine = native
        self._parent = parent
        self._scope = scope
        self._close = weakref.finalize(self, _close, native, parent)
        self._close.atexit = False

    @property
    def closed(self) -> bool:
        """True once ``close`` was called."""
        return not self._close.alive

    def submit(self, args: Sequence[bytes], fd: int = -1) -> Call:
        """Send one command; its call gives the reply in GLIDE's shape.

        One at a time: a second command waits in the native core for the first one's reply, in no
        certain order, so wait for a call before the next. ``fd``: an eventfd to signal completion.
        """
        if not self._close.alive:
            raise Closed("the link is closed")
        return self._engine.link(self._scope, args, fd)

    def close(self) -> None:
        """Close the TCP connection, whatever it waits for. Further calls do nothing."""
        self._close()


def _close(native: Engine, parent: int) -> None:
    with suppress(Closed):  # A fork's: it belongs to the parent process.
        native.close(parent)


def connect(options: Options, timeout: float | None) -> Link:
    """Open a link to the only address of ``options`` within ``timeout`` seconds.

    Nothing is sent on it but what the caller submits: no HELLO, no AUTH, no SELECT.

    Raises Lost when the node refuses or cannot be reached, TimedOut, Refused for options that GLIDE
    does not take.
    """
    native = engine()
    certain = bool(options.root_certificates or options.client_certificate)
    request = replace(
        options,
        cluster=False,
        lazy=not certain,
        read_only=True,
        request_timeout_ms=_NO_TIMEOUT_MS,
        username=None,
        password=None,
        database=0,
        client_name=None,
    ).serialize()
    parent = native.open(request, None)
    try:
        return Link(native, parent, _acquire(native, parent, request, timeout))
    except BaseException:
        native.close(parent)
        raise


def _acquire(native: Engine, parent: int, request: bytes, timeout: float | None) -> int:
    """Take the scope in slices: GLIDE waits for the whole of its limit even when it is refused."""
    deadline = None if timeout is None else time.monotonic() + timeout
    length = _FIRST_SLICE
    while True:
        left = length if deadline is None else deadline - time.monotonic()
        try:
            return native.acquire(parent, request, max(min(length, left), 0.001))
        except TimedOut as error:
            if _FAILED in str(error):
                raise Lost(str(error)) from None
            if left <= length:
                raise
        length = min(length * 2, _LAST_SLICE)
