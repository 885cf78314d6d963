"""From the figures of a benchmark to ratios, intervals and bars that hold or not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from slotproof.bench.bars import Bar
from slotproof.bench.cases import CASES, CONTROL, Case
from slotproof.bench.statistics import Spread, paired, spread
from slotproof.results.records import Bench, Benchmark

WHOLE = "benchmark"
"""``BenchFacts.of`` of what concerns all clients."""


class Verdict(StrEnum):
    """What became of a bar in one case."""

    HELD = "held"
    MISSED = "missed"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not measured"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class Compared:
    """A client in a case: its own figures, and its ratios to the control's of the same rounds.

    ``cpu``: seconds a command, user and system; ``cpu_ratio``: the same to the control's. All None
    with a ``reason`` when nothing was measured; ``ratio`` alone None when the control is missing.
    """

    client: str
    value: Spread | None = None
    ratio: Spread | None = None
    cpu: Spread | None = None
    cpu_ratio: Spread | None = None
    unit: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A case with every client that was to be measured in it; the control comes first."""

    case: Case
    clients: tuple[Compared, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A bar in one case. ``against``: the client that was compared with, the better of several."""

    bar: Bar
    case: Case
    verdict: Verdict
    ratio: Spread | None = None
    against: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Performance:
    """A whole benchmark. ``facts``: by client, in the order of clients; ``about``: of all."""

    clients: tuple[str, ...]
    titles: Mapping[str, str]
    facts: Mapping[str, Mapping[str, str]]
    about: Mapping[str, str]
    rows: tuple[Row, ...]
    judged: tuple[Judged, ...]

    @property
    def held(self) -> bool:
        """Whether every bar that was asked for is held; undecided and not measured are not."""
        return all(j.verdict in {Verdict.HELD, Verdict.REPORTED} for j in self.judged)


def summarize(benchmark: Benchmark, bars: Sequence[Bar]) -> Performance | None:
    """Compare and judge; None when there is nothing of a benchmark.

    Only cases and clients that the benchmark set out to measure are there: what it was not asked
    for is not missing.
    """
    about: dict[str, Mapping[str, str]] = {}
    for facts in benchmark.facts:  # other benchmarks in the same file have some too
        about[facts.of] = {**about.get(facts.of, {}), **facts.facts}
    whole = about.get(WHOLE)
    if whole is None:
        return None
    scenarios, clients = _words(whole, "scenarios"), _words(whole, "subjects")
    cases = [case for case in CASES.values() if case.scenario in scenarios]
    figures = _Figures(benchmark)
    rows = [
        Row(case, tuple(c for name in clients if (c := figures.compared(case, name)) is not None))
        for case in cases
    ]
    judged = [
        _judge(figures, bar, case)
        for bar in bars
        for case in bar.cases
        if case in cases and {bar.client, *bar.against} <= set(clients)
    ]
    return Performance(
        clients=clients,
        titles={name: about.get(name, {}).get("title", name) for name in clients},
        facts={name: about[name] for name in clients if name in about},
        about=whole,
        rows=tuple(row for row in rows if row.clients),
        judged=tuple(judged),
    )


def concerned(bars: Sequence[Bar], clients: Collection[str], scenarios: Collection[str]) -> bool:
    """Whether any bar is judged when these clients are measured in these scenarios."""
    return any(
        bar.judges
        and {bar.client, *bar.against} <= set(clients)
        and any(case.scenario in scenarios for case in bar.cases)
        for bar in bars
    )


def _words(facts: Mapping[str, str], key: str) -> tuple[str, ...]:
    return tuple(word for word in facts.get(key, "").split(", ") if word)


class _Figures:
    """Finds figures by case and client."""

    def __init__(self, benchmark: Benchmark) -> None:
        self._benches: dict[str, list[Bench]] = {}
        for bench in benchmark.benches:
            self._benches.setdefault(bench.client, []).append(bench)
        self._voids = benchmark.voids

    def rounds(
        self, client: str, selects: Callable[[Bench], bool]
    ) -> tuple[Mapping[int, float], str]:
        """Figures by round, and their unit."""
        found = [b for b in self._benches.get(client, ()) if selects(b)]
        return {b.round or 0: b.value for b in found}, found[0].unit if found else ""

    def reason(self, client: str, case: Case) -> str:
        """Why there is no figure: "" where none was to be expected."""
        parameters = {"scenario": case.scenario, **case.where}
        ghost = Bench(case.measure, client, 0.0, "", parameters)
        return "; ".join(dict.fromkeys(v.reason for v in self._voids if v.covers(ghost)))

    def compared(self, case: Case, client: str) -> Compared | None:
        """None when the client takes no part in this case."""
        values, unit = self.rounds(client, case.selects)
        if not values:
            reason = self.reason(client, case)
            return Compared(client, reason=reason) if reason else None
        cpu, _ = self.rounds(client, case.selects_cpu)
        against, _ = self.rounds(CONTROL, case.selects)
        against_cpu, _ = self.rounds(CONTROL, case.selects_cpu)
        ratios, cpu_ratios = paired(values, against), paired(cpu, against_cpu)
        return Compared(
            client,
            value=spread(list(values.values())),
            ratio=spread(ratios) if ratios else None,
            cpu=spread(list(cpu.values())) if cpu else None,
            cpu_ratio=spread(cpu_ratios) if cpu_ratios else None,
            unit=unit,
        )


def _judge(figures: _Figures, bar: Bar, case: Case) -> Judged:
    values, _ = figures.rounds(bar.client, case.selects)
    if not values:
        reason = figures.reason(bar.client, case) or f"no figure of {bar.client}"
        return Judged(bar, case, Verdict.NOT_MEASURED, reason=reason)
    other_case = bar.against_case or case
    others = {}
    for name in bar.against:
        others[name], _ = figures.rounds(name, other_case.selects)
        if not others[name]:
            reason = figures.reason(name, other_case) or f"no figure of {name}"
            return Judged(bar, case, Verdict.NOT_MEASURED, reason=reason)
    better = min if case.lower_is_better else max
    against = better(others, key=lambda name: spread(list(others[name].values())).median)
    ratios = paired(values, others[against])
    if not ratios:
        reason = f"no round in which {against} has a figure other than 0"
        verdict = Verdict.NOT_MEASURED if bar.judges else Verdict.REPORTED
        return Judged(bar, case, verdict, against=against, reason=reason)
    ratio = spread(ratios)
    held = bar.holds(ratio.median)
    if held is None:
        return Judged(bar, case, Verdict.REPORTED, ratio, against)
    if held and ratio.count < bar.rounds:
        reason = f"{ratio.count} of at least {bar.rounds} rounds"
        return Judged(bar, case, Verdict.UNDECIDED, ratio, against, reason)
    return Judged(bar, case, Verdict.HELD if held else Verdict.MISSED, ratio, against)
