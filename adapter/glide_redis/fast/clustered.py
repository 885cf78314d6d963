"""The fast path of ``redis.RedisCluster``. Upstream: ``redis.cluster`` 8.1.0."""

from __future__ import annotations

import weakref
from _thread import get_ident
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import redis.cluster
from redis import exceptions
from redis.cluster import LoadBalancingStrategy
from redis.utils import check_protocol_version

from glide_redis.fast import guard, single
from glide_redis.fast.failures import Interrupted
from glide_redis.fast.guard import plain
from glide_redis.fast.path import FastPath
from glide_redis.fast.recovery import Recovery
from glide_redis.fast.single import GUARDED as NODE_GUARDED
from glide_redis.fast.single import POOL_GUARDED, POOLS, UNUSABLE, options_of
from glide_redis.fast.watchdog import WATCHDOG, Inflight
from glide_redis.native.multiplexer import Multiplexer
from glide_redis.native.request import Options, ReadFrom

GUARDED = frozenset(["execute_command", *guard.CLUSTER.split()])
_MANAGER_GUARDED = frozenset({"get_node_from_slot", "initialize"})
_READ_FROM = {
    LoadBalancingStrategy.ROUND_ROBIN: ReadFrom.ALL_NODES,
    LoadBalancingStrategy.RANDOM: ReadFrom.ALL_NODES,
    LoadBalancingStrategy.ROUND_ROBIN_REPLICAS: ReadFrom.PREFER_REPLICA,
    LoadBalancingStrategy.RANDOM_REPLICA: ReadFrom.PREFER_REPLICA,
}
_own_way: dict[type, bool] = {}


def ready(client: Any, command_options: Mapping[str, Any]) -> FastPath | None:
    """Return the fast path of a cluster client if it may be taken now."""
    if (
        (command_options and not UNUSABLE.isdisjoint(command_options))
        or not guard.commands.untouched()
        or not guard.clusters.untouched()
        or not plain(client, GUARDED)
        or _overridden(type(client))
    ):
        return None
    manager = client.nodes_manager
    if not plain(manager, _MANAGER_GUARDED):
        return None
    for node in list(manager.nodes_cache.values()):
        if not _as_it_was(node.redis_connection):
            return None
    if client.fast is None:
        client.fast = _made(client)
    return client.fast or None


def _as_it_was(single: Any) -> bool:
    """True for a node's client in which, and in whose pool, nothing was replaced.

    This is asked for every node before every command: a look at how many attributes they have
    spares looking at each of them.
    """
    if single is None:
        return True
    if single.connection is not None:
        return False
    pool = single.connection_pool
    attributes = pool.__dict__
    sizes = len(single.__dict__), len(attributes), id(single)
    if attributes.get("seen") == sizes:
        return True
    if not plain(single, NODE_GUARDED) or type(pool) not in POOLS or not plain(pool, POOL_GUARDED):
        return False
    pool.seen = None
    pool.seen = len(single.__dict__), len(attributes), id(single)
    return True


def execute(
    client: Any, fast: FastPath, args: Sequence[Any], command_options: Mapping[str, Any]
) -> Any:
    """Execute a command, through an outage of its node if it may be repeated.

    Raises Fallback where redis-py's own way must be taken.
    """
    inflight: Inflight = client.inflight
    recovery = inflight.recovery
    end: float | None = None
    thread = get_ident()
    while True:
        if recovery.active and recovery.affects(args):
            recovery.wait(recovery.patience())
        if WATCHDOG.parked:
            WATCHDOG.unpark()
        inflight.commands[thread] = (monotonic(), args)
        try:
            return single.execute(fast, client.node_callbacks(), args, command_options)
        except Interrupted:
            end = end or monotonic() + recovery.patience()
            recovery.begin(recovery.node_of(args))
            if not recovery.wait(end - monotonic()):
                raise
        except exceptions.ConnectionError:
            recovery.begin(recovery.node_of(args))
            raise
        finally:
            # A signal handler or a finalizer may have sent another one meanwhile.
            inflight.commands.pop(thread, None)


def options_for(client: Any, pool: Any) -> Options:
    """Return GLIDE's options for a cluster: the nodes that redis-py knows, and its login of now."""
    nodes = client.nodes_manager.nodes_cache.values()
    return replace(
        options_of(pool),
        addresses=tuple((node.host, node.port) for node in nodes),
        cluster=True,
        database=0,
        read_from=client.read_from,
        availability_zone=client.availability_zone,
    )


def read_from(client: Any) -> ReadFrom:
    """Return GLIDE's strategy for redis-py's: where commands go that only read."""
    if client.load_balancing_strategy is not None:
        return _READ_FROM[client.load_balancing_strategy]
    return ReadFrom.ALL_NODES if client.read_from_replicas else ReadFrom.PRIMARY


def _made(client: Any) -> FastPath | bool:
    node = client.get_default_node()
    if node is None or node.redis_connection is None:
        return False
    manager = client.nodes_manager
    if client.user_on_connect_func is not None or manager.address_remap is not None:
        return False
    pool = node.redis_connection.connection_pool
    sample = pool.connection_class(**pool.connection_kwargs)
    client.inflight = Inflight(Recovery(client), client)
    WATCHDOG.watch(client.inflight)
    return FastPath(
        Multiplexer(_Late(client, pool)),
        sample.encoder,
        3 if check_protocol_version(pool.connection_kwargs.get("protocol"), 3) else 2,
        sample.socket_timeout,
    )


class _Late:
    """The options at the moment when a client is opened, without keeping the client alive."""

    def __init__(self, client: Any, pool: Any) -> None:
        self._client = weakref.ref(client)
        self._pool = pool

    def __call__(self) -> Options:
        client = self._client()
        if client is None:
            raise ReferenceError("the client is gone")
        return options_for(client, self._pool)


def _overridden(kind: type) -> bool:
    known = _own_way.get(kind)
    if known is None:
        upstream = redis.cluster.RedisCluster
        known = any(
            getattr(kind, name) is not getattr(upstream, name) for name in guard.CLUSTER.split()
        )
        _own_way[kind] = known
    return known
