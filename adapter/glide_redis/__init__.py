"""redis-py's API on the Valkey GLIDE client.

``from glide_redis import Redis, RedisCluster``: the classes take what redis-py's take and do what
they do; the connections are those of GLIDE's native core.
"""

from __future__ import annotations

from collections.abc import Mapping

import redis.client
import redis.cluster
import redis.connection

from glide_redis.client import Redis, StrictRedis
from glide_redis.cluster import RedisCluster
from glide_redis.connection import (
    BlockingConnectionPool,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from glide_redis.options import UnsupportedOption

__version__ = "0.1.0"

REPLACEMENTS: Mapping[type, type] = {
    redis.client.Redis: Redis,
    redis.cluster.RedisCluster: RedisCluster,
    redis.connection.Connection: Connection,
    redis.connection.SSLConnection: SSLConnection,
    redis.connection.UnixDomainSocketConnection: UnixDomainSocketConnection,
    redis.connection.ConnectionPool: ConnectionPool,
    redis.connection.BlockingConnectionPool: BlockingConnectionPool,
}
"""redis-py's classes and the ones that stand for them: for programs written for redis-py."""

__all__ = [
    "REPLACEMENTS",
    "BlockingConnectionPool",
    "Connection",
    "ConnectionPool",
    "Redis",
    "RedisCluster",
    "SSLConnection",
    "StrictRedis",
    "UnixDomainSocketConnection",
    "UnsupportedOption",
]
