"""The harness's own view of the servers: loads values, checks what was written, counts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from slotproof.bench.foreign.slotproof_bench_worker import workload
from slotproof.inject.slotproof_resp import RespConnection
from slotproof.model import Role
from slotproof.servers.deployment import Deployment
from slotproof.servers.formation import slot_ranges
from slotproof.servers.state import parse_info

_TIMEOUT_SECONDS = 30.0


class Nodes:
    """Connections of our own to every node of a deployment. Raises OSError and RespError."""

    def __init__(self, deployment: Deployment) -> None:
        self._stack = ExitStack()
        self._nodes: list[tuple[Role, RespConnection]] = []
        with ExitStack() as stack:
            for node in deployment.nodes:
                connection = RespConnection(node.host, node.port, timeout=_TIMEOUT_SECONDS)
                self._nodes.append((node.role, stack.enter_context(connection)))
            self._stack = stack.pop_all()
        self._primaries = [c for role, c in self._nodes if role is Role.PRIMARY]
        self._ranges = slot_ranges(len(self._primaries))

    def _owner(self, key: str) -> RespConnection:
        slot = workload.slot(key)
        owners = zip(self._primaries, self._ranges, strict=True)
        return next(node for node, (low, high) in owners if low <= slot <= high)

    def load(self, size: int) -> None:
        """Write the values that are read, of ``size`` bytes."""
        for command in workload.reads(size):
            self._owner(command.key).call("SET", command.key, command.value)

    def missing(self, size: int, nonce: int, count: int) -> str:
        """Return what is wrong with the first ``count`` values of a sample's SETs, "" if nothing.

        The servers are asked, not the client that says that it has written.
        """
        wrong = [
            command.key
            for command in workload.writes(size, nonce)[:count]
            if self._owner(command.key).call("GET", command.key) != command.value
        ]
        return f"{len(wrong)} values were not written, the first is {wrong[0]}" if wrong else ""

    def calls(self) -> Mapping[str, int]:
        """Return how many GETs and SETs the servers have executed so far.

        SETs on primaries only: replicas repeat them.
        """
        found = {"GET": 0, "SET": 0}
        for role, node in self._nodes:
            stats = parse_info(node.text("INFO", "commandstats"))
            for name in found:
                if name == "GET" or role is Role.PRIMARY:
                    found[name] += _calls(stats.get(f"cmdstat_{name.lower()}", ""))
        return found

    def connections(self) -> frozenset[tuple[int, str]]:
        """Return the connections to all nodes: number of the node, id of the connection."""
        return frozenset(
            (number, line.split(" ", 1)[0])
            for number, (_, node) in enumerate(self._nodes)
            for line in node.text("CLIENT", "LIST").splitlines()
        )

    def close(self) -> None:
        """Close all connections."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _calls(line: str) -> int:
    fields = dict(part.partition("=")[::2] for part in line.split(","))
    return int(fields.get("calls", 0))
