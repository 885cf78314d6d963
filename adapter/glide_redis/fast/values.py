"""Replies of the fast path as redis-py's parsers would have given them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis._parsers.base import BaseParser

from glide_redis.native.values import Pairs, Refusal, Value
from glide_redis.wire.errors import server_line
from glide_redis.wire.numbers import double


class ParsedValues:
    """Turns values of the wire's shape into what redis-py's response callbacks take.

    ``decode``: for bulk strings, as the client's encoder does it; None leaves them bytes.
    """

    def __init__(self, protocol: int, decode: Callable[[bytes], Any] | None):
        self._resp3 = protocol == 3
        self._decode = decode

    def of(self, value: Value) -> Any:  # noqa: PLR0911 (one for each kind)
        """Return what the parser would have returned; errors inside as exceptions."""
        if type(value) is bytes:
            return value if self._decode is None else self._decode(value)
        if value is None or type(value) is int:
            return value
        if isinstance(value, bool):
            return value if self._resp3 else int(value)
        if isinstance(value, float):
            return value if self._resp3 else self.of(double(value))
        if isinstance(value, Pairs):
            if self._resp3:
                return {self.of(key): self.of(item) for key, item in value}
            return [self.of(part) for pair in value for part in pair]
        if isinstance(value, Refusal):
            return self.error(value.text)
        of = self.of
        return [of(item) for item in value]  # type: ignore[union-attr]

    def error(self, text: str) -> Exception:
        """Return redis-py's exception for GLIDE's text of the server's error."""
        error: Exception = BaseParser.parse_error(server_line(text))
        return error
