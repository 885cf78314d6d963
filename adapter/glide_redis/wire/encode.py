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
        # Three parts, so that a long string is copied only once, when the parts are joined.
        parts += (b"$%d\r\n" % len(value), value, b"\r\n")
    elif value is None:
        parts.append(b"_\r\n" if resp3 else b"$-1\r\n")
    elif isinstance(value, bool):
        parts.append((b"#t\r\n" if value else b"#f\r\n") if resp3 else b":%d\r\n" % value)
    elif isinstance(value, int):
        parts.append(b":%d\r\n" % value)
    elif isinstance(value, float):
        text = double(value)
        parts.append(b",%b\r\n" % text if resp3 else b"$%d\r\n%b\r\n" % (len(text), text))
    elif isinstance(value, Pairs):
        parts.append(b"%%%d\r\n" % len(value) if resp3 else b"*%d\r\n" % (2 * len(value)))
        for key, item in value:
            _write(key, resp3, parts)
            _write(item, resp3, parts)
    elif isinstance(value, Refusal):
        parts.append(encode_error(server_line(value.text)))
    else:
        sign = b"~" if resp3 and isinstance(value, Members) else b"*"
        parts.append(b"%b%d\r\n" % (sign, len(value)))
        for item in value:
            _write(item, resp3, parts)
