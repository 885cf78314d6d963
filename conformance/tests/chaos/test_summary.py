"""Outages held against the bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.outages import FINE, errors, observed

from slotproof import docs
from slotproof.chaos.scenarios import SCENARIOS
from slotproof.chaos.summary import BARS, Block, Held, error_kinds, hold
from slotproof.chaos.timeline import Seen


def held(
    subject: Sequence[Seen],
    scenario: str = "kill",
    *,
    control: Sequence[Seen] = (),
    server: str = "valkey-9.1",
) -> dict[str, Held]:
    """Hold a subject's outages against every bar; by the first words of their titles."""
    others = control or [replace(FINE, errors=errors(9))] * len(subject)
    outages = [observed(subject=s, redis_py=c) for s, c in zip(subject, others, strict=True)]
    block = Block(server, scenario, tuple(outages))
    found = hold([block], ["subject"], "redis-py")
    return {one.bar.title.split(",")[0]: one for one in found}


AGAIN = "acknowledges again after the promotion"
GAP = "gap between two acknowledgements"
ERRORS = "errors shown to the caller"
COMPARED = "errors shown for writes that may be repeated"
BACK = "outages after which it did not write steadily again by itself"
LOST = "writes acknowledged"


def test_who_is_fine_holds_every_bar() -> None:
    for scenario in SCENARIOS:
        seen = replace(FINE, delay=None) if scenario == "migrate" else FINE
        found = hold([Block("valkey-9.1", scenario, (observed(a=seen),) * 20)], ["a"], "a")
        assert found
        assert [one.title for one in found if one.held is not True] == []


def test_every_bar_belongs_to_a_scenario() -> None:
    assert {bar.scenario for bar in BARS} == set(SCENARIOS)


def test_the_page_on_chaos_names_every_bar_and_every_scenario() -> None:
    page = (docs.docs_dir() / "chaos.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    for bar in BARS:
        words = bar.title.split(", {")[0]
        found = hold([Block("valkey-9.1", bar.scenario, (observed(a=FINE),))], ["a"], "a")
        limit = next(one.limit for one in found if one.bar is bar)
        assert any(words in row and limit in row for row in rows), bar.title
    assert [name for name in SCENARIOS if f"| `{name}` | " not in page] == []


@pytest.mark.parametrize(("slow", "verdict"), [(1, "held"), (2, "missed")])
def test_one_of_twenty_may_be_late_after_a_kill(slow: int, verdict: str) -> None:
    late = replace(FINE, delay=5.0)
    one = held([late] * slow + [FINE] * (20 - slow))[AGAIN]
    assert (one.verdict, one.title) == (verdict, f"{AGAIN}, 19 of 20")


def test_none_of_twenty_may_be_late_after_a_freeze() -> None:
    late = replace(FINE, delay=1.5)
    one = held([late] + [FINE] * 19, "freeze")[AGAIN]
    assert (one.verdict, one.value, one.limit) == ("missed", 1.5, "≤ 1 s")


@pytest.mark.parametrize(
    ("server", "counts"),
    [
        ("valkey-8.1", False),
        ("valkey-9.0", False),
        ("valkey-9.1", True),
        ("valkey-10.0", True),
        ("redis-8.2", False),
    ],
)
def test_the_gap_counts_where_the_server_itself_is_quick_enough(server: str, counts: bool) -> None:
    found = held([replace(FINE, gap=1.0)] * 5, server=server)
    assert (GAP in found) is counts
    assert not counts or found[GAP].held is False


def test_the_median_gap_decides() -> None:
    assert held([replace(FINE, gap=9.0)] * 2 + [FINE] * 3)[GAP].held is True


@pytest.mark.parametrize("scenario", ["kill", "freeze"])
def test_one_error_an_outage_is_allowed_and_no_more(scenario: str) -> None:
    def most(seen: Sequence[Seen]) -> Held:
        others = [replace(FINE, errors=errors(9))] * len(seen)
        outages = [observed(subject=s, redis_py=c) for s, c in zip(seen, others, strict=True)]
        found = hold([Block("valkey-8.1", scenario, tuple(outages))], ["subject"], "redis-py")
        return next(one for one in found if "most in one" in one.title)

    assert most([replace(FINE, errors=errors(1))] * 5).held is True
    two = most([replace(FINE, errors=errors(2))] + [FINE] * 4)
    assert (two.held, two.value) == (False, 2.0)


def test_no_more_errors_than_the_control_in_the_same_outages() -> None:
    one = replace(FINE, errors=errors(1))
    more = held([one] * 2, control=[FINE, FINE])[COMPARED]
    assert (more.value, more.held) == (2.0, False)
    same = held([one, FINE], control=[FINE, one])[COMPARED]
    assert (same.value, same.held) == (0.0, True)


def test_an_error_for_what_must_not_be_repeated_is_not_compared() -> None:
    (error,) = errors(1)
    unknown = replace(FINE, errors=(replace(error, repeatable=False),))
    found = held([unknown] * 2, control=[FINE, FINE])
    assert (found[COMPARED].value, found[COMPARED].held) == (0.0, True)
    assert found[ERRORS].value == 1.0


def test_without_the_control_nothing_is_compared_and_nothing_is_held() -> None:
    found = hold([Block("valkey-8.1", "kill", (observed(a=FINE),))], ["a"], "redis-py")
    one = next(one for one in found if "redis-py" in one.title)
    assert (one.held, one.value, one.verdict) == (None, None, "not compared")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_whoever_does_not_come_back_or_loses_writes_misses(scenario: str) -> None:
    found = held([replace(FINE, back=False), replace(FINE, lost=2)] + [FINE] * 3, scenario)
    assert (found[BACK].value, found[BACK].held) == (1.0, False)
    assert (found[LOST].value, found[LOST].held) == (2.0, False)


def test_a_migration_shows_no_error_at_all() -> None:
    found = held([replace(FINE, delay=None, errors=errors(1))] + [FINE] * 4, "migrate")
    assert (found[ERRORS].value, found[ERRORS].held) == (1.0, False)


def test_who_took_no_part_is_not_held() -> None:
    block = Block("valkey-8.1", "kill", (observed(a=FINE),))
    assert hold([block], ["absent"], "a") == ()


def test_errors_are_of_one_kind_whatever_the_address() -> None:
    one = replace(FINE, errors=(*errors(3), *errors(1, "builtins.OSError")))
    column = Block("valkey-8.1", "kill", (observed(a=one), observed(a=FINE))).of("a")
    assert error_kinds(column) == {
        ("redis.exceptions.ConnectionError", "lost NODE"): 3,
        ("builtins.OSError", "lost NODE"): 1,
    }
