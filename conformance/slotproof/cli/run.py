"""``slotproof run``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from slotproof import names
from slotproof.cli.common import INTERRUPTED, TOPOLOGY, console, terminable
from slotproof.cli.outputs import write_outputs
from slotproof.clients import plugin
from slotproof.errors import Exit, UsageProblem
from slotproof.gate.gate import evaluate
from slotproof.gate.render import render as render_gate
from slotproof.model import Topology
from slotproof.report import terminal
from slotproof.results.reader import read
from slotproof.runner import progress as progress_views
from slotproof.runner.options import Profile, RunOptions
from slotproof.runner.run import run as run_cells
from slotproof.servers import spec as servers
from slotproof.suites import library


def _shard(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        index, total = (int(part) for part in value.split("/"))
    except ValueError:
        raise click.BadParameter("write i/n, such as 2/4") from None
    if not 1 <= index <= total:
        raise click.BadParameter(f"there is no shard {index} of {total}")
    return index, total


@click.command()
@click.argument("suite", nargs=-1)
@click.option(
    "--client",
    "clients",
    multiple=True,
    metavar="NAME",
    help="Client to run through, several times for several; default: every one installed. "
    "The control is always added.",
)
@click.option("--topology", "topologies", multiple=True, type=TOPOLOGY, help="Default: both.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    help="Variant of the suites, such as another protocol (see `slotproof list suites`), several "
    "times for several; default: in the full profile all, else the one named default.",
)
@click.option(
    "--server",
    default=servers.DEFAULT,
    show_default=True,
    metavar="NAME",
    help="Server to run on, see `slotproof list servers`.",
)
@click.option(
    "--backend",
    default="embedded",
    show_default=True,
    metavar="embedded|docker|URL",
    help="Where servers come from: processes of the cell's own, containers, or the URL of "
    "a cluster that is there already.",
)
@click.option(
    "--profile",
    type=click.Choice([str(p) for p in Profile]),
    default="quick",
    show_default=True,
    help="How much of each suite: a sample by hash rank in its default variant, or all tests in "
    "all variants.",
)
@click.option("--only", multiple=True, metavar="ID", help="Run just this test, by its id.")
@click.option(
    "--shard",
    callback=_shard,
    metavar="i/n",
    help="Run the i-th of n parts; merge the parts with `slotproof report`.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 256),
    default=None,
    help="Lanes side by side; default: the number of processors.",
)
@click.option(
    "--reruns",
    type=click.IntRange(0, 5),
    default=1,
    show_default=True,
    help="Further attempts for a test that does not pass, in every column.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FOLDER",
    help="Where results and reports go; default: a new folder below reports/.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FOLDER]",
    help="Go on with the interrupted run in FOLDER, or the newest one, with its options.",
)
@click.option(
    "--gate",
    is_flag=True,
    help="Exit 1 where a test does worse than its expectation or a locked id is missing.",
)
@click.option("--allow-flush", is_flag=True, help="With a URL: the servers there may be emptied.")
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> int:
    """Run SUITEs (default: all) through clients on servers, and write the report.

    Each cell (suite, client, topology, server) starts servers of its own, shut off from the
    machine where the system allows it. Ctrl-C ends everything within seconds and keeps the results;
    --resume goes on from there.

    \b
    Examples:
      slotproof run --profile quick
      slotproof run redis-py --client valkey-py --topology cluster --profile full
      slotproof run redis-py --variant resp2 --variant resp3
      slotproof run --resume
    """
    if given["resume"] is not None:
        return _resume(ctx, Path(given["resume"]) if given["resume"] else _newest(), given["gate"])
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    options = _options(given, given["output"] or Path("reports") / stamp)
    return execute(options, argv=sys.argv[1:], gate=given["gate"])


def _options(given: Mapping[str, Any], output: Path) -> RunOptions:
    """Check the command line's words against what there is."""
    suites = library.load_all()
    clients = plugin.load_all()
    names.check("suite", given["suite"], suites)
    names.check("client", given["clients"], clients)
    names.check("server", [given["server"]], servers.load_all())
    chosen = given["suite"] or tuple(suites)
    wanted = given["variants"]
    names.check("variant", wanted, {v for name in chosen for v in suites[name].variants})
    if wanted:
        chosen = tuple(name for name in chosen if set(wanted) & set(suites[name].variants))
    backend = given["backend"]
    if backend not in {"embedded", "docker"} and "://" not in backend:
        raise UsageProblem(
            f"choosing the backend {backend!r}",
            "it is neither embedded nor docker nor a URL",
            "pass one such as redis://127.0.0.1:7000",
        )
    # Without the standalone control nobody can tell a topology's failure from upstream's.
    controls = [name for name, client in clients.items() if client.control]
    return RunOptions(
        suites=chosen,
        clients=tuple(dict.fromkeys([*controls, *(given["clients"] or clients)])),
        topologies=tuple(map(Topology, given["topologies"])) or tuple(Topology),
        server=given["server"],
        backend=backend,
        profile=Profile(given["profile"]),
        jobs=given["jobs"] or os.cpu_count() or 1,
        reruns=given["reruns"],
        output=output,
        shard=given["shard"],
        only=given["only"],
        allow_flush=given["allow_flush"],
        variants=wanted,
    )


def execute(options: RunOptions, *, argv: Sequence[str], gate: bool, resume: bool = False) -> int:
    """Run, report and, when asked, gate. Returns the exit code."""
    out = console()
    suites = {name: s for name, s in library.load_all().items() if name in options.suites}
    clients = {n: c for n, c in plugin.load_all().items() if n in options.clients}
    interrupted = False
    with terminable():
        try:
            with progress_views.for_console(out) as progress:
                run_cells(options, suites, clients, argv=argv, progress=progress, resume=resume)
        except KeyboardInterrupt:
            interrupted = True
    path = options.output / "results.jsonl"
    if interrupted and not path.exists():
        raise KeyboardInterrupt
    results = read(path)
    known = library.expectations(suites)
    written = write_outputs(results, options.output, known)
    out.print()
    terminal.render(written.matrix, out)
    code: int = Exit.HELD
    if gate:
        result = evaluate(results, written.matrix, known, _today())
        render_gate(result, out)
        code = result.exit_code
    if interrupted:
        out.print(
            Text(
                f"interrupted: results so far are kept; `slotproof run --resume {options.output}`"
                " goes on",
                "yellow",
            ),
            soft_wrap=True,
        )
        code = INTERRUPTED
    elif not gate and any(c.status != "run" for row in written.matrix.rows for c in row.cells):
        code = Exit.ENVIRONMENT
    out.print(Text(f"report: {written.html}"), soft_wrap=True)
    return code


def _resume(ctx: click.Context, folder: Path, gate: bool) -> int:
    """Run again what an interrupted run was asked for, into its own folder."""
    path = folder / "results.jsonl"
    if not path.exists():
        raise UsageProblem(
            f"continuing the run in {folder}", "there is no results.jsonl", "name a run's folder"
        )
    argv = read(path).header.get("argv")
    words = [str(w) for w in argv] if isinstance(argv, (list, tuple)) else []
    if "run" not in words:
        raise UsageProblem(
            f"continuing the run in {folder}",
            "its header does not say how it was started",
            "start a new run",
        )
    past = ctx.command.make_context("run", words[words.index("run") + 1 :]).params
    return execute(_options(past, folder), argv=words, gate=gate or past["gate"], resume=True)


def _newest() -> Path:
    runs = sorted(Path("reports").glob("*/results.jsonl"), key=lambda p: p.stat().st_mtime)
    if not runs:
        raise UsageProblem(
            "looking for a run to continue", "there is none below reports/", "start a new run"
        )
    return runs[-1].parent


def _today() -> date:
    return datetime.now(UTC).date()
