"""The matrix: verdicts of every cell of a run, with the two ratios that summarize it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slotproof.inject.slotproof_stats import is_touch
from slotproof.judge.seen import seen
from slotproof.judge.verdict import Case, Seen, Verdict, judge
from slotproof.model import (
    DEFAULT_VARIANT,
    CellId,
    CellRun,
    Connect,
    Kind,
    LockedTest,
    Observation,
    Outcome,
    Run,
    SuiteRun,
    Topology,
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """``passed`` of ``of``. A ratio of nothing is no number: it prints as a dash."""

    passed: int
    of: int

    @property
    def value(self) -> float | None:
        """The ratio from 0 to 1, or None of nothing."""
        return self.passed / self.of if self.of else None

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        # Rounding must never turn "all but one" into "all".
        percent = min(round(self.value * 100, 1), 100.0 if self.passed == self.of else 99.9)
        return f"{percent:.1f} %"


@dataclass(frozen=True, slots=True)
class Judged:
    """One test in one cell: the verdict, its reason in words, and all attempts in order."""

    id: str
    kind: Kind
    verdict: Verdict
    reason: str
    seen: Seen
    touched: bool
    observations: tuple[Observation, ...]
    foreign: tuple[Connect, ...] = ()

    @property
    def last(self) -> Observation | None:
        """The attempt to show first: the last one."""
        return self.observations[-1] if self.observations else None


@dataclass(frozen=True, slots=True)
class CellVerdicts:
    """A cell, judged.

    ``proved``: touched tests that pass in control and subject, of the touched tests that pass in
    the control. ``offline``: the same, per kind, for tests in which the control touched no server.
    For a control the two say how much of what it ran it passes itself.
    """

    run: CellRun
    tests: Mapping[str, Judged]
    proved: Ratio
    offline: Mapping[Kind, Ratio]
    counts: Mapping[Verdict, int]
    outcomes: Mapping[Outcome, int]

    @property
    def cell(self) -> CellId:
        """The cell's name."""
        return self.run.cell

    @property
    def control(self) -> bool:
        """True for a control column."""
        return self.run.control

    @property
    def status(self) -> str:
        """``run`` or ``not run: <reason>``."""
        return self.run.status

    @property
    def offline_total(self) -> Ratio:
        """The offline ratio over all kinds."""
        ratios = self.offline.values()
        return Ratio(sum(r.passed for r in ratios), sum(r.of for r in ratios))


@dataclass(frozen=True, slots=True)
class Row:
    """One suite, in one variant, over all its cells: controls first, standalone before cluster."""

    suite: SuiteRun
    cells: tuple[CellVerdicts, ...]
    variant: str = DEFAULT_VARIANT

    @property
    def name(self) -> str:
        """The suite's name, and the variant's behind a slash unless it is the default one."""
        suite = self.suite.suite
        return suite if self.variant == DEFAULT_VARIANT else f"{suite}/{self.variant}"

    @property
    def title(self) -> str:
        """The suite's title for people, with the variant unless it is the default one."""
        title = self.suite.title
        return title if self.variant == DEFAULT_VARIANT else f"{title}, {self.variant}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every row of a run."""

    rows: tuple[Row, ...]


Attempts = Mapping[str, Sequence[Observation]]


def build(run: Run) -> Matrix:
    """Judge every test of every cell of ``run``, against controls of the same variant and server.

    Pure; a cell without a control is environment.
    """
    attempts: dict[CellId, dict[str, list[Observation]]] = defaultdict(lambda: defaultdict(list))
    for observation in run.observations:
        attempts[observation.cell][observation.test].append(observation)
    rows = []
    for suite in run.suites:
        every = [c for c in run.cells if c.cell.suite == suite.suite]
        every.sort(key=lambda c: (c.cell.server, not c.control, c.cell.client, _rank(c.cell)))
        for variant in _variants(run, suite.suite):
            cells = [c for c in every if c.cell.variant == variant]
            judged = tuple(_judge_cell(c, cells, suite, attempts) for c in cells)
            rows.append(Row(suite, judged, variant))
    return Matrix(tuple(rows))


def _variants(run: Run, suite: str) -> Sequence[str]:
    """The variants in which a suite was run, the default one first."""
    found = dict.fromkeys(c.cell.variant for c in run.cells if c.cell.suite == suite)
    return sorted(found, key=lambda variant: variant != DEFAULT_VARIANT) or [DEFAULT_VARIANT]


def _rank(cell: CellId) -> int:
    return list(Topology).index(cell.topology)


def _control(cells: Sequence[CellRun], like: CellId, topology: Topology) -> CellId | None:
    for other in cells:
        same = (other.cell.suite, other.cell.server) == (like.suite, like.server)
        if other.control and same and other.cell.topology is topology:
            return other.cell
    return None


def _judge_cell(
    cell: CellRun,
    cells: Sequence[CellRun],
    suite: SuiteRun,
    attempts: Mapping[CellId, Attempts],
) -> CellVerdicts:
    topology = cell.cell.topology
    none: Attempts = {}
    control_id = cell.cell if cell.control else _control(cells, cell.cell, topology)
    single_id = _control(cells, cell.cell, Topology.STANDALONE)
    subject = attempts.get(cell.cell, none)
    control = attempts.get(control_id, none) if control_id else none
    single = attempts.get(single_id, none) if single_id else none
    judged: dict[str, Judged] = {}
    tallies: dict[Kind | None, list[int]] = defaultdict(lambda: [0, 0])
    for test in suite.tests:
        if topology not in test.topologies:
            continue
        result, reference = _judge_test(test, topology, subject, control, single, cell.control)
        judged[test.id] = result
        counted = reference is Seen.PASS or (
            cell.control and reference in {Seen.FAIL, Seen.FLAKY, Seen.HUNG}
        )
        if counted:
            control_touched = _touched(control.get(test.id, ()))
            tally = tallies[None if control_touched else test.kind]
            tally[0] += result.verdict is Verdict.PASS
            tally[1] += 1
    return CellVerdicts(
        run=cell,
        tests=judged,
        proved=Ratio(*tallies[None]),
        offline={k: Ratio(*tallies[k]) for k in Kind if k in tallies},
        counts=Counter(j.verdict for j in judged.values()),
        outcomes=Counter(j.last.outcome for j in judged.values() if j.last),
    )


def _judge_test(
    test: LockedTest,
    topology: Topology,
    subject: Attempts,
    control: Attempts,
    single: Attempts,
    is_control: bool,
) -> tuple[Judged, Seen]:
    mine = tuple(subject.get(test.id, ()))
    theirs = control.get(test.id, ())
    reference = seen(theirs)
    foreign = () if is_control else _foreign(mine, theirs)
    case = Case(
        topology=topology,
        control=reference,
        standalone=seen(single.get(test.id, ())),
        subject=seen(mine),
        control_touched=_touched(theirs),
        subject_touched=_touched(mine),
        foreign=bool(foreign),
    )
    rule = judge(case)
    reason = rule.reason
    if foreign and rule.verdict is Verdict.BYPASSED:
        first = foreign[0]
        reason = f"{first.module} ({first.file}:{first.line}) connected to {first.address} itself"
    judged = Judged(
        id=test.id,
        kind=test.kind,
        verdict=rule.verdict,
        reason=reason,
        seen=case.subject,
        touched=case.subject_touched,
        observations=mine,
        foreign=foreign,
    )
    return judged, reference


def _touched(attempts: Sequence[Observation]) -> bool:
    """True when any attempt touched: a re-run that fails early must not hide an earlier one."""
    return any(is_touch(a.touches) for a in attempts)


def _foreign(mine: Sequence[Observation], theirs: Sequence[Observation]) -> tuple[Connect, ...]:
    """Connections of the subject's that the control's run of the same test does not show.

    A test that opens a socket itself does so in both columns, from the same module: addresses
    differ, since tests use ephemeral ports. A test that sends its client to an address outside the
    cell does so in both columns as well, and there the client's module differs. What the control's
    client did outside, where it is written down, excuses nobody who reaches the cell's servers: a
    client that falls back on redis-py's own connections uses the very same module.
    """
    reaching = {c.module for a in theirs for c in a.connects if c.reached}
    modules = {c.module for a in theirs for c in a.connects}
    outside = {c.address for a in theirs for c in a.connects if not c.reached}

    def usual(connect: Connect) -> bool:
        if connect.reached:
            return connect.module in reaching
        return connect.module in modules or connect.address in outside

    return tuple(c for a in mine for c in a.connects if not usual(c))
