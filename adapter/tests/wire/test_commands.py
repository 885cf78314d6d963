"""Which commands need another way than GLIDE's usual one, and that they do need it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from glide_redis.native.values import Members, Pairs, Refused, Value
from glide_redis.wire.commands import (
    _SPOILED,
    CORE,
    may_hold_errors,
    may_return_big_number,
    needs_raw,
)
from glide_redis.wire.encode import encode
from glide_redis.wire.restore import _RESTORERS, restore

# State before (separated by bars) and a command whose reply GLIDE spoils.
SPOILED = {
    "ZADD withscores 1 1 2 02 3 3": [
        "ZRANGE withscores 0 -1",
        "ZRANDMEMBER withscores 3",
        "ZUNION 1 withscores",
        "ZINTER 1 withscores",
        "ZDIFF 1 withscores",
    ],
    "ZADD withscore 1 a": ["ZRANK withscore a", "ZREVRANK withscore a"],
    "HSET withvalues f 1": ["HRANDFIELD withvalues"],
    "SET idx ohmytext": ["LCS idx n"],
    "GEOADD withdist 13.3 38.1 a": ["GEOSEARCH withdist FROMMEMBER a BYRADIUS 200 km"],
    "XADD full 1-1 a b": ["XINFO STREAM full"],  # in RESP2
    "": ["LOLWUT VERSION 6"],
}
OF_ONE = [(before, command) for before, commands in SPOILED.items() for command in commands]


@pytest.mark.parametrize(("before", "command"), OF_ONE, ids=[command for _, command in OF_ONE])
def test_glide_spoils_the_reply_unless_it_is_raw(
    sides: SimpleNamespace, tree: Callable[..., Any], before: str, command: str
) -> None:
    sides.wire(b"FLUSHALL")
    if before:
        sides.wire(*before.encode().split(b" "))
    args = command.encode().split(b" ")
    expected = sides.wire(*args)

    assert needs_raw(args)
    try:
        spoilt = sides.glide.direct(*args)
    except Refused:
        pass
    else:
        in_resp2_only = command == "XINFO STREAM full" and sides.protocol == 3
        assert (tree(spoilt) == tree(expected)) == in_resp2_only
    raw = encode(sides.glide.raw(*args), sides.protocol)
    if command == "LOLWUT VERSION 6":
        assert b"\x1b[" in expected
        assert b"\x1b[" not in spoilt
        assert b"\x1b[" in raw
    else:
        assert tree(raw) == tree(expected)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("FT.SEARCH i q WITHSCORES", b"*4\r\n:1\r\n$1\r\nk\r\n$1\r\n1\r\n*0\r\n"),
        ("FT.SEARCH i q", b"%1\r\n$7\r\nresults\r\n*0\r\n"),
        ("FT.AGGREGATE i q", b"*2\r\n:7\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("FT.HYBRID i q", b"*2\r\n:7\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("FT.CURSOR READ i 1", b"*2\r\n*1\r\n:7\r\n:0\r\n"),
        ("FT.PROFILE i SEARCH QUERY q", b"%1\r\n$7\r\nresults\r\n*0\r\n"),
        ("FT.INFO i", b"%1\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ("FT._ALIASLIST", b"*1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        (
            "XREADGROUP GROUP g c CLAIM 1 STREAMS s >",
            b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*4\r\n$3\r\n1-1\r\n*0\r\n:5\r\n:1\r\n",
        ),
    ],
)
def test_glide_spoils_replies_of_servers_that_are_not_here(
    canned: Callable[..., Value], tree: Callable[..., Any], command: str, reply: bytes
) -> None:
    args = command.encode().split(b" ")

    assert needs_raw(args)
    try:
        value = canned(reply, *args)
    except Refused:
        return
    protocol = 3 if reply.startswith(b"%") else 2
    assert tree(encode(restore(args, value, protocol), protocol)) != tree(reply)


def test_each_command_that_needs_to_be_raw_is_shown_to() -> None:
    shown = {command.split(" ", maxsplit=1)[0] for _, command in OF_ONE}
    elsewhere = {name for name in map(bytes.decode, _SPOILED) if name.startswith("FT.")}

    assert shown | elsewhere | {"XREADGROUP", "XCLAIM"} == set(map(bytes.decode, _SPOILED))


ABORTING = """
import sys
from glide_redis.native.links import connect
from glide_redis.native.request import Options
link = connect(Options(addresses=((sys.argv[1], int(sys.argv[2])),)), 10)
print("asked", flush=True)
link.submit([arg.encode() for arg in sys.argv[3:]]).wait(10)
print("answered")
"""


@pytest.mark.parametrize(
    ("command", "known"),
    [
        ("XCLAIM s justid bob 0 1-1", needs_raw),
        ("DEBUG PROTOCOL bignum", may_return_big_number),
    ],
    ids=["justid", "big number"],
)
def test_what_aborts_the_process_is_known_beforehand(
    server: Any, sides: SimpleNamespace, command: str, known: Callable[[list[bytes]], bool]
) -> None:
    sides.wire(b"FLUSHALL")
    for line in ("XADD s 1-1 a b", "XGROUP CREATE s justid 0"):
        sides.wire(*line.encode().split(b" "))
    sides.wire(*b"XREADGROUP GROUP justid al STREAMS s >".split(b" "))
    address = [server.host, str(server.port)]
    script = ABORTING.replace("link.submit", "link.submit([b'HELLO', b'3']).wait(10); link.submit")

    ended = subprocess.run(
        [sys.executable, "-c", script, *address, *command.split(" ")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert known(command.encode().split(b" "))
    assert (ended.stdout, ended.returncode) == ("asked\n", -6)


@pytest.mark.parametrize(
    "command",
    [
        "ZRANGE z 0 -1 WITHSCORES",
        "ZRANGE withscores 0 -1 WITHSCORES",
        "ZUNION 2 a withscores WITHSCORES",
        "ZDIFF 2 a b",
        "XCLAIM s justid c 0 1-1 JUSTID",
        "XCLAIM s g c 0 1-1",
        "GEOSEARCH withdist FROMMEMBER withhash BYRADIUS 1 km WITHDIST",
        "GEOSEARCH g FROMMEMBER",
        "LCS a b IDX",
        "XINFO STREAM s FULL",
        "XINFO CONSUMERS s full",
        "XINFO",
        "XREADGROUP GROUP claim claim STREAMS s claim > >",
        "XREADGROUP GROUP g c BLOCK 1 CLAIM 1 STREAMS s >",
        "GET withscores",
        "ZDIFF",
    ],
)
def test_what_looks_spoilt_but_is_not(command: str) -> None:
    assert not needs_raw(command.encode().split(b" "))


@pytest.mark.parametrize("command", ["ZDIFF x withscores", "ZUNION 9 withscores", "lolwut"])
def test_a_malformed_or_lower_case_command_is_raw_too(command: str) -> None:
    assert needs_raw(command.encode().split(b" "))


@pytest.mark.parametrize(
    "command", ["EVAL x 0", "evalsha x 0", "FCALL f 0", "FCALL_RO f 0", "DEBUG X", "JSON.GET k"]
)
def test_what_may_return_a_big_number(command: str) -> None:
    assert may_return_big_number(command.encode().split(b" "))


@pytest.mark.parametrize("command", ["GET k", "hgetall h", "EXEC", "CONFIG GET x"])
def test_what_returns_no_big_number(command: str) -> None:
    assert not may_return_big_number(command.encode().split(b" "))


def test_every_command_of_the_server_is_known(wire_to: Callable[..., Any], server: Any) -> None:
    reply = wire_to((server.host, server.port))(b"COMMAND", b"LIST")
    names = {name.upper() for name in reply.split(b"\r\n")[2::2] if b"|" not in name}

    assert names <= CORE


def test_which_replies_may_hold_errors() -> None:
    assert may_hold_errors([b"exec"])
    assert may_hold_errors([b"EVAL", b"x", b"0"])
    assert not may_hold_errors([b"GET", b"k"])


def test_an_error_inside_a_reply_is_all_that_glide_reports(sides: SimpleNamespace) -> None:
    script = (b"EVAL", b"return {1, redis.error_reply('MY own'), 2}", b"0")

    assert sides.wire(*script) == b"*3\r\n:1\r\n-MY own\r\n:2\r\n"
    assert sides.glide(*script) == b"-MY own\r\n"


# Converted by GLIDE, and undone by the generic rules of the protocol.
GENERIC = {
    "CLIENT": {"TRACKINGINFO"},
    "CONFIG": {"GET"},
    "FUNCTION": {"LIST", "STATS"},
    "MEMORY": {"STATS"},
    "XINFO": {"CONSUMERS", "GROUPS", "STREAM"},
    **dict.fromkeys(["BZPOPMAX", "BZPOPMIN", "HELLO", "HGETALL", "SDIFF", "SINTER", "SMEMBERS"]),
    **dict.fromkeys(["SUNION", "ZINCRBY", "ZMSCORE", "ZSCORE"]),
}
WITH_OPTIONS = {"LCS", "SPOP", "ZRANK", "ZREVRANK"}
REPLIES: dict[bytes, Value] = {
    b":1\r\n": 1,
    b"$1\r\n1\r\n": b"1",
    b"$-1\r\n": None,
    b"*0\r\n": [],
    b"*2\r\n$1\r\n1\r\n$1\r\n0\r\n": [b"1", b"0"],
    b"*1\r\n*2\r\n$1\r\n1\r\n$1\r\n0\r\n": [[b"1", b"0"]],
    b"*2\r\n$1\r\n1\r\n*1\r\n$1\r\n0\r\n": [b"1", [b"0"]],
    b"%1\r\n$1\r\n1\r\n$1\r\n0\r\n": Pairs([(b"1", b"0")]),
    b"~1\r\n$1\r\n1\r\n": Members([b"1"]),
    b"#t\r\n": True,
    b",1.5\r\n": 1.5,
}
OPTIONS = b"WITHSCORES WITHSCORE WITHVALUES WITHDIST INCR IDX JUSTID FULL COUNT".split()
REFUSED_TIMEOUTS = {"BLMOVE", "BLPOP", "BRPOP", "BRPOPLPUSH", "WAIT", "WAITAOF"}
SUBCOMMANDS = {
    "CLIENT": ["TRACKINGINFO", "LIST", "INFO"],
    "CONFIG": ["GET", "SET"],
    "FUNCTION": ["LIST", "STATS", "DUMP"],
    "MEMORY": ["STATS", "USAGE"],
    "XINFO": ["CONSUMERS", "GROUPS", "STREAM"],
}
UNTOUCHED = sorted(
    (name, sub)
    for name in map(bytes.decode, CORE - _RESTORERS.keys() - _SPOILED.keys())
    for sub in SUBCOMMANDS.get(name, [""])
    if name not in GENERIC.keys() | REFUSED_TIMEOUTS
    or (GENERIC.get(name) and sub not in GENERIC[name])
)


def test_glide_converts_no_other_command(canned: Callable[..., Value]) -> None:
    """Of all commands, with and without options, and replies of all kinds.

    What fails here after an upgrade of GLIDE belongs into the tables.
    """
    changed = []
    for name, sub in UNTOUCHED:
        named = [word.encode() for word in (name, sub) if word]
        for options in ([], [] if name in WITH_OPTIONS else OPTIONS):
            for reply, expected in REPLIES.items():
                value = canned(reply, *named, *options)
                if (type(value), value) != (type(expected), expected):
                    changed.append((name, sub, options, reply, value))

    assert changed == []
