"""Scripts and functions: their replies may be anything, a big number among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

import glide_redis

BIG = "return {big_number = '12345678901234567890123'}"
RESP3_BIG = f"redis.setresp(3); {BIG}"


@pytest.fixture(params=["multiplexed", "connection"])
def client(
    request: pytest.FixtureRequest, server: Any, control: Any, protocol: int
) -> Iterator[Any]:
    """The adapter's client, by the fast path and on a connection of its own."""
    del control
    with glide_redis.Redis(
        server.host,
        server.port,
        protocol=protocol,
        single_connection_client=request.param == "connection",
    ) as made:
        yield made


@pytest.mark.parametrize("keys", [0, 1, 2])
@pytest.mark.parametrize("script", [BIG, RESP3_BIG])
def test_a_big_number_is_no_end(client: Any, keys: int, script: str) -> None:
    names = ["a", "b"][:keys]
    assert client.eval(script, keys, *names) == b"12345678901234567890123"
    assert client.ping()


def test_a_big_number_in_pipelines(client: Any) -> None:
    for transaction in (False, True):
        pipe = client.pipeline(transaction=transaction)
        pipe.set("k", "v").eval(BIG, 1, "k").eval(RESP3_BIG, 0).get("k")
        big = b"12345678901234567890123"
        assert pipe.execute() == [True, big, big, b"v"]


def test_a_big_number_while_watching(client: Any) -> None:
    with client.pipeline() as pipe:
        pipe.watch("k")
        assert pipe.eval(RESP3_BIG, 0) == b"12345678901234567890123"
        pipe.multi()
        pipe.eval(RESP3_BIG, 1, "k")
        pipe.get("k")
        assert pipe.execute() == [b"12345678901234567890123", None]


def test_a_big_number_from_elsewhere(client: Any) -> None:
    assert int(client.execute_command("DEBUG", "PROTOCOL", "bignum")) > 2**64
    assert client.ping()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("return 1", 1),
        ("return 'text'", b"text"),
        ("return {1, 'two', {3, false}}", [1, b"two", [3, None]]),
        ("return nil", None),
        ("return redis.status_reply('FINE')", b"FINE"),
        ("return {}", []),
        ("return 3.9", 3),
        ("return '\\255\\0'", b"\xff\0"),
        ("return redis.call('HGETALL', KEYS[1])", [b"f", b"v"]),
        ("return redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')", [b"m", b"1.5"]),
    ],
)
def test_replies(client: Any, control: redis.Redis, script: str, expected: Any) -> None:
    control.hset("h", "f", "v")
    control.zadd("z", {"m": 1.5})
    assert client.eval(script, 2, "h", "z") == expected
    assert client.eval_ro(script, 2, "h", "z") == expected
    digest = client.script_load(script)
    assert client.evalsha(digest, 2, "h", "z") == expected
    assert control.eval(script, 2, "h", "z") == expected


def test_errors_among_values(client: Any, control: redis.Redis) -> None:
    script = "return {1, redis.error_reply('ERR inside'), 'x'}"
    for one in (client, control):
        for keys in ([], ["k"]):
            found = one.eval(script, len(keys), *keys)
            assert [found[0], found[2]] == [1, b"x"]
            assert type(found[1]) is redis.ResponseError
            assert found[1].args == ("inside",)


def test_errors(client: Any, control: redis.Redis) -> None:
    for script in (
        "return redis.error_reply('MYCODE my text')",
        "return redis.call('LPUSH', KEYS[1], 'x')",
        "return redis.call('NOSUCH')",
        "error('raised')",
        "return 1 +",
    ):
        control.set("k", "text")
        with pytest.raises(redis.ResponseError) as ours:
            client.eval(script, 1, "k")
        with pytest.raises(redis.ResponseError) as theirs:
            control.eval(script, 1, "k")
        assert type(ours.value) is type(theirs.value)
        assert ours.value.args == theirs.value.args


def test_an_unknown_script(client: Any) -> None:
    for keys in (0, 1, 2):
        with pytest.raises(redis.exceptions.NoScriptError):
            client.evalsha("f" * 40, keys, *["a", "b"][:keys])


def test_registered_scripts_are_loaded_again(client: Any, control: redis.Redis) -> None:
    script = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert script(keys=["n"], args=[2]) == 2
    control.script_flush()
    assert script(keys=["n"], args=[3]) == 5
    control.script_flush()
    pipe = client.pipeline()
    script(keys=["n"], args=[1], client=pipe)
    pipe.get("n")
    assert pipe.execute() == [6, b"6"]


def test_functions(client: Any, control: redis.Redis) -> None:
    control.function_flush()
    client.function_load(
        "#!lua name=mine\n"
        "redis.register_function('add', function(keys, args)\n"
        "  return redis.call('INCRBY', keys[1], args[1])\n"
        "end)\n"
        "redis.register_function{function_name='big', flags={'no-writes'}, callback=function()\n"
        "  return {big_number='1234567890123456789012'}\n"
        "end}"
    )
    assert client.fcall("add", 1, "n", 4) == 4
    assert client.fcall("big", 0) == b"1234567890123456789012"
    assert client.fcall_ro("big", 0) == b"1234567890123456789012"
    with pytest.raises(redis.ResponseError, match="Function not found"):
        client.fcall("none", 0)
    assert control.get("n") == b"4"
