"""Doubles as text, beside the server's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glide_redis.wire.numbers import coordinate, distance, double, plain

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def bulk(reply: bytes) -> bytes:
    return reply.split(b"\r\n")[1]


@pytest.mark.parametrize(
    "value",
    [
        *(0.0, 1.0, -1.5, 0.1, 1 / 3, 3.0, 1e-4, 1.5e-4, 1e-5, 1e-7, 1.25e-7, 1e-8, 1e15, 1e17),
        *(1e18, 4e18, 5e18, 1e19, 1e20, 1e21, 1e22, 1e30, -1e30, 5e-324, 1.7976931348623157e308),
        *(123456.123456, 123456.1234567, 123456.12345678, 1234.12345678, 123.123456789, 2**53 + 2),
        *(0.001234567, 0.0001234567, 0.00012345678, 2.0**62, 2.0**63, math.inf, -math.inf),
    ],
)
def test_a_double_is_written_as_the_server_does(sides: SimpleNamespace, value: float) -> None:
    sides.wire(b"DEL", b"z")
    sides.wire(b"ZADD", b"z", repr(value).encode(), b"m")
    reply = sides.wire(b"ZSCORE", b"z", b"m")

    assert (bulk(reply) if sides.protocol == 2 else reply[1:-2]) == double(value)


def test_signs_of_what_is_no_ordinary_number() -> None:
    assert double(-0.0) == b"-0"
    assert double(math.nan) == b"nan"


@settings(deadline=None)
@given(FINITE)
def test_no_form_but_the_rounded_ones_changes_the_number(value: float) -> None:
    assert float(double(value)) == value
    assert float(plain(value)) == value
    assert b"e" not in plain(value)


@pytest.mark.parametrize("step", [b"0.1", b"10.5", b"5.0e3", b"1e-5", b"3", b"-1e20", b"1.25e-7"])
def test_increments_have_no_exponent(sides: SimpleNamespace, step: bytes) -> None:
    sides.wire(b"DEL", b"f")
    text = bulk(sides.wire(b"INCRBYFLOAT", b"f", step))

    assert plain(float(text)) == text


@pytest.mark.parametrize(
    "place", [(13.361389, 38.115556), (0.0, 0.0), (-0.001, 85.0), (179.99, -1e-9), (1e-7, 45.5)]
)
def test_coordinates_and_distances(
    server: Any, wire_to: Callable[..., Any], place: tuple[float, float]
) -> None:
    ask = wire_to((server.host, server.port))
    ask(b"DEL", b"g")
    ask(b"GEOADD", b"g", b"%r" % place[0], b"%r" % place[1], b"a", b"15", b"37", b"b")
    texts = ask(b"GEOPOS", b"g", b"a").split(b"\r\n")[3:6:2]
    apart = bulk(ask(b"GEODIST", b"g", b"a", b"b"))

    assert [coordinate(float(text)) for text in texts] == texts
    assert distance(float(apart)) == apart
    assert distance(0.0) == b"0.0000"
