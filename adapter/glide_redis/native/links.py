"""Links: one connection to one node each, that holds state and never reconnects.

A link is GLIDE's *isolated scope*, taken from a parent client. The parent is lazy: it never
connects (with certificates it must, since the scopes take them from it). Parents are shared, since
each costs a thread and several descriptors and GLIDE searches all of them at each command. GLIDE
would hand a released scope out again, as the user and in the protocol that it was left with: so a
closed link's scope is never released; the server is asked to close the connection, and the parent
goes with its last link.

A blocking command needs an *exclusive* link, whose parent is its own: closing the parent closes the
connection at once, so that the server never hands an element to a call that was given up.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from glide_redis.native.engine import Call, Engine, engine
from glide_redis.native.library import generation
from glide_redis.native.request import Options
from glide_redis.native.values import Closed, Lost, NativeError, TimedOut

# Each slice may begin a connection of its own where the one before is not ready yet.
_FIRST_SLICE = 0.02
_LAST_SLICE = 1.0
_GROWTH = 4
# What GLIDE says while it waits on, after an attempt that failed.
_FAILED = "attempt failed"
# A link's own waits bound its calls; GLIDE must not give up before.
_NO_TIMEOUT_MS = 2**31 - 1
# GLIDE has 64 scopes a client.
_SCOPES = 64


@dataclass
class _Parent:
    """A client that links are taken from: how many it gave, how many of them are open."""

    native: Engine
    handle: int
    request: bytes
    generation: int
    given: int = 0
    open: int = 0


class Link:
    """A dedicated connection. Not for use by several threads at a time."""

    def __init__(self, parent: _Parent, scope: int, exclusive: bool) -> None:
        self.exclusive = exclusive
        self._engine = parent.native
        self._scope = scope
        self._close = weakref.finalize(self, _close, parent, scope, exclusive)
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
        """Close the connection: an exclusive one at once, whatever it waits for."""
        self._close()


def connect(options: Options, timeout: float | None, *, exclusive: bool = False) -> Link:
    """Open a link to the only address of ``options`` within ``timeout`` seconds.

    Nothing is sent on it but what the caller submits: no HELLO, no AUTH, no SELECT.

    Raises Lost when the node refuses or cannot be reached, TimedOut, Refused for options that GLIDE
    does not take.
    """
    parent = _parent(options, exclusive)
    try:
        return Link(parent, _acquire(parent, timeout), exclusive)
    except BaseException:
        _let_go(parent)
        raise


def _parent(options: Options, exclusive: bool) -> _Parent:
    with _registry.lock:
        shared = [] if exclusive else _registry.parents.setdefault(options, [])
        for parent in shared:
            if parent.given < _SCOPES:
                break
        else:
            parent = _opened(options)
            shared.append(parent)
        parent.given += 1
        parent.open += 1
        return parent


def _opened(options: Options) -> _Parent:
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
    native = engine()
    return _Parent(native, native.open(request, None), request, generation())


def _acquire(parent: _Parent, timeout: float | None) -> int:
    """Take a scope in slices: GLIDE waits for the whole of its limit even when it is refused."""
    deadline = None if timeout is None else time.monotonic() + timeout
    length = _FIRST_SLICE
    while True:
        left = length if deadline is None else deadline - time.monotonic()
        try:
            return parent.native.acquire(
                parent.handle, parent.request, max(min(length, left), 0.001)
            )
        except TimedOut as error:
            if _FAILED in str(error):
                raise Lost(str(error)) from None
            if left <= length:
                raise
        length = min(length * _GROWTH, _LAST_SLICE)


def _close(parent: _Parent, scope: int, exclusive: bool) -> None:
    if parent.generation != generation():
        return  # A fork's: it belongs to the parent process.
    if not exclusive:
        with suppress(NativeError):
            parent.native.link(scope, (b"QUIT",))
    _let_go(parent)


def _let_go(parent: _Parent) -> None:
    # A finalizer may run in the middle of a call that holds the lock, hence a reentrant one.
    with _registry.lock:
        parent.open -= 1
        if parent.open:
            return
        for shared in _registry.parents.values():
            if parent in shared:
                shared.remove(parent)
                break
    with suppress(Closed):
        parent.native.close(parent.handle)


class _Registry:
    """The parents of this process, by what they connect to."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.parents: dict[Options, list[_Parent]] = {}


_registry = _Registry()


def _forget() -> None:
    """A child has none of its parent's clients, and nobody who would release its lock."""
    global _registry  # noqa: PLW0603
    _registry = _Registry()


os.register_at_fork(after_in_child=_forget)
