"""The matrix: what is counted where, and what a column is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slotproof.judge.matrix import CellVerdicts, Matrix, Ratio, build
from slotproof.judge.verdict import Verdict
from slotproof.model import (
    CellId,
    CellRun,
    Connect,
    Kind,
    LockedTest,
    Observation,
    Outcome,
    Run,
    SuiteRun,
    Topology,
)

BOTH = frozenset(Topology)
CONTROL = CellId("s", "control", Topology.CLUSTER, "valkey-8.1")
SINGLE = replace(CONTROL, topology=Topology.STANDALONE)
SUBJECT = replace(CONTROL, client="subject")
Outcomes = Mapping[str, tuple[Outcome, bool]]
PASS, FAIL = Outcome.PASSED, Outcome.FAILED


def judged(columns: Mapping[CellId, Outcomes], **more: Observation) -> dict[CellId, CellVerdicts]:
    """Judge columns of test -> (outcome, touched), all of one row."""
    (row,) = judged_rows(columns, **more).rows
    return {cell.cell: cell for cell in row.cells}


def judged_rows(columns: Mapping[CellId, Outcomes], **more: Observation) -> Matrix:
    """Judge columns of test -> (outcome, touched)."""
    ids = sorted({test for outcomes in columns.values() for test in outcomes})
    tests = tuple(LockedTest(t, Kind.BLACK_BOX, BOTH, 0.1) for t in ids)
    observations = [
        more.get(f"{cell.client}_{test}")
        or Observation(cell, test, 0, outcome, touches={"get": 1} if touched else {"hello": 1})
        for cell, outcomes in columns.items()
        for test, (outcome, touched) in outcomes.items()
    ]
    run = Run(
        header={},
        suites=(SuiteRun("s", "1", "S", "row", "MIT", tests),),
        cells=tuple(CellRun(c, c.client == "control", complete=True) for c in columns),
        observations=tuple(observations),
    )
    return build(run)


def test_proved_counts_touched_tests_and_offline_the_others() -> None:
    control = {"a": (PASS, True), "b": (PASS, True), "c": (PASS, False), "d": (FAIL, True)}
    subject = {"a": (PASS, True), "b": (FAIL, True), "c": (PASS, False), "d": (PASS, True)}
    cell = judged({CONTROL: control, SUBJECT: subject})[SUBJECT]
    assert cell.proved == Ratio(1, 2)
    assert cell.offline == {Kind.BLACK_BOX: Ratio(1, 1)}
    assert cell.counts[Verdict.GAIN] == 1


def test_a_pass_that_touched_nothing_where_the_control_did_is_not_proved() -> None:
    cell = judged({CONTROL: {"a": (PASS, True)}, SUBJECT: {"a": (PASS, False)}})[SUBJECT]
    assert cell.proved == Ratio(0, 1)
    assert cell.tests["a"].verdict is Verdict.BYPASSED


def test_the_standalone_control_tells_topology_from_upstream() -> None:
    cells = judged(
        {
            SINGLE: {"a": (PASS, True), "b": (FAIL, True)},
            CONTROL: {"a": (FAIL, True), "b": (FAIL, True)},
            SUBJECT: {"a": (FAIL, True), "b": (FAIL, True)},
        }
    )
    for column in (CONTROL, SUBJECT):
        verdicts = {t: j.verdict for t, j in cells[column].tests.items()}
        assert verdicts == {"a": Verdict.TOPOLOGY, "b": Verdict.UPSTREAM}


def test_without_its_control_a_column_claims_nothing() -> None:
    cell = judged({SUBJECT: {"a": (PASS, True)}})[SUBJECT]
    assert cell.tests["a"].verdict is Verdict.ENVIRONMENT
    assert str(cell.proved) == "–"


def test_a_control_of_another_server_is_no_control() -> None:
    other = replace(CONTROL, server="redis-8.2")
    cell = judged({other: {"a": (PASS, True)}, SUBJECT: {"a": (PASS, True)}})[SUBJECT]
    assert cell.tests["a"].verdict is Verdict.ENVIRONMENT


def test_a_control_in_another_variant_is_no_control() -> None:
    other = replace(CONTROL, variant="resp2")
    matrix = judged_rows(
        {other: {"a": (FAIL, True)}, CONTROL: {"a": (PASS, True)}, SUBJECT: {"a": (FAIL, True)}}
    )
    assert [(row.variant, row.name, row.title) for row in matrix.rows] == [
        ("default", "s", "S"),
        ("resp2", "s/resp2", "S, resp2"),
    ]
    first, second = ({c.cell: c for c in row.cells} for row in matrix.rows)
    assert set(first) == {CONTROL, SUBJECT}
    assert first[SUBJECT].tests["a"].verdict is Verdict.ADAPTER
    assert set(second) == {other}
    # There is no standalone control in that variant, so nothing says that upstream fails it there.
    assert second[other].tests["a"].verdict is Verdict.TOPOLOGY


def test_connections_that_the_test_itself_opens_are_not_the_clients() -> None:
    own = Connect("127.0.0.1:1", "tests.test_a", "tests/test_a.py", 1, reached=True)
    beside = Connect("127.0.0.1:1", "client.other", "client/other.py", 7, reached=True)
    columns = {CONTROL: {"a": (PASS, True)}, SUBJECT: {"a": (PASS, True)}}
    usual = Observation(CONTROL, "a", 0, PASS, touches={"get": 1}, connects=(own,))
    same = replace(usual, cell=SUBJECT)
    more = replace(usual, cell=SUBJECT, connects=(own, beside))
    assert judged(columns, control_a=usual, subject_a=same)[SUBJECT].counts[Verdict.PASS] == 1
    bypassed = judged(columns, control_a=usual, subject_a=more)[SUBJECT].tests["a"]
    assert bypassed.verdict is Verdict.BYPASSED
    assert bypassed.foreign == (beside,)
    assert "client/other.py:7" in bypassed.reason


def test_an_address_that_the_test_gives_to_its_client_is_not_the_clients_idea() -> None:
    there = Connect("127.0.0.1:9999", "redis.connection", "r.py", 1, reached=False)
    columns = {CONTROL: {"a": (PASS, False)}, SUBJECT: {"a": (PASS, False)}}
    usual = Observation(CONTROL, "a", 0, PASS, connects=(there,))
    by_another_client = replace(usual, cell=SUBJECT, connects=(replace(there, module="other"),))
    cell = judged(columns, control_a=usual, subject_a=by_another_client)[SUBJECT]
    assert cell.tests["a"].verdict is Verdict.PASS
    elsewhere = replace(there, module="other", address="127.0.0.1:9998")
    astray = replace(usual, cell=SUBJECT, connects=(elsewhere,))
    cell = judged(columns, control_a=usual, subject_a=astray)[SUBJECT]
    assert cell.tests["a"].verdict is Verdict.BYPASSED


def test_what_the_controls_client_did_outside_excuses_no_connection_to_the_cells_servers() -> None:
    """A native client that falls back on redis-py's connections connects from the same module."""
    there = Connect("127.0.0.1:9999", "redis.connection", "r.py", 1, reached=False)
    columns = {CONTROL: {"a": (PASS, True)}, SUBJECT: {"a": (PASS, True)}}
    usual = Observation(CONTROL, "a", 0, PASS, touches={"get": 1}, connects=(there,))
    fallen_back = replace(there, address="127.0.0.1:6379", reached=True)
    subject = replace(usual, cell=SUBJECT, connects=(there, fallen_back))
    judgement = judged(columns, control_a=usual, subject_a=subject)[SUBJECT].tests["a"]
    assert judgement.verdict is Verdict.BYPASSED
    assert judgement.foreign == (fallen_back,)


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_only_all_of_all_is_a_hundred_percent(passed: int, of: int) -> None:
    ratio = Ratio(min(passed, of), of)
    assert (str(ratio) == "100.0 %") is (ratio.passed == of)


def test_a_ratio_of_nothing_is_a_dash() -> None:
    assert str(Ratio(0, 0)) == "–"
    assert Ratio(0, 0).value is None


@pytest.mark.parametrize("topology", Topology)
def test_a_test_is_judged_only_where_it_is_locked(topology: Topology) -> None:
    tests = (LockedTest("a", Kind.MOCK, frozenset({topology}), 0.1),)
    cells = [CONTROL, SINGLE]
    run = Run(
        {},
        (SuiteRun("s", "1", "S", "row", "MIT", tests),),
        tuple(CellRun(c, control=True, complete=True) for c in cells),
        (),
    )
    for cell in build(run).rows[0].cells:
        assert list(cell.tests) == (["a"] if cell.cell.topology is topology else [])
