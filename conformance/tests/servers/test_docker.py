"""Servers in containers: one network of their own, and nothing left of them afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.model import Role, Topology
from slotproof.servers import containers, docker, spec

_ROOT = Path(docker.__file__).parents[2]
_SPEC = spec.find(spec.DEFAULT)


@pytest.fixture
def engine() -> Iterator[Any]:
    """A client of the running engine; skips with the reason where there is none."""
    if reason := docker.available():
        pytest.skip(reason)
    import docker as sdk

    client = sdk.from_env()
    yield client
    client.close()


def _ours(client: Any) -> set[str]:
    found = client.containers.list(
        all=True, filters={"label": f"{containers.MARK}=1"}, ignore_removed=True
    )
    return {container.id for container in found}


def _network(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


_ASK = """
import json, sys
from slotproof.inject.slotproof_resp import RespConnection
from slotproof.servers.state import parse_info, parse_nodes
answer = []
for host, port in json.loads(sys.argv[1]):
    with RespConnection(host, port) as c:
        peers = parse_nodes(c.text("CLUSTER", "NODES"))
        state = parse_info(c.text("CLUSTER", "INFO"))
        answer.append([state["cluster_state"], len(peers), sum(p.slots for p in peers)])
print(json.dumps(answer))
"""


@pytest.mark.docker
def test_a_cluster_is_whole_inside_its_own_network(engine: Any) -> None:
    before = _ours(engine)
    with docker.start(
        _SPEC, Topology.CLUSTER, replicas=1, config={"cluster-node-timeout": "4321"}
    ) as cluster:
        assert [n.port for n in cluster.nodes] == [7000, 7001, 7002, 7003, 7004, 7005]
        assert [n.role for n in cluster.nodes] == [Role.PRIMARY] * 3 + [Role.REPLICA] * 3
        assert (cluster.product, cluster.version) == ("valkey", "8.1.8")
        assert cluster.dead() == ()
        networks = {_network(node.pid) for node in cluster.nodes if node.pid}
        assert networks == {_network(cluster.enter_pid)}
        assert networks != {_network(os.getpid())}
        command = [part.replace("{pid}", str(cluster.enter_pid)) for part in _enter()]
        nodes = json.dumps([[n.host, n.port] for n in cluster.nodes])
        asked = subprocess.run(
            [*command, sys.executable, "-c", _ASK, nodes],
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(asked.stdout) == [["ok", 6, 16384]] * 6
        running = _ours(engine) - before
        assert len(running) == 7
        assert set(cluster.containers) < running
        victim = cluster.nodes[1]
        engine.containers.get(cluster.containers[1]).kill()
        assert cluster.dead() == (victim,)
    assert _ours(engine) & running == set()
    cluster.stop()


def _enter() -> tuple[str, ...]:
    command = docker.enter_command()
    assert command is not None
    return command


@pytest.mark.docker
def test_the_same_ports_twice_side_by_side(engine: Any) -> None:
    assert engine.ping()
    with (
        docker.start(_SPEC, Topology.STANDALONE, ports=[6379]) as one,
        docker.start(_SPEC, Topology.STANDALONE, ports=[6379]) as two,
    ):
        assert one.nodes[0].address == two.nodes[0].address
        assert _network(one.enter_pid) != _network(two.enter_pid)


_STARTER = """
import sys, time
from slotproof.model import Topology
from slotproof.servers import docker, spec
deployment = docker.start(spec.find(spec.DEFAULT), Topology.STANDALONE, replicas=2)
print(deployment._keeper.pid, *deployment.containers, flush=True)
time.sleep(600)
"""


def _starter() -> tuple[subprocess.Popen[str], int, set[str]]:
    parent = subprocess.Popen(
        [sys.executable, "-c", _STARTER],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        text=True,
    )
    assert parent.stdout is not None
    keeper, *ids = parent.stdout.readline().split()
    return parent, int(keeper), set(ids)


def _end(parent: subprocess.Popen[str]) -> None:
    parent.kill()
    parent.wait()
    assert parent.stdout is not None
    parent.stdout.close()


@pytest.mark.docker
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_containers_go_when_the_runner_is_killed(engine: Any, how: int) -> None:
    before = _ours(engine)
    parent, _, ids = _starter()
    try:
        assert len(ids & _ours(engine)) == 3
        parent.send_signal(how)
        parent.wait(10)
        deadline = time.monotonic() + 5
        while _ours(engine) - before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _ours(engine) - before == set()
    finally:
        _end(parent)


@pytest.mark.docker
def test_reap_removes_what_a_killed_keeper_left_and_nothing_in_use(engine: Any) -> None:
    with docker.start(_SPEC, Topology.STANDALONE) as in_use:
        parent, keeper, ids = _starter()
        try:
            os.kill(keeper, signal.SIGKILL)
            _end(parent)
            assert len(ids & _ours(engine)) == 3
            assert len(docker.reap()) == 4  # the pause container too
            assert ids & _ours(engine) == set()
            assert in_use.dead() == ()
            assert docker.reap() == ()
        finally:
            _end(parent)


@pytest.mark.docker
def test_a_wrong_directive_shows_the_servers_own_words_and_leaves_nothing(engine: Any) -> None:
    before = _ours(engine)
    with pytest.raises(EnvironmentProblem, match="no-such-directive") as caught:
        docker.start(_SPEC, Topology.STANDALONE, config={"no-such-directive": "1"})
    assert "exit code 1" in caught.value.found
    assert _ours(engine) == before


def test_bad_ports_are_refused_before_anything_is_started() -> None:
    with pytest.raises(UsageProblem, match="ports"):
        docker.start(_SPEC, Topology.CLUSTER, ports=[7000])


def test_without_an_engine_the_reason_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("testcontainers")
    if docker.enter_command() is None:
        pytest.skip("needs nsenter, and root or sudo")
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert "no engine of this machine" in str(docker.available())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    reason = docker.available()
    assert reason is not None
    assert reason.startswith("no container engine answers (No such file")
    with pytest.raises(EnvironmentProblem) as caught:
        docker.start(_SPEC, Topology.STANDALONE)
    assert caught.value.found == reason
    assert "--backend embedded" in caught.value.next_step


def test_without_nsenter_the_reason_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("testcontainers")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "nsenter" in str(docker.available())


@pytest.mark.docker
def test_the_engine_script_finds_the_running_engine(engine: Any) -> None:
    assert engine.ping()
    script = _ROOT.parent / ".ci" / "docker-engine"
    if not script.is_file():
        pytest.skip("not in a checkout")
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "engine: up pid 0"
