"""What the syntax tree shows of a value: where it comes from, and what it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from slotproof.suites.kinds.tree import Class, Function, Module


class Origin(IntEnum):
    """Where a value comes from, weakest first: of several, the strongest is taken."""

    PLAIN = 0
    OTHER = 1
    SUITE = 2
    DOUBLE = 3
    UNKNOWN = 4
    CLIENT = 5


@dataclass(frozen=True, slots=True)
class Value:
    """What the tree shows of a value.

    ``path``: the dotted way to it from an import, calls as ``()``; empty where none is known.
    ``definition``: the suite's function, class or module that it is, or is an instance of.
    """

    origin: Origin
    path: str = ""
    definition: Function | Class | Module | None = None
    elements: tuple[Value, ...] = ()

    @property
    def named(self) -> bool:
        """True for a module, class or function reached by name alone, without a call."""
        return bool(self.path) and "(" not in self.path

    @property
    def last(self) -> str:
        return self.path.rpartition(".")[2]


PLAIN = Value(Origin.PLAIN)
UNKNOWN = Value(Origin.UNKNOWN)
DOUBLE = Value(Origin.DOUBLE)


def join(values: Iterable[Value]) -> Value:
    """The strongest of several values; ``PLAIN`` of none."""
    return max(values, key=lambda value: value.origin, default=PLAIN)


def merge(values: list[Value]) -> Value:
    """Join, tuples of one length element by element."""
    lengths = {len(value.elements) for value in values}
    if len(values) > 1 and len(lengths) == 1 and lengths != {0}:
        columns = zip(*(value.elements for value in values), strict=True)
        elements = tuple(join(column) for column in columns)
        return Value(join(elements).origin, elements=elements)
    return join(values)


def essence(value: Value) -> Value:
    """What of a value matters to the function that it is given to."""
    path = value.path if value.named else ""
    if value.origin is Origin.PLAIN:
        return PLAIN
    return Value(value.origin, path, value.definition)
