"""Pipelines go as one batch, and tell of errors as redis-py's do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

COMMANDS: list[tuple[Any, ...]] = [
    ("set", "string", "v"),
    ("get", "string"),
    ("incr", "number"),
    ("hset", "hash", "f", "v"),
    ("hgetall", "hash"),
    ("rpush", "list", "a", "b"),
    ("lrange", "list", 0, -1),
    ("sadd", "set", "m"),
    ("smembers", "set"),
    ("zadd", "zset", {"m": 1.5}),
    ("zscore", "zset", "m"),
    ("expire", "string", 10**9),
    ("get", "none"),
    ("delete", "list"),
]


def prefixed(prefix: str, command: tuple[Any, ...]) -> tuple[Any, ...]:
    name, key, *rest = command
    return (name, f"{{{prefix}}}{key}", *rest)


def filled(pipe: Any, prefix: str, commands: list[tuple[Any, ...]]) -> Any:
    for command in commands:
        name, *args = prefixed(prefix, command)
        getattr(pipe, name)(*args)
    return pipe


@pytest.fixture(params=[False, True], ids=["plain", "atomic"])
def atomic(request: pytest.FixtureRequest) -> Any:
    """Pipelines and transactions."""
    return request.param


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("decode", [True, False])
def test_replies(
    connect: Callable[..., Any],
    topology: str,
    sent: Any,
    protocol: int,
    atomic: bool,
    legacy: bool,
    decode: bool,
) -> None:
    options = {"protocol": protocol, "legacy_responses": legacy, "decode_responses": decode}
    theirs, ours = connect(upstream=True, **options), connect(**options)
    expected = filled(theirs.pipeline(transaction=atomic), "theirs", COMMANDS).execute()
    found = filled(ours.pipeline(transaction=atomic), "ours", COMMANDS).execute()
    assert found == expected
    assert [type(item) for item in found] == [type(item) for item in expected]
    assert sent.taken() == (0, 0 if atomic and topology == "cluster" else 1)


def test_many_commands(connect: Callable[..., Any], atomic: bool) -> None:
    client = connect()
    pipe = client.pipeline(transaction=atomic)
    for number in range(2000):
        pipe.set(f"{{key}}{number}" if atomic else f"key{number}", number)
    replies = pipe.execute()
    assert len(replies) == 2000
    for number in range(2000):
        pipe.get(f"{{key}}{number}" if atomic else f"key{number}")
    assert pipe.execute() == [b"%d" % number for number in range(2000)]


WRONG: list[tuple[Any, ...]] = [
    ("set", "string", "v"),
    ("lpush", "string", "x"),
    ("incr", "number"),
    ("hget", "string", "f"),
]


def test_errors_that_are_returned(connect: Callable[..., Any], protocol: int, atomic: bool) -> None:
    outcomes = []
    for name, client in (
        ("theirs", connect(upstream=True, protocol=protocol)),
        ("our", connect(protocol=protocol)),
    ):
        pipe = filled(client.pipeline(transaction=atomic), name, WRONG)
        outcomes.append(
            [
                (type(item), str(item).replace(name, "")) if isinstance(item, Exception) else item
                for item in pipe.execute(raise_on_error=False)
            ]
        )
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1][0] is redis.ResponseError


def test_errors_that_are_raised(
    connect: Callable[..., Any],
    plain: Any,
    topology: str,
    sent: Any,
    protocol: int,
    atomic: bool,
) -> None:
    messages = []
    for client in (connect(upstream=True, protocol=protocol), connect(protocol=protocol)):
        plain.flushall()
        pipe = filled(client.pipeline(transaction=atomic), "same", WRONG)
        with pytest.raises(redis.ResponseError) as caught:
            pipe.execute()
        messages.append((type(caught.value), caught.value.args))
        assert len(pipe) == 0
        assert plain.get("{same}number") == b"1"
        assert pipe.get("{same}number").execute() == [b"1"]
    assert messages[0] == messages[1]
    assert "Command # 2 (LPUSH {same}string x) of pipeline" in messages[0][1][0]
    assert sent.taken() == (0, 0 if atomic and topology == "cluster" else 2)


def test_a_command_that_is_refused(
    connect: Callable[..., Any], plain: Any, protocol: int, atomic: bool
) -> None:
    outcomes: list[Any] = []
    for client in (connect(upstream=True, protocol=protocol), connect(protocol=protocol)):
        plain.flushall()
        pipe = client.pipeline(transaction=atomic)
        pipe.incr("{same}number")
        pipe.execute_command("SET", "{same}string")
        pipe.incr("{same}number")
        with pytest.raises(redis.ResponseError) as caught:
            pipe.execute()
        outcomes.append((type(caught.value), caught.value.args, plain.get("{same}number")))
    assert outcomes[0] == outcomes[1]


def test_unusual_commands_go_redis_pys_own_way(
    connect: Callable[..., Any], topology: str, sent: Any, atomic: bool
) -> None:
    unusual = [("set", "a", "1"), ("getrange", "a", 0, -1), ("object", "ENCODING", "{x}a")]
    if topology == "standalone":
        unusual.append(("mget", ["{x}a", "{x}b"]))
    outcomes = []
    for client in (connect(upstream=True), connect()):
        pipe = client.pipeline(transaction=atomic)
        for name, *args in unusual[:2]:
            getattr(pipe, name)(*prefixed("x", (name, *args))[1:])
        for name, *args in unusual[2:]:
            getattr(pipe, name)(*args)
        outcomes.append(pipe.execute())
    assert outcomes[0] == outcomes[1]
    assert sent.taken() == (0, 0)


def test_scripts_in_pipelines(connect: Callable[..., Any], topology: str, atomic: bool) -> None:
    client = connect()
    pipe = client.pipeline(transaction=atomic)
    script = "return {1, redis.error_reply('ERR inside'), redis.call('GET', KEYS[1])}"
    pipe.set("{x}a", "v")
    if topology == "cluster":
        pipe.execute_command("EVAL", script, 1, "{x}a")
    else:
        pipe.eval(script, 1, "{x}a")
    one, error, value = pipe.execute(raise_on_error=False)[1]
    assert (one, value) == (1, b"v")
    assert isinstance(error, redis.ResponseError)


def test_an_empty_pipeline(connect: Callable[..., Any], sent: Any, atomic: bool) -> None:
    assert connect().pipeline(transaction=atomic).execute() == []
    assert sent.taken() == (0, 0)


def test_a_pipeline_is_used_again(connect: Callable[..., Any], atomic: bool) -> None:
    with connect().pipeline(transaction=atomic) as pipe:
        for number in range(1, 4):
            assert pipe.incr("n").get("n").execute() == [number, b"%d" % number]
            assert len(pipe) == 0
        pipe.incr("n")
        pipe.reset()
        assert pipe.get("n").execute() == [b"3"]


def test_transactions_are_atomic(connect: Callable[..., Any], plain: Any) -> None:
    """Nobody sees one of two counters changed alone."""
    import threading

    client = connect()
    done = threading.Event()

    def change() -> None:
        for _ in range(200):
            client.pipeline(transaction=True).incr("{x}a").incr("{x}b").execute()
        done.set()

    changing = threading.Thread(target=change)
    changing.start()
    while not done.is_set():
        first, second = plain.mget("{x}a", "{x}b")
        assert first == second
    changing.join()
    assert plain.get("{x}a") == b"200"


def test_a_pipeline_over_all_slots(connect: Callable[..., Any], sent: Any) -> None:
    client = connect()
    pipe = client.pipeline(transaction=False)
    for number in range(200):
        pipe.set(f"key{number}", number).get(f"key{number}").lpush(f"key{number}", "x")
    replies = pipe.execute(raise_on_error=False)
    assert replies[1::3] == [b"%d" % number for number in range(200)]
    assert all(isinstance(item, redis.ResponseError) for item in replies[2::3])
    assert sent.taken() == (0, 1)
