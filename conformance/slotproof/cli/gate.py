"""``slotproof gate``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from slotproof.cli.common import console, results_files
from slotproof.gate.gate import evaluate
from slotproof.gate.render import render
from slotproof.judge.matrix import build
from slotproof.results.merge import merge
from slotproof.results.reader import read
from slotproof.suites import library


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
def gate(results: tuple[Path, ...]) -> int:
    """Hold RESULTS of a run (or of all its shards) against the committed expectations.

    Exits 1 where a test does worse than its expectation, a locked id is missing, or an expectation
    is dead, too weak or expired; 3 when the run is not whole and nothing is worse.
    """
    runs = [read(path) for path in results_files(results)]
    run = merge(runs) if len(runs) > 1 else runs[0]
    known = library.expectations(library.load_all())
    result = evaluate(run, build(run), known, datetime.now(UTC).date())
    render(result, console())
    return result.exit_code
