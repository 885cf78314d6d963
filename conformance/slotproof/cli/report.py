"""``slotproof report``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from slotproof.cli.common import console, results_files
from slotproof.cli.outputs import write_outputs
from slotproof.errors import Exit
from slotproof.report import terminal, terminal_performance
from slotproof.results.merge import merge
from slotproof.results.reader import read
from slotproof.suites import library


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the reports go; default: beside the (first) results.",
)
@click.option(
    "--status",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write STATUS.md to FILE as well, such as reports/STATUS.md.",
)
def report(results: tuple[Path, ...], output: Path | None, status: Path | None) -> int:
    """Judge RESULTS (results.jsonl, or the folder that holds one) again and write the reports.

    Several are shards of one run (`slotproof run --shard i/n`): they are merged, and a shard that
    is missing is an error.
    """
    out = console()
    paths = results_files(results)
    runs = [read(path) for path in paths]
    run = merge(runs) if len(runs) > 1 or runs[0].header.get("shard") else runs[0]
    folder = output or paths[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    known = library.expectations(library.load_all())
    written = write_outputs(run, folder, known, paths)
    terminal.render(written.matrix, out)
    if written.performance is not None:
        terminal_performance.render(written.performance, out)
    for problem in run.problems:
        out.print(Text(f"not whole: {problem}", "yellow"), soft_wrap=True)
    if status:
        status.write_text(written.status.read_text(encoding="utf-8"), encoding="utf-8")
    out.print(Text(f"report: {written.html}"), soft_wrap=True)
    return Exit.HELD if run.complete else Exit.ENVIRONMENT
