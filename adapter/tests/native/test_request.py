"""Options become GLIDE's message, and what GLIDE would misunderstand is refused."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from glide_shared.protobuf import connection_request_pb2 as pb

from glide_redis.native.request import Options, ReadFrom, RetryStrategy, Tls

HERE = (("127.0.0.1", 6379),)


def message(**options: Any) -> pb.ConnectionRequest:
    """Parse back what the options serialize to."""
    options.setdefault("addresses", HERE)
    parsed = pb.ConnectionRequest()
    parsed.ParseFromString(Options(**options).serialize())
    return parsed


def test_addresses_keep_their_order() -> None:
    nodes = message(addresses=(("b", 2), ("a", 1))).addresses
    assert [(node.host, node.port) for node in nodes] == [("b", 2), ("a", 1)]


def test_what_is_not_given_is_left_to_glide() -> None:
    parsed = message()
    # read_only is one of protobuf's optional fields: its False is there.
    given = {field.name for field, _ in parsed.ListFields()}
    assert given == {"addresses", "lib_name", "read_only"}
    assert parsed.lib_name == "glide-redis"
    assert parsed.protocol == pb.RESP3


def test_every_option_has_its_field() -> None:
    parsed = message(
        cluster=True,
        tls=Tls.UNVERIFIED,
        root_certificates=b"roots",
        client_certificate=b"certificate",
        client_key=b"key",
        username="user",
        password="secret",
        database=3,
        client_name="name",
        protocol=2,
        request_timeout_ms=1234,
        connection_timeout_ms=2345,
        read_from=ReadFrom.AZ_AFFINITY,
        availability_zone="zone",
        lazy=True,
        inflight_limit=77,
        library_name="library",
        tcp_nodelay=False,
        retry=RetryStrategy(4, 5, 6, 7),
        periodic_checks_s=8,
        refresh_from_initial_nodes=True,
    )
    assert parsed.cluster_mode_enabled
    assert parsed.tls_mode == pb.InsecureTls
    assert list(parsed.root_certs) == [b"roots"]
    assert (parsed.client_cert, parsed.client_key) == (b"certificate", b"key")
    assert parsed.authentication_info.username == "user"
    assert parsed.authentication_info.password == "secret"
    assert parsed.database_id == 3
    assert parsed.client_name == "name"
    assert parsed.protocol == pb.RESP2
    assert (parsed.request_timeout, parsed.connection_timeout) == (1234, 2345)
    assert (parsed.read_from, parsed.client_az) == (pb.AZAffinity, "zone")
    assert parsed.lazy_connect
    assert parsed.inflight_requests_limit == 77
    assert parsed.lib_name == "library"
    assert parsed.HasField("tcp_nodelay")
    assert not parsed.tcp_nodelay
    strategy = parsed.connection_retry_strategy
    assert (strategy.number_of_retries, strategy.factor) == (4, 5)
    assert (strategy.exponent_base, strategy.jitter_percent) == (6, 7)
    assert parsed.periodic_checks_manual_interval.duration_in_sec == 8
    assert parsed.refresh_topology_from_initial_nodes


def test_read_only_reaches_a_replica() -> None:
    assert message(read_only=True).read_only


def test_checks_every_0_seconds_are_none() -> None:
    assert message(periodic_checks_s=0).WhichOneof("periodic_checks") == "periodic_checks_disabled"


def test_a_unix_socket_takes_the_place_of_addresses() -> None:
    nodes = message(addresses=(), unix_socket_path="/run/valkey.sock").addresses
    assert [node.unix_socket_path for node in nodes] == ["/run/valkey.sock"]


@pytest.mark.parametrize("member", ReadFrom)
def test_each_way_to_read_has_its_number(member: ReadFrom) -> None:
    assert message(read_from=member, availability_zone="z").read_from == member.value


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"addresses": ()}, "addresses"),
        ({"unix_socket_path": "/s"}, "addresses"),
        ({"addresses": (), "unix_socket_path": "/s", "cluster": True}, "unix socket"),
        ({"addresses": (), "unix_socket_path": "/s", "tls": Tls.VERIFIED}, "unix socket"),
        ({"protocol": 4}, "protocol"),
        ({"username": "u"}, "password"),
        ({"tls": Tls.VERIFIED, "client_certificate": b"c"}, "key"),
        ({"tls": Tls.VERIFIED, "client_key": b"k"}, "certificate"),
        ({"root_certificates": b"r"}, "TLS"),
        ({"read_from": ReadFrom.AZ_AFFINITY}, "zone"),
        ({"read_only": True, "cluster": True}, "read-only"),
        ({"database": -1}, "database"),
        ({"request_timeout_ms": 0}, "request_timeout_ms"),
        ({"connection_timeout_ms": 2**32}, "connection_timeout_ms"),
        ({"inflight_limit": 0}, "inflight_limit"),
        ({"periodic_checks_s": -1}, "periodic_checks_s"),
        ({"addresses": (("h", 65536),)}, "port"),
        ({"addresses": (("h", 0),)}, "port"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        message(**options)


def test_secrets_are_not_shown() -> None:
    shown = repr(
        Options(
            addresses=HERE,
            tls=Tls.VERIFIED,
            password="hunter2",
            client_certificate=b"c",
            client_key=b"hunter3",
        )
    )
    assert "hunter" not in shown


def test_no_option_is_forgotten_in_the_message() -> None:
    # One field that serialize does not read would be ignored in silence.
    changed: dict[str, Any] = {
        "addresses": (("other", 1),),
        "tls": Tls.VERIFIED,
        "username": "u",
        "read_from": ReadFrom.ALL_NODES,
        "protocol": 2,
        "retry": RetryStrategy(1, 2, 3),
        "library_name": "other",
    }
    plain = {"password": "p", "tls": Tls.NONE}
    values: dict[str, Any] = {"int": 9, "str": "x", "bool": True, "bytes": b"x"}
    for field in fields(Options):
        value = changed.get(field.name, values.get(str(field.type).split(" ")[0]))
        before, after = dict(plain), plain | {field.name: value}
        if field.name == "unix_socket_path":
            before["addresses"], after["addresses"] = HERE, ()
        if field.name in {"root_certificates", "client_certificate", "client_key"}:
            before["tls"] = after["tls"] = Tls.VERIFIED
        if field.name.startswith("client_cert"):
            after["client_key"] = b"k"
        if field.name == "client_key":
            before |= {"client_certificate": b"c", "client_key": b"k"}
            after |= {"client_certificate": b"c"}
        assert message(**before) != message(**after), field.name
