"""Everything a results file is turned into: STATUS.md and the HTML report, for all commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slotproof.bench import bars
from slotproof.bench.performance import Performance, summarize
from slotproof.criteria import caveats, evaluate, load
from slotproof.errors import EnvironmentProblem
from slotproof.gate.expectations import Expectation
from slotproof.judge.matrix import Matrix, build
from slotproof.model import Run
from slotproof.report import html, status
from slotproof.results.reader import read_benchmark
from slotproof.results.records import Benchmark


@dataclass(frozen=True, slots=True)
class Outputs:
    """The judged run and where its reports lie; ``performance``: of its benchmark, if any."""

    matrix: Matrix
    performance: Performance | None
    status: Path
    html: Path


def write_outputs(
    run: Run,
    folder: Path,
    expectations: Mapping[str, Sequence[Expectation]],
    results: Sequence[Path] = (),
) -> Outputs:
    """Judge the run and write ``STATUS.md`` and ``report.html`` into ``folder``.

    ``results``: the files of the run, where its benchmarks are; default: the one in ``folder``.
    """
    matrix = build(run)
    benchmark = _benchmark(results or [folder / "results.jsonl"])
    performance = summarize(benchmark, bars.load())
    measured = evaluate(load(), matrix, benchmark.benches, caveats=caveats(run))
    outputs = Outputs(matrix, performance, folder / "STATUS.md", folder / "report.html")
    known = [entry for entries in expectations.values() for entry in entries]
    try:
        outputs.status.write_text(
            status.render(run, matrix, measured, known), encoding="utf-8", errors="replace"
        )
        outputs.html.write_text(
            html.render(run, matrix, measured, performance), encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise EnvironmentProblem(
            f"writing the reports into {folder}",
            str(error),
            "free some disk space, then run `slotproof report` on the results",
        ) from error
    return outputs


def _benchmark(results: Sequence[Path]) -> Benchmark:
    parts = [read_benchmark(path) for path in results if path.exists()]
    return Benchmark(
        benches=tuple(bench for part in parts for bench in part.benches),
        facts=tuple(facts for part in parts for facts in part.facts),
        voids=tuple(void for part in parts for void in part.voids),
    )
