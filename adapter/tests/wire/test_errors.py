"""Errors that a real server was provoked to, beside GLIDE's texts of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis._parsers.base import BaseParser

from glide_redis.native.values import Lost, Refused
from glide_redis.wire.errors import (
    CIRCUIT_OPEN,
    CODES,
    DISCONNECT,
    EXEC_ABORT,
    TIMEOUT,
    Origin,
    is_unreadable,
    origin,
    server_line,
)

# Commands before (separated by bars) | the command that fails.
PROVOKED = """
    NOPE
    NOPE a b
    GET
    CONFIG NOPE
    SET s x|LPUSH s a
    EVALSHA 63143b6f8007b98c53ca2149822777b3566f9241 0
    EXEC
    MULTI|NOPE|EXEC
    MULTI|MULTI
    SCRIPT KILL
    FUNCTION KILL
    HELLO 9
    HELLO 3 AUTH nobody wrong
    AUTH wrong
    AUTH nobody wrong
    SELECT 99
    XREADGROUP GROUP g c STREAMS s >
    XADD s 1-1 a b|XGROUP CREATE s g 0|XGROUP CREATE s g 0
    XADD s 1-1 a b|XADD s 1-1 a b
    SET s x|DUMP s|RESTORE s 0 x
    RESTORE k 0 x
    CLIENT KILL ID x
    CLUSTER INFO
    CONFIG SET nope 1
    CONFIG SET port x
    SET s x|OBJECT FREQ s
    SETEX k 0 v
    SET k v EX
    INCRBYFLOAT f nan
    SET s x|INCR s
    EXPIRE k x
    ZADD z nan a
    SUBSCRIBE
    ACL SETUSER u +@nope
    EVAL nonsense( 0
    FCALL nope 0
    RENAME n m
    MOVE s 0
    REPLICAOF a b
    DEBUG NOPE
    BLPOP k abc
    BLPOP k -1
    BLPOP k inf
    BLPOP k
    BLMOVE a b LEFT
    BLMPOP x 1 k LEFT
    BRPOPLPUSH a b c d
    WAIT 0 abc
    WAIT 0
    XREAD BLOCK abc STREAMS s 0
    XREAD BLOCK
""".strip("\n").split("\n")

Ask = Callable[..., bytes]


def words(line: str) -> list[bytes]:
    return [word.encode() for word in line.split(" ")]


@pytest.fixture
def both(server: Any, wire_to: Callable[..., Any], glide_to: Callable[..., Any]) -> Iterator[Any]:
    """A raw connection and one of GLIDE, new ones of an empty server."""
    wire, glide = (to((server.host, server.port)) for to in (wire_to, glide_to))
    wire(b"FLUSHALL")
    yield wire, glide
    wire(b"FLUSHALL")
    wire(b"ACL", b"DELUSER", b"limited")


def same(both: tuple[Ask, Ask], command: str) -> bytes:
    """Ask both sides; their error, which must be the same."""
    wire, glide = both
    expected = wire(*words(command))
    assert expected.startswith(b"-")
    assert glide(*words(command)) == expected
    return expected


@pytest.mark.parametrize("line", [line.strip() for line in PROVOKED])
def test_the_line_is_the_servers(both: tuple[Any, Any], line: str) -> None:
    *before, command = line.split("|")
    wire, glide = both
    for earlier in before:
        # State of the connection belongs to both, keys to one.
        wire(*words(earlier))
        if words(earlier)[0] in {b"MULTI", b"NOPE"}:
            glide(*words(earlier))

    same(both, command)


@pytest.mark.parametrize(
    "line",
    [
        *(f"{code} some message" for code in CODES.values()),
        *(f"{code} some message" for code in ("OOM", "NOAUTH", "BUSY", "MISCONF", "my-own", "A:")),
        *("ERR", "ERR ", "LONE", "-X: y: z - TypeError: k", "MOVED 1 h:2", "ERR a: b - IoError: c"),
        "ERR An error was signalled by the server: - Moved: 1 h:2",
        "WRONGTYPE Received error for address `h:1`: ERR x",
    ],
)
def test_any_line_comes_back(both: tuple[Any, Any], line: str) -> None:
    wire, glide = both
    script = (b"EVAL", b"return {err=ARGV[1]}", b"0", line.encode())
    expected = wire(*script)

    assert expected == b"-%b\r\n" % line.encode()
    assert glide(*script) == expected
    with pytest.raises(Refused) as caught:
        glide.value(*script)
    assert origin(str(caught.value)) == "server"


@pytest.mark.parametrize(
    ("setting", "value", "command", "code"),
    [
        ("maxmemory", "1", "SET k v", b"-OOM "),
        ("min-replicas-to-write", "1", "SET k v", b"-NOREPLICAS "),
    ],
)
def test_what_a_setting_forbids(
    both: tuple[Any, Any], setting: str, value: str, command: str, code: bytes
) -> None:
    wire, _ = both
    wire(b"CONFIG", b"SET", setting.encode(), value.encode())
    try:
        assert same(both, command).startswith(code)
    finally:
        wire(b"CONFIG", b"SET", setting.encode(), b"0")


def test_what_a_replica_refuses(both: tuple[Any, Any]) -> None:
    wire, _ = both
    wire(b"REPLICAOF", b"127.0.0.1", b"1")
    try:
        assert same(both, "SET k v").startswith(b"-READONLY ")
        wire(b"CONFIG", b"SET", b"replica-serve-stale-data", b"no")
        assert same(both, "GET k").startswith(b"-MASTERDOWN ")
    finally:
        wire(b"CONFIG", b"SET", b"replica-serve-stale-data", b"yes")
        wire(b"REPLICAOF", b"NO", b"ONE")


def test_what_a_user_may_not(both: tuple[Any, Any]) -> None:
    wire, glide = both
    wire(*words("ACL SETUSER limited on >pass +auth ~a*"))
    for ask in (wire, glide):
        assert ask(*words("AUTH limited pass")) in {b"+OK\r\n", b"$2\r\nOK\r\n"}
    try:
        assert same(both, "GET k").startswith(b"-NOPERM ")
    finally:
        wire(*words("RESET"))


def test_what_nobody_may_before_authentication(both: tuple[Any, Any]) -> None:
    wire, glide = both
    wire(*words("CONFIG SET requirepass secret"))
    try:
        wire(b"RESET")
        glide(b"RESET")
        assert same(both, "GET k").startswith(b"-NOAUTH ")
        assert same(both, "AUTH wrong").startswith(b"-WRONGPASS ")
    finally:
        wire(*words("AUTH secret"))
        wire(b"CONFIG", b"SET", b"requirepass", b"")


def test_redirections_of_a_cluster(
    cluster: Any, wire_to: Callable[..., Any], glide_to: Callable[..., Any]
) -> None:
    first, second, *_ = cluster.primaries
    wire = wire_to(first)
    both = (wire, glide_to(first))
    # The slots of foo, bar and {bar}: 12182 belongs to the third primary, 5061 to the first.
    other = wire_to(second)(b"CLUSTER", b"MYID").split(b"\r\n")[1]

    assert same(both, "GET foo").startswith(b"-MOVED 12182 ")
    assert same(both, "MGET foo bar").startswith(b"-CROSSSLOT ")
    wire(b"SET", b"{bar}1", b"x")
    wire(b"CLUSTER", b"SETSLOT", b"5061", b"MIGRATING", other)
    try:
        assert same(both, "GET bar").startswith(b"-ASK 5061 ")
        assert same(both, "MGET {bar}1 {bar}2").startswith(b"-TRYAGAIN ")
    finally:
        wire(b"CLUSTER", b"SETSLOT", b"5061", b"STABLE")
        wire(b"DEL", b"{bar}1")


def test_what_is_not_utf_8_ends_the_connection(both: tuple[Any, Any]) -> None:
    wire, glide = both
    command = (b"NOPE", b"\xff")

    assert b"\xff" in wire(*command)
    with pytest.raises(Lost) as caught:
        glide.value(*command)
    assert is_unreadable(str(caught.value))
    assert origin(str(caught.value), DISCONNECT) == "connection"


def test_a_lost_connection_is_not_unreadable(both: tuple[Any, Any]) -> None:
    wire, glide = both
    number = glide.value(b"CLIENT", b"ID")
    wire(b"CLIENT", b"KILL", b"ID", b"%d" % number)
    with pytest.raises(Lost) as caught:
        # The first call may still have been answered.
        for _ in range(10):
            glide.value(b"PING")

    assert not is_unreadable(str(caught.value))


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("Received connection error `Broken pipe (os error 32)`. Will", DISCONNECT, "connection"),
        ("timed out", TIMEOUT, "timeout"),
        ("timed out", 0, "timeout"),
        ("connection attempt timed out", 0, "timeout"),
        ("Connection refused (os error 111)", 0, "connection"),
        ("Failed to send the request to the server - FatalSendError: gone", 0, "connection"),
        ("No connection found- ConnectionNotFoundForRoute", 0, "connection"),
        ("Operation timed out- IoError", 0, "timeout"),
        ("Reached maximum inflight requests- ClientError", 0, "glide"),
        ("write commands are not allowed in read-only mode- ReadOnly", 0, "glide"),
        ("Client circuit breaker is open - core unhealthy- X", CIRCUIT_OPEN, "glide"),
        ("Response couldn't be converted to map - TypeError: (response was Int)", 0, "glide"),
        ("Timeout cannot be negative - ResponseError: Received timeout = -1.0.", 0, "server"),
        ("An error was signalled by the server: - Moved: 1 h:2", 0, "server"),
        ("An error was signalled by the server: - ExecAbortError: x", EXEC_ABORT, "server"),
        ("NOGROUP: No such key 'k' or consumer group 'g'", 0, "server"),
        ("Received error for address `h:1`: WRONGPASS: invalid\n", 0, "server"),
        ("Received error for address `h:1`: timed out\n", 0, "connection"),
        ("Received error for address `h:1`: Connection refused (os error 111)", 0, "connection"),
        ("", 0, "glide"),
    ],
)
def test_who_speaks(text: str, kind: int, expected: Origin) -> None:
    assert origin(text, kind) == expected


def test_the_servers_line_when_connecting() -> None:
    text = "Received error for address `h:1`: WRONGPASS: invalid\n"

    assert server_line(text) == "WRONGPASS invalid"


def test_a_text_of_glides_own_becomes_an_ordinary_error() -> None:
    text = "Reached maximum inflight requests- ClientError"

    assert server_line(text) == f"ERR {text}"
    assert server_line("timed out", TIMEOUT) == "ERR timed out"


@pytest.mark.parametrize("code", sorted(BaseParser.EXCEPTION_CLASSES))
def test_redis_py_has_the_class_for_each_code_that_it_knows(
    both: tuple[Any, Any], code: str
) -> None:
    wire, glide = both
    script = (b"EVAL", b"return {err=ARGV[1]}", b"0", f"{code} 1 h:2".encode())
    errors = []
    for ask in (wire, glide):
        line = ask(*script)[1:-2].decode()
        error = BaseParser.parse_error(line)
        errors.append((type(error), error.args, error.status_code))

    assert errors[0] == errors[1]
