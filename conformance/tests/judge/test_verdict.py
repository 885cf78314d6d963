"""The judge is total and its table says what the design says, over the whole domain."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from slotproof.judge.verdict import RULES, Case, Seen, Verdict, judge, render_rules
from slotproof.model import Topology

BROKEN = {Seen.FAIL, Seen.HUNG}


def domain() -> list[Case]:
    """Every combination there is."""
    bools = (False, True)
    return [
        Case(t, c, s, x, ct, xt, f)
        for t, c, s, x, ct, xt, f in product(Topology, Seen, Seen, Seen, bools, bools, bools)
        if t is Topology.CLUSTER or s is c
    ]


DOMAIN = domain()


def only(verdict: Verdict) -> list[Case]:
    """The part of the domain that gets ``verdict``."""
    return [c for c in DOMAIN if judge(c).verdict is verdict]


def test_the_judge_is_total_and_every_rule_is_needed() -> None:
    assert {id(judge(case)) for case in DOMAIN} == {id(rule) for rule in RULES}


def test_pass_needs_both_passes_and_a_touch_where_the_control_touched() -> None:
    for case in only(Verdict.PASS):
        assert case.subject is Seen.PASS
        assert case.control is Seen.PASS
        assert case.subject_touched or not case.control_touched
        assert not case.foreign


def test_adapter_is_blamed_only_where_the_control_passes() -> None:
    for case in only(Verdict.ADAPTER):
        assert case.control is Seen.PASS
        assert case.subject in {Seen.FAIL, Seen.FLAKY}


def test_every_failure_where_the_control_passes_is_the_clients_or_lost() -> None:
    for case in DOMAIN:
        unsure = case.subject in {Seen.PASS, Seen.ENVIRONMENT, Seen.NONE} or case.foreign
        if case.control is Seen.PASS and not unsure:
            assert judge(case).verdict in {Verdict.ADAPTER, Verdict.LOST}


def test_lost_is_what_the_control_ran_and_the_subject_did_not_finish() -> None:
    for case in only(Verdict.LOST):
        vanished = case.control is Seen.LOST
        dropped = case.control is Seen.PASS and case.subject in {Seen.SKIP, Seen.HUNG, Seen.LOST}
        assert vanished or dropped


def test_gain_is_a_pass_where_the_control_fails() -> None:
    for case in only(Verdict.GAIN):
        assert (case.subject, case.control in BROKEN) == (Seen.PASS, True)


def test_topology_is_only_ever_said_on_a_cluster_and_never_against_a_failing_standalone() -> None:
    for case in only(Verdict.TOPOLOGY):
        assert case.topology is Topology.CLUSTER
        assert case.standalone not in BROKEN | {Seen.FLAKY}
        assert case.control in BROKEN
        assert case.subject is not Seen.PASS


def test_upstream_fails_in_the_standalone_control_too() -> None:
    for case in only(Verdict.UPSTREAM):
        assert case.standalone in BROKEN
        assert case.subject is not Seen.PASS


def test_a_foreign_connection_is_never_excused_by_an_outcome() -> None:
    ran = {Seen.ENVIRONMENT, Seen.NONE}
    for case in DOMAIN:
        if case.foreign and case.subject not in ran:
            assert judge(case).verdict is Verdict.BYPASSED


def test_flaky_needs_somebody_who_changes_on_re_run() -> None:
    for case in only(Verdict.FLAKY):
        assert Seen.FLAKY in {case.control, case.standalone, case.subject}


def test_a_missing_column_is_never_a_pass() -> None:
    for case in DOMAIN:
        if Seen.NONE in {case.subject, case.control} and not case.foreign:
            assert judge(case).verdict is Verdict.ENVIRONMENT


@pytest.mark.parametrize(
    ("control", "standalone", "subject", "verdict"),
    [
        (Seen.FAIL, Seen.PASS, Seen.FAIL, Verdict.TOPOLOGY),
        (Seen.FAIL, Seen.FAIL, Seen.FAIL, Verdict.UPSTREAM),
        (Seen.FAIL, Seen.PASS, Seen.PASS, Verdict.GAIN),
        (Seen.PASS, Seen.FAIL, Seen.FAIL, Verdict.ADAPTER),
        (Seen.SKIP, Seen.PASS, Seen.FAIL, Verdict.SKIPPED),
        (Seen.FLAKY, Seen.PASS, Seen.PASS, Verdict.FLAKY),
        (Seen.HUNG, Seen.NONE, Seen.HUNG, Verdict.TOPOLOGY),
    ],
)
def test_examples_on_a_cluster(
    control: Seen, standalone: Seen, subject: Seen, verdict: Verdict
) -> None:
    assert judge(Case(Topology.CLUSTER, control, standalone, subject)).verdict is verdict


def test_the_rendered_table_has_every_rule_and_every_combination() -> None:
    text = render_rules()
    assert all(rule.when in text for rule in RULES)
    assert text.count("\n| ") >= 2 * len(Seen) ** 2


def test_the_published_table_is_the_one_that_judges() -> None:
    published = Path(__file__).parents[3] / "docs" / "verdicts.md"
    assert render_rules() in published.read_text(encoding="utf-8")
