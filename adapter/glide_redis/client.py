"""``redis.Redis`` on GLIDE. Upstream: ``redis.client`` 8.1.0."""

from __future__ import annotations

from typing import Any

import redis.client as upstream
import redis.connection

from glide_redis.connection import ConnectionPool, on_glide, refuse


class Redis(upstream.Redis):
    """redis-py's client of one server, on GLIDE. It takes redis-py's arguments.

    Raises UnsupportedOption for an option that GLIDE cannot honour.
    """

    def __init__(
        self,
        *args: Any,
        connection_pool: Any = None,
        single_connection_client: bool = False,
        **kwargs: Any,
    ) -> None:
        refuse(kwargs)
        super().__init__(*args, connection_pool=connection_pool, **kwargs)
        if connection_pool is None:
            adopt(self.connection_pool)
        if single_connection_client:
            # As upstream does it, but only now that the pool makes connections on GLIDE.
            self._single_connection_client = True
            self.connection = self.connection_pool.get_connection()
            self._event_dispatcher.dispatch(
                upstream.AfterSingleConnectionInstantiationEvent(
                    self.connection, upstream.ClientType.SYNC, self.single_connection_lock
                )
            )

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> Redis:
        """Return a client for a URL, by the rules of ``redis.Redis.from_url``."""
        single = kwargs.pop("single_connection_client", False)
        pool = ConnectionPool.from_url(url, **kwargs)
        client = cls(connection_pool=pool, single_connection_client=single)
        client.auto_close_connection_pool = True
        return client


StrictRedis = Redis


def adopt(pool: Any) -> None:
    """Make a pool of redis-py's own classes give connections on GLIDE from now on."""
    if type(pool) is redis.connection.ConnectionPool:
        pool.__class__ = ConnectionPool
    pool.connection_class = on_glide(pool.connection_class)
