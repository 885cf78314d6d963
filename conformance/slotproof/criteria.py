"""The status document's success criteria: data in ``fixtures/criteria.toml``, evaluated here.

A value comes out of results or it is "not measured: why"; none is ever typed in.
"""

from __future__ import annotations

import operator
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from slotproof.bench.statistics import paired
from slotproof.data import fixtures_dir
from slotproof.errors import UsageProblem
from slotproof.judge.matrix import Matrix, Ratio
from slotproof.model import Run, Topology

if TYPE_CHECKING:
    from pathlib import Path

    from slotproof.results.records import Bench

GROUPS = ("functional", "performance", "reliability")
COMPARATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
OVER: Mapping[str, Callable[[Iterable[float]], float]] = {"min": min, "max": max, "sum": sum}

Parameters = Mapping[str, object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proved:
    """The worst proved ratio, in percent, of systems through one client on one topology."""

    rows: tuple[str, ...]
    client: str
    topology: Topology


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of the benchmarks, summed up over cases; see the head of ``criteria.toml``.

    ``each``: a parameter and the values that it must have had, each at least once. ``rounds``: how
    many of each case must have been taken before it can be said that the criterion holds.
    """

    measure: str
    client: str
    where: Parameters
    over: str
    against: tuple[str, Parameters] | None = None
    beside: tuple[Parameters, ...] = ()
    each: tuple[str, tuple[str, ...]] | None = None
    rounds: int = 1


@dataclass(frozen=True, slots=True)
class Criterion:
    """One success criterion: ``formula`` ``comparator`` ``bar``, in ``unit``."""

    id: str
    title: str
    group: str
    formula: Proved | Figures
    comparator: str
    bar: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A criterion with its value in the criterion's unit, or None and ``why``.

    ``held``: None when there is no value, or when a caveat (``why``) forbids saying that it held.
    ``detail``: what the value consists of, in words.
    """

    criterion: Criterion
    value: float | None
    held: bool | None
    why: str = ""
    detail: str = ""

    @property
    def shown(self) -> str:
        """The value with its unit, or ``not measured: why``."""
        if self.value is None:
            return f"not measured: {self.why}"
        if self.criterion.unit == "%":
            # As for every ratio here: rounding never turns "all but one" into "all".
            percent = self.value if self.value >= 100 else min(round(self.value, 1), 99.9)
            return f"{percent:.1f} %"
        return f"{self.value:.3g} {self.criterion.unit}"

    @property
    def verdict(self) -> str:
        """``held``, ``missed``, ``not measured`` or ``undecided``."""
        if self.held is not None:
            return "held" if self.held else "missed"
        return "not measured" if self.value is None else "undecided"

    @property
    def bar(self) -> str:
        """The bar in words, e.g. ``≥ 100 %``."""
        sign = {">=": "≥", "<=": "≤", "==": "="}.get(self.criterion.comparator, "<")
        return f"{sign} {self.criterion.bar:g} {self.criterion.unit}"


def load(path: Path | None = None) -> tuple[Criterion, ...]:
    """Read criteria from ``path``, by default from ``fixtures/criteria.toml``.

    Raises UsageProblem naming file, criterion and key.
    """
    path = path or fixtures_dir() / "criteria.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageProblem("reading the criteria", f"{path}: {error}", "correct the file") from None
    found: dict[str, Criterion] = {}
    for number, table in enumerate(document.get("criterion", ()), 1):
        try:
            criterion = _criterion(table)
            if criterion.id in found:
                raise ValueError(f"key 'id': {criterion.id!r} is there twice")
        except ValueError as error:
            name = table.get("id", number) if isinstance(table, dict) else number
            raise UsageProblem(
                "reading the criteria", f"{path}: criterion {name}: {error}", "correct the file"
            ) from error
        found[criterion.id] = criterion
    return tuple(found.values())


def _get(table: Parameters, key: str, kind: type[T], among: Iterable[T] | None = None) -> T:
    if key not in table:
        raise ValueError(f"key {key!r} is missing")
    value = table[key]
    if not isinstance(value, kind):
        raise ValueError(f"key {key!r}: expected {kind.__name__}, found {value!r}")
    if among is not None and value not in among:
        raise ValueError(f"key {key!r}: expected one of {', '.join(map(str, among))}, not {value}")
    return value


def _criterion(table: object) -> Criterion:
    if not isinstance(table, dict):
        raise ValueError(f"expected a table, found {table!r}")
    bar = table.get("bar")
    if isinstance(bar, bool) or not isinstance(bar, int | float):
        raise ValueError(f"key 'bar': expected a number, found {bar!r}")
    return Criterion(
        id=_get(table, "id", str),
        title=_get(table, "title", str),
        group=_get(table, "group", str, GROUPS),
        formula=_formula(_get(table, "formula", dict)),
        comparator=_get(table, "comparator", str, COMPARATORS),
        bar=float(bar),
        unit=_get(table, "unit", str),
        source=_get(table, "source", str),
    )


def _formula(table: Parameters) -> Proved | Figures:
    client = _get(table, "client", str)
    if _get(table, "measure", str) == "proved":
        rows = tuple(_get({"rows": row}, "rows", str) for row in _get(table, "rows", list))
        topology = Topology(_get(table, "topology", str, list(Topology)))
        if len(rows) > 1:
            _get(table, "over", str, ["min"])
        return Proved(rows, client, topology)
    against = None
    if "against" in table:
        other = _get(table, "against", dict)
        against = (_get(other, "client", str), _get(other, "where", dict))
    beside = _get(table, "beside", list) if "beside" in table else []
    each = None
    if "each" in table:
        ((parameter, values),) = _get(table, "each", dict).items() or [("", [])]
        each = (parameter, tuple(_get({parameter: v}, parameter, str) for v in values))
    return Figures(
        measure=_get(table, "measure", str),
        client=client,
        where=_get(table, "where", dict),
        over=_get(table, "over", str, OVER),
        against=against,
        beside=tuple(_get({"beside": where}, "beside", dict) for where in beside),
        each=each,
        rounds=_get(table, "rounds", int) if "rounds" in table else 1,
    )


def caveats(run: Run) -> tuple[str, ...]:
    """Why a criterion that looks held in ``run`` cannot be said to be: a sample, or a torso."""
    found = []
    if not run.complete:
        found.append("the run is incomplete")
    if run.header.get("profile") != "full":
        found.append(f"the {run.header.get('profile')} profile is a sample")
    argv = run.header.get("argv")
    words = argv if isinstance(argv, list | tuple) else ()
    if any(str(word).partition("=")[0] == "--variant" for word in words):
        found.append("only some variants of the suites were run")
    shard = run.header.get("shard")
    if isinstance(shard, tuple):
        found.append(f"this is shard {shard[0]} of {shard[1]}")
    return tuple(found)


def evaluate(
    criteria: Sequence[Criterion],
    matrix: Matrix,
    benches: Sequence[Bench],
    *,
    caveats: Sequence[str] = (),
) -> tuple[Measured, ...]:
    """Compute every criterion. Pure.

    ``caveats`` concern the matrix only: with one, a proved ratio that misses its bar is missed,
    but one that reaches it is undecided.
    """
    return tuple(_evaluate(criterion, matrix, benches, caveats) for criterion in criteria)


class _NotMeasured(Exception):
    """Carries why."""


def _evaluate(
    criterion: Criterion, matrix: Matrix, benches: Sequence[Bench], caveats: Sequence[str]
) -> Measured:
    formula = criterion.formula
    try:
        if isinstance(formula, Proved):
            value, detail = _proved(formula, matrix)
        else:
            value, detail, caveats = _figures(formula, benches)
    except _NotMeasured as error:
        return Measured(criterion, None, None, str(error))
    held = COMPARATORS[criterion.comparator](value, criterion.bar)
    if held and caveats:
        return Measured(criterion, value, None, "; ".join(caveats), detail)
    return Measured(criterion, value, held, "", detail)


def _proved(formula: Proved, matrix: Matrix) -> tuple[float, str]:
    ratios = {row: _proved_row(formula, matrix, row) for row in formula.rows}
    worst = min(ratios, key=lambda row: ratios[row].value or 0.0)
    ratio = ratios[worst]
    detail = f"{ratio.passed} of {ratio.of} tests"
    if len(ratios) > 1:
        detail += f" in {worst}, the worst of {len(ratios)}"
    return 100.0 * ratio.passed / ratio.of, detail


def _proved_row(formula: Proved, matrix: Matrix, row: str) -> Ratio:
    """The ratio over all suites of a row; several servers count together."""
    suites = [r for r in matrix.rows if r.suite.row == row]
    if not suites:
        raise _NotMeasured(f"no suite of {row} was run")
    passed = of = 0
    for suite in suites:
        cells = [
            c
            for c in suite.cells
            if (c.cell.client, c.cell.topology) == (formula.client, formula.topology)
        ]
        if not cells:
            raise _NotMeasured(
                f"{suite.suite.suite} has no column {formula.client} on {formula.topology}"
            )
        for cell in cells:
            if cell.status != "run":
                raise _NotMeasured(f"{cell.cell}: {cell.status}")
            passed += cell.proved.passed
            of += cell.proved.of
    if not of:
        raise _NotMeasured(f"no test of {row} proves anything on {formula.topology}")
    return Ratio(passed, of)


Case = frozenset[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class _Measurements:
    """The figures of one case: by round where they were taken in rounds, else all together."""

    values: tuple[float, ...]
    rounds: Mapping[int, float]

    @classmethod
    def of(cls, benches: Sequence[Bench]) -> _Measurements:
        rounds = {b.round: b.value for b in benches if b.round is not None}
        return cls(tuple(b.value for b in benches), rounds if len(rounds) == len(benches) else {})


def _cases(
    benches: Sequence[Bench], measure: str, client: str, where: Parameters
) -> dict[Case, _Measurements]:
    """The figures of each case; a case is what the parameters say beyond ``where``."""
    found: dict[Case, list[Bench]] = defaultdict(list)
    for bench in benches:
        fits = all(bench.parameters.get(key) == value for key, value in where.items())
        if (bench.measure, bench.client) == (measure, client) and fits:
            rest = ((k, v) for k, v in bench.parameters.items() if k not in where)
            found[frozenset(rest)].append(bench)
    return {case: _Measurements.of(members) for case, members in found.items()}


def _words(parameters: Iterable[tuple[str, object]]) -> str:
    known = dict(parameters)
    # A scenario's name says what the other parameters spell out.
    shown = {"scenario": known["scenario"]} if "scenario" in known else known
    return ", ".join(f"{key} {value}" for key, value in sorted(shown.items()))


def _figures(formula: Figures, benches: Sequence[Bench]) -> tuple[float, str, tuple[str, ...]]:
    found = _compared(formula, benches, formula.where, formula.against)
    if formula.each:
        parameter, wanted = formula.each
        there = {value for case in found for key, value in case if key == parameter}
        missing = [value for value in wanted if value not in there]
        if missing:
            raise _NotMeasured(
                f"no figure for {formula.measure} of {formula.client}"
                f" ({parameter} {', '.join(missing)})"
            )
    fewest = min(count for _, count in found.values())
    caveats = (f"{fewest} of at least {formula.rounds} rounds",) if fewest < formula.rounds else ()
    cases = {case: one for case, (one, _) in found.items()}
    value = OVER[formula.over](cases.values())
    parts = []
    worst = next((case for case, one in cases.items() if one == value), frozenset())
    if len(cases) > 1:
        which = f": {_words(worst)}" if formula.over != "sum" and worst else ""
        parts.append(f"{formula.over} over {len(cases)} cases{which}")
    for where in formula.beside:
        name = _words((k, v) for k, v in where.items() if formula.where.get(k) != v)
        parts.append(f"{name}: {_beside(formula, benches, where)}")
    return value, "; ".join(parts), caveats


def _beside(formula: Figures, benches: Sequence[Bench], where: Parameters) -> str:
    """A selection that is reported only: its ratio, or both figures where there is none."""
    against = formula.against and (formula.against[0], {**formula.against[1], **where})
    try:
        found = _compared(formula, benches, where, against)
        return f"{OVER[formula.over](one for one, _ in found.values()):.3g}"
    except _NotMeasured:
        sides = [_cases(benches, formula.measure, formula.client, where)]
        sides += [_cases(benches, formula.measure, *against)] if against else []
        if not all(sides):
            return "not measured"
        values = [OVER[formula.over](median(m.values) for m in side.values()) for side in sides]
        return " against ".join(f"{value:.3g}" for value in values)


def _compared(
    formula: Figures,
    benches: Sequence[Bench],
    where: Parameters,
    against: tuple[str, Parameters] | None,
) -> dict[Case, tuple[float, int]]:
    """Each case's value and how many figures, or pairs of figures, it is the median of."""
    cases = _cases(benches, formula.measure, formula.client, where)
    name = f"{formula.measure} of {formula.client} ({_words(where.items())})"
    if not cases:
        raise _NotMeasured(f"no figure for {name}")
    if against is None:
        return {case: (median(m.values), len(m.values)) for case, m in cases.items()}
    others = _cases(benches, formula.measure, *against)
    ratios = {case: _ratio(m, others.get(case)) for case, m in cases.items()}
    missing = [case for case, ratio in ratios.items() if ratio is None]
    if missing:
        raise _NotMeasured(
            f"no {against[0]} figure ({_words(against[1].items())}) to compare with"
            + (f" for {_words(missing[0])}" if missing[0] else "")
        )
    return {case: ratio for case, ratio in ratios.items() if ratio is not None}


def _ratio(one: _Measurements, other: _Measurements | None) -> tuple[float, int] | None:
    """Pair by pair where both were taken in rounds, else of the medians."""
    if other is None:
        return None
    if one.rounds and other.rounds:
        ratios = paired(one.rounds, other.rounds)
        return (median(ratios), len(ratios)) if ratios else None
    below = median(other.values)
    return (median(one.values) / below, len(one.values)) if below else None
