"""However a run ends: results so far are kept, the rest is named, nothing is left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from support.running import GONE_WITHIN_SECONDS, started, until

from slotproof.judge.matrix import build
from slotproof.judge.verdict import Verdict
from slotproof.model import Outcome
from slotproof.results.reader import read

pytestmark = [
    pytest.mark.servers,
    pytest.mark.namespaces,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

TESTS = 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("attempt", range(10))
def test_the_runner_is_ended(
    fixtures: Path, tmp_path: Path, number: signal.Signals, attempt: int
) -> None:
    with started(fixtures, tmp_path / "run") as run:
        # Not always at the same point of the run.
        run.wait_for_results(1 + 3 * attempt)
        assert run.children("-server")
        os.kill(run.process.pid, number)
        assert until(lambda: not run.alive(), GONE_WITHIN_SECONDS), run.alive()
        code = run.process.wait()
        kept = read(run.results)
    assert code == (-signal.SIGKILL if number is signal.SIGKILL else 130)
    assert len(kept.observations) >= 1 + 3 * attempt
    assert all(seen.outcome is Outcome.PASSED for seen in kept.observations)
    assert kept.problems
    (row,) = build(kept).rows
    (cell,) = row.cells
    not_run = [t for t, judged in cell.tests.items() if judged.verdict is Verdict.ENVIRONMENT]
    assert len(not_run) == TESTS - len(kept.observations)
    assert not list(Path("/tmp").glob("steady-suite*"))


def test_an_interrupted_run_is_resumed_to_the_same_matrix(fixtures: Path, tmp_path: Path) -> None:
    with started(fixtures, tmp_path / "whole") as run:
        assert run.process.wait() == 0
    whole = read(tmp_path / "whole" / "results.jsonl")
    with started(fixtures, tmp_path / "cut") as run:
        run.wait_for_results(10)
        os.kill(run.process.pid, signal.SIGKILL)
        run.process.wait()
        assert until(lambda: not run.alive(), GONE_WITHIN_SECONDS)
        kept = run.done()
    with started(fixtures, tmp_path / "cut", "--resume", str(tmp_path / "cut")) as run:
        assert run.process.wait() == 0, run.log.read_text(encoding="utf-8")
    resumed = read(tmp_path / "cut" / "results.jsonl")
    assert resumed.complete, resumed.problems
    assert 10 <= kept < TESTS
    one, other = (build(r).rows[0].cells[0] for r in (whole, resumed))
    assert (one.proved, one.offline, one.counts) == (other.proved, other.offline, other.counts)
    assert {t: j.verdict for t, j in one.tests.items()} == {
        t: j.verdict for t, j in other.tests.items()
    }
    assert all(len(j.observations) == 1 for j in other.tests.values())


def test_a_server_killed_in_mid_run_is_replaced_and_named(fixtures: Path, tmp_path: Path) -> None:
    with started(fixtures, tmp_path / "run") as run:
        run.wait_for_results(5)
        (server, *_) = run.children("-server")
        os.kill(server, signal.SIGKILL)
        assert run.process.wait() == 0, run.log.read_text(encoding="utf-8")
        results = read(run.results)
    assert results.complete, results.problems
    (cell,) = build(results).rows[0].cells
    assert {j.verdict for j in cell.tests.values()} == {Verdict.PASS}
    lost = [s for s in results.observations if s.outcome is Outcome.SERVER_LOST]
    failed = [s for s in results.observations if s.outcome is not Outcome.PASSED]
    assert lost or failed
    assert "gone in mid-run" in cell.run.server_log


def test_pytest_killed_in_mid_run_costs_one_test(fixtures: Path, tmp_path: Path) -> None:
    with started(fixtures, tmp_path / "run") as run:
        run.wait_for_results(5)
        (pytest_pid, *_) = run.children(r"-m pytest")
        os.kill(pytest_pid, signal.SIGKILL)
        assert run.process.wait() == 0, run.log.read_text(encoding="utf-8")
        results = read(run.results)
    crashed = [s for s in results.observations if s.outcome is Outcome.CRASHED]
    assert len(crashed) <= 1
    assert len({s.test for s in results.observations}) == TESTS, run.log.read_text()
