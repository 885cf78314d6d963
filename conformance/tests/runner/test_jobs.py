"""What a run consists of: selection, cells and lanes, without running anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.miniatures import MINIATURE, client

from slotproof.model import LockedTest, Topology
from slotproof.runner import jobs
from slotproof.runner.options import Profile, RunOptions
from slotproof.suites import collected, library

SUITES = {"tiny": library.load_all(MINIATURE / "suites")["tiny"]}
LOCKED = {"tiny": collected.read(SUITES["tiny"].collected_lock)}
OPTIONS = RunOptions(
    suites=("tiny",),
    clients=("subject", "control"),
    topologies=tuple(Topology),
    server="valkey-8.1",
    backend="embedded",
    profile=Profile.FULL,
    jobs=2,
    reruns=1,
    output=Path("nowhere"),
)
CLIENTS = {
    "subject": client("always_right", name="subject"),
    "control": client("always_right", name="control", control=True),
}


def ids(tests: tuple[LockedTest, ...]) -> set[str]:
    return {t.id for t in tests}


def test_the_full_profile_is_every_locked_test() -> None:
    (run,) = jobs.select(SUITES, LOCKED, OPTIONS)
    assert ids(run.tests) == ids(LOCKED["tiny"])


def test_the_quick_profile_is_a_part_of_it_and_always_the_same() -> None:
    long = {"tiny": tuple(replace(t, seconds=0.2) for t in LOCKED["tiny"])}
    quick = replace(OPTIONS, profile=Profile.QUICK)
    (run,) = jobs.select(SUITES, long, quick)
    assert ids(run.tests) < ids(LOCKED["tiny"])
    assert run.tests
    assert jobs.select(SUITES, long, quick) == (run,)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_are_the_whole_and_do_not_overlap(count: int) -> None:
    parts = []
    for index in range(1, count + 1):
        (run,) = jobs.select(SUITES, LOCKED, replace(OPTIONS, shard=(index, count)))
        parts += [(t.id, topology) for t in run.tests for topology in t.topologies]
    assert len(parts) == len(set(parts)) == 2 * len(LOCKED["tiny"])


def test_controls_come_first_and_every_cell_has_all_its_tests() -> None:
    selected = jobs.select(SUITES, LOCKED, OPTIONS)
    cells = jobs.cells(selected, SUITES, CLIENTS, OPTIONS, private=True)
    assert [(c.cell.client, c.cell.topology) for c in cells] == [
        (name, topology) for name in ("control", "subject") for topology in Topology
    ]
    assert {c.tests for c in cells} == {len(LOCKED["tiny"])}


WITH_VARIANTS = {
    "tiny": replace(SUITES["tiny"], variants={"default": (), "second": ("-x",), "third": ("-v",)})
}


@pytest.mark.parametrize(
    ("options", "variants"),
    [
        (OPTIONS, ["default", "second", "third"]),
        (replace(OPTIONS, profile=Profile.QUICK), ["default"]),
        (replace(OPTIONS, only=(LOCKED["tiny"][0].id,)), ["default"]),
        (replace(OPTIONS, variants=("third",)), ["third"]),
        (
            replace(OPTIONS, profile=Profile.QUICK, variants=("second", "default")),
            ["default", "second"],
        ),
    ],
)
def test_the_profile_chooses_the_variants_unless_they_are_named(
    options: RunOptions, variants: list[str]
) -> None:
    selected = jobs.select(WITH_VARIANTS, LOCKED, options)
    cells = jobs.cells(selected, WITH_VARIANTS, CLIENTS, options, private=True)
    assert [(c.cell.variant, c.cell.client, c.cell.topology) for c in cells] == [
        (variant, name, topology)
        for variant in variants
        for name in ("control", "subject")
        for topology in Topology
    ]


def test_a_suite_without_the_variants_asked_for_is_left_out() -> None:
    options = replace(OPTIONS, variants=("second",))
    assert jobs.select(SUITES, LOCKED, options) == ()
    assert len(jobs.select(WITH_VARIANTS, LOCKED, options)) == 1


def test_a_suite_is_split_into_lanes_only_when_cells_are_fewer_than_jobs() -> None:
    spread = {
        "tiny": tuple(replace(t, id=f"tests/test_{n}.py::t") for n, t in enumerate(LOCKED["tiny"]))
    }
    many = replace(OPTIONS, jobs=8)
    selected = jobs.select(SUITES, spread, many)
    for private, lanes in ((True, 2), (False, 1)):
        cells = jobs.cells(selected, SUITES, CLIENTS, many, private=private)
        assert {len(c.lanes) for c in cells} == {lanes}
        assert {c.tests for c in cells} == {len(spread["tiny"])}
