"""Has anything of redis-py's been replaced? Then its own way is taken, so that it has its effect.

Tests and applications replace methods of redis-py's classes and objects: to count calls, to fake
replies, to trace. The fast path would go past them. So it is taken only while every function that
it goes past is the one that was there when this package was imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import redis.client
import redis.cluster
import redis.connection

_ON_THE_WAY: Mapping[Any, str] = {
    redis.connection.AbstractConnection: (
        "connect connect_check_health on_connect send_command send_packed_command pack_command "
        "read_response can_read disconnect check_health"
    ),
    redis.connection.Connection: "_connect connect send_command read_response",
    redis.connection.ConnectionPool: "get_connection release make_connection",
    redis.client.Redis: (
        "execute_command _execute_command _send_command_parse_response parse_response "
        "_close_connection"
    ),
    redis.client.Pipeline: (
        "execute _execute_pipeline _execute_transaction parse_response raise_first_error "
        "annotate_exception"
    ),
    redis.cluster.RedisCluster: (
        "execute_command _internal_execute_command _execute_command _determine_nodes "
        "_process_result determine_slot get_node_from_key get_redis_connection keyslot "
        "get_nodes_from_slot get_random_node"
    ),
    redis.cluster.NodesManager: "get_node_from_slot initialize",
    redis.cluster.PipelineStrategy: "execute send_cluster_commands _send_cluster_commands",
    redis.cluster: "get_connection",
}


def watch(extra: Mapping[Any, str]) -> Callable[[], bool]:
    """Return a check that nothing on redis-py's way has been replaced since this call.

    ``extra``: more places, as names of attributes by their owner.
    """
    places: list[tuple[Any, Callable[[Any], Any], Any]] = []
    for owner, names in [*_ON_THE_WAY.items(), *extra.items()]:
        get = attrgetter(*names.split())
        places.append((owner, get, get(owner)))
    frozen = tuple(places)

    def untouched() -> bool:
        for owner, get, expected in frozen:  # noqa: SIM110 (a generator costs twice as much)
            if get(owner) != expected:
                return False
        return True

    return untouched


def plain(thing: Any, guarded: frozenset[str]) -> bool:
    """True when no attribute of the object itself hides one of the ``guarded`` of its class."""
    return guarded.isdisjoint(thing.__dict__)
