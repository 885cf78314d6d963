"""Calls into GLIDE's native core: what an engine is, and which one this process uses.

Two engines do the same: ``accelerated``, an extension module in C, and ``portable``, which needs no
compiler. ``GLIDE_REDIS_ENGINE`` (``accelerated`` or ``portable``) forces one; without it the
accelerated engine is used wherever it could be built.

Both use GLIDE's asynchronous kind of client only: the other kind prints each error on stderr and
cannot be interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from glide_redis.native.values import Value

ENGINE_VARIABLE = "GLIDE_REDIS_ENGINE"

PushHandler: TypeAlias = Callable[[int, bytes, bytes, bytes | None], None]
"""Called with kind (3 message, 4 by pattern, 5 sharded), channel, data, pattern, in a thread of
GLIDE: it must return soon and must not raise."""


class Call(Protocol):
    """A command on its way. For one waiting thread."""

    def wait(self, timeout: float | None) -> Value:
        """Wait for the reply, at most ``timeout`` seconds; ``None`` is for ever.

        The GIL is released; signal handlers run at once, and one that raises (Ctrl-C does) ends the
        wait. After that, and after a time-out, the call is given up: its reply is freed when it
        comes, and a further ``wait`` raises Closed. A reply or an error can be taken once.

        Raises:
            Refused: an error from the server, or from GLIDE about the command.
            Lost: the connection broke.
            TimedOut: no reply in time, by this or by GLIDE's own limit.
            Closed: the client was closed, or belongs to the process that this one was forked from.
        """
        ...

    def done(self) -> bool:
        """True when ``wait`` would not block."""
        ...

    def abandon(self) -> None:
        """Give the call up. Afterwards nothing is written to its ``fd``, which may be closed."""
        ...


class Engine(Protocol):
    """What can be asked of the native core. Safe for use by many threads.

    Arguments of commands are bytes, or text that is sent as UTF-8. The first is the command's name
    as one word or with its subcommand as the next argument; none may be missing.

    ``fd``: an eventfd (or -1), to which the number 1 is written in 8 bytes when the call is done.
    It must stay open until then, or until the call was given up or dropped.

    Handles (clients, scopes) are numbers that are never used again. One that is closed or that
    belongs to the process from which this one was forked raises Closed.
    """

    @property
    def name(self) -> str:
        """``accelerated`` or ``portable``."""
        ...

    def open(self, request: bytes, push: PushHandler | None) -> int:
        """Open a client and return its handle. Blocks until connected, unless it is lazy.

        Raises Lost when no server can be reached, TimedOut, or Refused (wrong password, wrong kind
        of server, malformed request).
        """
        ...

    def close(self, client: int) -> None:
        """Close a client without waiting: its calls raise Closed at once. May be called twice."""
        ...

    def command(
        self, client: int, args: Sequence[bytes | str], route: bytes | None = None, fd: int = -1
    ) -> Call:
        """Send one command. ``route``: GLIDE's protobuf ``Routes``, for a cluster."""
        ...

    def batch(
        self,
        client: int,
        commands: Sequence[Sequence[bytes | str]],
        atomic: bool = False,
        fd: int = -1,
    ) -> Call:
        """Send many commands at once; the reply is a list, with a Refusal for each error.

        Atomic: between MULTI and EXEC.
        """
        ...

    def execute(
        self,
        client: int,
        args: Sequence[bytes | str],
        timeout: float | None,
        route: bytes | None = None,
    ) -> Value:
        """``command`` and ``wait`` in one step."""
        ...

    def acquire(self, client: int, request: bytes, timeout: float) -> int:
        """Open a connection of its own ("scope") to the client's first address.

        ``request`` is the client's own. Raises TimedOut when it cannot be had within ``timeout``
        seconds: GLIDE tries again until then.
        """
        ...

    def link(self, scope: int, args: Sequence[bytes], fd: int = -1) -> Call:
        """Send one command on a connection of its own. The command's name must be UTF-8."""
        ...

    def release(self, scope: int, client: int) -> None:
        """Give a scope back: GLIDE may hand its connection out again. Closing its client closes it.

        Calls on it that are not done are given up.
        """
        ...


_chosen: Engine | None = None


def engine() -> Engine:
    """The engine of this process, chosen at the first call.

    Raises ImportError when the native library is missing or not the right one, or when
    ``GLIDE_REDIS_ENGINE`` asks for an engine that is not there.
    """
    global _chosen  # noqa: PLW0603
    if _chosen is None:
        _chosen = choose(os.environ.get(ENGINE_VARIABLE, ""))
    return _chosen


def choose(wanted: str) -> Engine:
    """The engine of that name, or the best one there is for an empty name."""
    from glide_redis.native import portable

    if wanted == "portable":
        return portable.create()
    if wanted not in {"", "accelerated"}:
        raise ImportError(
            f"{ENGINE_VARIABLE}={wanted!r}: there are the engines 'accelerated' and 'portable'"
        )
    try:
        from glide_redis.native import accelerated
    except ImportError as error:
        if wanted:
            raise ImportError(
                f"{ENGINE_VARIABLE}={wanted!r}, but the extension module cannot be used ({error}): "
                "install glide-redis where a C compiler and Python's headers are"
            ) from None
        return portable.create()
    return accelerated.create()
