"""The thread that notices commands whose node hangs: nothing else would.

A command that waits for long may be slow, or its node may be frozen, with its connection intact.
The node is asked on a connection of its own; one that does not answer is looked after.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from _thread import get_ident
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from glide_redis.fast.recovery import Recovery
from glide_redis.fast.topology import Probe
from glide_redis.native.library import generation
from glide_redis.native.multiplexer import Multiplexer

_LOG = logging.getLogger("glide_redis")
_LOOK_SECONDS = 0.1
_SUSPICIOUS_SECONDS = 0.25
_PARK_SECONDS = 2.0


class Commands:
    """The commands under way of one client: since when, and what, by thread."""

    def __init__(self) -> None:
        self.commands: dict[int, tuple[float, Sequence[Any]]] = {}

    @contextmanager
    def under_way(self, args: Sequence[Any]) -> Iterator[None]:
        """Say that a command is under way in this thread."""
        thread = get_ident()
        if WATCHDOG.parked:
            WATCHDOG.unpark()
        self.commands[thread] = (time.monotonic(), args)
        try:
            yield
        finally:
            # A signal handler or a finalizer may have sent another one meanwhile.
            self.commands.pop(thread, None)

    def suspicious(self) -> Sequence[Any] | None:
        """Return the command that is under way for longest, if that is long."""
        commands = list(self.commands.values())
        if not commands:
            return None
        since, args = min(commands, key=lambda command: command[0])
        return args if time.monotonic() - since > _SUSPICIOUS_SECONDS else None

    def look(self) -> None:
        """See whether a command waits in vain. Called again and again."""
        raise NotImplementedError


class Inflight(Commands):
    """The commands under way of one cluster client."""

    def __init__(self, recovery: Recovery, client: Any) -> None:
        super().__init__()
        self.recovery = recovery
        self.client = weakref.ref(client)

    def look(self) -> None:
        """Ask the node of a command that takes long, and leave it if it does not answer."""
        args = self.suspicious()
        if args is None or self.recovery.active:
            return
        client = self.client()
        address = self.recovery.node_of(args)
        if client is None or address is None or not client.fast:
            return
        probe = Probe(client.fast.multiplexer.options())
        try:
            if not probe.alive(address):
                self.recovery.begin(address)
        finally:
            probe.close()


class Awaited(Commands):
    """The commands under way of the clients of one pool, all of one server.

    GLIDE waits for a server that is gone, and so would a command without a time limit; redis-py
    says so at once.
    """

    def __init__(self, multiplexer: Multiplexer) -> None:
        super().__init__()
        self._multiplexer = multiplexer

    def look(self) -> None:
        """End what waits for a server that refuses connections."""
        if self.suspicious() is not None and self._multiplexer.refused():
            self._multiplexer.close()


class Watchdog:
    """Looks after all clients of a process. Parked while nothing is under way."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._generation = generation()
        self._lock = threading.Lock()
        self._watched: weakref.WeakSet[Commands] = weakref.WeakSet()
        self._started = False
        self._unparked = threading.Event()
        self.parked = True

    def watch(self, inflight: Commands) -> None:
        """Look after a client from now on."""
        if self._generation != generation():
            self._reset()
        with self._lock:
            self._watched.add(inflight)
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="glide-redis watchdog", daemon=True).start()

    def unpark(self) -> None:
        """Begin to look: a command is on its way."""
        self.parked = False
        self._unparked.set()

    def _run(self) -> None:
        quiet = 0.0
        while True:
            time.sleep(_LOOK_SECONDS)
            quiet = 0.0 if self._look() else quiet + _LOOK_SECONDS
            if quiet > _PARK_SECONDS:
                self._unparked.clear()
                self.parked = True
                self._unparked.wait()
                quiet = 0.0

    def _look(self) -> bool:
        """Look at every client; True when a command is under way."""
        with self._lock:
            watched = list(self._watched)
        busy = False
        for client in watched:
            busy = bool(client.commands) or busy
            try:
                client.look()
            except Exception:  # It must go on looking after the others, and this one again.
                _LOG.exception("looking after a client failed")
        return busy


WATCHDOG = Watchdog()
"""The one of this process."""
