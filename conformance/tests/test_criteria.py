"""The 13 criteria are data, and their values come out of results or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slotproof import criteria
from slotproof.criteria import Figures, Measured, Proved, evaluate, load
from slotproof.errors import UsageProblem
from slotproof.judge import matrix as judged
from slotproof.judge.matrix import Matrix
from slotproof.model import (
    CellId,
    CellRun,
    Kind,
    LockedTest,
    Observation,
    Outcome,
    Run,
    SuiteRun,
    Topology,
)
from slotproof.results.records import Bench

FILE = Path(__file__).resolve().parents[2] / "fixtures/criteria.toml"
ALL = load(FILE)
NOTHING = Matrix(())
CLUSTER = Topology.CLUSTER


def matrix(row: str, passes: int, of: int, *, status: str = "run") -> Matrix:
    """One suite on the cluster: the control passes all, glide-redis the first ``passes``."""
    ids = [f"t::{n}" for n in range(of)]
    tests = tuple(LockedTest(i, Kind.BLACK_BOX, frozenset({CLUSTER}), 0.0) for i in ids)
    control = CellId("s", "redis-py", CLUSTER, "v")
    subject = CellId("s", "glide-redis", CLUSTER, "v")
    touches = {"get": 1}
    seen = [Observation(control, i, 0, Outcome.PASSED, touches=touches) for i in ids]
    if status == "run":
        seen += [
            Observation(subject, i, 0, outcome, touches=touches)
            for n, i in enumerate(ids)
            for outcome in [Outcome.PASSED if n < passes else Outcome.FAILED]
        ]
    run = Run(
        {},
        (SuiteRun("s", "1", "S", row, "MIT", tests),),
        (CellRun(control, True), CellRun(subject, False, status=status)),
        tuple(seen),
    )
    return judged.build(run)


def one(
    name: str, what: Matrix = NOTHING, *benches: Bench, caveats: tuple[str, ...] = ()
) -> Measured:
    (found,) = (m for m in evaluate(ALL, what, benches, caveats=caveats) if m.criterion.id == name)
    return found


def test_there_are_thirteen_in_the_status_documents_groups() -> None:
    groups = [c.group for c in ALL]
    assert [groups.count(g) for g in criteria.GROUPS] == [5, 4, 4]
    assert len({c.id for c in ALL}) == 13


def test_without_results_nothing_is_measured_and_each_says_why() -> None:
    for measured in evaluate(ALL, NOTHING, ()):
        assert measured.value is None
        assert measured.held is None
        assert measured.why
        assert measured.shown == f"not measured: {measured.why}"
        assert measured.verdict == "not measured"


def test_a_proved_row_is_computed() -> None:
    measured = one("core", matrix("ioredis core", 4, 4))
    assert (measured.value, measured.held, measured.shown) == (100.0, True, "100.0 %")
    assert measured.bar == "≥ 100 %"


def test_all_but_one_is_not_all() -> None:
    measured = one("core", matrix("ioredis core", 4999, 5000))
    assert (measured.held, measured.shown) == (False, "99.9 %")
    assert measured.detail == "4999 of 5000 tests"


def test_a_caveat_turns_held_into_undecided_and_leaves_missed() -> None:
    held = one("core", matrix("ioredis core", 4, 4), caveats=("a sample",))
    assert (held.value, held.held, held.verdict, held.why) == (100.0, None, "undecided", "a sample")
    assert one("core", matrix("ioredis core", 3, 4), caveats=("a sample",)).held is False


def test_one_row_alone_does_not_measure_what_needs_several() -> None:
    measured = one("queues", matrix("Bull v3", 4, 4))
    assert measured.shown == "not measured: no suite of BullMQ was run"


def test_the_worst_row_decides() -> None:
    both = Matrix(matrix("Bull v3", 4, 4).rows + matrix("BullMQ", 3, 4).rows)
    measured = one("queues", both)
    assert (measured.value, measured.held) == (75.0, False)
    assert measured.detail == "3 of 4 tests in BullMQ, the worst of 2"


def test_a_cell_that_did_not_run_is_no_value() -> None:
    what = matrix("ioredis core", 0, 4, status="not run: no wheel")
    assert "not run: no wheel" in one("core", what).why
    assert one("core", what).value is None


def test_a_suite_that_touches_no_server_proves_nothing() -> None:
    assert "proves anything" in one("realtime", matrix("Socket.IO", 0, 0)).why


SCENARIOS = ("get-10B", "get-1KiB", "get-100KiB", "set-10B", "set-1KiB", "set-100KiB")
SCENARIOS += tuple(f"threads-{c}-{s}" for c in ("get", "set") for s in ("10B", "1KiB"))
SCENARIOS += tuple(f"pipeline-{s}" for s in ("10B", "1KiB", "100KiB"))


def throughput(
    client: str, value: float, scenario: str = "get-10B", number: int | None = None, **more: str
) -> Bench:
    case = {"topology": "cluster", "scenario": scenario, **more}
    return Bench("throughput", client, value, "commands/s", case, number)


def rounds(ratio: float, scenario: str, count: int = 9) -> list[Bench]:
    """Rounds on a machine that gets slower and slower, with the same ratio in each."""
    found = []
    for number in range(1, count + 1):
        control = 900 / number
        found.append(throughput("glide-redis", ratio * control, scenario, number))
        found.append(throughput("redis-py", control, scenario, number, parser="hiredis"))
        found.append(throughput("redis-py", 1, scenario, number, parser="python"))
    return found


def test_throughput_is_the_slowest_case_of_ratios_taken_round_by_round() -> None:
    figures = [b for s in SCENARIOS for b in rounds(0.95 if s == "set-1KiB" else 3, s)]
    measured = one("throughput", NOTHING, *figures)
    assert measured.value == pytest.approx(0.95)
    assert (measured.held, measured.shown) == (True, "0.95 \u00d7")
    assert measured.detail == "min over 13 cases: scenario set-1KiB"


def test_a_round_that_only_one_of_them_has_is_no_pair() -> None:
    figures = [b for s in SCENARIOS for b in rounds(1, s)]
    figures += [throughput("glide-redis", 1e-9, "get-10B", n) for n in range(10, 40)]
    assert one("throughput", NOTHING, *figures).value == pytest.approx(1)


def test_throughput_with_too_few_rounds_is_undecided_unless_missed() -> None:
    few = [b for s in SCENARIOS for b in rounds(2, s, count=8)]
    measured = one("throughput", NOTHING, *few)
    assert (measured.verdict, measured.why) == ("undecided", "8 of at least 9 rounds")
    missed = [b for s in SCENARIOS for b in rounds(0.5, s, count=1)]
    assert one("throughput", NOTHING, *missed).verdict == "missed"


def test_throughput_of_some_scenarios_is_not_that_of_all() -> None:
    figures = [b for s in SCENARIOS[:-1] for b in rounds(2, s)]
    measured = one("throughput", NOTHING, *figures)
    assert measured.verdict == "not measured"
    assert "scenario pipeline-100KiB" in measured.why


def test_figures_without_rounds_are_compared_by_their_medians() -> None:
    figures = [b for s in SCENARIOS[1:] for b in rounds(2, s)]
    figures += [throughput("glide-redis", v) for v in (80, 95, 5000)]
    figures += [throughput("redis-py", 100, parser="hiredis")]
    assert one("throughput", NOTHING, *figures).value == pytest.approx(0.95)


def test_a_case_without_its_counterpart_leaves_throughput_unmeasured() -> None:
    measured = one(
        "throughput",
        NOTHING,
        throughput("glide-redis", 100, "get-10B"),
        throughput("glide-redis", 100, "set-10B"),
        throughput("redis-py", 100, "get-10B", parser="hiredis"),
    )
    assert "no redis-py figure" in measured.why
    assert measured.why.endswith("for scenario set-10B")


@pytest.mark.parametrize(
    ("name", "values", "held"),
    [
        ("failover", (0.4, 0.99), True),
        ("failover", (0.4,), True),
        ("nothing-lost", (0, 0), True),
        ("nothing-lost", (0, 1), False),
        ("partitions", (100, 90), False),
        ("error-classes", (100, 100), True),
    ],
)
def test_figures_over_cases(name: str, values: tuple[float, ...], held: bool) -> None:
    formula = next(c for c in ALL if c.id == name).formula
    assert isinstance(formula, Figures)
    parameter, wanted = formula.each or ("case", ("any",))
    benches = [
        Bench(formula.measure, "glide-redis", v, "", {**formula.where, "n": n, parameter: needed})
        for n, v in enumerate(values)
        for needed in wanted
        for _ in range(formula.rounds)
    ]
    assert one(name, NOTHING, *benches).held is held


def test_failover_at_its_bar_is_missed() -> None:
    formula = next(c for c in ALL if c.id == "failover").formula
    assert isinstance(formula, Figures)
    bench = Bench("failover-gap", "glide-redis", 1.0, "s", formula.where)
    assert one("failover", NOTHING, bench).held is False


def test_memory_compares_the_two_topologies_of_one_client() -> None:
    benches = [
        Bench("memory", "glide-redis", value, "bytes", {"topology": topology}, number)
        for number in (1, 2, 3)
        for topology, value in (("cluster", 1.5), ("standalone", 1.0))
    ]
    measured = one("memory", NOTHING, *benches)
    assert (measured.value, measured.held) == (1.5, False)


def connections(client: str, state: str, value: float) -> Bench:
    parser = {"parser": "hiredis"} if client == "redis-py" else {}
    case = {"topology": "cluster", "state": state, **parser}
    return Bench("connections", client, value, "connections", case, 1)


def test_idle_connections_are_reported_and_do_not_count() -> None:
    measured = one(
        "connections",
        NOTHING,
        connections("glide-redis", "16 threads", 12),
        connections("redis-py", "16 threads", 48),
        connections("glide-redis", "idle", 12),
        connections("redis-py", "idle", 3),
    )
    assert (measured.value, measured.held) == (0.25, True)
    assert measured.detail == "state 1 thread: not measured; state idle: 4"


def test_where_the_control_has_none_both_numbers_are_reported() -> None:
    measured = one(
        "connections",
        NOTHING,
        connections("glide-redis", "16 threads", 12),
        connections("redis-py", "16 threads", 48),
        connections("glide-redis", "idle", 12),
        connections("redis-py", "idle", 0),
    )
    assert measured.detail.endswith("state idle: 12 against 0")


def test_caveats_of_a_run() -> None:
    run = Run({"profile": "full"}, (), (), ())
    assert criteria.caveats(run) == ()
    run = Run({"profile": "quick", "shard": (2, 3)}, (), (), (), problems=("no footer",))
    assert criteria.caveats(run) == (
        "the run is incomplete",
        "the quick profile is a sample",
        "this is shard 2 of 3",
    )
    for words in (("--variant", "resp2"), ("--variant=resp2",)):
        run = Run({"profile": "full", "argv": ("run", *words)}, (), (), ())
        assert criteria.caveats(run) == ("only some variants of the suites were run",)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('group = "functional"', 'group = "other"', "criterion core: key 'group'"),
        ("bar = 100.0", 'bar = "all"', "criterion core: key 'bar': expected a number"),
        ('unit = "%"', "", "criterion core: key 'unit' is missing"),
        ('comparator = ">="', 'comparator = "~"', "criterion core: key 'comparator'"),
        ('topology = "cluster"', 'topology = "ring"', "criterion core: key 'topology'"),
        ('id = "queues"', 'id = "core"', "is there twice"),
        ('over = "max"', 'over = "mean"', "criterion memory: key 'over'"),
        ('title = "redis', "title = redis", "line 16"),
    ],
)
def test_a_bad_file_is_named_with_criterion_and_key(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    bad = tmp_path / "criteria.toml"
    bad.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageProblem, match=re.escape(says)) as caught:
        load(bad)
    assert str(bad) in caught.value.found


def test_no_file_is_a_usage_problem(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"none\.toml"):
        load(tmp_path / "none.toml")


def test_the_rows_are_those_of_the_status_document() -> None:
    rows = {row for c in ALL if isinstance(c.formula, Proved) for row in c.formula.rows}
    assert len(rows) == 6
