"""What the parsers of redis-py make of encoded values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ExecAbortError, ResponseError

from glide_redis.native.values import Members, Pairs, Refusal, Value
from glide_redis.wire.encode import encode, encode_error, encode_push
from glide_redis.wire.numbers import double

INTEGERS = st.integers(-(2**63), 2**63 - 1)
LEAVES = (
    st.none()
    | st.booleans()
    | INTEGERS
    | st.floats()
    | st.binary(max_size=20)
    | st.just(Refusal("WRONGTYPE: no"))
)
KEYS = st.binary(max_size=5) | INTEGERS


def deeper(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(values, max_size=4)
        | st.lists(st.tuples(KEYS, values), max_size=4, unique_by=lambda pair: pair[0]).map(Pairs)
        | st.lists(KEYS, max_size=4, unique=True).map(Members)
    )


VALUES = st.recursive(LEAVES, deeper, max_leaves=20)


def resp3(value: Value) -> Any:
    """What a RESP3 parser gives, in the comparable form of the fixture ``parse``."""
    if isinstance(value, Refusal):
        return ResponseError, ("WRONGTYPE no",), None
    if isinstance(value, Pairs):
        return [(resp3(key), resp3(item)) for key, item in value]
    if isinstance(value, list):
        return [resp3(item) for item in value]
    return repr(value) if isinstance(value, float) else value


def resp2(value: Value) -> Any:
    """The same of a RESP2 parser."""
    if isinstance(value, Pairs):
        return [resp2(part) for pair in value for part in pair]
    if isinstance(value, list):
        return [resp2(item) for item in value]
    if isinstance(value, bool):
        return int(value)
    return double(value) if isinstance(value, float) else resp3(value)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
def test_a_value_is_read_as_it_was(parse: Callable[..., list[Any]], value: Value) -> None:
    for read in parse(encode(value, 3), 3):
        assert read == resp3(value)
    for read in parse(encode(value, 2), 2):
        assert read == resp2(value)


@pytest.mark.parametrize(
    ("value", "in_resp2", "in_resp3"),
    [
        (None, b"$-1\r\n", b"_\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (-7, b":-7\r\n", b":-7\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (math.inf, b"$3\r\ninf\r\n", b",inf\r\n"),
        (b"a\r\n\xff", b"$4\r\na\r\n\xff\r\n", b"$4\r\na\r\n\xff\r\n"),
        (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
        ([], b"*0\r\n", b"*0\r\n"),
        (Members([b"a"]), b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
        (Pairs([(b"a", None)]), b"*2\r\n$1\r\na\r\n$-1\r\n", b"%1\r\n$1\r\na\r\n_\r\n"),
        (Refusal("An error was signalled by the server: - Ask: 1 h:2"), *[b"-ASK 1 h:2\r\n"] * 2),
    ],
)
def test_the_bytes_are_the_servers(value: Value, in_resp2: bytes, in_resp3: bytes) -> None:
    assert encode(value, 2) == in_resp2
    assert encode(value, 3) == in_resp3


def test_what_comes_unasked_is_an_array_before_resp3() -> None:
    assert encode_push([b"m", 1], 2) == b"*2\r\n$1\r\nm\r\n:1\r\n"
    assert encode_push([b"m", 1], 3) == b">2\r\n$1\r\nm\r\n:1\r\n"


def test_an_error_is_one_line(parse: Callable[..., list[Any]]) -> None:
    line = encode_error("EXECABORT a\r\nb \ud800")

    assert line == b"-EXECABORT a  b ?\r\n"
    for read in parse(line, 2):
        assert read == (ExecAbortError, ("a  b ?",), "EXECABORT")
