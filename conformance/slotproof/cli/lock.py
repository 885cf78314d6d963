"""``slotproof lock``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from slotproof import names
from slotproof.cli.common import console, terminable
from slotproof.clients import plugin
from slotproof.environments import compile_lock
from slotproof.errors import EnvironmentProblem, Exit, UsageProblem
from slotproof.model import CellId, LockedTest, Outcome, Topology
from slotproof.results.reader import read
from slotproof.runner.collect import collect
from slotproof.runner.prepare import prepare
from slotproof.servers import spec as server_specs
from slotproof.suites import collected, kinds, library
from slotproof.suites.manifest import Suite

# A guess for a test whose duration nobody has measured yet.
UNKNOWN_SECONDS = 0.05


@click.command()
@click.argument("suite", nargs=-1)
@click.option(
    "--requirements",
    is_flag=True,
    help="Resolve the suite's test dependencies anew and lock them with hashes.",
)
@click.option(
    "--durations",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE",
    help="Take the tests' durations from a results.jsonl (a full run of the control).",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the lock would change.")
def lock(suite: tuple[str, ...], requirements: bool, durations: Path | None, check: bool) -> int:
    """Lock the ids and kinds of SUITEs' tests (default: all suites).

    Ids are collected by pytest itself, through the control, on both topologies, and must be the
    same in all variants of a suite; kinds come from the classifier. What was added, what vanished
    and what changed its kind is shown: a reclassified test needs a commit of its own with the
    reason.
    """
    out = console()
    all_suites = library.load_all()
    names.check("suite", suite, all_suites)
    chosen = {name: all_suites[name] for name in suite or all_suites}
    if requirements and not check:
        for one in chosen.values():
            text = compile_lock(one.requirements, without=one.without)
            (one.folder / "requirements.lock").write_text(text, encoding="utf-8")
        chosen = {n: s for n, s in library.load_all().items() if n in chosen}
    measured = _durations(durations) if durations else {}
    changed = False
    with terminable():
        for one in chosen.values():
            changed |= _lock(one, measured, out, check=check)
    return Exit.REGRESSION if check and changed else Exit.HELD


def _lock(suite: Suite, measured: Mapping[str, float], out: Console, *, check: bool) -> bool:
    client = next(c for c in plugin.load_all().values() if c.control)
    server = server_specs.find(server_specs.DEFAULT)
    prepared = prepare({suite.name: suite}, {client.name: client}, server, out.print)
    for problem in prepared.failed.values():
        raise problem
    where: dict[str, set[Topology]] = {}
    for topology in suite.topologies:
        out.print(Text(f"{suite.name}: collecting on {topology}"))
        cell = CellId(suite.name, client.name, topology, server.name)
        ids = collect(suite, client, cell, prepared)
        for variant in suite.variants:
            other = replace(cell, variant=variant)
            _same(other, ids, collect(suite, client, other, prepared) if other != cell else ids)
        for test in ids:
            where.setdefault(test, set()).add(topology)
    classified = kinds.classify(prepared.trees[suite.name], where)
    path = suite.collected_lock
    before = {t.id: t for t in collected.read(path)} if path.exists() else {}
    tests = [
        LockedTest(
            test,
            classified[test].kind,
            frozenset(topologies),
            measured.get(test, before[test].seconds if test in before else UNKNOWN_SECONDS),
        )
        for test, topologies in where.items()
    ]
    changed = _show(suite.name, before, tests, out)
    if not check:
        collected.write(path, tests, suite_version=suite.version)
    return changed


def _same(cell: CellId, ids: Sequence[str], there: Sequence[str]) -> None:
    """Refuse a variant with tests of its own: its columns would have another denominator."""
    if different := sorted(set(ids) ^ set(there)):
        raise UsageProblem(
            f"collecting {cell.suite} on {cell.topology} in the variant {cell.variant}",
            f"{len(different)} ids differ from the default variant's, such as {different[0]!r}",
            "make it a suite of its own, or change the variant's args",
        )


def _show(
    name: str, before: Mapping[str, LockedTest], tests: Sequence[LockedTest], out: Console
) -> bool:
    now = {t.id: t for t in tests}
    added = [t for t in now if t not in before]
    vanished = [t for t in before if t not in now]
    moved = [t for t in now if t in before and now[t].kind is not before[t].kind]
    for title, ids in (("added", added), ("vanished", vanished), ("of another kind", moved)):
        out.print(Text(f"{name}: {len(ids)} {title}"))
        for test in ids[:20] if before else []:
            out.print(Text(f"  {test}"), soft_wrap=True)
    return bool(added or vanished or moved)


def _durations(path: Path) -> dict[str, float]:
    """The longest time of each test over the control's columns, in seconds."""
    run = read(path)
    controls = {c.cell for c in run.cells if c.control}
    longest: dict[str, float] = {}
    for seen in run.observations:
        if seen.cell in controls and seen.outcome is not Outcome.HUNG:
            longest[seen.test] = max(longest.get(seen.test, 0.0), seen.seconds)
    if not longest:
        raise EnvironmentProblem(
            f"taking durations from {path}", "it holds no result of a control", "name a full run"
        )
    return longest
