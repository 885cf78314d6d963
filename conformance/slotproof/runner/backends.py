"""Where a lane's servers come from: the cell itself, containers, or somebody else's cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from slotproof.cells.plan import ServerPlan
from slotproof.errors import UsageProblem
from slotproof.model import Topology
from slotproof.servers import docker, url
from slotproof.servers.deployment import Deployment
from slotproof.servers.embedded import ServerBinary
from slotproof.servers.spec import ServerSpec

EMBEDDED = "embedded"
DOCKER = "docker"


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of a lane, and the process whose network namespace the cell enters, if any."""

    plan: ServerPlan
    enter_pid: int | None = None


class Backend(Protocol):
    """Gives a lane its servers for as long as the context lasts.

    ``shared_network``: the cell stays in the machine's network, so only the leash holds it.
    """

    shared_network: bool

    def lease(
        self, wanted: ServerPlan, topology: Topology
    ) -> contextlib.AbstractContextManager[Servers]:
        """Provide what ``wanted`` describes (ports, configuration, replicas)."""
        ...


class Embedded:
    """The cell starts its servers itself, from a program on this machine."""

    shared_network = False

    def __init__(self, binary: ServerBinary) -> None:
        self.binary = binary

    @contextlib.contextmanager
    def lease(self, wanted: ServerPlan, topology: Topology) -> Iterator[Servers]:  # noqa: ARG002
        """Name the program; starting it is the cell's own business."""
        yield Servers(
            replace(
                wanted,
                binary=str(self.binary.path),
                product=self.binary.product,
                version=self.binary.version,
            )
        )


class Docker:
    """One container a node, all in the network namespace of a pause container."""

    shared_network = False

    def __init__(self, spec: ServerSpec) -> None:
        self.spec = spec

    @contextlib.contextmanager
    def lease(self, wanted: ServerPlan, topology: Topology) -> Iterator[Servers]:
        """Start the containers; a keeper of their own removes them, however this process ends."""
        deployment = docker.start(
            self.spec,
            topology,
            ports=wanted.ports or None,
            config=wanted.config,
            replicas=wanted.replicas,
        )
        with deployment:
            yield Servers(running(deployment, wanted), deployment.enter_pid)


class Existing:
    """Servers that the user already has, by URL. slotproof does not stop them."""

    shared_network = True

    def __init__(self, address: str, *, allow_flush: bool) -> None:
        if not allow_flush:
            raise UsageProblem(
                f"using the servers at {address.rpartition('@')[2]}",
                "upstream suites empty the databases that they are pointed at",
                "pass --allow-flush if nothing there may be kept",
            )
        self.address = address

    @contextlib.contextmanager
    def lease(self, wanted: ServerPlan, topology: Topology) -> Iterator[Servers]:
        """Find out what is there; nothing is started."""
        with url.attach(self.address, topology) as deployment:
            yield Servers(running(deployment, wanted))


def running(deployment: Deployment, wanted: ServerPlan) -> ServerPlan:
    """Describe servers that run already."""
    return replace(
        wanted,
        product=deployment.product,
        version=deployment.version,
        nodes=tuple((n.host, n.port, str(n.role)) for n in deployment.nodes),
        username=deployment.username,
        password=deployment.password,
    )
