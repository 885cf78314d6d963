"""Dedicated clients: a connection to one node that takes many commands at once.

A standalone read-only client of GLIDE's, used by raw batches alone: those GLIDE neither interprets
nor refuses, on primaries and replicas alike, and an error inside a reply stays where it is. It
reconnects by itself, in silence: whoever depends on the connection's state asks for its id.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from glide_redis.native.engine import Call, Engine, PushHandler, engine
from glide_redis.native.request import Options
from glide_redis.native.values import Closed

_NO_TIMEOUT_MS = 2**31 - 1
# GLIDE unsubscribes what it was not asked for by its own means whenever it reconciles, and panics
# there over sharded channels of a standalone client. It also does so after a disconnect, but then
# nothing is subscribed any more.
_NEVER_MS = 2**32 - 1
MAX_AGE_SECONDS = 30 * 86400
"""How long a connection with subscriptions may live: well below GLIDE's longest interval."""


class Dedicated:
    """One connection with credentials, database and name of ``options``, after reconnects too."""

    def __init__(self, options: Options, protocol: int, push: PushHandler | None = None) -> None:
        self._engine = engine()
        request = replace(
            options,
            cluster=False,
            lazy=False,
            read_only=True,
            protocol=protocol,
            request_timeout_ms=_NO_TIMEOUT_MS,
            reconciliation_ms=_NEVER_MS,
        )
        self._client = self._engine.open(request.serialize(), push)
        self._close = weakref.finalize(self, _close, self._engine, self._client)
        self._close.atexit = False

    @property
    def closed(self) -> bool:
        """True once ``close`` was called."""
        return not self._close.alive

    def submit(self, commands: Sequence[Sequence[bytes]], fd: int = -1) -> Call:
        """Send commands in one go; the reply is a list with a Refusal for each error.

        A MULTI and an EXEC may be among them; GLIDE leaves the replies alone then.
        """
        if self.closed:
            raise Closed("the connection is closed")
        return self._engine.batch(self._client, commands, False, fd)

    def close(self) -> None:
        """Close the connection. Further calls do nothing."""
        self._close()


def _close(native: Engine, client: int) -> None:
    with suppress(Closed):  # A fork's: it belongs to the parent process.
        native.close(client)
