"""What becomes of commands that the native core could not execute, and which may be repeated."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import redis
from oracle.fast_calls import CALLS, KEYS, PREPARE, named

from glide_redis.fast.failures import Fallback, Interrupted, failed
from glide_redis.fast.repeat import repeatable
from glide_redis.fast.table import FAST
from glide_redis.fast.values import ParsedValues
from glide_redis.native.values import Closed, Lost, Refused, TimedOut, Unopened

FAST_PATH: Any = SimpleNamespace(values=ParsedValues(3, None))
READ, WRITE = ("GET", "k"), ("INCR", "k")
SIGNALLED = "An error was signalled by the server: - "


@pytest.mark.parametrize(
    ("error", "args", "kind", "text"),
    [
        (Refused("WRONGTYPE: no"), WRITE, redis.ResponseError, "WRONGTYPE no"),
        (Refused(f"{SIGNALLED}ResponseError: no"), READ, redis.ResponseError, "no"),
        (Refused(f"{SIGNALLED}NoScriptError: no"), READ, redis.exceptions.NoScriptError, "no"),
        (Refused(f"{SIGNALLED}PermissionDenied: no"), READ, redis.exceptions.NoPermissionError, ""),
        (Refused("OOM: no"), WRITE, redis.exceptions.OutOfMemoryError, "no"),
        *(
            (Refused(f"{SIGNALLED}{code}: x"), WRITE, Fallback, "")
            for code in ("Moved", "Ask", "TryAgain", "ClusterDown", "MasterDown", "ReadOnly")
        ),
        (Refused(f"{SIGNALLED}BusyLoadingError: x"), WRITE, Fallback, ""),
        (Refused("NOAUTH: x"), WRITE, Fallback, ""),
        (Unopened("x"), WRITE, Fallback, ""),
        (Lost("x"), READ, Interrupted, ""),
        (Lost("x"), WRITE, redis.ConnectionError, "not known whether"),
        (Closed("x"), READ, Interrupted, ""),
        (Closed("x"), WRITE, redis.ConnectionError, "not known whether"),
        (TimedOut("x"), READ, Fallback, ""),
        (TimedOut("x"), WRITE, redis.TimeoutError, "Timeout reading"),
    ],
)
def test_failed(error: Any, args: Any, kind: type[Exception], text: str) -> None:
    found = failed(FAST_PATH, error, args)
    assert type(found) is kind
    assert text in str(found)


@pytest.mark.parametrize(
    "args",
    [
        ("GET", "k"),
        ("SET", "k", "v"),
        ("SET", "k", "v", "EX", 5),
        ("DEL", "k"),
        ("HSET", "k", "f", "v"),
        ("SADD", "k", "m"),
        ("ZADD", "k", 1, "m"),
        ("EXPIRE", "k", 5),
        ("EVAL_RO", "s", 1, "k"),
    ],
)
def test_what_may_be_repeated(args: Any) -> None:
    assert repeatable(args)


@pytest.mark.parametrize(
    "args",
    [
        ("INCR", "k"),
        ("APPEND", "k", "v"),
        ("LPUSH", "k", "v"),
        ("LPOP", "k"),
        ("SPOP", "k"),
        ("GETDEL", "k"),
        ("GETSET", "k", "v"),
        ("SETNX", "k", "v"),
        ("HSETNX", "k", "f", "v"),
        ("HINCRBY", "k", "f", 1),
        ("LREM", "k", 1, "v"),
        ("LTRIM", "k", 1, 2),
        ("ZREMRANGEBYRANK", "k", 0, 0),
        ("ZINCRBY", "k", 1, "m"),
        ("XADD", "k", "*", "f", "v"),
        ("EVAL", "s", 1, "k"),
        ("SET", "k", "v", "NX"),
        ("SET", "k", "v", "xx"),
        ("SET", "k", "v", b"nx"),
        ("SET", "k", "v", "GET"),
        ("ZADD", "k", "INCR", 1, "m"),
        ("ZADD", "k", b"incr", 1, "m"),
        ("ZADD", "k", "nx", 1, "m"),
        ("EXPIRE", "k", 5, "NX"),
        ("PEXPIREAT", "k", 5, "gt"),
        ("MSET", "k", "v"),
        ("EXEC",),
    ],
)
def test_what_may_not_be_repeated(args: Any) -> None:
    assert not repeatable(args)


def test_repeating_leaves_the_data_as_it_was(control: redis.Redis) -> None:
    """What may be repeated is executed once on one key and twice on another."""
    checked = set()
    for args in CALLS:
        if not repeatable(args) or args[0].startswith("EVAL"):
            continue
        checked.add(args[0])
        for times in (1, 2):
            for key in KEYS:
                control.delete(f"{times}:{key}")
            for before in PREPARE:
                control.execute_command(*named(before, str(times)))
            for _ in range(times):
                try:
                    control.execute_command(*named(args, str(times)))
                except redis.ResponseError:
                    break
        for key in KEYS:
            assert contents(control, f"1:{key}") == contents(control, f"2:{key}"), (args, key)
    assert {name for name in FAST if repeatable((name, "k"))} <= checked | {"EVAL_RO", "EVALSHA_RO"}


def contents(client: redis.Redis, key: str) -> Any:
    """Return what a key holds, and whether it expires."""
    return client.dump(key), client.ttl(key) == -1
