"""``redis.RedisCluster`` on GLIDE. Upstream: ``redis.cluster`` 8.1.0."""

from __future__ import annotations

from typing import Any

import redis.cluster as upstream

from glide_redis.client import adopt
from glide_redis.connection import ConnectionPool, refuse


class RedisCluster(upstream.RedisCluster):
    """redis-py's client of a cluster, on GLIDE. It takes redis-py's arguments.

    Raises UnsupportedOption for an option that GLIDE cannot honour.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        refuse(kwargs)
        kwargs.setdefault("connection_pool_class", ConnectionPool)
        super().__init__(*args, **kwargs)


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


upstream.NodesManager.create_redis_node = _on_glide
