"""The engine in C: connects the extension module to the library, anew in each forked child."""

from __future__ import annotations

import atexit
import os
import threading

from glide_redis.native import _accelerator, library
from glide_redis.native.values import Closed, Lost, Members, Pairs, Refusal, Refused, TimedOut

_INTERFACE = 1

if _accelerator.INTERFACE != _INTERFACE:
    raise ImportError("the extension module is of another version of glide-redis: build it again")

_engine: _accelerator.Engine | None = None


def create() -> _accelerator.Engine:
    """The one accelerated engine of this process."""
    global _engine  # noqa: PLW0603
    if _engine is None:
        _accelerator.configure(
            loader=_connect,
            opening_failure=library.opening_failure,
            pairs=Pairs,
            members=Members,
            refusal=Refusal,
            refused=Refused,
            lost=Lost,
            timed_out=TimedOut,
            closed=Closed,
            main_thread=threading.main_thread().ident or 0,
        )
        # Now, so that a library that is missing or not the right one is reported at once.
        _connect()
        _engine = _accelerator.Engine()
    return _engine


def _connect() -> None:
    loaded = library.current()
    _accelerator.connect(tuple(loaded.address(name) for name in _accelerator.FUNCTIONS))


os.register_at_fork(after_in_child=_accelerator.forked)
# What registered later runs before, and still gets its messages.
atexit.register(_accelerator.shut_down)
