"""Replies as bytes of RESP2 and RESP3, for the parsers of redis-py to read.

A value has the shape of the protocol already, up to the generic rules that the server itself
follows: RESP2 knows neither maps nor sets nor doubles nor booleans, so they become flat arrays,
arrays, bulk strings and integers. Simple and verbatim strings, which GLIDE hands out as bytes like
bulk strings, are written as bulk strings: the parsers give the same for all three.
"""

from __future__ import annotations

from collections.abc import Sequence

from glide_redis.native.values import Members, Pairs, Refusal, Value
from glide_redis.wire.errors import server_line
from glide_redis.wire.numbers import double

_SHORT = 4096
"""Bytes of a string that may be copied once more than need be."""


def encode(value: Value, protocol: int) -> bytes:
    """A reply as the server writes it in protocol 2 or 3.

    An error, inside a reply or instead of one, is written as the server's own line.
    """
    if type(value) is bytes:
        return b"$%d\r\n%b\r\n" % (len(value), value)
    parts: list[bytes] = []
    _write(value, protocol == 3, parts)
    return b"".join(parts)


def encode_error(line: str) -> bytes:
    """An error reply; ``line`` is code and message, as ``errors.server_line`` gives them."""
    # The server does the same: a line end would be the end of the reply.
    return b"-%b\r\n" % line.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace")


def encode_push(items: Sequence[Value], protocol: int) -> bytes:
    """What the server sends unasked, such as a published message: an array before RESP3."""
    resp3 = protocol == 3
    parts = [b">%d\r\n" % len(items) if resp3 else b"*%d\r\n" % len(items)]
    for item in items:
        _write(item, resp3, parts)
    return b"".join(parts)


def _write(value: Value, resp3: bool, parts: list[bytes]) -> None:
    if isinstance(value, bytes):
        if len(value) < _SHORT:
            parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
        else:
            # In parts, so that a long string is copied only when the whole is joined.
            parts += (b"$%d\r\n" % len(value), value, b"\r\n")
    elif isinstance(value, Pairs):
        parts.append(b"%%%d\r\n" % len(value) if resp3 else b"*%d\r\n" % (2 * len(value)))
        for pair in value:
            for part in pair:
                _write(part, resp3, parts)
    elif value is None or isinstance(value, int | float | Refusal):
        parts.append(_scalar(value, resp3))
    else:
        sign = b"~" if resp3 and isinstance(value, Members) else b"*"
        parts.append(b"%b%d\r\n" % (sign, len(value)))
        for item in value:
            # What most arrays consist of, without a call for each.
            if type(item) is bytes and len(item) < _SHORT:
                parts.append(b"$%d\r\n%b\r\n" % (len(item), item))
            else:
                _write(item, resp3, parts)


def _scalar(value: float | Refusal | None, resp3: bool) -> bytes:
    if value is None:
        return b"_\r\n" if resp3 else b"$-1\r\n"
    if isinstance(value, bool):
        return (b"#t\r\n" if value else b"#f\r\n") if resp3 else b":%d\r\n" % value
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, float):
        text = double(value)
        return b",%b\r\n" % text if resp3 else b"$%d\r\n%b\r\n" % (len(text), text)
    return encode_error(server_line(value.text))
