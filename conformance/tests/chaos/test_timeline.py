"""What follows from what a writer saw."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from slotproof.chaos.timeline import (
    Ack,
    Outage,
    Shown,
    Timeline,
    count_of_most,
    in_most,
    longest_gap,
    recovery,
    steady,
    summed_up,
)

KILLED = Outage(fault=10.0, served=11.0, ended=20.0)
FROZEN = Outage(fault=10.0, served=11.0, ended=20.0, healed=18.0)
MIGRATED = Outage(fault=10.0, served=11.0, ended=20.0, interrupts=False)
UNTIL_THE_END = tuple(16.0 + n / 2 for n in range(9))
CUT_OFF = Outage(fault=10.0, served=13.1, ended=20.0, healed=13.0)


def acks(*times: tuple[float, float]) -> tuple[Ack, ...]:
    """(sent, acknowledged) each, in order."""
    return tuple(Ack(number, sent, at) for number, (sent, at) in enumerate(times))


def written(*moments: float) -> tuple[Ack, ...]:
    """Acknowledgements of writes sent a moment before."""
    return acks(*((at - 0.001, at) for at in moments))


@st.composite
def timelines(draw: st.DrawFn) -> tuple[tuple[Ack, ...], Outage]:
    """One writer's acknowledgements, one after the other, and an outage among them."""
    steps = draw(st.lists(st.integers(1, 400), min_size=0, max_size=60))
    pauses = draw(st.lists(st.integers(0, 300), min_size=len(steps), max_size=len(steps)))
    now, found = 0.0, []
    for number, (step, pause) in enumerate(zip(steps, pauses, strict=True)):
        sent = now + pause / 100
        now = sent + step / 100
        found.append(Ack(number, sent, now))
    fault = draw(st.integers(0, 4000)) / 100
    served = fault + draw(st.integers(0, 2000)) / 100
    ended = served + draw(st.integers(0, 4000)) / 100
    healed = draw(st.none() | st.integers(0, 100).map(lambda p: fault + (ended - fault) * p / 100))
    return tuple(found), Outage(fault, served, ended, healed, draw(st.booleans()))


def test_the_gap_of_a_writer_that_comes_back() -> None:
    assert longest_gap(written(9.0, 9.9, 11.2, 11.3, 19.9), replace(KILLED, ended=12)) == (
        pytest.approx(1.3)
    )


def test_a_second_gap_counts_when_it_is_longer() -> None:
    assert longest_gap(written(9.9, 11.2, 15.0, 20.0), KILLED) == pytest.approx(5.0)


def test_a_gap_before_the_fault_does_not_count() -> None:
    assert longest_gap(written(1.0, 9.9, 10.1, 19.0, 20.0), KILLED) == pytest.approx(8.9)
    assert longest_gap(written(1.0, 9.9, 10.1), replace(KILLED, ended=10.2)) == pytest.approx(0.2)


def test_a_writer_that_never_comes_back_has_a_gap_to_the_end() -> None:
    assert longest_gap(written(9.5), KILLED) == pytest.approx(10.5)
    assert longest_gap((), KILLED) == pytest.approx(10.0)


@given(timelines())
def test_the_gap_is_the_longest_hole(case: tuple[tuple[Ack, ...], Outage]) -> None:
    found, outage = case
    assume(outage.ended > outage.fault)
    gap = longest_gap(found, outage)
    edges = [a.at for a in found if a.at <= outage.ended]
    holes = [b - a for a, b in pairwise([*edges, outage.ended]) if b > outage.fault]
    if any(at <= outage.fault for at in edges):
        assert gap == pytest.approx(max(holes, default=0))
    else:
        assert gap >= max(holes, default=0)


@given(timelines(), st.data())
def test_one_more_acknowledgement_never_makes_the_gap_longer(
    case: tuple[tuple[Ack, ...], Outage], data: st.DataObject
) -> None:
    found, outage = case
    at = data.draw(st.floats(outage.fault, outage.ended))
    more = (*found, Ack(len(found), at, at))
    assert longest_gap(more, outage) <= longest_gap(found, outage)


def test_a_reply_under_way_when_the_fault_strikes_is_no_recovery() -> None:
    found = acks((9.999, 10.0005), (11.3, 11.4))
    assert recovery(found, KILLED) == found[1]


def test_the_write_in_flight_that_the_client_repeats_is_the_recovery() -> None:
    found = acks((9.999, 11.1), (11.2, 11.3))
    assert recovery(found, KILLED) == found[0]


def test_being_quicker_than_the_probe_is_a_recovery() -> None:
    found = acks((10.5, 10.998), (11.2, 11.3))
    assert recovery(found, KILLED) == found[0]


def test_a_woken_primary_is_no_recovery() -> None:
    found = acks((9.0, 9.5), (9.6, 18.1), (18.2, 18.3))
    assert recovery(found, FROZEN) is None
    assert recovery(found, KILLED) is not None


def test_servers_that_answer_again_are_one() -> None:
    found = acks((9.9, 13.05), (13.06, 13.2))
    assert recovery(found, CUT_OFF) == found[1]


def test_after_a_migration_only_what_was_sent_later_counts() -> None:
    found = acks((9.9, 10.1), (10.5, 10.9), (10.95, 11.1), (11.2, 11.3))
    assert recovery(found, MIGRATED) == found[3]


@given(timelines())
def test_the_recovery_is_the_first_that_counts(case: tuple[tuple[Ack, ...], Outage]) -> None:
    found, outage = case
    back = recovery(found, outage)
    if back is None:
        late = [a for a in found if outage.fault <= a.sent and outage.served <= a.sent]
        assert all(a.at > outage.deadline or a.at <= outage.fault for a in late)
    else:
        assert outage.fault < back.at <= outage.deadline
        earlier = [a for a in found if a.at < back.at and a.at > outage.fault]
        assert recovery(earlier, outage) is None


def test_what_was_acknowledged_and_is_not_there_is_lost() -> None:
    found = written(9.0, 9.5, 11.5, 12.0)
    seen = summed_up(Timeline(found), KILLED, {0: 1, 1: 0, 2: 1})
    assert (seen.acknowledged, seen.lost, seen.lost_early, seen.twice) == (4, 2, 1, 0)


def test_what_was_never_acknowledged_cannot_be_lost() -> None:
    error = Shown(1, 10.1, 10.2, "redis.exceptions.ConnectionError", "reset", True)
    timeline = Timeline((*written(9.0), Ack(2, 11.2, 11.3)), (error,))
    assert summed_up(timeline, KILLED, {0: 1, 1: 0, 2: 1}).lost == 0


def test_what_was_applied_twice_counts_acknowledged_or_not() -> None:
    seen = summed_up(Timeline(written(9.0, 11.5)), KILLED, {0: 1, 1: 2, 2: 3})
    assert (seen.lost, seen.twice) == (0, 2)


def test_errors_before_the_fault_are_not_its_doing() -> None:
    errors = tuple(Shown(n, at, at, "E", "") for n, at in enumerate((9.0, 10.5, 19.0)))
    seen = summed_up(Timeline(written(11.5), errors), KILLED, {0: 1})
    assert [error.at for error in seen.errors] == [10.5, 19.0]


def test_the_delay_runs_from_the_promotion() -> None:
    seen = summed_up(Timeline(written(9.0, 11.25, *UNTIL_THE_END)), KILLED, {})
    assert seen.back
    assert seen.delay == pytest.approx(0.25)


def test_who_never_comes_back_has_at_least_the_time_that_was_waited() -> None:
    killed = summed_up(Timeline(written(9.0)), KILLED, {0: 1})
    assert (killed.back, killed.delay) == (False, 9.0)
    frozen = summed_up(Timeline(written(9.0, 18.5)), FROZEN, {0: 1, 1: 1})
    assert (frozen.back, frozen.delay) == (False, 7.0)


def test_a_migration_has_no_delay() -> None:
    seen = summed_up(Timeline(written(9.0, 10.5, 11.5, *UNTIL_THE_END)), MIGRATED, {})
    assert seen.back
    assert seen.delay is None


@pytest.mark.parametrize(
    ("moments", "is_steady"),
    [
        (UNTIL_THE_END, True),
        ((17.4, 18.8), True),
        ((16.1, 17.7, 19.0), False),
        ((18.0,), False),
        ((16.0, 17.0), False),
        ((18.0, 20.0), False),
        ((15.0, 25.0), False),
        ((), False),
    ],
)
def test_steady_is_without_a_hole_to_the_end(moments: tuple[float, ...], is_steady: bool) -> None:
    assert steady(written(*moments), 20.0) is is_steady


def test_a_write_now_and_then_is_no_recovery() -> None:
    stuck = Timeline(written(9.0, 14.0, 19.0))
    assert recovery(stuck.acks, KILLED) == stuck.acks[1]
    seen = summed_up(stuck, KILLED, {})
    assert (seen.back, seen.delay) == (False, 9.0)


def test_who_died_is_not_back() -> None:
    seen = summed_up(Timeline(written(9.0, 11.25, *UNTIL_THE_END), died=True), KILLED, {})
    assert (seen.back, seen.died) == (False, True)


@given(timelines())
def test_whoever_is_back_wrote_at_the_end(case: tuple[tuple[Ack, ...], Outage]) -> None:
    found, outage = case
    if summed_up(Timeline(found), outage, {}).back:
        assert recovery(found, outage) is not None
        assert any(outage.deadline - 2 <= ack.at <= outage.deadline for ack in found)


@given(st.sets(st.integers(0, 50)), st.dictionaries(st.integers(0, 50), st.integers(0, 3)))
def test_lost_are_the_acknowledged_that_are_not_stored(
    acknowledged: set[int], stored: dict[int, int]
) -> None:
    timeline = Timeline(tuple(Ack(n, n, n) for n in sorted(acknowledged)))
    seen = summed_up(timeline, KILLED, stored)
    there = {number for number, count in stored.items() if count}
    assert seen.lost == len(acknowledged - there)
    assert 0 <= seen.lost_early <= seen.lost
    assert seen.twice == sum(count > 1 for count in stored.values())


@pytest.mark.parametrize(("of", "most"), [(1, 1), (5, 5), (19, 19), (20, 19), (40, 38), (100, 95)])
def test_most_of_twenty_are_nineteen(of: int, most: int) -> None:
    assert count_of_most(of) == most
    assert in_most(range(1, of + 1)) == most


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_most_values_are_within_and_no_smaller_one_does(values: list[float]) -> None:
    bound = in_most(values)
    assert bound in values
    assert sum(v <= bound for v in values) * 20 >= 19 * len(values)
    assert sum(v < bound for v in values) * 20 < 19 * len(values)


def test_no_values_have_no_quantile() -> None:
    with pytest.raises(ValueError, match="no values"):
        in_most([])
