"""Makes a cluster out of empty servers and waits until every node agrees that it is whole.

No ``valkey-cli`` is needed: CLUSTER ADDSLOTSRANGE, SET-CONFIG-EPOCH, MEET and REPLICATE, then
waiting on state, never on time (https://valkey.io/topics/cluster-spec/).

``python -m slotproof.servers.formation`` does the same from another network namespace: it reads
the arguments of ``form`` as JSON on standard input and answers ``{"ready": true}`` or
``{"tried", "found", "next_step"}``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise

from slotproof.errors import EnvironmentProblem
from slotproof.inject.slotproof_resp import RespConnection, RespError
from slotproof.model import Topology
from slotproof.servers.state import SLOTS, info, parse_info, parse_nodes

PRIMARIES = 3
BUS_OFFSET = 10000
_POLL_SECONDS = 0.02
_TELL_SECONDS = 0.25
_REPLY_SECONDS = 5.0

Address = tuple[str, int]
Progress = Callable[[str], None]
Watch = Callable[[], None]
"""Called while waiting; raises when waiting has become pointless (a server has ended)."""


def quiet(_: str) -> None:
    """Take progress and say nothing."""


def _nothing() -> None:
    pass


def node_count(topology: Topology, replicas: int) -> int:
    """Return how many servers a topology takes with ``replicas`` of each primary."""
    return (PRIMARIES if topology is Topology.CLUSTER else 1) * (1 + replicas)


def slot_ranges(primaries: int = PRIMARIES) -> tuple[tuple[int, int], ...]:
    """Return the first and last slot of each primary: all 16384, each once, evenly."""
    edges = [round(index * SLOTS / primaries) for index in range(primaries + 1)]
    return tuple((low, high - 1) for low, high in pairwise(edges))


def form(
    addresses: Sequence[Address],
    topology: Topology,
    *,
    bus_ports: Sequence[int] | None = None,
    seconds: float = 60.0,
    on_progress: Progress = quiet,
    watch: Watch = _nothing,
) -> None:
    """Wait until all servers answer, arrange them, wait until the arrangement is complete.

    ``addresses``: the primaries, then the replicas, replica ``i`` following primary
    ``i % primaries``. ``bus_ports``: cluster bus ports, where they are not port + 10000.
    ``seconds``: limit for the whole. A standalone server needs no more than to answer; its
    replicas are told by REPLICAOF.

    Raises EnvironmentProblem naming the address and what it last said.
    """
    deadline = time.monotonic() + seconds
    count = PRIMARIES if topology is Topology.CLUSTER else 1
    with ExitStack() as stack:
        nodes = []
        for number, address in enumerate(addresses):
            on_progress(f"waiting for server {number + 1} of {len(addresses)}")
            nodes.append(stack.enter_context(_answering(address, deadline, watch)))
        primaries, followers = nodes[:count], nodes[count:]
        with _explained(addresses):
            if topology is Topology.CLUSTER:
                buses = bus_ports or [port + BUS_OFFSET for _, port in addresses]
                on_progress("forming the cluster")
                _assign(primaries)
                _introduce(nodes, buses)
                _follow(primaries, followers, deadline, watch)
                on_progress("waiting until every node knows every other")
                _until(deadline, watch, _Settling(nodes, buses, count).lacks)
            else:
                for follower in followers:
                    follower.call("REPLICAOF", *primaries[0].address)
                _until(deadline, watch, lambda: _replication_lacks(followers))


@contextmanager
def _answering(address: Address, deadline: float, watch: Watch) -> Iterator[RespConnection]:
    """Connect to a server that may still be starting, or loading its data."""
    while True:
        watch()
        try:
            connection = RespConnection(*address, timeout=_REPLY_SECONDS)
            try:
                connection.call("PING")
            except BaseException:
                connection.close()
                raise
            break
        except (OSError, RespError) as error:
            if time.monotonic() > deadline:
                raise _late(f"{address[0]}:{address[1]} does not answer ({error})") from error
        time.sleep(_POLL_SECONDS)
    with connection:
        yield connection


@contextmanager
def _explained(addresses: Sequence[Address]) -> Iterator[None]:
    try:
        yield
    except (OSError, RespError) as error:
        names = ", ".join(f"{host}:{port}" for host, port in addresses)
        raise EnvironmentProblem(
            f"forming a deployment of {names}",
            str(error),
            "look into the servers' logs; a cluster needs empty servers of version 7.0 or newer",
        ) from error


def _late(found: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        "waiting for the servers to become ready",
        found,
        "look into the servers' logs; on a busy machine run fewer cells at a time (-j 1)",
    )


def _until(deadline: float, watch: Watch, lacking: Callable[[], str]) -> None:
    """Wait until ``lacking`` returns no more reason to wait."""
    while reason := lacking():
        watch()
        if time.monotonic() > deadline:
            raise _late(reason)
        time.sleep(_POLL_SECONDS)


def _assign(primaries: Sequence[RespConnection]) -> None:
    """Give each primary its slots and an epoch of its own, so that no election has to settle it."""
    for epoch, (node, (low, high)) in enumerate(
        zip(primaries, slot_ranges(len(primaries)), strict=True), start=1
    ):
        node.call("CLUSTER", "ADDSLOTSRANGE", low, high)
        node.call("CLUSTER", "SET-CONFIG-EPOCH", epoch)


def _introduce(nodes: Sequence[RespConnection], buses: Sequence[int]) -> None:
    """Let every node meet every later one: gossip alone would take seconds longer."""
    for index, node in enumerate(nodes):
        for other, bus in list(zip(nodes, buses, strict=True))[index + 1 :]:
            node.call("CLUSTER", "MEET", *other.address, bus)


def _follow(
    primaries: Sequence[RespConnection],
    followers: Sequence[RespConnection],
    deadline: float,
    watch: Watch,
) -> None:
    ids = [node.text("CLUSTER", "MYID") for node in primaries]

    def unwilling(follower: RespConnection, primary: str) -> str:
        try:
            follower.call("CLUSTER", "REPLICATE", primary)
        except RespError as error:  # "Unknown node" until the handshake is through
            return f"{_name(follower)} cannot follow its primary yet ({error})"
        return ""

    for index, follower in enumerate(followers):
        primary = ids[index % len(ids)]
        _until(deadline, watch, lambda f=follower, p=primary: unwilling(f, p))  # type: ignore[misc]


def _name(node: RespConnection) -> str:
    return f"{node.address[0]}:{node.address[1]}"


class _Settling:
    """Waits for every node's own view of the cluster to be whole, and helps the slow ones.

    A node learns what another one does from the header of its messages, after the handshake, and
    without help that takes until the next random ping, seconds away. A repeated MEET of a node
    that is known already is no more than such a message, sent now.
    """

    def __init__(
        self, nodes: Sequence[RespConnection], buses: Sequence[int], primaries: int
    ) -> None:
        self.nodes = nodes
        self.buses = buses
        self.primaries = primaries
        self.ids = [node.text("CLUSTER", "MYID") for node in nodes]
        self.told = dict.fromkeys(range(len(nodes)), 0.0)

    def lacks(self) -> str:
        """Return what is missing for the cluster to be whole in every node's view, or ''."""
        reasons = [reason for i in range(len(self.nodes)) if (reason := self._view_lacks(i))]
        return next(iter(reasons), "") or _replication_lacks(self.nodes[self.primaries :])

    def _view_lacks(self, index: int) -> str:
        node = self.nodes[index]
        peers = {peer.id: peer for peer in parse_nodes(node.text("CLUSTER", "NODES"))}
        reached = [
            peer
            for peer in peers.values()
            if not peer.flags & {"handshake", "fail", "fail?", "noaddr"}
            and (peer.linked or "myself" in peer.flags)
        ]
        # A peer in handshake is a repeated MEET on its way: it is gone with the answer.
        if len(reached) != len(peers) or set(peers) != set(self.ids):
            return f"{_name(node)} reaches {len(reached)} of {len(self.nodes)} nodes"
        wrong = [
            other
            for other, id_ in enumerate(self.ids)
            if (peers[id_].primary_id, peers[id_].slots > 0) != self._expected(other)
        ]
        if wrong:
            self._tell(index, wrong)
            return f"{_name(node)} does not know yet what {_name(self.nodes[wrong[0]])} serves"
        view = parse_info(node.text("CLUSTER", "INFO"))
        if view["cluster_state"] != "ok" or view["cluster_slots_ok"] != str(SLOTS):
            return (
                f"{_name(node)} says cluster_state:{view['cluster_state']},"
                f" {view['cluster_slots_ok']} of {SLOTS} slots ok"
            )
        return ""

    def _expected(self, index: int) -> tuple[str | None, bool]:
        """Return whom a node follows, and whether it has slots."""
        if index < self.primaries:
            return None, True
        return self.ids[index % self.primaries], False

    def _tell(self, listener: int, tellers: Sequence[int]) -> None:
        now = time.monotonic()
        if now - self.told[listener] < _TELL_SECONDS:
            return
        self.told[listener] = now
        for teller in tellers:
            if teller != listener:
                address = self.nodes[listener].address
                self.nodes[teller].call("CLUSTER", "MEET", *address, self.buses[listener])


def _replication_lacks(followers: Sequence[RespConnection]) -> str:
    for follower in followers:
        state = info(follower, "replication")
        if state["role"] != "slave" or state.get("master_link_status") != "up":
            return f"{_name(follower)} is not in sync with its primary yet"
    return ""


def _main() -> None:
    arguments = json.load(sys.stdin)
    try:
        form(
            [(host, port) for host, port in arguments["addresses"]],
            Topology(arguments["topology"]),
            bus_ports=arguments["bus_ports"],
            seconds=arguments["seconds"],
        )
        answer: dict[str, object] = {"ready": True}
    except EnvironmentProblem as problem:
        answer = {
            "tried": problem.tried,
            "found": problem.found,
            "next_step": problem.next_step,
        }
    with suppress(BrokenPipeError):
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _main()
