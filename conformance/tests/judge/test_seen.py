"""Attempts are summed up without hiding a failure or inventing one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slotproof.judge.seen import seen
from slotproof.judge.verdict import Seen
from slotproof.model import CellId, Observation, Outcome, Topology

CELL = CellId("suite", "client", Topology.CLUSTER, "server")


def attempts(*outcomes: Outcome) -> list[Observation]:
    return [Observation(CELL, "t", n, o) for n, o in enumerate(outcomes)]


def test_no_attempt_is_none() -> None:
    assert seen([]) is Seen.NONE


def test_a_server_lost_once_is_forgiven_when_the_re_run_tells() -> None:
    assert seen(attempts(Outcome.SERVER_LOST, Outcome.PASSED)) is Seen.PASS
    assert seen(attempts(Outcome.SERVER_LOST, Outcome.FAILED)) is Seen.FAIL
    assert seen(attempts(Outcome.SERVER_LOST)) is Seen.ENVIRONMENT


def test_a_test_that_brings_the_server_down_each_time_has_failed() -> None:
    assert seen(attempts(Outcome.SERVER_LOST, Outcome.SERVER_LOST)) is Seen.FAIL


def test_an_expected_failure_is_a_failure() -> None:
    assert seen(attempts(Outcome.XFAILED)) is Seen.FAIL
    assert seen(attempts(Outcome.XPASSED)) is Seen.PASS


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=4))
def test_pass_and_failure_together_are_flaky_and_pass_alone_needs_every_telling_attempt(
    outcomes: list[Outcome],
) -> None:
    silent = {Outcome.SERVER_LOST, Outcome.NOT_RUN}
    good = {Outcome.PASSED, Outcome.XPASSED}
    telling = [o for o in outcomes if o not in silent]
    result = seen(attempts(*outcomes))
    if telling and all(o in good for o in telling):
        assert result is Seen.PASS
    elif any(o in good for o in telling):
        assert result is Seen.FLAKY
    else:
        assert result not in {Seen.PASS, Seen.FLAKY}
