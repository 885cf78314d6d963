"""Keys and values: all over the slots, and no two alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slotproof.bench.foreign.slotproof_bench_worker import workload
from slotproof.bench.foreign.slotproof_bench_worker.subject import Place
from slotproof.servers.formation import slot_ranges
from slotproof.servers.state import slot_of

SIZES = (10, 1024, 102400)
PLACE = Place((("a", 1), ("b", 2), ("c", 3)), None)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFF), st.integers(10, 5000))
def test_a_value_has_its_size_and_names_key_and_sample(index: int, nonce: int, size: int) -> None:
    value = workload.value(index, nonce, size)
    assert len(value) == size
    assert (int(value[:4], 16), int(value[4:10], 16)) == (index, nonce)
    assert value[-10:] in value[:10] * 3


def test_a_value_too_small_to_tell_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 10 bytes"):
        workload.value(0, 0, 9)


@pytest.mark.parametrize("size", SIZES)
def test_keys_lie_on_every_primary_and_no_two_values_are_alike(size: int) -> None:
    commands = [*workload.reads(size), *workload.writes(size, 7)]
    assert {PLACE.primary_of(c.key) for c in commands} == {0, 1, 2}
    assert len({c.key for c in commands}) == len(commands) == 2 * workload.KEYS
    assert len({c.value for c in commands}) == len(commands)


def test_slots_and_owners_are_those_of_the_servers() -> None:
    ranges = slot_ranges(3)
    for command in workload.reads(10):
        slot = workload.slot(command.key)
        assert slot == slot_of(command.key)
        low, high = ranges[PLACE.primary_of(command.key)]
        assert low <= slot <= high


@pytest.mark.parametrize("size", SIZES)
def test_a_batch_reads_and_writes_in_turn_over_all_primaries(size: int) -> None:
    batches = workload.batches(size, 3, 100)
    assert len(batches) == workload.BATCHES
    for batch in batches:
        assert [c.name for c in batch] == ["GET", "SET"] * 50
        assert {PLACE.primary_of(c.key) for c in batch} == {0, 1, 2}
    assert len({tuple(c.key for c in batch) for batch in batches}) == len(batches)


def test_the_first_batches_write_the_first_keys() -> None:
    """The check of what was written counts on it."""
    expected = [c.key for c in workload.writes(10, 1)]
    written = [c.key for b in workload.batches(10, 1, 100) for c in b if c.name == "SET"]
    assert written[:128] == expected


def test_each_thread_begins_elsewhere_with_the_same_items() -> None:
    commands = workload.reads(10)
    orders = [workload.turned(commands, lane) for lane in range(16)]
    assert len({order[0].key for order in orders}) == 16
    assert all(sorted(order) == sorted(commands) for order in orders)
