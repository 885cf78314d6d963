"""The differences that are documented are there: one that goes is to be taken off the list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from glide_redis.native.engine import engine
from glide_redis.native.request import Options
from glide_redis.native.values import Lost, Pairs, Refusal, Refused, Value
from glide_redis.wire.commands import _SPOILED
from glide_redis.wire.differences import DIFFERENCES
from glide_redis.wire.numbers import plain

DEEP = b"local t = {} local r = t for i = 1, 105 do t[1] = {} t = t[1] end return r"


@pytest.fixture
def batch(server: Any) -> Iterator[Callable[..., Value]]:
    """Send one command as a batch of a client of its own."""
    native = engine()
    options = Options(addresses=((server.host, server.port),), read_only=True, protocol=2)
    client = native.open(options.serialize(), None)

    def ask(*args: bytes) -> Value:
        replies = native.batch(client, [args]).wait(20)
        assert isinstance(replies, list)
        return replies[0]

    yield ask
    native.close(client)


def test_every_command_that_must_be_raw_is_documented() -> None:
    described = " ".join(difference.when for difference in DIFFERENCES)

    assert [name for name in map(bytes.decode, _SPOILED) if name not in described] == []


def test_deleted_entries_of_old_servers_are_left_out(canned: Callable[..., Value]) -> None:
    entry = b"*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
    reply = b"*2\r\n$-1\r\n%b" % entry

    assert canned(reply, b"XCLAIM") == Pairs([(b"1-1", [[b"a", b"b"]])])
    assert canned(b"*2\r\n$3\r\n0-0\r\n" + reply, b"XAUTOCLAIM") == [
        b"0-0",
        Pairs([(b"1-1", [[b"a", b"b"]])]),
    ]


def test_digits_beyond_those_of_a_double_are_lost(sides: SimpleNamespace) -> None:
    sides.wire(b"DEL", b"f")
    text = sides.wire(b"INCRBYFLOAT", b"f", b"100000000000000000.25").split(b"\r\n")[1]
    sides.wire(b"DEL", b"f")
    value = sides.glide.value(b"INCRBYFLOAT", b"f", b"100000000000000000.25")

    assert text == b"100000000000000000.25"
    assert value == float(text)
    assert plain(value) != text


def test_of_errors_in_a_reply_the_first_is_reported(
    sides: SimpleNamespace, batch: Callable[..., Value]
) -> None:
    script = (b"EVAL", b"return {1, redis.error_reply('MY own')}", b"0")

    with pytest.raises(Refused, match="MY: own"):
        sides.glide.value(*script)
    assert batch(*script) == [1, Refusal("MY: own")]


def test_a_deep_reply_ends_the_connection(
    server: Any, glide_to: Callable[..., Any], wire_to: Callable[..., Any]
) -> None:
    address = (server.host, server.port)

    assert wire_to(address)(b"EVAL", DEEP, b"0").count(b"*") > 100
    with pytest.raises(Lost):
        glide_to(address).value(b"EVAL", DEEP, b"0")


def test_verbatim_strings_are_made_utf_8(canned: Callable[..., Value]) -> None:
    assert canned(b"=6\r\ntxt:a\xff\r\n", b"INFO") == "a\ufffd".encode()


def test_a_stream_called_block_cannot_be_read(
    sides: SimpleNamespace, batch: Callable[..., Value]
) -> None:
    command = b"XREAD STREAMS block 1-1".split(b" ")
    sides.wire(b"DEL", b"block")

    assert sides.wire(*command) in {b"*-1\r\n", b"_\r\n"}
    with pytest.raises(Refused, match="timeout"):
        sides.glide.value(*command)
    assert batch(*command) is None


def test_a_bad_timeout_is_refused_by_the_server_in_a_batch(batch: Callable[..., Value]) -> None:
    reply = batch(b"BLPOP", b"k", b"abc")

    assert isinstance(reply, Refusal)
    assert "timeout is not a float or out of range" in reply.text


def test_a_command_whose_name_is_not_utf_8_is_refused(sides: SimpleNamespace) -> None:
    assert sides.wire(b"\xff").startswith(b"-ERR unknown command '\xff'")
    with pytest.raises(Refused, match="malformed command"):
        sides.glide.value(b"\xff")
