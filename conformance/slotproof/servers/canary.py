"""Finds primaries that no longer execute scripts, a state that falsifies every later test.

Valkey 9.0.0 to 9.1.2 in cluster mode enter it after a single script with a multi-key call across
slots (see ``fixtures/servers/valkey-9.1.toml``).
"""

from __future__ import annotations

from collections.abc import Iterable

from slotproof.inject.slotproof_resp import RespConnection, RespError
from slotproof.model import Role
from slotproof.servers.deployment import Node
from slotproof.servers.state import info, key_in, parse_nodes

_SCRIPT = "return redis.call('exists', KEYS[1])"


def check(
    nodes: Iterable[Node],
    *,
    username: str | None = None,
    password: str | None = None,
    seconds: float = 5.0,
) -> tuple[str, ...]:
    """Return the ``host:port`` of each primary that does not execute a script on a key of its own.

    Asks every node for its present role, since a failover may have changed it; the script only
    reads. A node that was a primary and cannot be reached, or does not answer in ``seconds``,
    executes nothing and is returned too.
    """
    failing = []
    for node in nodes:
        try:
            with RespConnection(
                node.host, node.port, timeout=seconds, username=username, password=password
            ) as connection:
                if not _executes(connection):
                    failing.append(node.address)
        except (OSError, RespError):
            if node.role is Role.PRIMARY:
                failing.append(node.address)
    return tuple(failing)


def _executes(connection: RespConnection) -> bool:
    """True for a replica, a primary without slots and a primary whose scripts reach their keys."""
    if info(connection, "replication")["role"] != "master":
        return True
    slot: int | None = 0
    if info(connection, "cluster").get("cluster_enabled") == "1":
        peers = parse_nodes(connection.text("CLUSTER", "NODES"))
        slot = next(peer.first_slot for peer in peers if "myself" in peer.flags)
    if slot is None:
        return True
    try:
        connection.call("EVAL", _SCRIPT, 1, key_in(slot))
    except RespError:
        return False
    return True
