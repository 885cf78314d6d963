"""Ask pytest, in cells, which tests a suite has: the source of ``collected.lock``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from slotproof.cells.isolation import probe
from slotproof.clients.plugin import Client
from slotproof.errors import EnvironmentProblem
from slotproof.model import CellId
from slotproof.runner.backends import Embedded
from slotproof.runner.lane import LaneProcess, LaneRegister
from slotproof.runner.planning import lane_plan, wanted_servers
from slotproof.runner.prepare import Prepared
from slotproof.suites.manifest import Suite


def collect(suite: Suite, client: Client, cell: CellId, prepared: Prepared) -> tuple[str, ...]:
    """Return the ids that pytest collects in this cell of the suite and the client, in order.

    Raises EnvironmentProblem when a test file cannot be imported or the cell does not start.
    """
    isolation = probe()
    folder = Path(tempfile.mkdtemp(prefix="slotproof-"))
    try:
        assert prepared.binary is not None
        wanted = wanted_servers(suite, cell, private=isolation.private)
        with Embedded(prepared.binary).lease(wanted, cell.topology) as servers:
            plan = lane_plan(
                suite,
                client,
                cell,
                prepared,
                servers.plan,
                folder,
                private=isolation.private,
                ids=None,
            )
        lane = LaneProcess(plan, isolation, folder)
        ids: tuple[str, ...] | None = None
        with LaneRegister().running(lane):
            for event in lane.events():
                if event["e"] == "problem":
                    raise EnvironmentProblem(event["tried"], event["found"], event["next_step"])
                if event["e"] == "collected":
                    ids = tuple(event["ids"])
        if ids is None:
            raise EnvironmentProblem(
                f"collecting the tests of {suite.name} on {cell.topology}",
                lane.stderr_tail() or f"the cell left with exit code {lane.exit_code}",
                "run `slotproof doctor`",
            )
        return ids
    finally:
        shutil.rmtree(folder, ignore_errors=True)
