"""The faults: what each does to a running cluster, and how it is undone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from slotproof.chaos import migration
from slotproof.inject.slotproof_resp import RespConnection
from slotproof.servers.deployment import Deployment, Node
from slotproof.servers.state import slot_of

PARTITION_SECONDS = 3.0
_REPLY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that has been injected; times as in ``timeline.Outage``.

    ``served``: known already, for a fault that is over when it has been injected.
    """

    fault: float
    healed: float | None = None
    served: float | None = None


class Victims:
    """The servers of one run, with the first shard as the one that gets hurt.

    ``tags``: hash tags in slots of that shard's primary.
    """

    def __init__(self, servers: Deployment, tags: Sequence[str]) -> None:
        self.servers = servers
        self.tags = tags
        self.primary = servers.primaries[0]
        self.replica = servers.replicas[0]
        self._frozen: list[Node] = []

    @staticmethod
    def _signal(node: Node, number: signal.Signals) -> None:
        assert node.pid is not None, "only servers of our own are hurt"
        os.kill(node.pid, number)

    def kill(self) -> None:
        """End the primary at once."""
        self._signal(self.primary, signal.SIGKILL)

    def freeze(self, nodes: Sequence[Node]) -> None:
        """Stop processes where they are: their sockets stay open and silent."""
        for node in nodes:
            self._frozen.append(node)
            self._signal(node, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let every frozen process go on; also where one is gone meanwhile."""
        while self._frozen:
            with contextlib.suppress(ProcessLookupError):
                self._signal(self._frozen.pop(), signal.SIGCONT)

    @contextmanager
    def connections(self) -> Iterator[list[RespConnection]]:
        """A connection to each primary."""
        with ExitStack() as stack:
            yield [
                stack.enter_context(RespConnection(node.host, node.port, timeout=_REPLY_SECONDS))
                for node in self.servers.primaries
            ]


class Scenario:
    """A fault.

    ``interrupts``: see ``timeline.Outage``. ``everywhere``: it hits all servers; else the nodes
    watched take no writes for the slots before it.
    """

    name: str
    title: str
    interrupts = True
    everywhere = False

    def prepare(self, victims: Victims) -> None:
        """Make ready, before anybody writes."""

    def watched(self, victims: Victims) -> tuple[Node, ...]:
        """Return the nodes that the probe asks."""
        return (victims.replica,)

    def strike(self, victims: Victims) -> Struck:
        """Inject the fault. Raises OSError and RespError when the servers would not have it."""
        raise NotImplementedError

    def heal(self, victims: Victims) -> float | None:
        """Undo the fault once everybody is back or out of patience; return when, or None."""


class Kill(Scenario):
    """The primary dies: connections are reset, new ones refused."""

    name = "kill"
    title = "The primary is killed (SIGKILL)"

    def strike(self, victims: Victims) -> Struck:
        """Kill the primary."""
        victims.kill()
        return Struck(time.monotonic())


class Freeze(Scenario):
    """The primary hangs: connections stay open, nothing answers, no error comes."""

    name = "freeze"
    title = "The primary hangs (SIGSTOP), and wakes up (SIGCONT) once its replica has taken over"

    def strike(self, victims: Victims) -> Struck:
        """Stop the primary's process."""
        victims.freeze([victims.primary])
        return Struck(time.monotonic())

    def heal(self, victims: Victims) -> float | None:
        """Wake it up: it still takes itself for the primary, for a moment."""
        healed = time.monotonic()
        victims.thaw()
        return healed


class Migrate(Scenario):
    """Slots move to another primary while they are written to: nobody needs to notice."""

    name = "migrate"
    title = "The slots move to another primary under load"
    interrupts = False

    def prepare(self, victims: Victims) -> None:
        """Fill the slots, so that moving them takes a while."""
        with victims.connections() as primaries:
            migration.fill(primaries[0], victims.tags)

    def strike(self, victims: Victims) -> Struck:
        """Move every slot that is written to."""
        with victims.connections() as (source, target, *others):
            fault = time.monotonic()
            slots = [slot_of(f"{{{tag}}}") for tag in victims.tags]
            migration.migrate(slots, source, target, others)
            return Struck(fault, served=time.monotonic())


class Partition(Scenario):
    """Nothing answers for a while, as when the network between client and cluster is cut."""

    name = "partition"
    title = f"No server answers for {PARTITION_SECONDS:g} s (SIGSTOP of all, then SIGCONT)"
    everywhere = True

    def watched(self, victims: Victims) -> tuple[Node, ...]:
        """Both nodes of the shard: either may be its primary afterwards."""
        return (victims.primary, victims.replica)

    def strike(self, victims: Victims) -> Struck:
        """Stop all servers for a while."""
        victims.freeze(victims.servers.nodes)
        fault = time.monotonic()
        time.sleep(PARTITION_SECONDS)
        healed = time.monotonic()
        victims.thaw()
        return Struck(fault, healed=healed)


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario for scenario in (Kill(), Freeze(), Migrate(), Partition())
}
