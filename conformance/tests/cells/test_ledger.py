"""The ledger: every test gets an outcome or stays named; re-runs go to non-passes only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slotproof.cells.ledger import RETRIED, Ledger
from slotproof.model import Outcome


def test_what_passed_is_not_run_again() -> None:
    ledger = Ledger(("a", "b", "c"), reruns=1)
    ledger.record("a", Outcome.PASSED)
    ledger.record("b", Outcome.FAILED)
    assert ledger.remaining() == ("c",)
    ledger.record("c", Outcome.SKIPPED)
    assert ledger.next_round()
    assert ledger.remaining() == ("b",)
    assert ledger.record("b", Outcome.PASSED) == 1
    assert not ledger.next_round()


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.sampled_from(Outcome), max_size=8),
    st.integers(0, 3),
)
def test_the_rounds_end_and_repeat_only_what_never_passed(
    outcomes: dict[str, Outcome], reruns: int
) -> None:
    ledger = Ledger(tuple(outcomes), reruns)
    more = bool(ledger.remaining())
    while more:
        for test in ledger.remaining():
            ledger.record(test, outcomes[test])
        more = ledger.next_round()
    for test, outcome in outcomes.items():
        assert len(ledger.outcomes[test]) == (1 + reruns if outcome in RETRIED else 1)


def test_a_resumed_lane_goes_on_where_it_stopped() -> None:
    ledger = Ledger(("a", "b"), reruns=1, outcomes={"a": [Outcome.FAILED]})
    assert ledger.remaining() == ("b",)
    ledger.record("b", Outcome.PASSED)
    assert ledger.next_round()
    assert ledger.remaining() == ("a",)
