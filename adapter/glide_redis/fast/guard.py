"""Has anything of redis-py's been replaced? Then its own way is taken, so that it has its effect.

Tests and applications replace methods of redis-py's classes and objects: to count calls, to fake
replies, to trace. The fast path would go past them. So it is taken only while every function that
it goes past is the one that was there when this package was imported, and while redis-py records no
metrics of its commands, which it does on its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import redis.client
import redis.cluster
import redis.connection
from redis.observability import recorder

_places: list[tuple[Any, Callable[[Any], Any], Any]] = []


def protect(owner: Any, names: str) -> None:
    """Watch attributes of a class or module, separated by blanks, from now on."""
    get = attrgetter(*names.split())
    _places.append((owner, get, get(owner)))


def untouched() -> bool:
    """True while nothing of what is protected has been replaced and no metrics are recorded."""
    for owner, get, expected in _places:
        if get(owner) != expected:
            return False
    return recorder._metrics_collector is None


def plain(thing: Any, guarded: frozenset[str]) -> bool:
    """True when no attribute of the object itself hides one of the ``guarded`` of its class."""
    return guarded.isdisjoint(thing.__dict__)


SINGLE = "_execute_command _send_command_parse_response parse_response _close_connection"
"""What a client of one server does with a command, by the names of its methods."""

CLUSTER = (
    "_internal_execute_command _execute_command _determine_nodes _process_result determine_slot "
    "get_redis_connection keyslot"
)
"""The same for a cluster client."""

CONNECTION = "_connect connect send_command send_packed_command read_response disconnect"
POOL = "get_connection release make_connection"
PIPELINE = "execute _execute_pipeline _execute_transaction parse_response raise_first_error"

for _owner, _names in (
    (redis.connection.AbstractConnection, "connect_check_health on_connect pack_command can_read"),
    (redis.connection.Connection, CONNECTION),
    (redis.connection.ConnectionPool, POOL),
    (redis.client.Redis, f"execute_command {SINGLE}"),
    (redis.client.Pipeline, PIPELINE),
    (redis.cluster.RedisCluster, f"execute_command {CLUSTER}"),
    (redis.cluster.NodesManager, "get_node_from_slot initialize"),
    (redis.cluster.PipelineStrategy, "execute send_cluster_commands _send_cluster_commands"),
    (redis.cluster.NodeCommands, "write read"),
    (redis.cluster, "get_connection"),
    (recorder, "_get_or_create_collector"),
):
    protect(_owner, _names)
