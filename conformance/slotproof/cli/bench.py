"""``slotproof bench``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from slotproof.bench import bars as bench_bars
from slotproof.bench import performance, scenarios, subjects
from slotproof.bench.measure import Plan
from slotproof.bench.run import BenchOptions, absent, run
from slotproof.cli.common import INTERRUPTED, console, results_files, terminable
from slotproof.cli.outputs import write_outputs
from slotproof.errors import Exit, UsageProblem
from slotproof.report import terminal_performance
from slotproof.results.reader import read
from slotproof.servers import spec as servers
from slotproof.suites import library

_DEFAULT = Plan()


@click.command()
@click.option(
    "--scenario",
    "chosen_scenarios",
    multiple=True,
    metavar="NAME",
    help="Scenario, or family of scenarios ("
    + ", ".join(scenarios.Family)
    + "), several times for several; default: all.",
)
@click.option(
    "--subject",
    "chosen_subjects",
    multiple=True,
    metavar="NAME",
    help="Who is measured, several times for several: an installed client for clusters, "
    f"{subjects.GLIDE_TYPED}, {subjects.GLIDE_FFI} or {subjects.RAW_SOCKET}; default: all. "
    "The control is always added.",
)
@click.option(
    "--server",
    default=servers.DEFAULT,
    show_default=True,
    metavar="NAME",
    help="Server to measure on, see `slotproof list servers`.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    default=_DEFAULT.rounds,
    show_default=True,
    help="How often each sample is taken; with fewer than the bars ask for, none counts as held.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.001, 60),
    default=_DEFAULT.seconds,
    show_default=True,
    help="What a sample should take.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FOLDER",
    help="Where results and reports go; default: a new folder below reports/.",
)
@click.option(
    "--add-to",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FOLDER",
    help="Add the figures to the results of a finished `slotproof run` instead.",
)
@click.option("--gate", is_flag=True, help="Exit 1 where a bar is not held.")
def bench(
    chosen_scenarios: tuple[str, ...],
    chosen_subjects: tuple[str, ...],
    server: str,
    rounds: int,
    seconds: float,
    output: Path | None,
    add_to: Path | None,
    gate: bool,
) -> int:
    """Measure clients side by side on a cluster, and hold the ratios against bars.

    Starts a cluster of three primaries with a replica each. Every client runs in a process and an
    environment of its own; samples alternate between clients within each round, so that the
    machine's noise hits all of them, and ratios are taken round by round against redis-py with
    hiredis. Every reply is checked. All of it takes about five minutes, and the machine should do
    nothing else meanwhile: a second benchmark waits for the first one's end.

    \b
    Examples:
      slotproof bench
      slotproof bench --scenario single --subject valkey-py --rounds 5
      slotproof bench --gate --output reports/bench
    """
    bars = bench_bars.load()
    known = subjects.load_all()
    everybody = not chosen_subjects
    options = BenchOptions(
        subjects=subjects.choose(chosen_subjects, known),
        scenarios=scenarios.choose(chosen_scenarios),
        server=servers.find(server),
        plan=replace(_DEFAULT, rounds=rounds, seconds=seconds),
        output=_folder(output, add_to),
        add=add_to is not None,
        absent=absent(bars, known) if everybody else (),
    )
    names = {*(s.name for s in options.subjects), *options.absent}
    if gate and not performance.concerned(bars, names, {s.name for s in options.scenarios}):
        raise UsageProblem(
            "choosing what to gate",
            "no bar is about these subjects and scenarios",
            "name more of them, or leave --gate away",
        )
    out = console()
    path = options.output / "results.jsonl"
    interrupted = False
    with terminable():
        try:
            with _shown(out) as progress:
                run(options, argv=sys.argv[1:], progress=progress)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted and (options.add or not path.exists()):
        raise KeyboardInterrupt
    return _finish(path, out, gate=gate, interrupted=interrupted)


def _folder(output: Path | None, add_to: Path | None) -> Path:
    if output and add_to:
        raise UsageProblem(
            "choosing where the figures go", "--output and --add-to at once", "give one of them"
        )
    if add_to:
        return results_files([add_to])[0].parent
    return output or Path("reports") / datetime.now(UTC).strftime("bench-%Y%m%dT%H%M%SZ")


def _finish(path: Path, out: Console, *, gate: bool, interrupted: bool) -> int:
    results = read(path)
    known = library.expectations(library.load_all()) if results.suites else {}
    written = write_outputs(results, path.parent, known)
    summary = written.performance
    if summary is not None:
        terminal_performance.render(summary, out)
    if interrupted:
        out.print("interrupted: the figures so far are kept", style="yellow")
    out.print(Text(f"report: {written.html}"), soft_wrap=True)
    if interrupted:
        return INTERRUPTED
    failed = gate and (summary is None or not summary.held)
    return Exit.REGRESSION if failed else Exit.HELD


class _Shown:
    """Lines; on a terminal, beneath them what is going on."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._status = out.status("") if out.is_terminal else None

    def say(self, text: str) -> None:
        self._out.print(Text(text), soft_wrap=True)

    def doing(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(text))


@contextmanager
def _shown(out: Console) -> Iterator[_Shown]:
    shown = _Shown(out)
    if shown._status is None:
        yield shown
        return
    with shown._status:
        yield shown
