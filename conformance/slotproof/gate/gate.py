"""Decide whether a judged run holds against the expectations: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from slotproof.errors import Exit
from slotproof.gate.expectations import Expectation
from slotproof.judge.matrix import CellVerdicts, Judged, Matrix
from slotproof.judge.verdict import Verdict
from slotproof.model import CellId, Outcome, Run

GOOD = frozenset({Verdict.PASS, Verdict.GAIN, Verdict.SKIPPED})


class Fault(StrEnum):
    """Why the gate does not hold."""

    REGRESSION = "worse than expected"
    VANISHED = "a locked test vanished"
    DEAD = "an expectation matches nothing"
    IMPROVED = "better than expected: tighten the expectation"
    EXPIRED = "an expectation has expired"
    CANARY = "a primary no longer executes scripts"
    ENVIRONMENT = "not judged"


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason, with where: ``cell`` and ``test`` when it is about a test."""

    fault: Fault
    text: str
    cell: CellId | None = None
    test: str | None = None


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate found. ``expected``: known failures that came as expected, per reason."""

    problems: tuple[Problem, ...]
    expected: Mapping[Expectation, int]

    @property
    def exit_code(self) -> Exit:
        """1 as soon as anything is worse; 3 when the only trouble is the environment's."""
        faults = {p.fault for p in self.problems}
        if not faults:
            return Exit.HELD
        return Exit.ENVIRONMENT if faults == {Fault.ENVIRONMENT} else Exit.REGRESSION


def evaluate(
    run: Run, matrix: Matrix, expectations: Mapping[str, Sequence[Expectation]], today: date
) -> GateResult:
    """Hold a run against the expectations, given by suite name.

    Only what this run set out to do is judged: an entry for a cell or a test that was not selected
    (a quick profile, a shard) is neither used nor dead.
    """
    problems = [Problem(Fault.ENVIRONMENT, text) for text in run.problems]
    expected: dict[Expectation, int] = {}
    suites = {row.suite.suite: row.suite for row in matrix.rows}
    for name, suite in suites.items():
        entries = expectations.get(name, ())
        selected: dict[tuple[Expectation, str], bool] = {}
        # An entry may speak of several variants, which are rows of their own.
        for cell in (c for row in matrix.rows if row.suite.suite == name for c in row.cells):
            if cell.status != "run":
                problems.append(Problem(Fault.ENVIRONMENT, cell.status, cell.cell))
                continue
            problems += [
                Problem(Fault.CANARY, f"{address} fails the script canary", cell.cell)
                for address in cell.run.canary
            ]
            mine = [e for e in entries if e.covers_cell(cell.cell)]
            for judged in cell.tests.values():
                problems += _hold(cell, judged, mine, expected, selected)
        problems += [
            Problem(Fault.IMPROVED, f"{entry}: {pattern} is as good as the control now")
            for (entry, pattern), used in selected.items()
            if not used
        ]
        problems += _dead(entries, [t.id for t in suite.tests], matrix, run)
    problems += [Problem(Fault.EXPIRED, str(e)) for e in expected if e.expired(today)]
    return GateResult(tuple(problems), expected)


def _hold(
    cell: CellVerdicts,
    judged: Judged,
    entries: Sequence[Expectation],
    expected: dict[Expectation, int],
    selected: dict[tuple[Expectation, str], bool],
) -> list[Problem]:
    allowed = False
    for entry in entries:
        pattern = entry.pattern_for(judged.id)
        if pattern is None:
            continue
        hit = judged.verdict in entry.verdicts
        # An unjudged test says nothing about its entry.
        used = hit or Verdict.PASS in entry.verdicts or judged.verdict is Verdict.ENVIRONMENT
        selected[entry, pattern] = selected.get((entry, pattern), False) or used
        if hit and judged.verdict not in GOOD:
            expected[entry] = expected.get(entry, 0) + 1
        allowed |= hit
    if allowed or judged.verdict in GOOD:
        return []
    last = judged.last
    fault = Fault.REGRESSION
    if judged.verdict is Verdict.ENVIRONMENT:
        fault = Fault.ENVIRONMENT
    elif last and last.outcome is Outcome.NOT_COLLECTED:
        fault = Fault.VANISHED
    text = f"{judged.verdict}: {judged.reason}"
    if last and last.message:
        text += f" ({last.message.splitlines()[0][:160]})"
    return [Problem(fault, text, cell.cell, judged.id)]


def _dead(
    entries: Sequence[Expectation], ids: Sequence[str], matrix: Matrix, run: Run
) -> list[Problem]:
    """Entries none of whose patterns names a test of the suite; only a full run can tell."""
    if run.header.get("profile") != "full" or run.header.get("shard"):
        return []
    cells = [c.cell for row in matrix.rows for c in row.cells]
    return [
        Problem(Fault.DEAD, f"{entry}: {pattern} names no test of the suite")
        for entry in entries
        if any(entry.covers_cell(c) for c in cells)
        for pattern in entry.tests
        if not any(_matches(entry, pattern, test) for test in ids)
    ]


def _matches(entry: Expectation, pattern: str, test: str) -> bool:
    return pattern == test or ("*" in pattern and entry.pattern_for(test) == pattern)
