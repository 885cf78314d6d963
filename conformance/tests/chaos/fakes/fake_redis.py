"""Just enough of redis-py's cluster client for the writer, on raw sockets; others break it."""

from __future__ import annotations

import sys
import time
from types import ModuleType

from slotproof.inject.slotproof_resp import RespConnection, RespError


class ConnectionError(Exception):  # noqa: A001 (redis-py's name)
    """As in redis-py."""


class TimeoutError(Exception):  # noqa: A001 (redis-py's name)
    """As in redis-py."""


class ClusterError(Exception):
    """As in redis-py."""


class RedisClusterException(Exception):
    """As in redis-py."""


class ClusterNode:
    """As in redis-py."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port


class RedisCluster:
    """Tries one node after the other until one takes the command, and stays with it."""

    def __init__(self, startup_nodes: list[ClusterNode], socket_timeout: float = 0.2) -> None:
        self.nodes = startup_nodes
        self.timeout = socket_timeout
        self.connection: RespConnection | None = None
        self.at = 0

    def set(self, key: str, value: str) -> None:
        """As in redis-py."""
        self.write("SET", key, value)

    def incr(self, key: str) -> None:
        """As in redis-py."""
        self.write("INCR", key)

    def write(self, *command: str) -> None:
        """Send a command until a node takes it."""
        while not self.sent(*command):
            self.at = (self.at + 1) % len(self.nodes)
            time.sleep(0.001)

    def sent(self, *command: str) -> bool:
        """Send a command to the node that was right last; True when it took it."""
        node = self.nodes[self.at]
        try:
            if self.connection is None:
                self.connection = RespConnection(node.host, node.port, timeout=self.timeout)
            self.connection.call(*command)
        except (OSError, RespError):
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return False
        return True


def install(client: type[RedisCluster]) -> None:
    """Make ``import redis`` give ``client``."""
    redis, cluster, exceptions = (
        ModuleType(name) for name in ("redis", "redis.cluster", "redis.exceptions")
    )
    cluster.__dict__.update(RedisCluster=client, ClusterNode=ClusterNode)
    for error in (ConnectionError, TimeoutError, ClusterError, RedisClusterException):
        setattr(exceptions, error.__name__, error)
    for module in (redis, cluster, exceptions):
        sys.modules[module.__name__] = module
