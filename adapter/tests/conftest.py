"""Real servers for the adapter's tests: one started per session, by slotproof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from slotproof.model import Topology
from slotproof.servers import embedded, spec
from slotproof.servers.deployment import Deployment

CONFIG = {"enable-debug-command": "yes"}


@dataclass(frozen=True)
class Running:
    """A running deployment, and the node that tests name to reach it."""

    deployment: Deployment

    @property
    def host(self) -> str:
        """The first primary's address."""
        return self.deployment.nodes[0].host

    @property
    def port(self) -> int:
        """The first primary's port."""
        return self.deployment.nodes[0].port

    @property
    def url(self) -> str:
        """The first primary's URL."""
        return self.deployment.url

    @property
    def primaries(self) -> list[tuple[str, int]]:
        """Host and port of each primary."""
        return [(node.host, node.port) for node in self.deployment.primaries]

    @property
    def replicas(self) -> list[tuple[str, int]]:
        """Host and port of each replica."""
        return [(node.host, node.port) for node in self.deployment.replicas]


def start(folder: Path, topology: Topology, *, replicas: int, **config: str) -> Running:
    """Start servers of the default kind that the caller stops."""
    binary = embedded.binary(spec.find(spec.DEFAULT))
    settings = CONFIG | {name.replace("_", "-"): value for name, value in config.items()}
    deployment = embedded.start(
        binary, topology, ports=None, config=settings, replicas=replicas, workdir=folder
    )
    return Running(deployment)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A standalone server that all tests share: a test flushes what it must not find."""
    running = start(tmp_path_factory.mktemp("server"), Topology.STANDALONE, replicas=0)
    with running.deployment:
        yield running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A cluster of three primaries with a replica each, shared by all tests."""
    running = start(tmp_path_factory.mktemp("cluster"), Topology.CLUSTER, replicas=1)
    with running.deployment:
        yield running


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocol(request: pytest.FixtureRequest) -> Any:
    """One protocol after the other."""
    return request.param


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start standalone servers of the test's own, by options of their configuration."""
    with ExitStack() as stack:

        def started(**config: str) -> Running:
            running = start(tmp_path, Topology.STANDALONE, replicas=0, **config)
            stack.enter_context(running.deployment)
            return running

        yield started


@pytest.fixture
def control(server: Running) -> Iterator[redis.Redis]:
    """redis-py's own client of the standalone server, which it has emptied."""
    with redis.Redis(server.host, server.port) as client:
        client.flushall()
        yield client


@pytest.fixture
def cluster_control(cluster: Running) -> Iterator[redis.RedisCluster]:
    """redis-py's own client of the cluster, which it has emptied."""
    with redis.RedisCluster(cluster.host, cluster.port) as client:
        client.flushall()
        yield client
