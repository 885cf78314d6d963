"""Both topologies, and a look at what went to the multiplexed client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

import glide_redis
from glide_redis.native.multiplexer import Multiplexer


class Sent:
    """How many commands and batches the multiplexed clients were asked to send."""

    def __init__(self) -> None:
        self.commands = 0
        self.batches = 0

    def taken(self) -> tuple[int, int]:
        """Return the counts since the last time."""
        counts = self.commands, self.batches
        self.commands = self.batches = 0
        return counts


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Count what goes to the multiplexed clients."""
    counts = Sent()
    execute, batch = Multiplexer.execute, Multiplexer.batch

    def executed(self: Multiplexer, *args: Any) -> Any:
        counts.commands += 1
        return execute(self, *args)

    def batched(self: Multiplexer, *args: Any) -> Any:
        counts.batches += 1
        return batch(self, *args)

    monkeypatch.setattr(Multiplexer, "execute", executed)
    monkeypatch.setattr(Multiplexer, "batch", batched)
    return counts


@pytest.fixture(params=["standalone", "cluster"])
def topology(request: pytest.FixtureRequest) -> Any:
    """One topology after the other."""
    return request.param


@pytest.fixture
def plain(request: pytest.FixtureRequest, topology: str) -> Any:
    """redis-py's own client of the emptied server or cluster."""
    return request.getfixturevalue("control" if topology == "standalone" else "cluster_control")


@pytest.fixture
def connect(
    request: pytest.FixtureRequest, topology: str, plain: Any
) -> Iterator[Callable[..., Any]]:
    """Open clients of the topology: the adapter's, or with ``upstream=True`` redis-py's own."""
    del plain
    name = "server" if topology == "standalone" else "cluster"
    running = request.getfixturevalue(name)
    with ExitStack() as stack:

        def connected(*, upstream: bool = False, **options: Any) -> Any:
            module: Any = redis if upstream else glide_redis
            kind = module.Redis if topology == "standalone" else module.RedisCluster
            client = kind(host=running.host, port=running.port, **options)
            stack.callback(client.close)
            return client

        yield connected


@pytest.fixture
def slow() -> Callable[[Any], Any]:
    """Make a client take redis-py's own way for every command; return it."""

    def slowed(client: Any) -> Any:
        if isinstance(client, redis.RedisCluster):
            client.fast = False
        else:
            client.connection_pool.fast = False
        return client

    return slowed
