"""Ask pytest, in cells, which tests a suite has: the source of ``collected.lock``."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from slotproof.cells.isolation import Isolation, probe
from slotproof.cells.plan import CellPlan, ClientPlan, ServerPlan
from slotproof.clients.plugin import Client
from slotproof.errors import EnvironmentProblem
from slotproof.model import CellId, Topology
from slotproof.runner.lane import LaneProcess, LaneRegister
from slotproof.runner.prepare import Prepared
from slotproof.suites.manifest import Suite


def collect(
    suite: Suite, client: Client, topology: Topology, server: str, prepared: Prepared
) -> tuple[str, ...]:
    """Return the ids that pytest collects on this topology through ``client``, in order.

    Raises EnvironmentProblem when a test file cannot be imported or the cell does not start.
    """
    isolation = probe()
    folder = Path(tempfile.mkdtemp(prefix="slotproof-"))
    try:
        plan = _plan(suite, client, topology, server, prepared, isolation, folder)
        lane = LaneProcess(plan, isolation, folder)
        ids: tuple[str, ...] | None = None
        with _until_done(lane):
            for event in lane.events():
                if event["e"] == "problem":
                    raise EnvironmentProblem(event["tried"], event["found"], event["next_step"])
                if event["e"] == "collected":
                    ids = tuple(event["ids"])
        if ids is None:
            raise EnvironmentProblem(
                f"collecting the tests of {suite.name} on {topology}",
                lane.stderr_tail() or f"the cell left with exit code {lane.exit_code}",
                "run `slotproof doctor`",
            )
        return ids
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _until_done(lane: LaneProcess) -> Iterator[None]:
    with LaneRegister().running(lane):
        yield


def _plan(
    suite: Suite,
    client: Client,
    topology: Topology,
    server: str,
    prepared: Prepared,
    isolation: Isolation,
    folder: Path,
) -> CellPlan:
    where = suite.topology(topology)
    key = (suite.name, client.name)
    assert prepared.binary is not None
    return CellPlan(
        cell=CellId(suite.name, client.name, topology, server),
        mode="collect",
        python=str(prepared.environments[key].python),
        suite_root=str(prepared.trees[suite.name]),
        files=suite.files,
        pytest_args=suite.pytest_args(topology),
        env=suite.env,
        server=ServerPlan(
            product=prepared.binary.product,
            version=prepared.binary.version,
            binary=str(prepared.binary.path),
            ports=where.ports if isolation.private or suite.namespace_only else (),
            replicas=where.replicas,
            config=where.config,
        ),
        client=ClientPlan(
            client.bootstrap,
            str(client.bootstrap_dir) if client.bootstrap_dir else None,
            client.connects_from,
        ),
        ids=None,
        done={},
        timeout=suite.timeout,
        reruns=0,
        leash="record" if isolation.private else "refuse",
        workdir=str(folder),
        expose=(*prepared.expose(key), str(folder)),
    )
