"""Servers on this machine: started, formed, ended, and what is said when that cannot be."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from slotproof.errors import EnvironmentProblem, Exit, UsageProblem
from slotproof.inject.slotproof_resp import RespConnection
from slotproof.model import Role, Topology
from slotproof.servers import embedded, spec
from slotproof.servers.embedded import ServerBinary
from slotproof.servers.state import SLOTS, info, parse_info, parse_nodes

pytestmark = pytest.mark.servers


def _gone(pids: list[int], seconds: float = 5.0) -> list[int]:
    """Wait for processes to be gone; return those that are not."""
    deadline = time.monotonic() + seconds
    left = pids
    while (left := [pid for pid in left if _alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("server", ["valkey-8.1", "valkey-9.1", "redis-8.2"])
def test_binaries_are_what_their_files_say(
    binary_of: Callable[[str], ServerBinary], server: str
) -> None:
    binary = binary_of(server)
    wanted = spec.find(server)
    assert (binary.product, binary.version) == (wanted.product, wanted.version)
    assert os.access(binary.path, os.X_OK)
    assert (binary.cli is None) == (server != "valkey-8.1")


@pytest.mark.parametrize("server", ["valkey-8.1", "valkey-9.1", "redis-8.2"])
def test_a_cluster_is_whole_in_every_nodes_view(
    tmp_path: Path, binary_of: Callable[[str], ServerBinary], server: str
) -> None:
    heard: list[str] = []
    with embedded.start(
        binary_of(server),
        Topology.CLUSTER,
        workdir=tmp_path,
        replicas=1,
        config={"cluster-node-timeout": "1234", "maxmemory-policy": "noeviction"},
        on_progress=heard.append,
    ) as cluster:
        assert [node.role for node in cluster.nodes] == [Role.PRIMARY] * 3 + [Role.REPLICA] * 3
        assert cluster.url == f"redis://127.0.0.1:{cluster.primaries[0].port}/0"
        assert cluster.dead() == ()
        for node in cluster.nodes:
            with RespConnection(node.host, node.port) as connection:
                state = parse_info(connection.text("CLUSTER", "INFO"))
                assert (state["cluster_state"], state["cluster_size"]) == ("ok", "3")
                assert state["cluster_known_nodes"] == "6"
                peers = parse_nodes(connection.text("CLUSTER", "NODES"))
                assert sum(peer.slots for peer in peers) == SLOTS
                assert {(p.host, p.port) for p in peers} == {
                    (n.host, n.port) for n in cluster.nodes
                }
                assert sum(p.is_primary for p in peers) == 3
                assert info(connection, "server")["process_id"] == str(node.pid)
                assert connection.call("CONFIG", "GET", "cluster-node-timeout") == [
                    b"cluster-node-timeout",
                    b"1234",
                ]
        for primary, replica in zip(cluster.primaries, cluster.replicas, strict=True):
            with RespConnection(replica.host, replica.port) as connection:
                state = info(connection, "replication")
                assert (state["master_port"], state["master_link_status"]) == (
                    str(primary.port),
                    "up",
                )
    assert heard[-1] == "waiting until every node knows every other"
    assert _gone([node.pid for node in cluster.nodes if node.pid]) == []


def test_stop_is_idempotent_and_stops_hung_servers(tmp_path: Path, valkey: ServerBinary) -> None:
    server = embedded.start(valkey, Topology.STANDALONE, workdir=tmp_path)
    pid = server.nodes[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert server.dead() == ()  # hung, not dead
    server.stop()
    assert not _alive(pid)
    server.stop()
    assert server.dead() == server.nodes


def test_dead_names_the_killed_node(tmp_path: Path, valkey: ServerBinary) -> None:
    with embedded.start(valkey, Topology.STANDALONE, workdir=tmp_path, replicas=2) as servers:
        victim = servers.nodes[1]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while not servers.dead() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert servers.dead() == (victim,)


def test_servers_outlive_the_thread_that_started_them(tmp_path: Path, valkey: ServerBinary) -> None:
    started: list[embedded.EmbeddedDeployment] = []
    thread = threading.Thread(
        target=lambda: started.append(embedded.start(valkey, Topology.STANDALONE, workdir=tmp_path))
    )
    thread.start()
    thread.join()
    with started[0] as server, RespConnection("127.0.0.1", server.nodes[0].port) as connection:
        assert connection.call("PING") == b"PONG"


_STARTER = """
import os, sys, time
from pathlib import Path
from slotproof.model import Topology
from slotproof.servers import embedded
binary = embedded.ServerBinary(Path(sys.argv[1]), "valkey", "8.1.8")
server = embedded.start(binary, Topology.STANDALONE, workdir=Path(sys.argv[2]), replicas=2)
if os.fork() == 0:          # a forked child holds the pipe to the warden open
    server.stop()           # and may not end what is not its own
    time.sleep(600)
print(*(node.pid for node in server.nodes), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_servers_die_with_their_parent(tmp_path: Path, valkey: ServerBinary, how: int) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _STARTER, str(valkey.path), str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(embedded.__file__).parents[2])},
        start_new_session=True,
        text=True,
    )
    assert parent.stdout is not None
    try:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3
        assert all(_alive(pid) for pid in pids)
        parent.send_signal(how)
        parent.wait(10)
        assert _gone(pids) == []
    finally:
        os.killpg(parent.pid, signal.SIGKILL)  # the forked child
        parent.wait(10)
        parent.stdout.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no death signal elsewhere")
def test_servers_die_with_a_killed_warden(tmp_path: Path, valkey: ServerBinary) -> None:
    with embedded.start(valkey, Topology.STANDALONE, workdir=tmp_path, replicas=1) as servers:
        pids = [node.pid for node in servers.nodes if node.pid]
        stat = Path(f"/proc/{pids[0]}/stat").read_text()
        os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
        assert _gone(pids) == []
        assert servers.dead() == servers.nodes


def test_given_ports_are_used_and_no_state_comes_back(tmp_path: Path, valkey: ServerBinary) -> None:
    for _ in range(2):
        with embedded.start(
            valkey, Topology.STANDALONE, workdir=tmp_path, ports=_free_ports(1)
        ) as first:
            port = first.nodes[0].port
            with RespConnection("127.0.0.1", port) as connection:
                assert connection.call("DBSIZE") == 0
                connection.call("SET", "k", "v")
                connection.call("SAVE")
        with (
            embedded.start(valkey, Topology.STANDALONE, workdir=tmp_path, ports=[port]) as second,
            RespConnection("127.0.0.1", port) as connection,
        ):
            assert second.nodes[0].port == port
            assert connection.call("DBSIZE") == 0


def test_high_ports_get_other_bus_ports(tmp_path: Path, valkey: ServerBinary) -> None:
    high = _free_ports(3, 56000)
    with embedded.start(valkey, Topology.CLUSTER, workdir=tmp_path, ports=high) as cluster:
        assert [node.port for node in cluster.nodes] == high


def _free_ports(count: int, first: int = 23000) -> list[int]:
    from slotproof.servers.ports import is_free

    return [port for port in range(first, 65000) if is_free("127.0.0.1", port)][:count]


def test_an_occupied_port_is_named(tmp_path: Path, valkey: ServerBinary) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(EnvironmentProblem) as caught:
            embedded.start(valkey, Topology.STANDALONE, workdir=tmp_path, ports=[port])
    assert f"127.0.0.1:{port}" in caught.value.tried
    assert "--port" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_directive_shows_the_servers_own_words(
    tmp_path: Path, valkey: ServerBinary
) -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        embedded.start(
            valkey, Topology.STANDALONE, workdir=tmp_path, config={"no-such-directive": "1"}
        )
    assert "no-such-directive" in caught.value.found
    assert "exit code 1" in caught.value.found


def test_servers_that_never_get_ready_end_with_their_log(
    tmp_path: Path, valkey: ServerBinary
) -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        embedded.start(
            valkey,
            Topology.CLUSTER,
            workdir=tmp_path,
            replicas=1,
            config={"masterauth": "wrong", "requirepass": "secret"},
            seconds=1.0,
        )
    assert "NOAUTH" in caught.value.found
    assert "Server initialized" in caught.value.found


@pytest.mark.parametrize("ports", [[7000], [7000, 7001, 7001], []])
def test_a_wrong_number_of_ports_is_a_usage_problem(
    tmp_path: Path, valkey: ServerBinary, ports: list[int]
) -> None:
    with pytest.raises(UsageProblem, match="ports"):
        embedded.start(valkey, Topology.CLUSTER, workdir=tmp_path, ports=ports)


@pytest.mark.parametrize(("key", "value"), [("a b", "1"), ("save", "1\nport 1"), ("", "x")])
def test_a_directive_is_one_line(
    tmp_path: Path, valkey: ServerBinary, key: str, value: str
) -> None:
    with pytest.raises(UsageProblem, match="configuration"):
        embedded.start(valkey, Topology.STANDALONE, workdir=tmp_path, config={key: value})


def test_no_server_binary_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem) as caught:
        embedded.binary(spec.find("path"))
    assert caught.value.exit_code is Exit.ENVIRONMENT
    assert "valkey-server" in caught.value.found
    assert "--server valkey-8.1" in caught.value.next_step


def test_path_prefers_valkey_and_identifies_it(
    tmp_path: Path, valkey: ServerBinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "redis-server").symlink_to("/bin/false")
    (tmp_path / "valkey-server").symlink_to(valkey.path)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = embedded.binary(spec.find("path"))
    assert (found.product, found.version, found.path) == ("valkey", "8.1.8", valkey.path.resolve())


def test_a_platform_without_wheel_takes_the_same_series_from_path(
    tmp_path: Path, valkey: ServerBinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = spec.find(spec.DEFAULT)
    assert published.wheel is not None
    nowhere = replace(published, wheel=replace(published.wheel, files=()))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="has no wheel for") as caught:
        embedded.binary(nowhere)
    assert "Valkey 8.1.8" in caught.value.tried
    (tmp_path / "valkey-server").symlink_to(valkey.path)
    assert embedded.binary(nowhere).version == "8.1.8"
    with pytest.raises(EnvironmentProblem, match=r"PATH has valkey 8\.1\.8"):
        embedded.binary(replace(nowhere, version="9.1.2"))


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("#!/bin/sh\necho Redis server v=6.0.16 sha=0\n", "version 6.0.16"),
        ("#!/bin/sh\necho hello\n", "hello"),
        ("#!/bin/sh\nexit 3\n", "exit code 3"),
        ("not a program", "Exec format error"),
    ],
)
def test_a_binary_that_is_no_usable_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: str
) -> None:
    fake = tmp_path / "valkey-server"
    fake.write_text(script)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match=found) as caught:
        embedded.binary(spec.find("path"))
    assert str(fake) in caught.value.tried


def test_a_wheel_with_another_version_than_published_is_refused(
    binary_of: Callable[[str], ServerBinary],
) -> None:
    binary_of(spec.DEFAULT)
    with pytest.raises(EnvironmentProblem, match=r"valkey 8\.1\.8 instead of valkey 8\.1\.9"):
        embedded.binary(replace(spec.find(spec.DEFAULT), version="8.1.9"))
