"""Quick sample, lanes and shards: deterministic, complete, in order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slotproof.errors import UsageProblem
from slotproof.model import Kind, LockedTest, Topology
from slotproof.suites.sampling import group, lanes, quick, shard

IDS = st.builds(
    lambda file, cls, name, params: "::".join(
        [f"tests/test_{file}.py", *([f"Test{cls}"] if cls else []), f"test_{name}{params}"]
    ),
    st.integers(0, 4),
    st.integers(0, 3),
    st.integers(0, 99),
    st.sampled_from(["", "[a]", "[a::b]", "[x[0]::y]"]),
)
TESTS = st.lists(
    st.builds(
        LockedTest,
        id=IDS,
        kind=st.just(Kind.BLACK_BOX),
        topologies=st.frozensets(st.sampled_from(Topology), min_size=1),
        seconds=st.floats(0, 40, allow_nan=False),
    ),
    unique_by=lambda test: test.id,
    max_size=60,
)
BUDGETS = st.floats(0.1, 200)
COUNTS = st.integers(1, 8)


def shuffled(tests: list[LockedTest]) -> list[LockedTest]:
    return random.Random(1).sample(tests, len(tests))


def in_order(part: tuple[LockedTest, ...], whole: list[LockedTest]) -> bool:
    rest = iter(whole)
    return all(test in rest for test in part)


@given(TESTS, st.sampled_from(Topology), BUDGETS)
def test_quick_is_an_ordered_sample_within_the_budget(
    tests: list[LockedTest], topology: Topology, seconds: float
) -> None:
    chosen = quick(tests, topology, seconds)
    assert sum(test.seconds for test in chosen) <= seconds * (1 + 1e-9)
    assert all(topology in test.topologies for test in chosen)
    assert in_order(chosen, tests)


@given(TESTS, st.sampled_from(Topology), BUDGETS)
def test_quick_depends_on_ids_alone(
    tests: list[LockedTest], topology: Topology, seconds: float
) -> None:
    chosen = {test.id for test in quick(tests, topology, seconds)}
    assert {test.id for test in quick(shuffled(tests), topology, seconds)} == chosen


@given(TESTS, st.sampled_from(Topology))
def test_a_budget_for_everything_takes_everything(
    tests: list[LockedTest], topology: Topology
) -> None:
    here = tuple(test for test in tests if topology in test.topologies)
    assert quick(tests, topology, sum(test.seconds for test in tests) + 1) == here


@given(TESTS, st.sampled_from(Topology), BUDGETS, st.floats(1, 10))
def test_a_larger_budget_keeps_the_short_tests_of_a_smaller_one(
    tests: list[LockedTest], topology: Topology, seconds: float, factor: float
) -> None:
    short = [test for test in tests if test.seconds <= seconds / 10]
    small = {test.id for test in quick(short, topology, seconds)}
    large = {test.id for test in quick(short, topology, seconds * factor)}
    assert small <= large


def locked(name: str, seconds: float) -> LockedTest:
    return LockedTest(name, Kind.BLACK_BOX, frozenset(Topology), seconds)


def test_one_long_test_does_not_end_the_sample() -> None:
    short = [locked(f"tests/a.py::test_{number}", 1.0) for number in range(50)]
    giant = [locked(f"tests/b.py::test_{number}", 1000.0) for number in range(50)]
    assert len(quick([*short, *giant], Topology.CLUSTER, 20.0)) == 20


def test_short_tests_are_not_preferred() -> None:
    half = [locked(f"tests/a.py::test_{number}", 0.0) for number in range(500)]
    rest = [locked(f"tests/b.py::test_{number}", 1.0) for number in range(500)]
    chosen = quick([*half, *rest], Topology.STANDALONE, 50.0)
    short = sum(test.seconds == 0.0 for test in chosen)
    assert 25 <= short <= 100
    assert len(chosen) - short == 50


@given(TESTS, COUNTS)
def test_lanes_partition_and_keep_groups_and_order(tests: list[LockedTest], count: int) -> None:
    parts = lanes(tests, count)
    assert len(parts) == count
    assert sorted(test.id for part in parts for test in part) == sorted(test.id for test in tests)
    assert all(in_order(part, tests) for part in parts)
    where = [{group(test.id) for test in part} for part in parts]
    assert sum(map(len, where)) == len({group(test.id) for test in tests})


@given(TESTS, COUNTS)
def test_lanes_depend_on_ids_and_durations_alone(tests: list[LockedTest], count: int) -> None:
    def ids(order: list[LockedTest]) -> list[set[str]]:
        return [{test.id for test in part} for part in lanes(order, count)]

    assert ids(shuffled(tests)) == ids(tests)


@given(TESTS, COUNTS)
def test_lanes_are_balanced(tests: list[LockedTest], count: int) -> None:
    groups: dict[tuple[str, str], float] = {}
    for test in tests:
        groups[group(test.id)] = groups.get(group(test.id), 0.0) + test.seconds + 0.01
    loads = [sum(test.seconds + 0.01 for test in part) for part in lanes(tests, count)]
    # The bound of longest-first scheduling: no lane exceeds the mean by more than one group.
    assert max(loads) <= sum(loads) / count + max(groups.values(), default=0.0) + 1e-6


@given(TESTS, COUNTS)
def test_shards_partition_for_every_count(tests: list[LockedTest], count: int) -> None:
    parts = [shard(tests, index, count) for index in range(1, count + 1)]
    assert sorted(test.id for part in parts for test in part) == sorted(test.id for test in tests)
    assert shard(tests, 1, 1) == tuple(tests)


@pytest.mark.parametrize(("index", "count"), [(0, 2), (3, 2), (-1, 1), (1, 0)])
def test_shards_that_do_not_exist(index: int, count: int) -> None:
    with pytest.raises(UsageProblem, match=f"{index}/{count}"):
        shard([], index, count)


def test_no_lanes() -> None:
    with pytest.raises(UsageProblem, match="0 lanes"):
        lanes([], 0)


@pytest.mark.parametrize(
    ("test_id", "expected"),
    [
        ("tests/a.py::test", ("tests/a.py", "")),
        ("tests/a.py::Test::test[x::y]", ("tests/a.py", "Test")),
        ("tests/a.py::Outer::Inner::test", ("tests/a.py", "Outer::Inner")),
        ("tests/a.py::test[Fake::x]", ("tests/a.py", "")),
        ("tests/a.txt", ("tests/a.txt", "")),
    ],
)
def test_group(test_id: str, expected: tuple[str, str]) -> None:
    assert group(test_id) == expected
