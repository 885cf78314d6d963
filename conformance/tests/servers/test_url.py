"""Attaching by URL: what is there is described and left alone, what is not gets one message."""

import socket
import threading
from collections.abc import Iterator

import pytest

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.inject.slotproof_resp import RespConnection
from slotproof.model import Role, Topology
from slotproof.servers import embedded, url
from slotproof.servers.deployment import Deployment
from slotproof.servers.embedded import ServerBinary


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("redis://h", url.ServerUrl("h", 6379)),
        ("valkey://h:7000/3", url.ServerUrl("h", 7000, database=3)),
        ("redis://:p%40ss@h:1", url.ServerUrl("h", 1, password="p@ss")),
        ("redis://me:x@[::1]:7/0", url.ServerUrl("::1", 7, "me", "x")),
    ],
)
def test_parse(text: str, parts: url.ServerUrl) -> None:
    assert url.parse(text) == parts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rediss://:secret@h", "TLS"),
        ("http://:secret@h", "unknown scheme 'http'"),
        ("h:6379", "unknown scheme 'h'"),
        ("", "unknown scheme ''"),
        ("redis://:secret@h:port", "malformed"),
        ("redis://:secret@h:70000", "malformed"),
        ("redis:///1", "no host"),
        ("redis://:secret@h/one", "'one' is no database number"),
        ("redis://:secret@h?db=1", "options"),
    ],
)
def test_a_malformed_url_is_a_usage_problem_without_its_password(text: str, found: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        url.parse(text)
    assert found in caught.value.found
    assert "secret" not in caught.value.render()


@pytest.fixture(scope="module")
def standalone(
    tmp_path_factory: pytest.TempPathFactory, valkey: ServerBinary
) -> Iterator[Deployment]:
    """A primary with a replica."""
    workdir = tmp_path_factory.mktemp("standalone")
    with embedded.start(valkey, Topology.STANDALONE, workdir=workdir, replicas=1) as servers:
        yield servers


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, valkey: ServerBinary) -> Iterator[Deployment]:
    """A 3+3 cluster."""
    workdir = tmp_path_factory.mktemp("cluster")
    with embedded.start(valkey, Topology.CLUSTER, workdir=workdir, replicas=1) as servers:
        yield servers


@pytest.mark.servers
def test_a_cluster_is_found_whole_from_any_node(cluster: Deployment) -> None:
    for entry in cluster.nodes:
        with url.attach(f"redis://{entry.address}", Topology.CLUSTER) as attached:
            assert [n.address for n in attached.primaries] == [n.address for n in cluster.primaries]
            assert [n.address for n in attached.replicas] == [n.address for n in cluster.replicas]
            assert (attached.product, attached.version) == ("valkey", "8.1.8")
            assert {node.pid for node in attached.nodes} == {None}
            attached.stop()
    assert cluster.dead() == ()  # leaving and stopping end nothing that was not started here


@pytest.mark.servers
def test_a_standalone_primary_is_described_with_its_credentials(standalone: Deployment) -> None:
    primary = standalone.primaries[0]
    with RespConnection(primary.host, primary.port) as admin:
        admin.call("ACL", "SETUSER", "me", "on", ">pa:ss", "~*", "+@all")
    attached = url.attach(f"redis://me:pa%3Ass@{primary.address}/2", Topology.STANDALONE)
    assert [(n.port, n.role) for n in attached.nodes] == [(primary.port, Role.PRIMARY)]
    assert attached.url == f"redis://me:pa%3Ass@{primary.address}/2"
    assert attached.dead() == ()
    with pytest.raises(UsageProblem, match="WRONGPASS") as caught:
        url.attach(f"redis://me:hush@{primary.address}", Topology.STANDALONE)
    assert "hush" not in caught.value.render()


@pytest.mark.servers
def test_a_url_that_is_no_cluster(standalone: Deployment) -> None:
    with pytest.raises(UsageProblem) as caught:
        url.attach(standalone.url, Topology.CLUSTER)
    assert caught.value.found == "it is a standalone server"
    assert "slotproof up --topology cluster" in caught.value.next_step


@pytest.mark.servers
def test_a_url_that_is_a_cluster(cluster: Deployment) -> None:
    with pytest.raises(UsageProblem, match="node of a cluster"):
        url.attach(cluster.url, Topology.STANDALONE)


@pytest.mark.servers
def test_a_replica_names_its_primary(standalone: Deployment) -> None:
    replica, primary = standalone.replicas[0], standalone.primaries[0]
    with pytest.raises(UsageProblem, match=f"replica of {primary.address}"):
        url.attach(f"redis://{replica.address}", Topology.STANDALONE)


@pytest.mark.servers
def test_a_cluster_that_is_not_whole(cluster: Deployment) -> None:
    node = cluster.primaries[0]
    with RespConnection(node.host, node.port) as admin:
        admin.call("CLUSTER", "DELSLOTS", 0)
        try:
            with pytest.raises(EnvironmentProblem, match="16383 of 16384 slots"):
                url.attach(cluster.url, Topology.CLUSTER)
        finally:
            admin.call("CLUSTER", "ADDSLOTS", 0)


@pytest.mark.servers
def test_a_cluster_that_announces_addresses_out_of_reach(
    cluster: Deployment,
) -> None:
    node = cluster.primaries[0]
    with socket.create_server(("127.0.0.1", 0)) as held:
        closed = held.getsockname()[1]
    with RespConnection(node.host, node.port) as admin:
        admin.call("CONFIG", "SET", "cluster-announce-port", closed)
        try:
            with pytest.raises(EnvironmentProblem, match=f"127.0.0.1:{closed}") as caught:
                url.attach(f"redis://{node.address}", Topology.CLUSTER)
            assert "cluster-announce-ip" in caught.value.next_step
        finally:
            admin.call("CONFIG", "SET", "cluster-announce-port", 0)


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        closed = held.getsockname()[1]
    with pytest.raises(EnvironmentProblem, match="refused"):
        url.attach(f"redis://127.0.0.1:{closed}", Topology.CLUSTER)


def test_a_server_of_another_protocol() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UsageProblem, match="not RESP2") as caught:
            url.attach(f"redis://127.0.0.1:{listener.getsockname()[1]}", Topology.STANDALONE)
        thread.join()
    assert "Valkey or Redis server" in caught.value.next_step
