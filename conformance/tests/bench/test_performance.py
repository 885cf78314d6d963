"""From figures to verdicts: nothing that was not measured, or not often enough, is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from slotproof.bench.bars import Bar
from slotproof.bench.cases import CASES
from slotproof.bench.performance import (
    WHOLE,
    Judged,
    Performance,
    Verdict,
    concerned,
    summarize,
)
from slotproof.results.records import Bench, BenchFacts, Benchmark, BenchVoid

GET = CASES["get-10B"]
MEMORY = CASES["memory-cluster"]
ALONE = CASES["memory-standalone"]
BAR = Bar("speed", "ours", (GET,), ("redis-py",), rounds=3, at_least=0.9)
SUBJECTS = "redis-py, ours, native, other"


def about(scenarios: str = "get-10B", subjects: str = SUBJECTS) -> BenchFacts:
    return BenchFacts(WHOLE, {"scenarios": scenarios, "subjects": subjects, "rounds": "3"})


def speeds(client: str, values: Sequence[float], measure: str = "throughput") -> list[Bench]:
    return [
        Bench(measure, client, v, "commands/s", {"scenario": "get-10B"}, n)
        for n, v in enumerate(values, 1)
    ]


def summary(
    benches: Sequence[Bench],
    *bars: Bar,
    voids: Sequence[BenchVoid] = (),
    facts: BenchFacts | None = None,
) -> Performance:
    found = summarize(Benchmark(tuple(benches), (facts or about(),), tuple(voids)), bars)
    assert found is not None
    return found


def verdict(benches: Sequence[Bench], bar: Bar = BAR, *voids: BenchVoid) -> Judged:
    found = summary(benches, bar, voids=voids)
    (judged,) = found.judged
    assert found.held is (judged.verdict in {Verdict.HELD, Verdict.REPORTED})
    return judged


CONTROL = speeds("redis-py", [100, 50, 25])


def test_results_without_a_benchmark_have_no_performance() -> None:
    assert summarize(Benchmark(), [BAR]) is None
    assert summarize(Benchmark(tuple(CONTROL)), [BAR]) is None


def test_ratios_are_taken_round_by_round() -> None:
    found = summary([*CONTROL, *speeds("ours", [200, 100, 50]), *speeds("ours", [1, 1, 1], "cpu")])
    (row,) = found.rows
    control, ours = row.clients
    assert (control.client, ours.client) == ("redis-py", "ours")
    assert ours.ratio is not None
    assert (ours.ratio.median, ours.ratio.smallest, ours.ratio.largest) == (2, 2, 2)
    assert ours.value is not None
    assert ours.value.median == 100
    assert ours.cpu is not None
    assert ours.cpu_ratio is None  # the control's is not there


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([90, 45, 22.5], Verdict.HELD),
        ([89, 44, 22], Verdict.MISSED),
        # The median decides, not the mean: one lucky round lifts nobody over the bar.
        ([1000, 40, 20], Verdict.MISSED),
        ([0.1, 60, 30], Verdict.HELD),
        ([500, 500], Verdict.UNDECIDED),
        ([1, 1], Verdict.MISSED),
        ([], Verdict.NOT_MEASURED),
    ],
)
def test_the_median_of_enough_rounds_decides(values: list[float], expected: Verdict) -> None:
    assert verdict([*CONTROL, *speeds("ours", values)]).verdict is expected


def test_an_undecided_bar_says_how_many_rounds_there_were() -> None:
    judged = verdict([*CONTROL, *speeds("ours", [500, 500])])
    assert judged.reason == "2 of at least 3 rounds"


def test_without_the_control_nothing_is_held() -> None:
    judged = verdict(speeds("ours", [500, 500, 500]), BAR, BenchVoid("redis-py", "it hung"))
    assert (judged.verdict, judged.reason) == (Verdict.NOT_MEASURED, "it hung")


@pytest.mark.parametrize(
    "void",
    [
        BenchVoid("ours", "it died"),
        BenchVoid("ours", "it died", parameters={"scenario": "get-10B"}),
        BenchVoid("ours", "it died", "throughput"),
    ],
)
def test_the_reason_for_a_missing_figure_is_told(void: BenchVoid) -> None:
    assert verdict(CONTROL, BAR, void).reason == "it died"
    (row,) = summary(CONTROL, voids=[void]).rows
    assert [(c.client, c.reason) for c in row.clients] == [("redis-py", ""), ("ours", "it died")]


def test_a_reason_of_another_scenario_is_not_told() -> None:
    void = BenchVoid("ours", "it died", parameters={"scenario": "set-10B"})
    assert verdict(CONTROL, BAR, void).reason == "no figure of ours"


BETTER = replace(BAR, against=("native", "other"))


def test_of_several_the_better_is_compared_with() -> None:
    benches = [*speeds("native", [10, 10, 10]), *speeds("other", [100, 1, 100])]
    held = verdict([*benches, *speeds("ours", [95, 95, 95])], BETTER)
    assert (held.against, held.verdict) == ("other", Verdict.HELD)
    missed = verdict([*benches, *speeds("ours", [80, 80, 80])], BETTER)
    assert missed.verdict is Verdict.MISSED


def test_of_several_all_must_be_there() -> None:
    judged = verdict([*speeds("native", [10, 10, 10]), *speeds("ours", [99, 99, 99])], BETTER)
    assert (judged.verdict, judged.reason) == (Verdict.NOT_MEASURED, "no figure of other")


def memory(client: str, topology: str, value: float) -> list[Bench]:
    return [Bench("memory", client, value, "bytes", {"topology": topology}, n) for n in (1, 2, 3)]


@pytest.mark.parametrize(("value", "expected"), [(120, "held"), (121, "missed")])
def test_less_is_better_and_another_case_can_be_the_measure(value: float, expected: str) -> None:
    bar = replace(
        BAR, cases=(MEMORY,), against=("ours",), against_case=ALONE, at_least=None, at_most=1.2
    )
    benches = [*memory("ours", "cluster", value), *memory("ours", "standalone", 100)]
    (judged,) = summary(benches, bar, facts=about("memory")).judged
    assert judged.verdict == expected


def test_where_less_is_better_the_better_of_several_has_less() -> None:
    bar = replace(BETTER, cases=(MEMORY,), at_least=None, at_most=1.0)
    benches = memory("ours", "cluster", 5) + memory("native", "cluster", 4)
    benches += memory("other", "cluster", 9)
    (judged,) = summary(benches, bar, facts=about("memory")).judged
    assert (judged.against, judged.verdict) == ("native", Verdict.MISSED)


def test_a_bar_without_a_value_is_reported() -> None:
    bar = replace(BAR, at_least=None)
    judged = verdict([*CONTROL, *speeds("ours", [1, 1, 1])], bar)
    assert (judged.verdict, bar.shown) == (Verdict.REPORTED, "reported")
    assert judged.ratio is not None


def test_a_control_of_nothing_is_no_ratio() -> None:
    benches = [*speeds("redis-py", [0, 0, 0]), *speeds("ours", [1, 1, 1])]
    assert verdict(benches).verdict is Verdict.NOT_MEASURED
    assert verdict(benches, replace(BAR, at_least=None)).verdict is Verdict.REPORTED


def test_what_was_not_asked_for_is_neither_judged_nor_missing() -> None:
    other = replace(BAR, cases=(CASES["set-10B"], MEMORY))
    assert summary(CONTROL, other).judged == ()
    nobody = summary(CONTROL, BAR, facts=about(subjects="redis-py, native"))
    assert nobody.judged == ()
    assert nobody.held


def test_facts_of_other_benchmarks_in_the_file_take_nothing_away() -> None:
    facts = (about(), BenchFacts("ours", {"title": "Ours"}), BenchFacts("ours", {"version": "1"}))
    found = summarize(Benchmark(tuple(CONTROL), facts), [])
    assert found is not None
    assert found.titles["ours"] == "Ours"


def test_which_bars_are_concerned() -> None:
    assert concerned([BAR], {"ours", "redis-py"}, {"get-10B"})
    assert not concerned([BAR], {"ours", "redis-py"}, {"set-10B"})
    assert not concerned([BAR], {"redis-py"}, {"get-10B"})
    assert not concerned([replace(BAR, at_least=None)], {"ours", "redis-py"}, {"get-10B"})
