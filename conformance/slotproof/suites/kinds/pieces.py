"""The values of a scan: pieces of code, what they use and which rules they meet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slotproof.suites.kinds.fixtures import Place
    from slotproof.suites.kinds.rules import Rule
    from slotproof.suites.kinds.tree import Class, Function, Module, Variable


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule met at one line. ``detail``: the name that met it."""

    rule: Rule
    detail: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.rule.id}: {self.detail} at {self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of code that is read as a whole.

    ``whole``: for a class, its methods too (it is used as a helper, not as the test's own class).
    """

    code: Function | Class | Variable | Module
    place: Place
    whole: bool = True


@dataclass
class Scan:
    """What a piece does and uses. ``asks``: it calls ``getfixturevalue`` with a computed name.

    ``lazy``: fixture names written as a lazy fixture.
    """

    findings: list[Finding] = field(default_factory=list)
    uses: dict[Piece, None] = field(default_factory=dict)
    asks: bool = False
    lazy: list[str] = field(default_factory=list)
