"""Outages of a cluster's nodes: noticed early, waited out, left behind at the first chance.

GLIDE notices a broken connection, but takes about a second longer than the cluster to go on with
the promoted replica, and does not leave a node that hangs. So, when a node stops answering, a
thread asks the others who owns its slots. As soon as that is another node, redis-py's view of the
cluster is renewed and a new GLIDE client takes the place of the old one; calls that hang in the old
one end. Commands that may be repeated wait for that and are sent again.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from glide_redis.fast.topology import Address, Probe
from glide_redis.native.library import generation
from glide_redis.native.values import NativeError

PATIENCE_SECONDS = 5.0
"""How long a command that may be repeated waits for the cluster, unless it has no retries."""

_POLL_SECONDS = 0.02
_LIMIT_SECONDS = 60.0


class Recovery:
    """The outages of one cluster client. Safe for use by many threads."""

    def __init__(self, client: Any) -> None:
        self._client = weakref.ref(client)
        self._reset()

    def _reset(self) -> None:
        self._generation = generation()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._over.set()
        self._failed: Address | None = None

    @property
    def active(self) -> bool:
        """True while a node is believed to be gone."""
        return self._failed is not None

    def patience(self) -> float:
        """Return how many seconds a command waits for the end of an outage."""
        client = self._client()
        if client is None or client.retry.get_retries() == 0:
            return 0.0
        return PATIENCE_SECONDS

    def affects(self, args: Sequence[Any]) -> bool:
        """True when the command is for the node that is believed to be gone."""
        failed = self._failed
        return failed is not None and self.node_of(args) == failed

    def wait(self, seconds: float) -> bool:
        """Wait until the outage is over; False when it is not."""
        return self._over.wait(max(0.0, seconds))

    def begin(self, failed: Address | None) -> None:
        """Look after a node that does not answer; returns at once."""
        if self._generation != generation():
            self._reset()
        with self._lock:
            if failed is None or self._failed is not None:
                return
            self._failed = failed
            self._over.clear()
            threading.Thread(
                target=self._run, args=(failed,), name="glide-redis recovery", daemon=True
            ).start()

    def node_of(self, args: Sequence[Any]) -> Address | None:
        """Return the primary that a keyed command is for, as redis-py knows it."""
        client = self._client()
        if client is None:
            return None
        with suppress(RedisError, IndexError, KeyError, AttributeError):
            key = args[3] if args[0] in {"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO"} else args[1]
            node = client.nodes_manager.slots_cache[client.keyslot(key)][0]
            return node.host, node.port
        return None

    def _run(self, failed: Address) -> None:
        try:
            self._look_after(failed)
        finally:
            self._failed = None
            self._over.set()

    def _look_after(self, failed: Address) -> None:
        client = self._client()
        if client is None or not client.fast:
            return
        slot, others = _slot_and_others(client, failed)
        probe = Probe(client.fast.multiplexer.options())
        del client  # A client that nobody needs any more must be able to go.
        try:
            end = time.monotonic() + _LIMIT_SECONDS
            while time.monotonic() < end and self._client() is not None:
                if slot is None or probe.alive(failed):
                    time.sleep(_POLL_SECONDS)  # It is back; GLIDE connects to it by itself.
                    return
                if any(_moved(probe.owner(slot, other), failed, probe) for other in others):
                    self._leave(failed)
                    return
                time.sleep(_POLL_SECONDS)
        finally:
            probe.close()

    def _leave(self, failed: Address) -> None:
        client = self._client()
        if client is None:
            return
        with suppress(RedisError):
            client.nodes_manager.initialize(last_failed_node_name=f"{failed[0]}:{failed[1]}")
        with suppress(NativeError):
            client.fast.multiplexer.replace(without=failed)


def _slot_and_others(client: Any, failed: Address) -> tuple[int | None, list[Address]]:
    """Return a slot of the failed node, and the other nodes, its own replicas first."""
    manager = client.nodes_manager
    own: list[Address] = []
    found = None
    for slot, nodes in manager.slots_cache.items():
        if nodes and (nodes[0].host, nodes[0].port) == failed:
            found = slot
            own = [(node.host, node.port) for node in nodes[1:]]
            break
    every = [(node.host, node.port) for node in manager.nodes_cache.values()]
    return found, own + [node for node in every if node != failed and node not in own]


def _moved(owner: Address | None, failed: Address, probe: Probe) -> bool:
    return owner is not None and owner != failed and probe.alive(owner)
