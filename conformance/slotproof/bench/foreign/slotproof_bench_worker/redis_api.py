"""Whatever ``import redis`` gives: redis-py, or a client whose bootstrap stands in for it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from .subject import Calls, Place
from .workload import Command

_CONFIRMED_SECONDS = 20.0


def open_subject(place: Place) -> RedisApi:
    """Open a ``RedisCluster`` with its default options."""
    return RedisApi(place)


class RedisApi:
    """redis-py's API. Values stay bytes; nothing but the address is configured."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._redis: Any = importlib.import_module("redis")
        self._cluster_class: Any = importlib.import_module("redis.cluster").RedisCluster
        self._client = self._cluster()

    def _cluster(self) -> Any:
        host, port = self._place.primaries[0]
        return self._cluster_class(host=host, port=port)

    def facts(self) -> Mapping[str, str]:
        """The class, and the parser of a live connection to each primary."""
        kind = type(self._client)
        return {
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "parser": ", ".join(sorted(set(self._parsers()))) or "none found",
        }

    def _parsers(self) -> list[str]:
        found = []
        nodes = []
        with suppress(Exception):
            nodes = list(self._client.get_primaries())
        for node in nodes:
            with suppress(Exception):
                found.append(self._parser(node))
        return found

    def _parser(self, node: Any) -> str:
        client = self._client
        # valkey-py's method is named after its own product.
        of_node = getattr(client, "get_redis_connection", None) or client.get_valkey_connection
        pool = of_node(node).connection_pool
        try:
            connection = pool.get_connection()
        except TypeError:  # older signatures ask for a command's name
            connection = pool.get_connection("_")
        try:
            return parser_name(connection._parser)
        finally:
            pool.release(connection)

    def singles(self, commands: Sequence[Command], lane: int) -> Calls:  # noqa: ARG002
        """``get`` and ``set`` of the shared client."""
        if commands[0].name == "GET":
            return Calls(self._client.get, [(c.key,) for c in commands], _same)
        return Calls(self._client.set, [(c.key, c.value) for c in commands], _is_true)

    def pipelines(self, batches: Sequence[Sequence[Command]]) -> Calls:
        """A new pipeline a batch, filled and executed, as an application does."""
        client = self._client

        def execute(batch: Sequence[Command]) -> Any:
            pipeline = client.pipeline()
            for name, key, value in batch:
                if name == "GET":
                    pipeline.get(key)
                else:
                    pipeline.set(key, value)
            return pipeline.execute()

        return Calls(execute, [(batch,) for batch in batches], _same)

    def channel(self, name: str) -> Subscription:
        """Two further clients of the same kind."""
        return Subscription(self._cluster(), self._cluster(), name)

    def further(self, topology: str, key: str) -> object:
        """One more client, which has done one GET."""
        if topology == "cluster":
            client = self._cluster()
        else:
            assert self._place.standalone is not None
            host, port = self._place.standalone
            client = self._redis.Redis(host=host, port=port)
        if not client.get(key):
            raise RuntimeError(f"GET {key} gave nothing")
        return client


class Subscription:
    """A publisher, and a subscriber on another client."""

    def __init__(self, publisher: Any, subscriber: Any, name: str) -> None:
        self._publisher, self._subscriber, self._name = publisher, subscriber, name
        self._pubsub = subscriber.pubsub()
        self._pubsub.subscribe(name)
        confirmed = self._pubsub.get_message(timeout=_CONFIRMED_SECONDS)
        if confirmed is None or confirmed["type"] != "subscribe":
            raise RuntimeError(f"expected the confirmation of SUBSCRIBE, received {confirmed!r}")

    def publish(self, data: bytes) -> None:
        """PUBLISH."""
        self._publisher.publish(self._name, data)

    def receive(self, seconds: float) -> bytes | None:
        """The data of the next message."""
        deadline = monotonic() + seconds
        while (left := deadline - monotonic()) > 0:
            # None does not always mean that the time is over.
            message = self._pubsub.get_message(timeout=left)
            if message is not None:
                return bytes(message["data"])
        return None

    def close(self) -> None:
        """Close both clients."""
        self._pubsub.close()
        self._publisher.close()
        self._subscriber.close()


def parser_name(parser: object) -> str:
    """``hiredis`` when the parser really reads through a ``hiredis.Reader``, else its class.

    The class's name proves nothing: what reads the bytes is the object that it holds.
    """
    reader = getattr(parser, "_reader", None)
    with suppress(ImportError):
        if isinstance(reader, importlib.import_module("hiredis").Reader):
            return "hiredis"
    return f"{type(parser).__module__}.{type(parser).__qualname__}"


def _same(reply: object) -> object:
    return reply


def _is_true(reply: object) -> object:
    return reply is True
