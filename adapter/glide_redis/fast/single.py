"""The fast path of ``redis.Redis``: one server. Upstream: ``redis.client`` 8.1.0."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import redis.client
from redis.client import NEVER_DECODE
from redis.observability import recorder
from redis.utils import check_protocol_version

from glide_redis import connection, options
from glide_redis.fast import guard
from glide_redis.fast.failures import Fallback, failed
from glide_redis.fast.guard import plain
from glide_redis.fast.path import FastPath, called_back
from glide_redis.fast.watchdog import WATCHDOG, Awaited
from glide_redis.native.multiplexer import Multiplexer
from glide_redis.native.request import Options
from glide_redis.native.values import NativeError

GUARDED = frozenset(["execute_command", *guard.SINGLE.split()])
POOL_GUARDED = frozenset(guard.POOL.split())
POOLS = (connection.ConnectionPool, connection.BlockingConnectionPool)
_CONNECTIONS = {
    connection.Connection: options.of_tcp,
    connection.SSLConnection: options.of_tls,
    connection.UnixDomainSocketConnection: options.of_unix,
}
# GLIDE sends no login without a password; a user who has none is content with any.
_ANY_PASSWORD = "nopass"
UNUSABLE = frozenset({NEVER_DECODE, "target_nodes"})
"""Options of a command that only redis-py's own way honours."""

_own_way: dict[type, bool] = {}


def ready(client: Any, command_options: Mapping[str, Any]) -> FastPath | None:
    """Return the fast path of a client of one server if it may be taken now."""
    if (
        client.connection is not None
        or (command_options and not UNUSABLE.isdisjoint(command_options))
        or not guard.commands.untouched()
        or not plain(client, GUARDED)
        or _overridden(type(client))
    ):
        return None
    return of(client.connection_pool)


def of(pool: Any) -> FastPath | None:
    """Return the fast path that all clients of a pool share, None for pools that have none."""
    if type(pool) not in POOLS or not plain(pool, POOL_GUARDED):
        return None
    if pool.fast is None:
        pool.fast = _made(pool)
    return pool.fast or None


def execute(
    fast: FastPath,
    callbacks: Mapping[str, Any],
    args: Sequence[Any],
    command_options: Mapping[str, Any],
) -> Any:
    """Execute a command. Raises Fallback where redis-py's own way must be taken."""
    try:
        reply = fast.execute(args)
    except NativeError as error:
        raise failed(fast, error, args) from None
    return called_back(callbacks, args, command_options, reply)


def attended(
    fast: FastPath,
    callbacks: Mapping[str, Any],
    args: Sequence[Any],
    command_options: Mapping[str, Any],
) -> Any:
    """Execute a command under the eyes of the watchdog. Raises as ``execute`` does."""
    with_others: dict[int, Any] = fast.awaited.commands
    thread = get_ident()
    if WATCHDOG.parked:
        WATCHDOG.unpark()
    with_others[thread] = (monotonic(), args)
    try:
        return execute(fast, callbacks, args, command_options)
    finally:
        # A signal handler or a finalizer may have sent another one meanwhile.
        with_others.pop(thread, None)


def _made(pool: Any) -> FastPath | bool:
    kwargs = pool.connection_kwargs
    if pool.connection_class not in _CONNECTIONS or kwargs.get("redis_connect_func") is not None:
        return False
    if recorder._get_or_create_collector() is not None:
        return False
    sample = pool.connection_class(**kwargs)
    made = FastPath(
        Multiplexer(lambda: options_of(pool)),
        sample.encoder,
        3 if check_protocol_version(kwargs.get("protocol"), 3) else 2,
        sample.socket_timeout,
    )
    made.awaited = Awaited(made.multiplexer)
    WATCHDOG.watch(made.awaited)
    return made


def options_of(pool: Any) -> Options:
    """Return GLIDE's options for what a pool's connections are told, with the login of now."""
    sample = pool.connection_class(**pool.connection_kwargs)
    username, password = sample.username, sample.password
    if sample.credential_provider is not None:
        *user, password = sample.credential_provider.get_credentials()
        username = user[0] if user else None
    limit = getattr(sample, "socket_connect_timeout", None)
    return replace(
        _CONNECTIONS[type(sample)](sample),
        username=username or None,
        password=(password or _ANY_PASSWORD) if username else password or None,
        database=int(sample.db or 0),
        client_name=sample.client_name,
        connection_timeout_ms=max(1, int(limit * 1000)) if limit else None,
    )


def _overridden(kind: type) -> bool:
    """True for a subclass of the application's that does redis-py's part in its own way."""
    known = _own_way.get(kind)
    if known is None:
        pipeline = issubclass(kind, redis.client.Pipeline)
        upstream = redis.client.Pipeline if pipeline else redis.client.Redis
        known = any(
            getattr(kind, name) is not getattr(upstream, name) for name in guard.SINGLE.split()
        )
        _own_way[kind] = known
    return known


__all__ = ["Fallback", "attended", "execute", "of", "options_of", "ready"]
