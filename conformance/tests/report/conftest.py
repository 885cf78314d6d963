"""A small run with every kind of verdict, and hostile words in every text of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from slotproof.judge.matrix import Matrix, build
from slotproof.model import (
    CellId,
    CellRun,
    Connect,
    Kind,
    LockedTest,
    Observation,
    Outcome,
    Run,
    SuiteRun,
    Topology,
)

HOSTILE = (
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\u2028'\"&amp;\ud800\x1b[2J"
)
SUBJECT = "valkey-py"
TOUCHED = {"get": 2, "cluster|slots": 1}
NODES = {"127.0.0.1:7000": {"get": 2}, "127.0.0.1:7001": {"cluster|slots": 1}}


@dataclass(frozen=True)
class Sample:
    """A run and its matrix."""

    run: Run
    matrix: Matrix


def _cell(client: str, topology: Topology, **more: object) -> CellRun:
    cell = CellId("redis-py", client, topology, "valkey-8.1")
    facts: dict[str, object] = {
        "control": client == "redis-py",
        "client_version": "8.1.0",
        "server_version": "Valkey 8.1.8",
        "isolation": "namespaces",
        "lanes": 2,
        "seconds": 163.4,
        "complete": True,
    }
    return CellRun(cell, **(facts | more))  # type: ignore[arg-type]


def sample(*, problems: tuple[str, ...] = (), not_run: bool = False) -> Sample:
    """Six tests: pass, gain, adapter, bypassed, offline, hostile; two topologies, two clients."""
    names = ["pass", "gain", "adapter", "bypassed", "offline", HOSTILE]
    ids = [f"tests/test_commands.py::{name}" for name in names]
    kinds = [Kind.BLACK_BOX] * 4 + [Kind.MOCK, Kind.POKE]
    both = frozenset(Topology)
    suite = SuiteRun(
        "redis-py",
        "8.1.0",
        "redis-py core",
        "ioredis core",
        "MIT",
        tuple(LockedTest(i, k, both, 0.0) for i, k in zip(ids, kinds, strict=True)),
    )
    cells = [
        _cell("redis-py", Topology.STANDALONE),
        _cell("redis-py", Topology.CLUSTER),
        _cell(SUBJECT, Topology.STANDALONE),
        _cell(SUBJECT, Topology.CLUSTER, canary=("127.0.0.1:7002",), server_log=HOSTILE),
    ]
    if not_run:
        cells[3] = _cell(SUBJECT, Topology.CLUSTER, status=f"not run: {HOSTILE}", complete=False)
    seen = [o for cell in cells if cell.status == "run" for o in _observe(cell, names, ids)]
    run = Run(
        {
            "slotproof": "0.1.0",
            "python": "3.12.1",
            "platform": "Linux",
            "argv": ("run", "redis-py", HOSTILE.replace("\ud800", "")),
            "profile": "full",
            "started": "2026-01-01T00:00:00Z",
            "finished": None if problems else "2026-01-01T00:09:00Z",
        },
        (suite,),
        tuple(cells),
        tuple(seen),
        problems,
    )
    return Sample(run, build(run))


def _observe(cell: CellRun, names: list[str], ids: list[str]) -> list[Observation]:
    found = []
    subject_on_cluster = not cell.control and cell.cell.topology is Topology.CLUSTER
    for name, test in zip(names, ids, strict=True):
        failed = (name == "gain" and cell.control) or (
            name in {"adapter", HOSTILE} and subject_on_cluster
        )
        offline = name == "offline" or (name == "bypassed" and subject_on_cluster)
        for attempt in range(2 if failed else 1):
            found.append(
                Observation(
                    cell=cell.cell,
                    test=test,
                    attempt=attempt,
                    outcome=Outcome.FAILED if failed else Outcome.PASSED,
                    seconds=0.012,
                    message=HOSTILE if failed else "",
                    traceback=f"Traceback of {HOSTILE}" if failed else "",
                    touches={} if offline else TOUCHED,
                    nodes={} if offline else NODES,
                    connects=(Connect("127.0.0.1:7000", HOSTILE, "rogue.py", 3, True),)
                    if name == "bypassed" and subject_on_cluster
                    else (),
                    stats_reset=name == "adapter",
                )
            )
    return found


def _in_resp2(run: Run) -> Run:
    """The same run with every cell a second time, in another variant."""
    cells = [replace(c, cell=replace(c.cell, variant="resp2")) for c in run.cells]
    seen = [replace(o, cell=replace(o.cell, variant="resp2")) for o in run.observations]
    return replace(run, cells=(*run.cells, *cells), observations=(*run.observations, *seen))


@pytest.fixture
def twice() -> Sample:
    """The sample run in two variants."""
    run = _in_resp2(sample().run)
    return Sample(run, build(run))


@pytest.fixture
def judged() -> Sample:
    """The sample run, complete."""
    return sample()


@pytest.fixture
def torso() -> Sample:
    """The sample run with problems and a cell that was not run."""
    return sample(problems=(f"results.jsonl:7: {HOSTILE}",), not_run=True)


@pytest.fixture
def hostile() -> str:
    """Text that breaks out of a careless page, terminal or table."""
    return HOSTILE
