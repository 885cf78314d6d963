"""What GLIDE's native core hands out, as Python values, and the ways in which a call can fail.

GLIDE reshapes the replies of some commands (``expected_type_for_cmd`` in glide-core 2.6.0); these
values are what it hands out. ``glide_redis.wire`` restores what the server sent.
"""

from __future__ import annotations

from typing import TypeAlias, TypeGuard


class Pairs(list[tuple["Value", "Value"]]):
    """A map, as key and value pairs in the order of the reply; keys may repeat."""

    __slots__ = ()


class Members(list["Value"]):
    """A set, in the order of the reply."""

    __slots__ = ()


class Refusal:
    """An error inside a reply (in the answer of EXEC, of a batch): GLIDE's text of it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refusal) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Refusal({self.text!r})"


Value: TypeAlias = "int | float | bool | bytes | list[Value] | Pairs | Members | Refusal | None"
"""A reply. The server's simple strings, OK among them, are bytes like its bulk strings."""


def is_array(value: object) -> TypeGuard[list[Value]]:
    """True for an array; maps and sets are lists as well, but none."""
    return type(value) is list


class NativeError(Exception):
    """A call into GLIDE's native core failed; the text is GLIDE's own."""


class Refused(NativeError):
    """The server answered with an error, or GLIDE refused the command."""


class Lost(NativeError):
    """The connection broke, or could not be made."""


class Unopened(Lost):
    """There is no client to send with, and none could be opened: nothing was sent."""


class TimedOut(NativeError):
    """No reply in time. The reply may still arrive; nobody will see it."""


class Closed(NativeError):
    """The client or link was closed, by this process or by a fork of it."""
