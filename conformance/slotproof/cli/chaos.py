"""``slotproof chaos``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from slotproof import names
from slotproof.chaos import figures, render, summary
from slotproof.chaos import run as chaos_run
from slotproof.chaos.outage import Conditions
from slotproof.chaos.recording import Record, adding, recording
from slotproof.chaos.run import ChaosOptions
from slotproof.chaos.scenarios import SCENARIOS
from slotproof.chaos.subjects import Subject, control_of, load_all
from slotproof.chaos.summary import Block
from slotproof.cli.common import INTERRUPTED, console, results_files, terminable
from slotproof.cli.outputs import write_outputs
from slotproof.errors import Exit, SlotproofError, UsageProblem
from slotproof.results.reader import read
from slotproof.results.records import BenchFacts, BenchVoid
from slotproof.servers import spec as servers
from slotproof.suites import library


@click.command()
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    type=click.Choice(list(SCENARIOS)),
    help="What happens, several times for several; default: all of them.",
)
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    metavar="NAME",
    help="Client to write through, several times for several; default: every one installed, and "
    "glide-typed, which is GLIDE without an adapter. The control is always added.",
)
@click.option(
    "--server",
    "server_names",
    multiple=True,
    metavar="NAME",
    help=f"Server, several times for several; default: {servers.DEFAULT}.",
)
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    metavar="N",
    help="Outages of each scenario on each server.",
)
@click.option(
    "--node-timeout",
    type=click.IntRange(100, 60_000),
    default=500,
    show_default=True,
    metavar="MS",
    help="The servers' cluster-node-timeout, in milliseconds.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.01, 600),
    default=None,
    metavar="S",
    help="Seconds that every subject may take for one command; default: each client's own default.",
)
@click.option(
    "--patience",
    type=click.FloatRange(1, 600),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds that a subject has to write again; then it counts as never back.",
)
@click.option(
    "--write",
    type=click.Choice(["set", "incr", "both"]),
    default="both",
    show_default=True,
    help="What is written: SET, which may be repeated, INCR, which may not, or both in turns.",
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
@click.option(
    "--keep",
    is_flag=True,
    help="Keep what every writer was told and the servers' logs, a folder an outage.",
)
@click.option("--gate", is_flag=True, help="Exit 1 where a subject misses a bar.")
@click.option(
    "--hold",
    multiple=True,
    metavar="NAME",
    help="Subject that the gate holds to the bars, several times for several; default: all but "
    "redis-py, valkey-py and glide-typed, which are there to compare with.",
)
def chaos(**given: Any) -> int:
    """Hurt clusters while clients write to them, and measure what the clients' callers notice.

    For each outage a fresh cluster of 3 primaries and 3 replicas is started. One writer for each
    subject, a process in an environment of its own, sends numbered writes to slots of one primary,
    all subjects side by side, so that they meet the very same outage. Then:

    \b
      kill       the primary is killed: connections are reset
      freeze     the primary hangs (SIGSTOP): connections stay open and nothing comes; it wakes up
                 once its replica has taken over and everybody is back, or out of patience
      migrate    the slots move to another primary while they are written to
      partition  no server answers for 3 s

    A probe of slotproof's own notes when the promoted replica first takes a write. Reported are the
    longest gap between two acknowledgements, the time from the promotion to the first one, the
    errors that the caller was shown, and, read back from the cluster at the end, writes that were
    acknowledged and then lost, increments applied twice, and subjects that never came back.

    An outage takes 8 to 15 seconds, longer where a subject does not come back. Figures are worth
    something on a machine that does nothing else: the table says for how long it stalled.

    \b
    Examples:
      slotproof chaos --runs 20 --server valkey-8.1 --server valkey-9.1 --gate
      slotproof chaos --scenario freeze --subject glide-typed
      slotproof chaos --scenario kill --subject valkey-py --gate --hold valkey-py

    \b
    Exit codes: 0 held (or no --gate), 1 a bar was missed, 2 usage, 3 a server or a subject could
    not be had, 130 interrupted; results so far are kept.
    """
    subjects = load_all()
    options = _options(given, subjects)
    gated = _gated(given, options, subjects)
    path = _results(given)
    run = Chaos(options, subjects, gated, control_of(subjects), path, console(), given["keep"])
    interrupted = False
    try:
        with terminable():
            run.observe(adding(path) if given["add_to"] else recording(path, sys.argv[1:]))
    except KeyboardInterrupt:
        interrupted = True
        if given["add_to"]:
            raise
    held = run.show()
    results = read(path)
    known = {suite.suite for suite in results.suites}
    suites = {name: suite for name, suite in library.load_all().items() if name in known}
    written = write_outputs(results, path.parent, library.expectations(suites))
    if interrupted:
        run.out.print(Text(f"interrupted: figures so far are in {path}", "yellow"), soft_wrap=True)
    run.out.print(Text(f"report: {written.html}"), soft_wrap=True)
    if interrupted:
        return INTERRUPTED
    if given["gate"] and not held:
        return Exit.REGRESSION
    return Exit.ENVIRONMENT if run.failed else Exit.HELD


@dataclass(slots=True)
class Chaos:
    """One ``slotproof chaos``: what it was asked for, and what it has seen so far."""

    options: ChaosOptions
    subjects: Mapping[str, Subject]
    gated: Sequence[str]
    control: str
    path: Path
    out: Console
    keep: bool = False
    blocks: list[Block] = field(default_factory=list)
    failed: Mapping[str, SlotproofError] = field(default_factory=dict)

    def observe(self, recorder: AbstractContextManager[Record]) -> None:
        """Run all outages and write their figures down."""
        with recorder as record, self.out.status("preparing environments and servers") as status:
            prepared = chaos_run.prepare(self.options, self.subjects)
            self._note(prepared, record)
            for block in chaos_run.run(
                self.options,
                prepared,
                keep=self.path.parent / "outages" if self.keep else None,
                say=self._say,
                on_progress=status.update,
            ):
                self.blocks.append(block)
                record(figures.benches(block, self.options.conditions.node_timeout))

    def _note(self, prepared: chaos_run.Prepared, record: Record) -> None:
        """Write down who takes part, who cannot, and which servers they meet."""
        self.failed = prepared.failed
        if self.control in prepared.failed:
            raise prepared.failed[self.control]
        for name, problem in prepared.failed.items():
            self._say(f"{name} cannot run: {problem.found}")
            record([BenchVoid(name, str(problem), parameters={"benchmark": "chaos"})])
        record([BenchFacts(r.subject.name, {"version": r.version}) for r in prepared.subjects])
        programs = {n: f"{b.product} {b.version}" for n, b in prepared.binaries.items()}
        record([BenchFacts("chaos", {**programs, "write": self.options.conditions.write})])

    def _say(self, text: str) -> None:
        self.out.print(Text(text), soft_wrap=True)

    def show(self) -> bool:
        """Print all tables; return whether every bar held for everybody who is gated."""
        for block in self.blocks:
            render.table(block, self.out)
        order = sorted(self.options.subjects, key=lambda name: name not in self.gated)
        held = summary.hold(self.blocks, order, self.control)
        render.bars(held, self.gated, self.out)
        return not any(one.held is False for one in held if one.subject in self.gated)


def _options(given: Mapping[str, Any], subjects: Mapping[str, Subject]) -> ChaosOptions:
    """Check the command line's words against what there is."""
    names.check("subject", given["subjects"], subjects)
    names.check("server", given["server_names"], servers.load_all())
    wanted = {control_of(subjects), *given["subjects"]} if given["subjects"] else set(subjects)
    return ChaosOptions(
        subjects=tuple(name for name in subjects if name in wanted),
        scenarios=tuple(name for name in SCENARIOS if name in (given["scenarios"] or SCENARIOS)),
        servers=tuple(dict.fromkeys(given["server_names"] or [servers.DEFAULT])),
        runs=given["runs"],
        conditions=Conditions(
            node_timeout=given["node_timeout"],
            patience=given["patience"],
            timeout=given["timeout"],
            write=given["write"],
        ),
    )


def _gated(
    given: Mapping[str, Any], options: ChaosOptions, subjects: Mapping[str, Subject]
) -> Sequence[str]:
    names.check("subject of this run", given["hold"], options.subjects)
    gated = given["hold"] or chaos_run.held_by_default(options, subjects)
    if given["gate"] and not gated:
        raise UsageProblem(
            "choosing whom the gate holds to the bars",
            "all subjects of this run are there to compare with",
            "name one with --hold, or add one with --subject",
        )
    return gated


def _results(given: Mapping[str, Any]) -> Path:
    if given["add_to"]:
        if given["output"]:
            raise UsageProblem(
                "choosing where the figures go", "--output and --add-to at once", "give one of them"
            )
        return results_files([given["add_to"]])[0]
    stamp = datetime.now(UTC).strftime("chaos-%Y%m%dT%H%M%SZ")
    return Path(given["output"] or Path("reports") / stamp) / "results.jsonl"
