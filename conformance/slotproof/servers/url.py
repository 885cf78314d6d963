"""Attaches to servers that somebody else keeps, by URL: nothing is started, nothing is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.inject.slotproof_resp import RespConnection, RespError
from slotproof.model import Role, Topology
from slotproof.servers.deployment import Deployment, Node
from slotproof.servers.state import (
    SLOTS,
    info,
    mode,
    parse_info,
    parse_nodes,
    product_and_version,
)

_SCHEMES = ("redis", "valkey")
_EXAMPLE = "write it as redis://[[user]:password@]host[:port][/database]"
_UNUSABLE = {"handshake", "fail", "noaddr"}


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """The parts of ``redis://user:password@host:port/database``."""

    host: str
    port: int = 6379
    username: str | None = None
    password: str | None = None
    database: int = 0

    @property
    def address(self) -> str:
        """``host:port``, for messages: a URL may carry a password."""
        return f"{self.host}:{self.port}"


def parse(url: str) -> ServerUrl:
    """Split a URL. Raises UsageProblem, never repeating a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad(f"malformed ({error})") from None
    if parts.scheme in {"rediss", "valkeys"}:
        raise _bad("TLS is not supported", "give a port of the server that speaks without TLS")
    if parts.scheme not in _SCHEMES:
        raise _bad(f"unknown scheme {parts.scheme!r}")
    if not parts.hostname:
        raise _bad("no host")
    if parts.query or parts.fragment:
        raise _bad("options after '?' or '#' are not supported")
    return ServerUrl(
        host=parts.hostname,
        port=6379 if port is None else port,
        username=unquote(parts.username) if parts.username else None,
        password=None if parts.password is None else unquote(parts.password),
        database=_database(parts),
    )


def _database(parts: SplitResult) -> int:
    text = parts.path.strip("/")
    if text and not text.isdecimal():
        raise _bad(f"{text!r} is no database number")
    return int(text or 0)


def _bad(found: str, next_step: str = _EXAMPLE) -> UsageProblem:
    return UsageProblem("reading the server's URL", found, next_step)


def attach(url: str, topology: Topology, *, seconds: float = 5.0) -> Deployment:
    """Describe the cluster or the standalone primary behind ``url``; sends read-only commands.

    ``seconds`` bounds each reply. Raises UsageProblem when the URL does not lead to what was asked
    for (no cluster, a cluster, a replica, a sentinel, wrong credentials, no RESP), and
    EnvironmentProblem when it cannot be reached, is not whole, or names nodes out of reach.
    """
    target = parse(url)
    with _connected(target, seconds) as connection:
        server = info(connection, "server")
        product, version = product_and_version(server)
        _demand(target, topology, mode(server))
        if topology is Topology.CLUSTER:
            nodes = _cluster(target, connection)
        else:
            role = info(connection, "replication")
            if role["role"] != "master":
                primary = f"{role.get('master_host')}:{role.get('master_port')}"
                raise UsageProblem(
                    f"attaching to {target.address}",
                    f"it is a replica of {primary}",
                    "give the URL of its primary",
                )
            nodes = (Node(target.host, target.port, Role.PRIMARY),)
    deployment = Deployment(
        nodes,
        topology,
        product=product,
        version=version,
        username=target.username,
        password=target.password,
        database=target.database,
    )
    if dead := deployment.dead():
        raise EnvironmentProblem(
            f"reaching every node of the cluster at {target.address}",
            f"no answer from {', '.join(node.address for node in dead)}",
            "run slotproof where the addresses that CLUSTER NODES shows can be reached, or have the"
            " nodes announce others (cluster-announce-ip, cluster-announce-port)",
        )
    return deployment


@contextmanager
def _connected(target: ServerUrl, seconds: float) -> Iterator[RespConnection]:
    tried = f"attaching to {target.address}"
    try:
        with RespConnection(
            target.host,
            target.port,
            timeout=seconds,
            username=target.username,
            password=target.password,
        ) as connection:
            connection.call("PING")
            yield connection
    except RespError as error:
        hint = "check the URL and the rights of its user"
        if error.code in {"NOAUTH", "WRONGPASS"}:
            hint = "give user and password in the URL, as in redis://user:password@host:port"
        raise UsageProblem(tried, str(error), hint) from error
    except ConnectionAbortedError as error:
        raise UsageProblem(tried, str(error), "give the URL of a Valkey or Redis server") from error
    except OSError as error:
        raise EnvironmentProblem(
            tried,
            str(error) or type(error).__name__,
            "start the server, check host and port, or let slotproof start one (leave out the URL)",
        ) from error


def _demand(target: ServerUrl, topology: Topology, found: str) -> None:
    if found == topology.value:
        return
    what = {"standalone": "a standalone server", "cluster": "a node of a cluster"}.get(
        found, f"a {found}"
    )
    steps = {
        "standalone": "use --topology standalone, or give the URL of a cluster's node;"
        " `slotproof up --topology cluster` starts a cluster",
        "cluster": "use --topology cluster, or give the URL of a standalone server",
    }
    raise UsageProblem(
        f"attaching to {target.address} as {topology.value}",
        f"it is {what}",
        steps.get(found, "give the URL of a data node"),
    )


def _cluster(target: ServerUrl, connection: RespConnection) -> tuple[Node, ...]:
    view = parse_info(connection.text("CLUSTER", "INFO"))
    if view["cluster_state"] != "ok" or view["cluster_slots_ok"] != str(SLOTS):
        raise EnvironmentProblem(
            f"attaching to the cluster at {target.address}",
            f"cluster_state:{view['cluster_state']},"
            f" {view['cluster_slots_ok']} of {SLOTS} slots ok",
            "repair the cluster (valkey-cli --cluster check), then try again",
        )
    peers = parse_nodes(connection.text("CLUSTER", "NODES"))
    usable = [peer for peer in peers if not peer.flags & _UNUSABLE]
    primaries = sorted((p for p in usable if p.slots), key=lambda p: p.first_slot or 0)
    order = {peer.id: index for index, peer in enumerate(primaries)}
    replicas = sorted(
        (p for p in usable if p.primary_id in order),
        key=lambda p: (order[p.primary_id or ""], p.host, p.port),
    )
    return tuple(
        Node(peer.host or target.host, peer.port, role)
        for role, group in ((Role.PRIMARY, primaries), (Role.REPLICA, replicas))
        for peer in group
    )
