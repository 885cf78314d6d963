"""The canary tells servers that no longer execute scripts from those that do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slotproof.inject.slotproof_resp import RespConnection, RespError
from slotproof.model import Topology
from slotproof.servers import canary, embedded
from slotproof.servers.deployment import Node
from slotproof.servers.embedded import ServerBinary
from slotproof.servers.formation import slot_ranges
from slotproof.servers.state import key_in, slot_of

pytestmark = pytest.mark.servers

_CROSSING = "return redis.call('del', '{a}x', '{b}y')"


def _owner(nodes: tuple[Node, ...], key: str) -> Node:
    slot = slot_of(key)
    return next(
        node for node, (low, high) in zip(nodes, slot_ranges(), strict=True) if low <= slot <= high
    )


@pytest.mark.parametrize(
    ("server", "falls"), [("valkey-8.1", False), ("valkey-9.1", True), ("redis-8.2", False)]
)
def test_only_valkey_9_falls_to_a_script_across_slots(
    tmp_path: Path, binary_of: Callable[[str], ServerBinary], server: str, falls: bool
) -> None:
    with embedded.start(
        binary_of(server), Topology.CLUSTER, workdir=tmp_path, replicas=1
    ) as cluster:
        assert canary.check(cluster.nodes) == ()
        poisoned = _owner(cluster.primaries, "{c}k")
        with RespConnection(poisoned.host, poisoned.port) as connection:
            with pytest.raises(RespError, match=r"same slot|non local"):
                connection.call("EVAL", _CROSSING, 1, "{c}k")
            assert canary.check(cluster.nodes) == ((poisoned.address,) if falls else ())
            connection.call("SCRIPT", "FLUSH")
        assert canary.check(cluster.nodes) == ((poisoned.address,) if falls else ())


def test_the_canary_writes_nothing_and_asks_present_primaries(
    tmp_path: Path, valkey: ServerBinary
) -> None:
    with embedded.start(valkey, Topology.STANDALONE, workdir=tmp_path, replicas=1) as pair:
        (primary,), (replica,) = pair.primaries, pair.replicas
        with RespConnection(primary.host, primary.port) as connection:
            assert canary.check(pair.nodes) == ()
            assert connection.call("DBSIZE") == 0
            # A primary that forbids scripts executes none; its replica is not asked.
            connection.call("ACL", "SETUSER", "default", "-eval")
            assert canary.check(pair.nodes) == (primary.address,)
        with RespConnection(replica.host, replica.port) as connection:
            connection.call("REPLICAOF", "NO", "ONE")
            connection.call("ACL", "SETUSER", "default", "-eval")
        assert canary.check(pair.nodes) == (primary.address, replica.address)


def test_a_primary_that_is_gone_executes_nothing(tmp_path: Path, valkey: ServerBinary) -> None:
    with embedded.start(valkey, Topology.STANDALONE, workdir=tmp_path) as server:
        nodes = server.nodes
    assert canary.check(nodes) == (nodes[0].address,)


def test_key_in_belongs_to_the_first_slot_asked() -> None:
    for low, high in slot_ranges():
        assert low <= slot_of(key_in(low)) <= high
