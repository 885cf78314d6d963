"""What a connection is to be like, and the message by which GLIDE is told so.

Pure: options in, bytes out. The message is GLIDE's protobuf ``ConnectionRequest`` (valkey-glide
2.6.0, ``glide_shared.protobuf.connection_request_pb2``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from glide_shared.protobuf import connection_request_pb2 as pb

LIBRARY_NAME = "glide-redis"

_UINT32 = 2**32 - 1
_PORTS = 2**16 - 1


class Tls(Enum):
    """Whether the connection is encrypted, and whether the server must prove its name."""

    NONE = pb.NoTls
    VERIFIED = pb.SecureTls
    UNVERIFIED = pb.InsecureTls


class ReadFrom(Enum):
    """Which nodes GLIDE sends commands to that only read.

    Its protocol has a name for the lowest latency too, but no code behind it: asking aborts.
    """

    PRIMARY = pb.Primary
    PREFER_REPLICA = pb.PreferReplica
    ALL_NODES = pb.AllNodes
    AZ_AFFINITY = pb.AZAffinity
    AZ_AFFINITY_REPLICAS_AND_PRIMARY = pb.AZAffinityReplicasAndPrimary
    AZ_AFFINITY_ALL_NODES = pb.AZAffinityAllNodes


_NEEDS_ZONE = frozenset(
    {
        ReadFrom.AZ_AFFINITY,
        ReadFrom.AZ_AFFINITY_REPLICAS_AND_PRIMARY,
        ReadFrom.AZ_AFFINITY_ALL_NODES,
    }
)


@dataclass(frozen=True)
class RetryStrategy:
    """How GLIDE waits between attempts to reconnect.

    Before attempt ``n`` it waits ``factor_ms * exponent_base ** n`` milliseconds, give or take
    ``jitter_percent``; after ``retries`` attempts the wait no longer grows.
    """

    retries: int
    factor_ms: int
    exponent_base: int
    jitter_percent: int | None = None


@dataclass(frozen=True)
class Options:
    """One GLIDE client, standalone or of a cluster. ``None`` leaves the choice to GLIDE.

    Attributes:
        addresses: host and port of the nodes to begin with.
        unix_socket_path: an absolute path instead of addresses; standalone, without TLS.
        cluster: a client of the whole cluster instead of one server.
        tls: encryption. ``root_certificates`` are PEM, and replace the system's.
        client_certificate: PEM, with its ``client_key``, for mutual TLS.
        username: for ACL users; needs a password.
        password: never shown in the representation.
        database: selected after each connect.
        client_name: set after each connect.
        protocol: RESP version, 2 or 3.
        request_timeout_ms: after which GLIDE gives a command up (its own default is 250 ms).
        connection_timeout_ms: for one attempt to connect.
        read_from: where reading commands go; the AZ strategies need ``availability_zone``.
        lazy: connect with the first command instead of at once.
        read_only: accept a replica as the server (standalone); GLIDE checks no role.
        inflight_limit: how many commands may wait for a reply; more are refused.
        library_name: shown by the server in CLIENT LIST.
        tcp_nodelay: send small packets at once.
        retry: waits between attempts to reconnect.
        periodic_checks_s: how often a cluster's topology is checked, in seconds; 0 is never.
        reconciliation_ms: how often GLIDE compares the connection's subscriptions with those that
            it was asked for itself, and gives up the others.
        refresh_from_initial_nodes: ask only ``addresses`` for the topology.
    """

    addresses: tuple[tuple[str, int], ...] = ()
    unix_socket_path: str | None = None
    cluster: bool = False
    tls: Tls = Tls.NONE
    root_certificates: bytes | None = None
    client_certificate: bytes | None = None
    client_key: bytes | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    client_name: str | None = None
    protocol: int = 3
    request_timeout_ms: int | None = None
    connection_timeout_ms: int | None = None
    read_from: ReadFrom = ReadFrom.PRIMARY
    availability_zone: str | None = None
    lazy: bool = False
    read_only: bool = False
    inflight_limit: int | None = None
    library_name: str = LIBRARY_NAME
    tcp_nodelay: bool | None = None
    retry: RetryStrategy | None = None
    periodic_checks_s: int | None = None
    reconciliation_ms: int | None = None
    refresh_from_initial_nodes: bool = False

    def __post_init__(self) -> None:
        for problem, found in (
            (
                "either addresses or a unix socket path is needed",
                bool(self.addresses) == bool(self.unix_socket_path),
            ),
            (
                "a unix socket is for a standalone server without TLS",
                bool(self.unix_socket_path) and (self.cluster or self.tls is not Tls.NONE),
            ),
            (f"the protocol is 2 or 3, not {self.protocol!r}", self.protocol not in {2, 3}),
            ("a username needs a password", self.username is not None and self.password is None),
            (
                "a client certificate needs its key, and the key its certificate",
                bool(self.client_certificate) != bool(self.client_key),
            ),
            (
                "certificates need TLS",
                self.tls is Tls.NONE
                and bool(self.root_certificates or self.client_certificate or self.client_key),
            ),
            (
                f"{self.read_from.name} needs an availability zone",
                self.read_from in _NEEDS_ZONE and not self.availability_zone,
            ),
            (
                "a read-only client reads from its own server, which is a standalone one",
                self.read_only and (self.cluster or self.read_from in _NEEDS_ZONE),
            ),
        ):
            if found:
                raise ValueError(problem)
        # GLIDE takes a time-out of 0 for none given.
        for name, number, least, most in (
            ("database", self.database, 0, _UINT32),
            ("request_timeout_ms", self.request_timeout_ms, 1, _UINT32),
            ("connection_timeout_ms", self.connection_timeout_ms, 1, _UINT32),
            ("inflight_limit", self.inflight_limit, 1, _UINT32),
            ("reconciliation_ms", self.reconciliation_ms, 1, _UINT32),
            ("periodic_checks_s", self.periodic_checks_s, 0, _UINT32),
            *(("a port", port, 1, _PORTS) for _, port in self.addresses),
        ):
            if number is not None and not least <= number <= most:
                raise ValueError(f"{name} must lie between {least} and {most}, not {number!r}")

    def serialize(self) -> bytes:
        """GLIDE's ConnectionRequest."""
        message = pb.ConnectionRequest(
            tls_mode=self.tls.value,
            cluster_mode_enabled=self.cluster,
            read_from=self.read_from.value,
            database_id=self.database,
            protocol=pb.RESP3 if self.protocol == 3 else pb.RESP2,
            lazy_connect=self.lazy,
            read_only=self.read_only,
            lib_name=self.library_name,
            refresh_topology_from_initial_nodes=self.refresh_from_initial_nodes,
        )
        self._name_nodes(message)
        self._name_secrets(message)
        if self.client_name is not None:
            message.client_name = self.client_name
        if self.request_timeout_ms is not None:
            message.request_timeout = self.request_timeout_ms
        if self.connection_timeout_ms is not None:
            message.connection_timeout = self.connection_timeout_ms
        if self.availability_zone is not None:
            message.client_az = self.availability_zone
        if self.inflight_limit is not None:
            message.inflight_requests_limit = self.inflight_limit
        if self.reconciliation_ms is not None:
            message.pubsub_reconciliation_interval_ms = self.reconciliation_ms
        if self.tcp_nodelay is not None:
            message.tcp_nodelay = self.tcp_nodelay
        self._name_waits(message)
        serialized: bytes = message.SerializeToString()
        return serialized

    def _name_nodes(self, message: pb.ConnectionRequest) -> None:
        if self.unix_socket_path:
            message.addresses.add(unix_socket_path=self.unix_socket_path)
        for host, port in self.addresses:
            message.addresses.add(host=host, port=port)

    def _name_secrets(self, message: pb.ConnectionRequest) -> None:
        if self.password is not None:
            message.authentication_info.password = self.password
        if self.username is not None:
            message.authentication_info.username = self.username
        if self.root_certificates:
            message.root_certs.append(self.root_certificates)
        if self.client_certificate and self.client_key:
            message.client_cert = self.client_certificate
            message.client_key = self.client_key

    def _name_waits(self, message: pb.ConnectionRequest) -> None:
        if self.retry is not None:
            strategy = message.connection_retry_strategy
            strategy.number_of_retries = self.retry.retries
            strategy.factor = self.retry.factor_ms
            strategy.exponent_base = self.retry.exponent_base
            if self.retry.jitter_percent is not None:
                strategy.jitter_percent = self.retry.jitter_percent
        if self.periodic_checks_s == 0:
            message.periodic_checks_disabled.SetInParent()
        elif self.periodic_checks_s is not None:
            message.periodic_checks_manual_interval.duration_in_sec = self.periodic_checks_s
