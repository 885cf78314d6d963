"""From a suite, a client and what was prepared to the plan of one lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slotproof.cells.plan import CellPlan, ClientPlan, ServerPlan
from slotproof.clients.plugin import Client
from slotproof.model import CellId
from slotproof.runner.prepare import Prepared
from slotproof.suites.manifest import Suite


def wanted_servers(suite: Suite, cell: CellId, *, private: bool) -> ServerPlan:
    """Describe the servers that the suite asks for; who provides them fills in the rest.

    ``private``: the cell has a network of its own, so hard-coded ports and companions are free.
    """
    where = suite.topology(cell.topology)
    return ServerPlan(
        product="",
        version="",
        ports=where.ports if private or suite.namespace_only else (),
        replicas=where.replicas,
        config=where.config,
        companions=where.companions if private else (),
    )


def lane_plan(
    suite: Suite,
    client: Client,
    cell: CellId,
    prepared: Prepared,
    server: ServerPlan,
    folder: Path,
    *,
    private: bool,
    ids: Sequence[str] | None,
    done: Mapping[str, tuple[str, ...]] | None = None,
    reruns: int = 0,
) -> CellPlan:
    """Return the plan of a lane that works in ``folder``.

    ``ids``: the tests to run, or None to collect them all. ``done``: outcomes that an interrupted
    run left.
    """
    key = (suite.name, client.name)
    return CellPlan(
        cell=cell,
        mode="collect" if ids is None else "run",
        python=str(prepared.environments[key].python),
        suite_root=str(prepared.trees[suite.name]),
        files=suite.files,
        pytest_args=suite.pytest_args(cell.topology, cell.variant),
        env=suite.env,
        server=server,
        client=ClientPlan(
            client.bootstrap,
            str(client.bootstrap_dir) if client.bootstrap_dir else None,
            client.connects_from,
        ),
        ids=None if ids is None else tuple(ids),
        done=done or {},
        timeout=suite.timeout,
        reruns=reruns,
        leash="record" if private else "refuse",
        workdir=str(folder),
        expose=(
            *prepared.expose(key),
            str(folder),
            *([str(client.bootstrap_dir)] if client.bootstrap_dir else []),
        ),
    )
