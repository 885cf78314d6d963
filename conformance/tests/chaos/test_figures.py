"""Figures of outages, and the success criteria that are computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.outages import FINE, errors, observed

from slotproof.chaos.figures import benches
from slotproof.chaos.recording import adding, recording
from slotproof.chaos.scenarios import SCENARIOS
from slotproof.chaos.summary import Block
from slotproof.chaos.timeline import Seen
from slotproof.criteria import Measured, evaluate, load
from slotproof.errors import UsageProblem
from slotproof.judge.matrix import Matrix
from slotproof.results.reader import read, read_benches
from slotproof.results.records import Bench, BenchFacts, BenchVoid, Header
from slotproof.results.writer import ResultsWriter

ARGV = ["chaos", "--runs", "20"]


def block(*seen: Seen, scenario: str = "kill", server: str = "valkey-9.1") -> Block:
    """Outages of glide-redis."""
    return Block(server, scenario, tuple(observed(glide_redis=one) for one in seen))


def criterion(name: str, *blocks: Block) -> Measured:
    """Evaluate one criterion over the figures of blocks."""
    figures = [bench for one in blocks for bench in benches(one, 500)]
    wanted = [c for c in load() if c.id == name]
    (measured,) = evaluate(wanted, Matrix(()), figures)
    return measured


def test_the_failover_criterion_is_the_median_gap_of_a_killed_primary() -> None:
    killed = block(*(replace(FINE, gap=gap) for gap in (*[0.7] * 9, 0.8, 0.8, *[9.0] * 9)))
    frozen = block(replace(FINE, gap=5.0), scenario="freeze")
    older = block(replace(FINE, gap=1.9), server="valkey-8.1")
    measured = criterion("failover", killed, frozen, older)
    assert (measured.value, measured.held) == (0.8, True)
    assert "valkey-8.1: 1.9" in measured.detail


def test_few_outages_cannot_say_that_the_failover_criterion_holds() -> None:
    assert criterion("failover", block(*[FINE] * 19)).held is None
    assert criterion("failover", block(*[replace(FINE, gap=2.0)] * 5)).held is False


def test_one_lost_write_in_twenty_outages_is_lost() -> None:
    good = [block(*[FINE] * 20, scenario=scenario) for scenario in SCENARIOS]
    bad = block(replace(FINE, lost=1), *[FINE] * 19)
    assert criterion("nothing-lost", *good).held is True
    measured = criterion("nothing-lost", *good[1:], bad)
    assert (measured.value, measured.held) == (1.0, False)


def test_what_was_not_tried_cannot_be_said_to_lose_nothing() -> None:
    tried = [block(FINE, scenario=scenario) for scenario in SCENARIOS if scenario != "freeze"]
    assert "freeze" in criterion("nothing-lost", *tried).why


def test_one_partition_in_twenty_without_recovery_is_missed() -> None:
    cut, frozen = (block(*[FINE] * 20, scenario=scenario) for scenario in ("partition", "freeze"))
    stuck = block(replace(FINE, back=False), *[FINE] * 19, scenario="freeze")
    assert criterion("partitions", cut, frozen).held is True
    measured = criterion("partitions", cut, stuck)
    assert (measured.value, measured.held) == (95.0, False)


def test_a_killed_primary_is_no_partition() -> None:
    assert criterion("partitions", block(FINE)).value is None


def test_an_error_of_a_foreign_class_is_missed() -> None:
    right = block(replace(FINE, errors=errors(3)))
    wrong = block(replace(FINE, errors=(*errors(3), *errors(1, "builtins.OSError"))))
    assert criterion("error-classes", right).held is True
    assert criterion("error-classes", wrong).value == 75.0


def test_no_errors_have_no_class() -> None:
    assert criterion("error-classes", block(FINE)).value is None


def test_times_are_a_figure_an_outage_and_counts_one_in_all() -> None:
    figures = list(benches(block(*[replace(FINE, errors=errors(2))] * 3), 500))
    by_measure = {b.measure: [o for o in figures if o.measure == b.measure] for b in figures}
    assert [b.round for b in by_measure["failover-gap"]] == [1, 2, 3]
    assert [b.value for b in by_measure["failover-errors"]] == [2, 2, 2]
    assert [b.value for b in by_measure["acknowledged"]] == [3000]
    assert [(b.value, b.parameters["text"]) for b in by_measure["failover-error"]] == [
        (6, "lost NODE")
    ]


def test_a_migration_has_gaps_and_no_delays() -> None:
    moved = block(replace(FINE, delay=None), scenario="migrate")
    measures = {bench.measure for bench in benches(moved, 500)}
    assert "failover-gap" in measures
    assert "failover-delay" not in measures


def test_figures_come_back_out_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    wanted = list(benches(block(FINE, replace(FINE, errors=errors(1))), 500))
    with recording(path, ARGV) as record:
        record(wanted)
        record(
            [BenchFacts("chaos", {"valkey-9.1": "valkey 9.1.2"}), BenchVoid("other", "no wheel")]
        )
    assert read(path, strict=True).header["profile"] == "chaos"
    assert list(read_benches(path)) == wanted


def test_a_run_that_ends_early_says_that_it_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    figure = Bench("failover-gap", "a", 1.0, "s")
    with pytest.raises(KeyboardInterrupt), recording(path, ARGV) as record:
        record([figure])
        raise KeyboardInterrupt
    assert not read(path).complete
    assert read_benches(path) == (figure,)


def finished(path: Path, *, complete: bool = True) -> Path:
    """A results file of a run without cells."""
    with ResultsWriter(path) as writer:
        writer.header(Header.here(["run"], "full", ()))
        writer.finish(complete=complete)
    return path


def lines(path: Path) -> Sequence[str]:
    """The lines of a file."""
    return path.read_text(encoding="utf-8").splitlines()


def test_figures_are_added_to_a_finished_run(tmp_path: Path) -> None:
    path = finished(tmp_path / "results.jsonl")
    header = lines(path)[0]
    figure = Bench("failover-gap", "a", 1.0, "s")
    with adding(path) as record:
        record([figure])
    assert read(path, strict=True).header["profile"] == "full"
    assert lines(path)[0] == header
    assert read_benches(path) == (figure,)


def test_nothing_is_added_when_the_run_ends_early(tmp_path: Path) -> None:
    path = finished(tmp_path / "results.jsonl")
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), adding(path) as record:
        record([Bench("failover-gap", "a", 1.0, "s")])
        raise KeyboardInterrupt
    assert path.read_bytes() == before


def test_nothing_is_added_to_a_torso(tmp_path: Path) -> None:
    path = finished(tmp_path / "results.jsonl", complete=False)
    with pytest.raises(UsageProblem, match="ended before it was complete"), adding(path):
        pytest.fail("entered")
