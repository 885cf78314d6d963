"""What becomes of a command that the native core could not execute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import exceptions

from glide_redis.fast.path import FastPath
from glide_redis.fast.repeat import repeatable
from glide_redis.native.values import NativeError, Refused, TimedOut, Unopened
from glide_redis.wire.errors import origin, server_line

_NOT_EXECUTED = frozenset(
    {"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY", "NOAUTH"}
)


class Fallback(Exception):
    """Redis-py's own way is to be taken: the command was not executed, or may be repeated."""


class Interrupted(Fallback):
    """So, because its connection was lost: the node may be gone."""


def failed(fast: FastPath, error: NativeError, args: Sequence[Any]) -> Exception:
    """Return what to raise for a command: redis-py's exception, or Fallback."""
    text = str(error)
    if isinstance(error, Refused):
        if origin(text) in {"server", "glide"}:
            if server_line(text).partition(" ")[0] in _NOT_EXECUTED:
                return Fallback(text)
            return fast.values.error(text)
    elif isinstance(error, Unopened):
        return Fallback(text)
    if repeatable(args):
        return Fallback(text) if isinstance(error, TimedOut) else Interrupted(text)
    if isinstance(error, TimedOut):
        return exceptions.TimeoutError(f"Timeout reading from the server ({text})")
    return exceptions.ConnectionError(
        f"Connection lost; it is not known whether the command was executed ({text})"
    )
