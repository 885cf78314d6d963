"""A whole benchmark with fakes: what lies in the results file afterwards, whatever happened."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from support.benching import TINY, Kept, fake

from slotproof.bench import bars, run
from slotproof.bench.measure import Measurement
from slotproof.bench.performance import WHOLE, summarize
from slotproof.bench.run import BenchOptions
from slotproof.bench.scenarios import choose
from slotproof.bench.subjects import Subject
from slotproof.environments import Environment
from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.fetch import cache
from slotproof.results.reader import read, read_benchmark
from slotproof.results.records import Bench, Header
from slotproof.results.writer import ResultsWriter
from slotproof.servers import spec

pytestmark = pytest.mark.servers

CONTROL = fake("honest", name="redis-py", parameters={"parser": "hiredis"})
SCHEMA = Path(__file__).resolve().parents[3] / "fixtures/schema/results.schema.json"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments of the fakes are this one; whoever measures in earnest is not waited for."""

    def environment(subject: Subject) -> Environment:
        if subject.missing is not None:
            raise subject.missing
        return Environment(Path(sys.executable), "this")

    monkeypatch.setattr(Subject, "environment", environment)
    monkeypatch.setattr(run, "_LOCK", f"bench-{tmp_path.name}")


def options(
    folder: Path, *subjects: Subject, scenarios: Sequence[str] = ("get-10B",)
) -> BenchOptions:
    return BenchOptions(
        subjects or (CONTROL, fake("honest")),
        choose(scenarios),
        spec.find(spec.DEFAULT),
        TINY,
        folder,
    )


def go(chosen: BenchOptions) -> Path:
    return run.run(chosen, argv=["bench", "--rounds", "2"], progress=Kept())


def finished_run(folder: Path) -> Path:
    """Results of a run without a benchmark."""
    path = folder / "results.jsonl"
    with ResultsWriter(path) as writer:
        writer.header(Header.here(["run"], "full", ()))
        writer.bench(Bench("failover-gap", "glide-redis", 0.5, "s"))
        writer.finish()
    return path


def test_a_new_file_is_whole_and_holds_to_the_schema(tmp_path: Path) -> None:
    broken = fake("fails")
    missing = replace(fake("gone"), missing=EnvironmentProblem("a", "no compiler", "b"))
    chosen = options(tmp_path, CONTROL, broken, missing, scenarios=["get-10B", "pipeline-10B"])
    path = go(replace(chosen, absent=("glide-redis",)))
    assert path == tmp_path / "results.jsonl"
    results = read(path, strict=True)
    assert (results.header["profile"], results.header["argv"]) == (
        "bench",
        ("bench", "--rounds", "2"),
    )
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for line in path.read_text(encoding="utf-8").splitlines():
        jsonschema.validate(json.loads(line), schema)
    benchmark = read_benchmark(path)
    reasons = {void.client: void.reason for void in benchmark.voids}
    assert "no batches" in reasons["fails"]
    assert "no compiler" in reasons["gone"]
    assert reasons["glide-redis"] == "glide-redis: no such client is installed"
    performance = summarize(benchmark, bars.load())
    assert performance is not None
    assert performance.clients == ("redis-py", "fails", "gone", "glide-redis")
    assert not performance.held


def test_figures_are_added_to_a_finished_run(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    chosen = replace(options(tmp_path), add=True)
    assert go(chosen) == path
    results = read(path, strict=True)
    assert results.header["profile"] == "full"
    benchmark = read_benchmark(path)
    assert {b.measure for b in benchmark.benches} == {"failover-gap", "throughput", "cpu"}
    with pytest.raises(UsageProblem, match="holds a benchmark already"):
        go(chosen)
    assert read_benchmark(path) == benchmark


def test_results_that_are_there_are_neither_overwritten_nor_added_to_by_chance(
    tmp_path: Path,
) -> None:
    path = finished_run(tmp_path)
    before = path.read_bytes()
    with pytest.raises(UsageProblem, match="there are results already") as caught:
        go(options(tmp_path))
    assert "--add-to" in caught.value.next_step
    assert path.read_bytes() == before


def test_an_unfinished_run_is_not_added_to(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    cut = path.read_bytes()[:-10]
    path.write_bytes(cut)
    with pytest.raises(UsageProblem, match="the line is cut"):
        go(replace(options(tmp_path), add=True))
    assert path.read_bytes() == cut


def interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt the measurement when it has taken a few samples."""
    record = Measurement._record

    def interrupted(self: Measurement, subject: Subject, *args: object) -> None:
        record(self, subject, *args)  # type: ignore[arg-type]
        if subject.name == "honest":
            raise KeyboardInterrupt

    monkeypatch.setattr(Measurement, "_record", interrupted)


def test_an_interrupted_new_file_keeps_its_figures_and_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        go(options(tmp_path))
    path = tmp_path / "results.jsonl"
    assert not read(path).complete
    assert {b.client for b in read_benchmark(path).benches} == {"redis-py", "honest"}


def test_an_interrupted_addition_leaves_the_run_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = finished_run(tmp_path)
    before = path.read_bytes()
    interrupt(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        go(replace(options(tmp_path), add=True))
    assert path.read_bytes() == before


def test_without_the_control_there_is_nothing_to_measure(tmp_path: Path) -> None:
    gone = replace(CONTROL, missing=EnvironmentProblem("a", "no network", "b"))
    with pytest.raises(EnvironmentProblem, match="no network"):
        go(options(tmp_path, gone, fake("honest")))
    assert not (tmp_path / "results.jsonl").exists()


def test_a_second_benchmark_waits_and_says_so(tmp_path: Path) -> None:
    said = Kept()
    waiting = threading.Event()
    say = said.say

    def tell(text: str) -> None:
        say(text)
        waiting.set()

    said.say = tell  # type: ignore[method-assign]
    done: list[Path] = []
    chosen = options(tmp_path)
    second = threading.Thread(
        target=lambda: done.append(run.run(chosen, argv=[], progress=said)), daemon=True
    )
    with cache.locked(run._LOCK):
        second.start()
        assert waiting.wait(60)
        assert "another benchmark is running on this machine" in said.said[0]
        assert done == []
    second.join(60)
    assert done == [tmp_path / "results.jsonl"]
    assert any(f.of == WHOLE for f in read_benchmark(done[0]).facts)
