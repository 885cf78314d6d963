"""The servers of a cell: started, watched, replaced when they die."""

from __future__ import annotations

import contextlib
from pathlib import Path

from slotproof.cells.plan import CellPlan
from slotproof.model import Role, Topology
from slotproof.servers import embedded
from slotproof.servers.deployment import Deployment, Node

MAX_REVIVALS = 3


class CellServers:
    """What the suite runs on (``main``), and what upstream keeps beside it.

    ``log`` grows with every loss. Use as a context manager: all servers are stopped at its end.
    """

    def __init__(self, plan: CellPlan, work: Path) -> None:
        self.plan = plan
        self.work = work
        self.revivals = 0
        self.log = ""
        self._lost: tuple[str, ...] = ()
        self._all: list[Deployment] = []

    def __enter__(self) -> CellServers:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def main(self) -> Deployment:
        """The deployment under test."""
        return self._all[0]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, companions last."""
        return tuple(node for deployment in self._all for node in deployment.nodes)

    def lost(self) -> bool:
        """Look whether every server still lives; noted once in the log when one does not."""
        if not self._lost:
            self._lost = tuple(n.address for d in self._all for n in d.dead())
            if self._lost:
                self.log += f"gone in mid-run: {', '.join(self._lost)}\n{self._log_tail()}"
        return bool(self._lost)

    def revive(self) -> bool:
        """Replace all servers by fresh ones; False when it happened too often or cannot be."""
        self._stop()
        self.revivals += 1
        if self.plan.server.nodes or self.revivals > MAX_REVIVALS:
            return False
        self._lost = ()
        self._start()
        return True

    def _start(self) -> None:
        plan = self.plan.server
        if plan.nodes:
            nodes = tuple(Node(host, port, Role(role)) for host, port, role in plan.nodes)
            self._all = [
                Deployment(
                    nodes,
                    self.plan.topology,
                    product=plan.product,
                    version=plan.version,
                    username=plan.username,
                    password=plan.password,
                )
            ]
            return
        self._all = []
        self._launch(self.plan.topology, plan.ports, plan.replicas)
        if plan.companions:
            self._launch(Topology.STANDALONE, plan.companions, len(plan.companions) - 1)

    def _launch(self, topology: Topology, ports: tuple[int, ...], replicas: int) -> None:
        plan = self.plan.server
        folder = self.work / f"servers-{self.revivals}-{len(self._all)}"
        folder.mkdir()
        self._all.append(
            embedded.start(
                embedded.ServerBinary(Path(plan.binary), plan.product, plan.version),
                topology,
                ports=ports or None,
                config=plan.config,
                replicas=replicas,
                workdir=folder,
            )
        )

    def _stop(self) -> None:
        for deployment in self._all:
            deployment.stop()

    def _log_tail(self) -> str:
        text = ""
        for log in sorted(self.work.glob("servers-*/**/*.log")):
            with contextlib.suppress(OSError):
                lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
                text += f"{log.relative_to(self.work)}:\n" + "\n".join(lines[-5:]) + "\n"
        return text[-4000:]
