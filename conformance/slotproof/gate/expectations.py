"""Known failures of a suite, as data: ``fixtures/suites/<suite>/expectations.toml``.

One table a reason::

    [[expect]]
    client = "valkey-py"            # or "*"
    topology = "cluster"            # optional
    server = "valkey-8.1"           # optional
    variant = "resp2"               # optional, or a list; "default" for the suite as it is
    verdict = "adapter"             # or a list; with "pass" in it the test may pass as well
    reason = "valkey-py has no ..."
    link = "https://..."
    expires = 2027-06-30            # optional: from that day on the entry fails the gate
    tests = ["tests/test_x.py::test_y", "tests/test_z.py::*"]

``*`` in a test stands for any text; nothing else is special, brackets of ids least of all.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from slotproof.errors import UsageProblem
from slotproof.judge.verdict import Verdict
from slotproof.model import CellId, Topology

_REQUIRED = ("client", "verdict", "reason", "link", "tests")
_KEYS = frozenset({*_REQUIRED, "topology", "server", "variant", "expires"})


@dataclass(frozen=True)
class Expectation:
    """One entry. ``number`` counts from 1 in its file; ``tests`` are patterns."""

    file: str
    number: int
    client: str
    topology: Topology | None
    server: str | None
    verdicts: frozenset[Verdict]
    reason: str
    link: str
    expires: date | None
    tests: tuple[str, ...]
    variants: frozenset[str] | None = None

    def covers_cell(self, cell: CellId) -> bool:
        """True when the entry speaks of this cell."""
        return (
            self.client in {"*", cell.client}
            and self.topology in {None, cell.topology}
            and self.server in {None, cell.server}
            and (self.variants is None or cell.variant in self.variants)
        )

    def pattern_for(self, test: str) -> str | None:
        """Return the pattern that covers the test, or None."""
        if test in self._exact:
            return test
        return next((p for p, r in self._globs if r.fullmatch(test)), None)

    def expired(self, today: date) -> bool:
        """True from the day of expiry on."""
        return self.expires is not None and today >= self.expires

    def __str__(self) -> str:
        return f"{self.file}: entry {self.number} ({self.client}: {self.reason})"

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(t for t in self.tests if "*" not in t)

    @cached_property
    def _globs(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple(
            (t, re.compile(".*".join(map(re.escape, t.split("*"))), re.DOTALL))
            for t in self.tests
            if "*" in t
        )


def load(path: Path) -> tuple[Expectation, ...]:
    """Read one file; a missing file means no known failure. Raises UsageProblem on bad input."""
    if not path.exists():
        return ()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageProblem(f"reading {path}", str(error), "correct the file") from error
    entries = raw.get("expect", [])
    if set(raw) - {"expect"} or not isinstance(entries, list):
        raise UsageProblem(
            f"reading {path}", "something other than [[expect]] tables", "correct the file"
        )
    return tuple(_entry(path, n, e) for n, e in enumerate(entries, 1))


def _entry(path: Path, number: int, raw: dict[str, Any]) -> Expectation:
    def bad(found: str) -> UsageProblem:
        return UsageProblem(f"reading entry {number} of {path}", found, "correct the entry")

    if unknown := set(raw) - _KEYS:
        raise bad(f"unknown key {', '.join(sorted(unknown))}")
    if missing := [k for k in _REQUIRED if not raw.get(k)]:
        raise bad(f"no {', '.join(missing)}: every known failure names these")
    try:
        verdicts = frozenset(map(Verdict, _as_list(raw["verdict"])))
        topology = Topology(raw["topology"]) if "topology" in raw else None
    except ValueError as error:
        raise bad(str(error)) from error
    if not all(isinstance(t, str) for t in _as_list(raw["tests"])):
        raise bad("tests holds something that is no text")
    if not all(v and isinstance(v, str) for v in _as_list(raw.get("variant", []))):
        raise bad("variant is no name or list of names")
    expires = raw.get("expires")
    if expires is not None and type(expires) is not date:
        raise bad("expires is no date (write expires = 2027-06-30, without quotes)")
    return Expectation(
        file=path.name if path.parent.name == "" else f"{path.parent.name}/{path.name}",
        number=number,
        client=str(raw["client"]),
        topology=topology,
        server=raw.get("server"),
        verdicts=verdicts,
        reason=str(raw["reason"]).strip(),
        link=str(raw["link"]),
        expires=expires,
        tests=tuple(_as_list(raw["tests"])),
        variants=frozenset(_as_list(raw["variant"])) if "variant" in raw else None,
    )


def _as_list(value: object) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
