"""Shards come together to the run that was split, or say why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slotproof.errors import UsageProblem
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
from slotproof.results.reader import merge

CELL = CellId("rq", "redis-py", Topology.STANDALONE, "valkey-8.1")


def shard(index: int, total: int, *ids: str, **header: object) -> Run:
    tests = tuple(LockedTest(i, Kind.BLACK_BOX, frozenset(Topology), 0.0) for i in ids)
    return Run(
        header={
            "schema": 1,
            "slotproof": "0.1.0",
            "python": "3.12.1",
            "profile": "full",
            "platform": f"Linux {index}",
            "started": f"2026-01-01T00:00:0{index}Z",
            "finished": f"2026-01-01T00:01:0{index}Z",
            "shard": (index, total),
            "source": f"{index}.jsonl",
            **header,
        },
        suites=(SuiteRun("rq", "3.0.0", "RQ", "Bull v3", "BSD", tests),),
        cells=(
            CellRun(CELL, True, "8.1.0", "Valkey 8.1.8", "namespaces", index, seconds=10)
            if index != 2
            else CellRun(
                CELL, True, "8.1.0", "Valkey 8.1.8", "leash", 2, "run", 5, ("h:1",), "log", True
            ),
        ),
        observations=tuple(Observation(CELL, i, 0, Outcome.PASSED) for i in ids),
    )


def complete(run: Run) -> Run:
    return replace(run, cells=tuple(replace(c, complete=True) for c in run.cells))


def test_all_shards_make_the_whole_run() -> None:
    run = merge([shard(2, 3, "c"), complete(shard(1, 3, "a", "b")), complete(shard(3, 3, "d"))])
    assert run.complete
    assert [t.id for t in run.suites[0].tests] == ["a", "b", "c", "d"]
    assert [o.test for o in run.observations] == ["a", "b", "c", "d"]
    (cell,) = run.cells
    assert cell == CellRun(
        CELL,
        True,
        "8.1.0",
        "Valkey 8.1.8",
        "namespaces; leash",
        3,
        "run",
        25,
        ("h:1",),
        "log",
        True,
    )
    assert run.header["shard"] is None
    assert run.header["started"] == "2026-01-01T00:00:01Z"
    assert run.header["finished"] == "2026-01-01T00:01:03Z"
    assert run.header["platform"] == "Linux 1; Linux 2; Linux 3"


def test_one_whole_run_is_its_own_merge() -> None:
    run = replace(complete(shard(1, 1, "a")), problems=())
    merged = merge([replace(run, header={**run.header, "shard": None})])
    assert (merged.suites, merged.cells, merged.problems) == (run.suites, run.cells, ())


def test_missing_shards_are_problems() -> None:
    run = merge([shard(2, 4, "c"), shard(3, 4, "d")])
    assert run.problems[:2] == ("shard 1/4 is missing", "shard 4/4 is missing")


def test_a_shards_own_problems_and_missing_cells_are_kept() -> None:
    broken = replace(shard(1, 2, "a"), problems=("1.jsonl:9: no footer",), cells=())
    run = merge([broken, shard(2, 2, "b")])
    assert run.problems == (
        "shard 1/2: 1.jsonl:9: no footer",
        f"cell {CELL} is missing from shard 1",
    )


def test_a_cell_that_ran_in_one_shard_only_is_incomplete() -> None:
    one = shard(1, 2, "a")
    one = replace(one, cells=(CellRun(CELL, True, status="not run: no engine"),), observations=())
    run = merge([one, shard(2, 2, "b")])
    assert run.problems == (f"cell {CELL} was not run in shard 1: not run: no engine",)
    assert not run.cells[0].complete


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        ([], "no results"),
        ([shard(1, 2, "a"), shard(1, 2, "b")], "given twice"),
        ([shard(1, 2, "a"), shard(2, 3, "b")], "number of shards"),
        ([shard(1, 2, "a"), shard(2, 2, "a")], "'a' is in shard 1 and in shard 2"),
        ([shard(1, 2, "a"), shard(2, 2, "b", profile="quick")], "profile is 'full'"),
        ([shard(1, 2, "a"), shard(2, 2, "b", python="3.11.0")], "python"),
        ([shard(1, 2, "a"), shard(2, 2, "b", shard=None)], "2.jsonl is a whole run"),
        (
            [
                shard(1, 2, "a"),
                replace(
                    shard(2, 2, "b"),
                    cells=(CellRun(CELL, True, "8.0.9", "Valkey 8.1.8"),),
                ),
            ],
            "client of rq/redis-py",
        ),
        (
            [
                shard(1, 2, "a"),
                replace(
                    shard(2, 2, "b"),
                    suites=(replace(shard(2, 2, "b").suites[0], version="2.9"),),
                ),
            ],
            "suite rq",
        ),
    ],
)
def test_what_are_no_shards_of_one_run(runs: list[Run], says: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        merge(runs)
    assert says in caught.value.found
