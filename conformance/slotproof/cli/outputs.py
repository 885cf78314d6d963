"""Everything a results file is turned into: STATUS.md and the HTML report, for all commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slotproof.criteria import caveats, evaluate, load
from slotproof.errors import EnvironmentProblem
from slotproof.gate.expectations import Expectation
from slotproof.judge.matrix import Matrix, build
from slotproof.model import Run
from slotproof.report import html, status
from slotproof.results.reader import read_benches


@dataclass(frozen=True, slots=True)
class Outputs:
    """The judged run and where its reports lie."""

    matrix: Matrix
    status: Path
    html: Path


def write_outputs(
    run: Run, folder: Path, expectations: Mapping[str, Sequence[Expectation]]
) -> Outputs:
    """Judge the run and write ``STATUS.md`` and ``report.html`` into ``folder``."""
    matrix = build(run)
    results = folder / "results.jsonl"
    benches = read_benches(results) if results.exists() else ()
    measured = evaluate(load(), matrix, benches, caveats=caveats(run))
    outputs = Outputs(matrix, folder / "STATUS.md", folder / "report.html")
    known = [entry for entries in expectations.values() for entry in entries]
    try:
        outputs.status.write_text(
            status.render(run, matrix, measured, known), encoding="utf-8", errors="replace"
        )
        outputs.html.write_text(
            html.render(run, matrix, measured), encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise EnvironmentProblem(
            f"writing the reports into {folder}",
            str(error),
            "free some disk space, then run `slotproof report` on the results",
        ) from error
    return outputs
