"""Has anything of redis-py's been replaced? Then its own way is taken, so that it has its effect.

Tests and applications replace methods of redis-py's classes and objects: to count calls, to fake
replies, to trace. The fast path would go past them. So it is taken only while every function that
it goes past is the one that was there when this package was imported, and while redis-py records no
metrics of its commands, which it does on its own way.

What an adapter's class inherits is watched there, so that a replacement in any class above it is
seen; what it overrides is watched in redis-py's class as well.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import redis.client
import redis.cluster
import redis.connection
from redis.observability import recorder


class Watch:
    """Attributes of classes and modules, as they were when they were added."""

    def __init__(self) -> None:
        self._places: list[tuple[Any, Callable[[Any], Any], Any]] = []

    def add(self, owner: Any, names: str) -> None:
        """Watch attributes, separated by blanks, from now on."""
        get = attrgetter(*names.split())
        self._places.append((owner, get, get(owner)))

    def untouched(self) -> bool:
        """True while nothing has been replaced and no metrics are recorded."""
        for owner, get, expected in self._places:
            if get(owner) != expected:
                return False
        return recorder._metrics_collector is None


SINGLE = "_execute_command _send_command_parse_response parse_response _close_connection"
"""What a client of one server does with a command, by the names of its methods."""

CLUSTER = (
    "_internal_execute_command _execute_command _determine_nodes _process_result determine_slot "
    "get_redis_connection keyslot"
)
"""The same for a cluster client."""

CONNECTION = "_connect connect connect_check_health send_command send_packed_command read_response"
POOL = "get_connection release make_connection"
PIPELINE = "_execute_pipeline _execute_transaction parse_response raise_first_error"

commands = Watch()
"""What every command goes past."""

clusters = Watch()
"""What the commands of a cluster client go past besides."""

pipelines = Watch()
"""What pipelines go past besides."""

commands.add(redis.client.Redis, "execute_command parse_response")
commands.add(redis.connection.ConnectionPool, "get_connection")
clusters.add(redis.cluster.RedisCluster, "execute_command")
clusters.add(redis.cluster.NodesManager, "get_node_from_slot initialize")
clusters.add(redis.cluster, "get_connection")
pipelines.add(redis.client.Pipeline, "execute")
pipelines.add(redis.cluster.PipelineStrategy, "send_cluster_commands")
pipelines.add(redis.cluster.NodeCommands, "write read")


def plain(thing: Any, guarded: frozenset[str]) -> bool:
    """True when no attribute of the object itself hides one of the ``guarded`` of its class."""
    return guarded.isdisjoint(thing.__dict__)
