"""GLIDE's replies, as the portable engine reads them: a tree in memory becomes Python's objects."""

from __future__ import annotations

from typing import Any, Final

from glide_redis.native.values import Members, Pairs, Refusal, Refused, Value

# Deeper replies are refused: each level is a frame on the stack of a thread of GLIDE.
DEPTH: Final = 256


def text_of(text: bytes) -> str:
    """GLIDE's texts are UTF-8, except for what it quotes."""
    return text.decode("utf-8", "replace")


class Reader:
    """Reads replies by cffi."""

    def __init__(self, ffi: Any) -> None:
        self._buffer = ffi.buffer

    def read(self, reply: Any) -> Value | Exception:
        """The value of a ``Reply *``, or why it has none."""
        try:
            value: Value = self._value(reply, DEPTH)
        except Exception as error:
            return error
        return value

    def _value(self, reply: Any, depth: int) -> Any:  # noqa: PLR0911
        kind = reply.kind
        match kind:
            case 4:  # first: by far the most frequent
                return bytes(self._buffer(reply.text, reply.text_len))
            case 0:
                return None
            case 1:
                return int(reply.number)
            case 8:
                return b"OK"
            case 2:
                return float(reply.real)
            case 3:
                return bool(reply.truth)
            case 9:
                return Refusal(text_of(self._buffer(reply.text, reply.text_len)[:]))
        if not depth:
            raise Refused(f"a reply is nested more than {DEPTH} levels deep")
        value, depth = self._value, depth - 1
        match kind:
            case 5:
                items = reply.items
                return [value(items[i], depth) for i in range(reply.items_len)]
            case 6:
                items = reply.items
                return Pairs(
                    (value(items[i].key, depth), value(items[i].value, depth))
                    for i in range(reply.items_len)
                )
            case 7:
                items = reply.members
                return Members(value(items[i], depth) for i in range(reply.members_len))
        raise Refused(f"a reply is of the unknown kind {kind}")
