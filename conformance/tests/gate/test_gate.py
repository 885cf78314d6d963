"""The gate holds exactly when every failure is expected and every expectation is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

import pytest

from slotproof.errors import Exit
from slotproof.gate.expectations import Expectation
from slotproof.gate.gate import Fault, GateResult, evaluate
from slotproof.judge.matrix import build
from slotproof.judge.verdict import Verdict
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

TODAY = date(2030, 6, 1)
CONTROL = CellId("s", "control", Topology.STANDALONE, "valkey-8.1")
SUBJECT = replace(CONTROL, client="subject")
GET = {"get": 1}


def a_run(
    control: Mapping[str, Outcome], subject: Mapping[str, Outcome], *, profile: str = "full"
) -> Run:
    """Every test touches a server in both columns."""
    tests = tuple(
        LockedTest(t, Kind.BLACK_BOX, frozenset({Topology.STANDALONE}), 0.1)
        for t in sorted({*control, *subject})
    )
    observations = [
        Observation(cell, test, 0, outcome, touches=GET)
        for cell, outcomes in ((CONTROL, control), (SUBJECT, subject))
        for test, outcome in outcomes.items()
    ]
    return Run(
        header={"profile": profile},
        suites=(SuiteRun("s", "1", "S", "row", "MIT", tests),),
        cells=(CellRun(CONTROL, True, complete=True), CellRun(SUBJECT, False, complete=True)),
        observations=tuple(observations),
    )


def expect(*tests: str, verdicts: Iterable[Verdict] = (Verdict.ADAPTER,)) -> Expectation:
    return Expectation(
        "e.toml", 1, "subject", None, None, frozenset(verdicts), "known", "link", None, tests
    )


def gate(run: Run, *entries: Expectation) -> GateResult:
    return evaluate(run, build(run), {"s": entries}, TODAY)


def test_an_entry_of_all_variants_is_needed_as_long_as_one_needs_it() -> None:
    run = a_run(GOOD, GOOD | {"b": Outcome.FAILED})
    other = a_run(GOOD, GOOD)
    both = replace(
        run,
        cells=run.cells + tuple(replace(c, cell=_second(c.cell)) for c in other.cells),
        observations=run.observations
        + tuple(replace(o, cell=_second(o.cell)) for o in other.observations),
    )
    assert len(build(both).rows) == 2
    assert gate(both, expect("b")).exit_code is Exit.HELD
    result = gate(both, replace(expect("b"), variants=frozenset({"second"})))
    assert sorted(faults(result)) == sorted([Fault.REGRESSION, Fault.IMPROVED])
    assert faults(gate(both, expect("a", "b"))) == [Fault.IMPROVED]
    assert faults(gate(both, expect("b"), expect("z"))) == [Fault.DEAD]


def _second(cell: CellId) -> CellId:
    return replace(cell, variant="second")


def faults(result: GateResult) -> list[Fault]:
    return [p.fault for p in result.problems]


GOOD = {"a": Outcome.PASSED, "b": Outcome.PASSED}


def test_a_clean_run_holds() -> None:
    result = gate(a_run(GOOD, GOOD))
    assert result.exit_code is Exit.HELD


def test_a_new_failure_is_named_with_cell_and_test() -> None:
    result = gate(a_run(GOOD, GOOD | {"b": Outcome.FAILED}))
    (problem,) = result.problems
    assert (problem.fault, problem.cell, problem.test) == (Fault.REGRESSION, SUBJECT, "b")
    assert result.exit_code is Exit.REGRESSION


def test_an_expected_failure_holds() -> None:
    run = a_run(GOOD, GOOD | {"b": Outcome.FAILED})
    result = gate(run, expect("b"))
    assert result.exit_code is Exit.HELD
    assert sum(result.expected.values()) == 1


def test_an_expected_failure_of_another_kind_does_not_hold() -> None:
    run = a_run(GOOD, GOOD | {"b": Outcome.HUNG})
    assert Fault.REGRESSION in faults(gate(run, expect("b")))


def test_a_vanished_id_has_its_own_message() -> None:
    run = a_run(GOOD, GOOD | {"b": Outcome.NOT_COLLECTED})
    assert faults(gate(run)) == [Fault.VANISHED]


def test_an_improvement_must_be_written_down() -> None:
    assert faults(gate(a_run(GOOD, GOOD), expect("b"))) == [Fault.IMPROVED]


def test_an_intermittent_failure_may_pass() -> None:
    known = expect("b", verdicts=(Verdict.ADAPTER, Verdict.PASS))
    assert gate(a_run(GOOD, GOOD), known).exit_code is Exit.HELD


def test_an_entry_for_no_test_at_all_is_dead_in_a_full_run_only() -> None:
    assert faults(gate(a_run(GOOD, GOOD), expect("renamed"))) == [Fault.DEAD]
    assert faults(gate(a_run(GOOD, GOOD, profile="quick"), expect("renamed"))) == []


def test_an_entry_of_another_client_is_left_alone() -> None:
    other = replace(expect("renamed"), client="not in this run")
    assert gate(a_run(GOOD, GOOD), other).exit_code is Exit.HELD


def test_an_expired_entry_fails_the_gate() -> None:
    run = a_run(GOOD, GOOD | {"b": Outcome.FAILED})
    assert faults(gate(run, replace(expect("b"), expires=TODAY))) == [Fault.EXPIRED]


def test_what_was_not_run_cannot_be_judged_and_is_no_regression() -> None:
    run = a_run(GOOD, {"a": Outcome.PASSED})
    result = gate(run)
    assert faults(result) == [Fault.ENVIRONMENT]
    assert result.exit_code is Exit.ENVIRONMENT


def test_a_sick_primary_fails_the_gate() -> None:
    run = a_run(GOOD, GOOD)
    sick = replace(run.cells[1], canary=("127.0.0.1:7000",))
    result = gate(replace(run, cells=(run.cells[0], sick)))
    assert faults(result) == [Fault.CANARY]


@pytest.mark.parametrize("problem", ["no footer", "checksum"])
def test_a_run_that_is_not_whole_does_not_hold(problem: str) -> None:
    run = replace(a_run(GOOD, GOOD), problems=(problem,))
    assert gate(run).exit_code is Exit.ENVIRONMENT
