"""Each fast command answers as it does on redis-py's own way, and as redis-py itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from oracle.fast_calls import CALLS, KEYS, PREPARE, named

from glide_redis.fast.table import FAST

FLAVOURS: list[dict[str, Any]] = [
    {**protocol, **legacy, **decoding}
    for protocol in ({"protocol": 2}, {"protocol": 3}, {})
    for legacy in ({"legacy_responses": True}, {"legacy_responses": False})
    for decoding in ({}, {"decode_responses": True})
]


def outcome(client: Any, args: tuple[Any, ...], prefix: str) -> Any:
    """Return the reply of a command on fresh keys, comparable with another client's."""
    try:
        return exact(client.execute_command(*named(args, prefix)))
    except Exception as error:
        return exact(error)


def exact(value: Any) -> Any:
    """Return a value with its types."""
    if isinstance(value, Exception):
        return (type(value), str(value), value.args)
    if isinstance(value, list | tuple):
        return (type(value), [exact(item) for item in value])
    if isinstance(value, dict):
        return (dict, [(exact(key), exact(item)) for key, item in value.items()])
    return (type(value), value)


def test_every_fast_command_is_here() -> None:
    assert {args[0] for args in CALLS} == set(FAST)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=lambda given: "-".join(map(str, given.values())))
def test_replies(
    connect: Callable[..., Any],
    slow: Callable[[Any], Any],
    plain: Any,
    sent: Any,
    flavour: dict[str, Any],
) -> None:
    clients = {
        "a": connect(upstream=True, **flavour),
        "b": connect(**flavour),
        "c": slow(connect(**flavour)),
    }
    preparing = plain.pipeline(transaction=False)
    plain.script_load("return 1")
    for args in CALLS:
        outcomes = []
        for prefix, client in clients.items():
            for key in KEYS:
                preparing.delete(f"{prefix}:{key}")
            for before in PREPARE:
                preparing.execute_command(*named(before, prefix))
            preparing.execute()
            sent.taken()
            outcomes.append(outcome(client, args, prefix))
            assert sum(sent.taken()) == (prefix == "b"), (args, prefix)
        theirs, fast, seam = outcomes
        assert fast == theirs, args
        assert seam == theirs, args


def test_arguments_are_encoded_as_redis_py_does(connect: Callable[..., Any], sent: Any) -> None:
    client = connect()
    for value, stored in (
        ("käse", "käse".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (5, b"5"),
        (-1.5, b"-1.5"),
        (1e100, b"1e+100"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view"), b"view"),
    ):
        sent.taken()
        try:
            client.set("key", value)
        except redis.DataError:
            assert isinstance(value, bytearray)  # redis-py refuses it as well.
            continue
        assert client.get("key") == stored
        assert sent.taken() == (2, 0)
    for value in (None, True, [1], {"a": 1}, object()):
        with pytest.raises(redis.DataError, match="Invalid input of type"):
            client.set("key", value)
    with pytest.raises(UnicodeEncodeError):
        client.set("key", "\ud800")


def test_other_encodings(connect: Callable[..., Any], plain: Any, sent: Any) -> None:
    client = connect(encoding="latin-1", decode_responses=True)
    client.set("key", "é")
    assert plain.get("key") == b"\xe9"
    assert client.get("key") == "é"
    assert sent.taken() == (2, 0)
    strict, lenient = (
        connect(decode_responses=True),
        connect(decode_responses=True, encoding_errors="replace"),
    )
    with pytest.raises(UnicodeDecodeError):
        strict.get("key")
    assert lenient.get("key") == "\ufffd"
