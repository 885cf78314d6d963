"""``redis.RedisCluster`` on GLIDE. Upstream: ``redis.cluster`` 8.1.0."""

from __future__ import annotations

from typing import Any

import redis.cluster as upstream

from glide_redis.client import adopt
from glide_redis.connection import ConnectionPool, refuse
from glide_redis.fast import clustered, guard
from glide_redis.fast.failures import Fallback
from glide_redis.fast.pipelines import PipelineStrategy, TransactionStrategy
from glide_redis.fast.table import FAST, taken
from glide_redis.native.request import ReadFrom


class RedisCluster(upstream.RedisCluster):
    """redis-py's client of a cluster, on GLIDE. It takes redis-py's arguments, and two more.

    ``read_from``: where commands go that only read, by one of GLIDE's strategies; those for an
    availability zone take its name as ``availability_zone``. It holds for the commands of the fast
    path; without it redis-py's ``read_from_replicas`` and ``load_balancing_strategy`` do, for all.

    Raises UnsupportedOption for an option that GLIDE cannot honour.
    """

    fast: Any = None
    inflight: Any = None

    def __init__(
        self,
        *args: Any,
        read_from: ReadFrom | None = None,
        availability_zone: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse(kwargs)
        kwargs.setdefault("connection_pool_class", ConnectionPool)
        super().__init__(*args, **kwargs)
        self.read_from = read_from or clustered.read_from(self)
        self.availability_zone = availability_zone

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """Execute a command and return its parsed reply."""
        if args and args[0] in FAST and taken(args):
            fast = clustered.ready(self, kwargs)
            if fast is not None:
                try:
                    reply = clustered.execute(self, fast, args, kwargs)
                except Fallback:
                    pass
                else:
                    own = self.cluster_response_callbacks
                    if args[0] in own:
                        kwargs.pop("keys", None)
                        reply = own[args[0]](reply, **kwargs)
                    return reply
        return super().execute_command(*args, **kwargs)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> Any:
        """Return a pipeline; its commands go as one batch where they are plain ones."""
        pipe = super().pipeline(transaction, shard_hint)
        if type(pipe._execution_strategy) is upstream.PipelineStrategy:
            pipe._execution_strategy = PipelineStrategy(pipe, self)
        elif type(pipe._execution_strategy) is upstream.TransactionStrategy:
            pipe._execution_strategy = TransactionStrategy(pipe)
        return pipe

    def close(self) -> None:
        """Close the connections to all nodes."""
        if self.fast:
            self.fast.multiplexer.close()
        super().close()

    def disconnect_connection_pools(self) -> None:
        """Disconnect the pools of all nodes, and the client that commands share."""
        if self.fast:
            self.fast.multiplexer.close()
        super().disconnect_connection_pools()

    def node_callbacks(self) -> Any:
        """Return the response callbacks of the nodes' clients, which are alike."""
        # A client that was closed has no default node any more.
        node = self.get_default_node() or next(iter(self.get_nodes()))
        return node.redis_connection.response_callbacks


guard.clusters.add(RedisCluster, f"execute_command {guard.CLUSTER}")
guard.pipelines.add(PipelineStrategy, "execute send_cluster_commands _send_cluster_commands")

_create_redis_node = upstream.NodesManager.create_redis_node


def _on_glide(self: Any, host: str, port: int, **kwargs: Any) -> Any:
    """Create a node's client as upstream does; on GLIDE for the clusters of this module.

    Upstream names the node client's class and that of its own NodesManager in the middle of its
    code, and makes connections before the constructor returns: there is no other place to say it.
    """
    node = _create_redis_node(self, host, port, **kwargs)
    if issubclass(self.connection_pool_class, ConnectionPool):
        adopt(node.connection_pool)
    return node


upstream.NodesManager.create_redis_node = _on_glide  # type: ignore[method-assign]
