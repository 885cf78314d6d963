"""What a client must reach: ``fixtures/bench.toml`` as values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slotproof.bench.cases import CASES, Case
from slotproof.bench.scenarios import Family
from slotproof.data import fixtures_dir
from slotproof.errors import UsageProblem

_KEYS = {
    "title": str,
    "client": str,
    "cases": list,
    "against": list,
    "against_case": str,
    "at_least": float,
    "at_most": float,
    "rounds": int,
}
_OPTIONAL = {"against_case", "at_least", "at_most", "rounds"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; see the head of ``bench.toml``. ``against_case``: None for the case itself."""

    title: str
    client: str
    cases: tuple[Case, ...]
    against: tuple[str, ...]
    rounds: int
    against_case: Case | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def shown(self) -> str:
        """The bar in words: ``≥ 0.9``, or ``reported`` for a ratio that is not judged."""
        if self.at_least is not None:
            return f"\N{GREATER-THAN OR EQUAL TO} {self.at_least:g}"
        if self.at_most is not None:
            return f"\N{LESS-THAN OR EQUAL TO} {self.at_most:g}"
        return "reported"

    @property
    def judges(self) -> bool:
        """Whether there is anything to reach."""
        return self.at_least is not None or self.at_most is not None

    def holds(self, ratio: float) -> bool | None:
        """Whether a ratio reaches the bar; None when there is none to reach."""
        if self.at_least is not None:
            return ratio >= self.at_least
        return None if self.at_most is None else ratio <= self.at_most


def load(path: Path | None = None) -> tuple[Bar, ...]:
    """Read bars from ``path``, by default ``fixtures/bench.toml``.

    Raises UsageProblem naming file, bar and key.
    """
    path = path or fixtures_dir() / "bench.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        rounds = document.get("rounds")
        if not isinstance(rounds, int) or rounds < 1:
            raise ValueError(f"key 'rounds': expected a whole number from 1, found {rounds!r}")
        tables = document.get("bar", [])
        return tuple(_bar(table, number, rounds) for number, table in enumerate(tables, 1))
    except (OSError, ValueError) as error:
        raise UsageProblem(
            "reading the bars of the benchmark", f"{path}: {error}", "correct the file"
        ) from error


def _bar(table: object, number: int, rounds: int) -> Bar:
    if not isinstance(table, dict):
        raise ValueError(f"bar {number}: expected a table, found {table!r}")
    where = f"bar {table.get('title', number)!r}"
    _check(table, where)
    if "at_least" in table and "at_most" in table:
        raise ValueError(f"{where}: keys 'at_least' and 'at_most' exclude each other")
    other = table.get("against_case")
    return Bar(
        title=table["title"],
        client=table["client"],
        cases=tuple(case for word in table["cases"] for case in _cases(word, where)),
        against=tuple(table["against"]),
        rounds=table.get("rounds", rounds),
        against_case=None if other is None else _cases(other, where)[0],
        at_least=table.get("at_least"),
        at_most=table.get("at_most"),
    )


def _check(table: Mapping[str, object], where: str) -> None:
    for key in table.keys() - _KEYS.keys():
        raise ValueError(f"{where}: unknown key {key!r}")
    for key, kind in _KEYS.items():
        if key not in table:
            if key in _OPTIONAL:
                continue
            raise ValueError(f"{where}: key {key!r} is missing")
        value = table[key]
        if not isinstance(value, kind) or value in ([], ""):
            raise ValueError(f"{where}: key {key!r}: expected {kind.__name__}, found {value!r}")
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise ValueError(f"{where}: key {key!r}: expected names, found {value!r}")


def _cases(word: str, where: str) -> list[Case]:
    found = [c for c in CASES.values() if word in {c.name, str(c.family)}]
    if not found:
        known = ", ".join([*CASES, *map(str, Family)])
        raise ValueError(f"{where}: there is no case {word!r}; there are {known}")
    return found
