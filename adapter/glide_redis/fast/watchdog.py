"""The thread that notices commands whose node hangs: nothing else would.

A command that waits for long may be slow, or its node may be frozen, with its connection intact.
The node is asked on a connection of its own; one that does not answer is looked after.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

from glide_redis.fast.recovery import Recovery
from glide_redis.fast.topology import Probe
from glide_redis.native.library import generation

_LOG = logging.getLogger("glide_redis")
_LOOK_SECONDS = 0.1
_SUSPICIOUS_SECONDS = 0.25
_PARK_SECONDS = 2.0


class Inflight:
    """The commands under way of one cluster client: since when, and what, by thread."""

    def __init__(self, recovery: Recovery, client: Any) -> None:
        self.recovery = recovery
        self.client = weakref.ref(client)
        self.commands: dict[int, tuple[float, Sequence[Any]]] = {}


class Watchdog:
    """Looks after all cluster clients of a process. Parked while nothing is under way."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._generation = generation()
        self._lock = threading.Lock()
        self._watched: weakref.WeakSet[Inflight] = weakref.WeakSet()
        self._started = False
        self._unparked = threading.Event()
        self.parked = True

    def watch(self, inflight: Inflight) -> None:
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
            with self._lock:
                watched = list(self._watched)
            busy = False
            for inflight in watched:
                busy = bool(inflight.commands) or busy
                try:
                    _look(inflight)
                except Exception:  # It must go on looking after the others, and this one again.
                    _LOG.exception("looking after a cluster client failed")
            del watched
            quiet = 0.0 if busy else quiet + _LOOK_SECONDS
            if quiet > _PARK_SECONDS:
                self._unparked.clear()
                self.parked = True
                self._unparked.wait()
                quiet = 0.0


def _look(inflight: Inflight) -> None:
    commands = list(inflight.commands.values())
    if not commands or inflight.recovery.active:
        return
    since, args = min(commands, key=lambda command: command[0])
    if time.monotonic() - since < _SUSPICIOUS_SECONDS:
        return
    client = inflight.client()
    address = inflight.recovery.node_of(args)
    if client is None or address is None or not client.fast:
        return
    probe = Probe(client.fast.multiplexer.options())
    try:
        if not probe.alive(address):
            inflight.recovery.begin(address)
    finally:
        probe.close()


WATCHDOG = Watchdog()
"""The one of this process."""
