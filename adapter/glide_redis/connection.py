"""redis-py's connections and pools on GLIDE: all of redis-py's code, another kind of socket.

Upstream: ``redis.connection`` 8.1.0. A connection is redis-py's own; only what ``_connect`` returns
is the adapter's. So handshakes, parsers, retries, health checks and pools are redis-py's, and what
an application replaces in them keeps its effect.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import redis.connection as upstream

from glide_redis import options
from glide_redis.fast import guard
from glide_redis.native.request import Options
from glide_redis.native.values import NativeError, TimedOut
from glide_redis.seam.socket import WireSocket


class Connection(upstream.Connection):
    """A connection over TCP."""

    def _connect(self) -> WireSocket:
        return _open(self, options.of_tcp)


class SSLConnection(upstream.SSLConnection, Connection):
    """A connection over TLS."""

    def _connect(self) -> WireSocket:
        return _open(self, options.of_tls)


class UnixDomainSocketConnection(upstream.UnixDomainSocketConnection):
    """A connection over a unix domain socket."""

    def _connect(self) -> WireSocket:
        return _open(self, options.of_unix)


for _class in (Connection, SSLConnection, UnixDomainSocketConnection):
    guard.commands.add(_class, guard.CONNECTION)

_OURS: dict[type, type] = {
    upstream.Connection: Connection,
    upstream.SSLConnection: SSLConnection,
    upstream.UnixDomainSocketConnection: UnixDomainSocketConnection,
}


def on_glide(connection_class: Any) -> Any:
    """Return the adapter's class for one of redis-py's, any other class as it is."""
    return _OURS.get(connection_class, connection_class)


class ConnectionPool(upstream.ConnectionPool):
    """A pool whose connections are GLIDE's, unless it is given a class of somebody else's."""

    # What its clients share for commands that need no connection of their own: see ``fast.single``.
    fast: Any = None

    # How many attributes it and its client had when nothing was replaced: see ``fast.clustered``.
    seen: Any = None

    def __init__(self, connection_class: Any = Connection, *args: Any, **kwargs: Any) -> None:
        super().__init__(on_glide(connection_class), *args, **kwargs)

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Get a connection as upstream does. Raises UnsupportedOption for client-side caching."""
        if self.cache is not None:
            refuse({"cache": self.cache})
        return super().get_connection(*args, **options)

    def disconnect(self, inuse_connections: bool = True) -> None:
        """Disconnect the pool's connections, and the client that its commands share."""
        super().disconnect(inuse_connections)
        if self.fast:
            self.fast.multiplexer.close()


class BlockingConnectionPool(upstream.BlockingConnectionPool, ConnectionPool):
    """A pool that waits for a free connection."""


guard.commands.add(ConnectionPool, guard.POOL)


def refuse(kwargs: dict[str, Any]) -> None:
    """Raise UnsupportedOption for an option that no connection could honour."""
    if kwargs.get("cache") or kwargs.get("cache_config"):
        raise options.UnsupportedOption(
            "client-side caching (cache, cache_config)",
            "GLIDE does not hand out invalidation messages",
            "leave it out",
        )
    options.refuse_socket_options(kwargs)
    if kwargs.get("ssl"):
        options.refuse_tls_options(kwargs)


def _open(connection: Any, of: Callable[[Any], Options]) -> WireSocket:
    limit = getattr(connection, "socket_connect_timeout", None)
    try:
        opened = WireSocket(of(connection), limit)
    except TimedOut:
        raise TimeoutError("timed out") from None
    except NativeError as error:
        # GLIDE does not say why a connection failed.
        refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        raise refused from error
    opened.settimeout(connection.socket_timeout)
    return opened
