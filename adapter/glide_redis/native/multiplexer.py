"""The multiplexed client: one for all threads of a redis-py client, for commands without state.

It speaks RESP2: in RESP3 a script could answer with a big number, which aborts GLIDE's process.
What a reply looks like does not depend on it for the commands that are sent here.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from glide_redis.native import links
from glide_redis.native.engine import Call, Engine, engine
from glide_redis.native.library import generation
from glide_redis.native.request import Options
from glide_redis.native.values import Closed, NativeError, TimedOut, Unopened, Value

# The caller's wait bounds a command. GLIDE goes on trying for as long.
_NO_TIMEOUT_MS = 2**31 - 1
# GLIDE refuses what exceeds its own limit of commands under way (1,000 by default).
_INFLIGHT = 1_000_000
# Between attempts to open: callers go another way meanwhile.
_PAUSE_SECONDS = 0.5


class Multiplexer:
    """A GLIDE client of a server or a cluster, opened at the first command of each process."""

    def __init__(self, options: Callable[[], Options]) -> None:
        self._options = options
        self._engine = engine()
        self._generation = -1
        self._client = 0
        self._not_before = 0.0
        self._finalizer: weakref.finalize[[Engine, int], object] | None = None

    def execute(self, args: Sequence[bytes | str], timeout: float | None) -> Value:
        """Send one command and wait for its reply, in GLIDE's shape.

        Raises Refused, Lost, TimedOut; Closed when the client was closed while it waited.
        """
        return self._engine.execute(self.client(), args, timeout)

    def batch(self, commands: Sequence[Sequence[bytes | str]], atomic: bool) -> Call:
        """Send many commands at once; the reply is a list with a Refusal for each error."""
        return self._engine.batch(self.client(), commands, atomic)

    def client(self) -> int:
        """Return the handle, opening the client where this process has none.

        Raises Unopened; after a failure at once, until it is worth another attempt.
        """
        if self._generation == generation():
            return self._client
        with _opening:
            if self._generation != generation():
                self._open()
            return self._client

    def close(self) -> None:
        """Close the client; the next command opens another one. Calls under way raise Closed."""
        with _opening:
            self._generation = -1
            if self._finalizer is not None:
                self._finalizer()

    def replace(self, without: tuple[str, int]) -> None:
        """Open another client in the place of this one, whose calls under way raise Closed then.

        ``without``: a node that is not to be asked about the others. Raises Unopened; this client
        is closed all the same.
        """
        before = self._finalizer
        options = self.options()
        others = tuple(address for address in options.addresses if address != without)
        try:
            opened = self._opened(replace(options, addresses=others or options.addresses))
            with _opening:
                self._adopt(opened)
        finally:
            if before is not None:
                before()

    def refused(self) -> bool:
        """True when the server that commands wait for refuses connections."""
        try:
            _knock(self.options())
        except TimedOut:
            return False
        except NativeError:
            return True
        return False

    def options(self) -> Options:
        """Return what clients are opened with at this moment. Raises Unopened."""
        try:
            options = self._options()
        except (OSError, ValueError) as error:  # A file that is not there, an unknown host.
            raise Unopened(str(error)) from error
        return replace(
            options,
            protocol=2,
            request_timeout_ms=_NO_TIMEOUT_MS,
            inflight_limit=_INFLIGHT,
        )

    def _open(self) -> None:
        if time.monotonic() < self._not_before:
            raise Unopened("no client could be opened a moment ago")
        try:
            self._adopt(self._opened(self.options()))
        except (Unopened, OSError) as error:  # A certificate or a socket may be missing.
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            raise Unopened(str(error)) from error

    def _opened(self, options: Options) -> int:
        try:
            _knock(options)
            return self._engine.open(options.serialize(), None)
        except NativeError as error:
            raise Unopened(str(error)) from error

    def _adopt(self, client: int) -> None:
        self._client = client
        self._finalizer = weakref.finalize(self, _close, self._engine, client)
        self._finalizer.atexit = False
        self._generation = generation()


def _knock(options: Options) -> None:
    """Raise Lost at once where nobody listens: opening a client would take its whole time limit."""
    if options.cluster or options.root_certificates or options.client_certificate:
        return  # Several may listen; and a link with certificates takes as long.
    limit = options.connection_timeout_ms
    bare = Options(options.addresses, options.unix_socket_path, tls=options.tls)
    links.connect(bare, None if limit is None else limit / 1000).close()


def _close(native: Engine, client: int) -> None:
    with suppress(Closed):  # A fork's: it belongs to the parent process.
        native.close(client)


_opening = threading.RLock()


def _renew() -> None:
    """A thread of the parent's may hold the lock, and it did not come along."""
    global _opening  # noqa: PLW0603
    _opening = threading.RLock()


os.register_at_fork(after_in_child=_renew)
