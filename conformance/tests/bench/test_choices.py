"""Scenarios, subjects and bars: what there is, and what a wrong word is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from slotproof.bench import bars, scenarios, subjects
from slotproof.bench.cases import CASES, CONTROL
from slotproof.bench.scenarios import TIMED, Family
from slotproof.docs import docs_dir
from slotproof.errors import UsageProblem

FILE = Path(__file__).resolve().parents[3] / "fixtures/bench.toml"


def test_scenarios_are_chosen_by_name_and_by_family_in_their_own_order() -> None:
    chosen = scenarios.choose(["memory", "pipeline", "get-10B"])
    assert [s.name for s in chosen] == [
        "get-10B",
        "pipeline-10B",
        "pipeline-1KiB",
        "pipeline-100KiB",
        "memory",
    ]
    assert scenarios.choose([]) == tuple(scenarios.ALL.values())
    assert {s.family for s in scenarios.ALL.values()} == set(Family)


def test_an_unknown_scenario_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageProblem) as caught:
        scenarios.choose(["pipelin"])
    assert "did you mean 'pipeline'?" in caught.value.render()


def test_every_scenario_has_a_case_and_every_case_a_scenario() -> None:
    assert {case.scenario for case in CASES.values()} == set(scenarios.ALL)
    measured = {case.measure for case in CASES.values()}
    assert measured == {"throughput", "latency", "memory", "connections"}


def test_each_timed_scenario_says_in_its_figures_what_it_was() -> None:
    timed = [s for s in scenarios.ALL.values() if s.family in TIMED]
    assert len({tuple(sorted(s.parameters.items())) for s in timed}) == len(timed)


def test_the_control_comes_first_and_is_always_there() -> None:
    known = subjects.load_all()
    assert next(iter(known)) == CONTROL
    assert {"valkey-py", "glide-typed", "glide-ffi", "raw-socket"} < set(known)
    assert known[CONTROL].requires == {"parser": "hiredis"}
    assert any("hiredis==" in text for text in known[CONTROL].requirements)
    chosen = subjects.choose(["raw-socket", "valkey-py"], known)
    assert [s.name for s in chosen] == [CONTROL, "valkey-py", "raw-socket"]
    assert subjects.choose([], known) == tuple(known.values())
    with pytest.raises(UsageProblem, match="valkey-pi"):
        subjects.choose(["valkey-pi"], known)


def test_the_raw_socket_takes_no_part_in_what_it_has_no_client_for() -> None:
    raw = subjects.load_all()["raw-socket"]
    families = {s.family for s in scenarios.ALL.values() if raw.measures(s)}
    assert families == set(TIMED)


def test_the_bars_are_those_that_were_promised() -> None:
    found = [
        (bar.shown, case.name, bar.against)
        for bar in bars.load(FILE)
        for case in bar.cases
        if bar.client == "glide-redis" and bar.judges
    ]
    control, native = ("redis-py",), ("glide-typed", "glide-ffi")
    sizes = ("10B", "1KiB", "100KiB")
    single = [f"{c}-{s}" for c in ("get", "set") for s in sizes]
    threads = [f"threads-{c}-{s}" for c in ("get", "set") for s in sizes[:2]]
    pipelines = [f"pipeline-{s}" for s in sizes]
    assert [f for f in found if f[1] in single and f[2] == control] == [
        ("\u2265 0.9", name, control) for name in single
    ]
    assert [f for f in found if f[1] in threads and f[2] == control] == [
        ("\u2265 2", name, control) for name in threads
    ]
    assert [f for f in found if f[1] in pipelines and f[2] == control] == [
        ("\u2265 1.5", name, control) for name in pipelines[:2]
    ]
    assert [f for f in found if f[2] == native] == [
        ("\u2265 0.9", name, native) for name in (*single, *threads, *pipelines)
    ]
    rest = [f for f in found if f[1] not in {*single, *threads, *pipelines}]
    assert rest == [
        ("\u2264 1.2", "memory-cluster", ("glide-redis",)),
        ("\u2264 1", "memory-cluster", control),
        ("\u2264 1", "connections-16-threads", control),
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rounds = 9\n", "", "key 'rounds': expected a whole number"),
        ("at_least = 0.9", "at_leest = 0.9", "bar 'one thread': unknown key 'at_leest'"),
        ("at_least = 0.9", "at_least = 0.9\nat_most = 2.0", "exclude each other"),
        ("at_least = 0.9", 'at_least = "0.9"', "key 'at_least': expected float"),
        ('cases = ["single"]', 'cases = ["singel"]', "there is no case 'singel'"),
        ('cases = ["single"]', "cases = []", "key 'cases': expected list, found []"),
        ('cases = ["single"]', "cases = [1]", "key 'cases': expected names"),
        ('against = ["redis-py"]\n', "", "key 'against' is missing"),
        ("[[bar]]", "[[bar", "Expected ']]'"),
    ],
)
def test_a_bad_file_of_bars_is_named_with_bar_and_key(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    bad = tmp_path / "bench.toml"
    bad.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageProblem) as caught:
        bars.load(bad)
    assert says in caught.value.found
    assert str(bad) in caught.value.found


def test_the_page_on_benchmarks_names_every_scenario_and_subject() -> None:
    page = (docs_dir() / "benchmarks.md").read_text(encoding="utf-8")
    names = [*scenarios.ALL, *map(str, Family), *subjects.load_all()]
    assert [name for name in names if f"`{name}`" not in page] == []
