"""The miniatures (see ``miniature/README.md``) on real servers."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from slotproof.clients.plugin import Client
from slotproof.judge.matrix import CellVerdicts, build
from slotproof.model import Run, Topology
from slotproof.results.reader import read
from slotproof.runner.options import Profile, RunOptions
from slotproof.runner.progress import PlainProgress
from slotproof.runner.run import run
from slotproof.suites import library
from slotproof.suites.manifest import Suite

MINIATURE = Path(__file__).parents[1] / "miniature"
CLIENTS = MINIATURE / "clients"

WRONG = (
    "drops_bytes",
    "lies",
    "never_asks",
    "hangs",
    "crashes",
    "never_connects",
    "own_socket",
    "other_server",
    "skips_everything",
)


def client(module: str, *, control: bool = False, name: str = "") -> Client:
    """A miniature client; only ``tiny_redis`` may open connections."""
    return Client(
        name=name or module.replace("_", "-"),
        title=module,
        lock="",
        bootstrap=module,
        bootstrap_dir=CLIENTS,
        connects_from=("tiny_redis",),
        topologies=frozenset(Topology),
        control=control,
    )


def run_tiny(
    folder: Path,
    clients: Sequence[Client],
    *,
    topologies: Sequence[Topology] = tuple(Topology),
    only: Sequence[str] = (),
    backend: str = "embedded",
    server: str = "valkey-8.1",
    reruns: int = 0,
    suite: Suite | None = None,
    variants: Sequence[str] = (),
) -> Run:
    """Run the tiny suite, or another one of that name, and read the results back."""
    suites = {"tiny": suite or library.load_all(MINIATURE / "suites")["tiny"]}
    options = RunOptions(
        suites=("tiny",),
        clients=tuple(c.name for c in clients),
        topologies=tuple(topologies),
        server=server,
        backend=backend,
        profile=Profile.FULL,
        jobs=2,
        reruns=reruns,
        output=folder,
        only=tuple(only),
        variants=tuple(variants),
    )
    progress = PlainProgress(Console(file=io.StringIO()))
    path = run(
        options, suites, {c.name: c for c in clients}, argv=["run", "tiny"], progress=progress
    )
    results = read(path)
    assert results.complete, results.problems
    return results


def by_cell(results: Run) -> Mapping[tuple[str, Topology], CellVerdicts]:
    """Judged cells by client and topology."""
    matrix = build(results)
    return {(c.cell.client, c.cell.topology): c for row in matrix.rows for c in row.cells}


def own_suite(fixtures: Path, change: tuple[str, str] = ("", "")) -> Path:
    """Replace the linked suite by a copy with one change in its manifest."""
    folder = fixtures / "suites" / "steady"
    folder.unlink()
    shutil.copytree(MINIATURE / "suites" / "steady", folder)
    manifest = folder / "suite.toml"
    text = manifest.read_text(encoding="utf-8")
    assert change[0] in text
    manifest.write_text(text.replace(*change), encoding="utf-8")
    return folder
