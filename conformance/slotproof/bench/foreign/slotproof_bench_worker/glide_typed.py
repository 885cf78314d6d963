"""Plain GLIDE: the typed API of its synchronous client, as its documentation shows it."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from .subject import Calls, Place
from .workload import Command

# In milliseconds. GLIDE's own default, 250, ends batches of 10 MB on a busy machine.
REQUEST_TIMEOUT = 20_000


def open_subject(place: Place) -> GlideTyped:
    """Open a ``GlideClusterClient``."""
    return GlideTyped(place)


class GlideTyped:
    """``get``, ``set``, ``ClusterBatch`` and ``publish``."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._glide: Any = importlib.import_module("glide_sync")
        self._client = self._cluster()

    def _cluster(self, subscriptions: Any = None) -> Any:
        glide = self._glide
        configuration = glide.GlideClusterClientConfiguration(
            [glide.NodeAddress(*self._place.primaries[0])],
            request_timeout=REQUEST_TIMEOUT,
            pubsub_subscriptions=subscriptions,
        )
        return glide.GlideClusterClient.create(configuration)

    def facts(self) -> Mapping[str, str]:
        """The class; replies are parsed in the native core."""
        kind = type(self._client)
        return {"class": f"{kind.__module__}.{kind.__qualname__}", "parser": "native"}

    def singles(self, commands: Sequence[Command], lane: int) -> Calls:  # noqa: ARG002
        """``get`` and ``set`` of the shared client."""
        if commands[0].name == "GET":
            return Calls(self._client.get, [(c.key,) for c in commands], _same)
        return Calls(self._client.set, [(c.key, c.value) for c in commands], is_ok)

    def pipelines(self, batches: Sequence[Sequence[Command]]) -> Calls:
        """A new ``ClusterBatch`` a batch, filled and executed, as an application does."""
        client, new_batch = self._client, self._glide.ClusterBatch

        def execute(commands: Sequence[Command]) -> Any:
            batch = new_batch(is_atomic=False)
            for name, key, value in commands:
                if name == "GET":
                    batch.get(key)
                else:
                    batch.set(key, value)
            return client.exec(batch, raise_on_error=True)

        return Calls(execute, [(batch,) for batch in batches], decode_batch)

    def channel(self, name: str) -> GlideChannel:
        """Two further clients, one of them subscribed from its start."""
        kind = self._glide.GlideClusterClientConfiguration
        arrived = Arrived()
        subscriptions = kind.PubSubSubscriptions(
            channels_and_patterns={kind.PubSubChannelModes.Exact: {name}},
            callback=arrived.put,
            context=None,
        )
        return GlideChannel(self._cluster(), self._cluster(subscriptions), arrived, name)

    def further(self, topology: str, key: str) -> object:
        """One more client, which has done one GET."""
        glide = self._glide
        if topology == "cluster":
            client = self._cluster()
        else:
            assert self._place.standalone is not None
            configuration = glide.GlideClientConfiguration(
                [glide.NodeAddress(*self._place.standalone)], request_timeout=REQUEST_TIMEOUT
            )
            client = glide.GlideClient.create(configuration)
        if not client.get(key):
            raise RuntimeError(f"GET {key} gave nothing")
        return client


class Arrived:
    """Messages handed over by GLIDE's callback; its own blocking read has no time limit."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._messages: list[bytes] = []

    def put(self, message: Any, _context: object = None) -> None:
        """Called by GLIDE for each message."""
        data = message.message
        with self._condition:
            self._messages.append(data if isinstance(data, bytes) else data.encode())
            self._condition.notify()

    def get(self, seconds: float) -> bytes | None:
        """The oldest message; None when the time is over."""
        with self._condition:
            if not self._condition.wait_for(lambda: self._messages, seconds):
                return None
            return self._messages.pop(0)


class GlideChannel:
    """A publisher, and a subscriber on another client."""

    def __init__(self, publisher: Any, subscriber: Any, arrived: Arrived, name: str) -> None:
        self._publisher, self._subscriber = publisher, subscriber
        self._arrived, self._name = arrived, name

    def publish(self, data: bytes) -> None:
        """PUBLISH."""
        self._publisher.publish(data, self._name)

    def receive(self, seconds: float) -> bytes | None:
        """The data of the next message."""
        return self._arrived.get(seconds)

    def close(self) -> None:
        """Close both clients."""
        self._publisher.close()
        self._subscriber.close()


def is_ok(reply: object) -> object:
    """GLIDE's OK is a str."""
    return reply == "OK"


def decode_batch(replies: list[object]) -> object:
    """OK to True, values as they are."""
    return [True if reply == "OK" else reply for reply in replies]


def _same(reply: object) -> object:
    return reply
