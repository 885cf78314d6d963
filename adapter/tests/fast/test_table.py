"""The table of fast commands against what the server says of its commands."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from glide_redis.fast.table import FAST, RESTORED, SCRIPTS, Keys, taken
from glide_redis.wire.commands import may_hold_errors, needs_raw


def fields(reply: list[Any]) -> dict[bytes, Any]:
    """Return an array of names and values as a dictionary."""
    return dict(zip(reply[::2], reply[1::2], strict=True))


@pytest.fixture
def described(server: Any) -> dict[str, Any]:
    """The server's description of each fast command."""
    connection = redis.Connection(server.host, server.port, protocol=2)
    connection.send_command("COMMAND", "INFO", *FAST)
    reply = connection.read_response()
    connection.disconnect()
    return dict(zip(FAST, reply, strict=True))


def test_the_server_knows_them(described: dict[str, Any]) -> None:
    assert [name for name, info in described.items() if not info] == []


def test_none_holds_state_or_blocks(described: dict[str, Any]) -> None:
    forbidden = {b"blocking", b"pubsub", b"admin", b"no_multi", b"noscript", b"no_mandatory_keys"}
    of_scripts = {b"noscript", b"no_mandatory_keys"}
    for name, info in described.items():
        allowed = of_scripts if FAST[name] is Keys.SCRIPT else set()
        assert not forbidden & set(info[2]) - allowed, name


def specs(info: list[Any]) -> list[tuple[bytes, dict[bytes, Any], bytes, dict[bytes, Any]]]:
    """Return where each group of keys begins, and how it goes on."""
    found = []
    for given in info[8]:
        spec = fields(given)
        begin, keys = fields(spec[b"begin_search"]), fields(spec[b"find_keys"])
        found.append((begin[b"type"], fields(begin[b"spec"]), keys[b"type"], fields(keys[b"spec"])))
    return found


def test_their_keys_are_where_the_table_says(described: dict[str, Any]) -> None:
    for name, info in described.items():
        (begin, at, kind, keys), *others = specs(info)
        assert not others, name
        assert begin == b"index", name
        if FAST[name] is Keys.SCRIPT:
            assert (at, kind) == ({b"index": 2}, b"keynum"), name
            assert keys == {b"keynumidx": 0, b"firstkey": 1, b"keystep": 1}, name
        else:
            last = 0 if FAST[name] is Keys.FIRST else -1
            assert (at, kind) == ({b"index": 1}, b"range"), name
            assert keys == {b"lastkey": last, b"keystep": 1, b"limit": 0}, name


def test_none_can_be_spoiled_by_names_that_are_spelled_like_options() -> None:
    for name in FAST:
        for word in (b"WITHSCORES", b"WITHSCORE", b"JUSTID", b"IDX", b"WITHVALUES", b"BLOCK"):
            for position in range(1, 5):
                args = [name.encode(), b"1", b"2", b"3", b"4"]
                args[position] = word
                assert not needs_raw(args), args


def test_those_that_may_hold_errors_are_the_scripts() -> None:
    assert {name for name in FAST if may_hold_errors([name.encode()])} == SCRIPTS


def test_what_is_restored() -> None:
    assert {"HEXISTS", "EXPIRE", "SMISMEMBER", "ZADD", "INCRBYFLOAT"} <= RESTORED
    assert set(FAST) >= RESTORED
    assert not {"GET", "SET", "HGETALL", "LPUSH"} & RESTORED


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("GET", "k"), True),
        (("GET",), False),
        (("get", "k"), False),
        ((b"GET", "k"), False),
        (("MGET", "k"), False),
        (("BLPOP", "k", 0), False),
        (("DEL", "k"), True),
        (("DEL", "k", "l"), False),
        (("DEL",), False),
        (("EVAL", "s", 1, "k"), True),
        (("EVAL", "s", "1", "k", "argument"), True),
        (("EVAL", "s", b"1", "k"), True),
        (("EVAL", "s", 1), False),
        (("EVAL", "s", 0), False),
        (("EVAL", "s", 0, "argument"), False),
        (("EVAL", "s", 2, "k", "l"), False),
        (("EVAL", "s"), False),
        (("NOSUCH", "k"), False),
    ],
)
def test_taken(args: tuple[Any, ...], expected: bool) -> None:
    assert taken(args) is expected
