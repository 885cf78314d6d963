"""``redis.Redis`` on GLIDE. Upstream: ``redis.client`` 8.1.0."""

from __future__ import annotations

from typing import Any

import redis.client as upstream
import redis.connection
from redis.event import AfterSingleConnectionInstantiationEvent, ClientType

from glide_redis import connection
from glide_redis.connection import ConnectionPool, on_glide, refuse
from glide_redis.fast import guard, single
from glide_redis.fast.failures import Fallback
from glide_redis.fast.pipelines import Pipeline
from glide_redis.fast.table import FAST, taken


class Redis(upstream.Redis):
    """redis-py's client of one server, on GLIDE. It takes redis-py's arguments.

    Raises UnsupportedOption for an option that GLIDE cannot honour.
    """

    def __init__(
        self,
        *args: Any,
        single_connection_client: bool = False,
        **kwargs: Any,
    ) -> None:
        refuse(kwargs)
        super().__init__(*args, **kwargs)
        if self.auto_close_connection_pool:
            adopt(self.connection_pool)
        if single_connection_client:
            # As upstream does it, but only now that the pool makes connections on GLIDE.
            self._single_connection_client = True
            self.connection = self.connection_pool.get_connection()
            self._event_dispatcher.dispatch(
                AfterSingleConnectionInstantiationEvent(
                    self.connection, ClientType.SYNC, self.single_connection_lock
                )
            )

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> Redis:
        """Return a client for a URL, by the rules of ``redis.Redis.from_url``."""
        single_connection_client = kwargs.pop("single_connection_client", False)
        pool = ConnectionPool.from_url(url, **kwargs)
        client = cls(connection_pool=pool, single_connection_client=single_connection_client)
        client.auto_close_connection_pool = True
        return client

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Pipeline:
        """Return a pipeline; its commands go as one batch where they are plain ones."""
        return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Execute a command and return its parsed reply."""
        if args and args[0] in FAST and taken(args):
            fast = single.ready(self, options)
            if fast is not None:
                try:
                    return single.attended(fast, self.response_callbacks, args, options)
                except Fallback:
                    pass
        return super().execute_command(*args, **options)


StrictRedis = Redis
guard.commands.add(Redis, f"execute_command {guard.SINGLE}")
guard.pipelines.add(Pipeline, f"execute {guard.PIPELINE}")


def adopt(pool: Any) -> None:
    """Make a pool of redis-py's own classes give connections on GLIDE from now on."""
    ours = {
        redis.connection.ConnectionPool: ConnectionPool,
        redis.connection.BlockingConnectionPool: connection.BlockingConnectionPool,
    }
    pool.__class__ = ours.get(type(pool), type(pool))
    pool.connection_class = on_glide(pool.connection_class)
