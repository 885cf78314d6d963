"""``slotproof up``: says where the servers are, and leaves none behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import slotproof
from slotproof.errors import Exit
from slotproof.inject.slotproof_resp import RespConnection
from slotproof.model import Topology
from slotproof.servers import url
from slotproof.servers.ports import free, is_free

_HOST = "127.0.0.1"


@contextmanager
def _up(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    path = str(Path(slotproof.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-m", "slotproof", "up", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def _silent(port: int) -> bool:
    deadline = time.monotonic() + 5
    while not is_free(_HOST, port) and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_free(_HOST, port)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)]
)
def test_a_signal_ends_the_server(how: int, code: int) -> None:
    port = free(1, _HOST, bus=False).ports[0]
    with _up("--topology", "standalone", "--port", str(port)) as process:
        assert _lines(process, 2) == [f"redis://{_HOST}:{port}/0", f"primary {_HOST}:{port}"]
        with RespConnection(_HOST, port) as connection:
            assert connection.call("PING") == b"PONG"
        process.send_signal(how)
        assert process.wait(10) == code
    assert _silent(port)


@pytest.mark.servers
def test_a_cluster_is_what_it_says() -> None:
    with _up() as process:
        address, *nodes = _lines(process, 7)
        cluster = url.attach(address, Topology.CLUSTER)
        said = {tuple(line.split(maxsplit=2)) for line in nodes}
        slots = ("slots 0-5460", "slots 5461-10922", "slots 10923-16383")
        primaries = [
            ("primary", n.address, s) for n, s in zip(cluster.primaries, slots, strict=True)
        ]
        replicas = [
            ("replica", replica.address, f"of {primary.address}")
            for primary, replica in zip(cluster.primaries, cluster.replicas, strict=True)
        ]
        assert said == {*primaries, *replicas}
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert all(_silent(node.port) for node in cluster.nodes)


@pytest.mark.servers
def test_when_all_servers_have_ended_it_says_so() -> None:
    with _up("--topology", "standalone") as process:
        address, _ = _lines(process, 2)
        port = url.parse(address).port
        with RespConnection(_HOST, port) as connection, pytest.raises(ConnectionResetError):
            connection.call("SHUTDOWN", "NOSAVE")
        assert process.wait(10) == Exit.ENVIRONMENT
        assert process.stderr is not None
        said = process.stderr.read()
    assert f"primary {_HOST}:{port} has ended, log: " in said
    assert "all of them have ended" in said


@pytest.mark.servers
def test_an_occupied_port() -> None:
    with socket.create_server((_HOST, 0)) as listener:
        port = listener.getsockname()[1]
        with _up("--topology", "standalone", "--port", str(port)) as process:
            out, err = process.communicate()
    assert (process.returncode, out) == (Exit.ENVIRONMENT, "")
    assert f"{_HOST}:{port}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--server", "valkey-8.2"], "did you mean 'valkey-8.1'?"),
        (["--port", "65533"], "--port 65530 or lower"),
        (["--port", "0"], "1<=x<=65535"),
        (["--topology", "ring"], "'ring'"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(arguments: list[str], said: str) -> None:
    with _up(*arguments) as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (Exit.USAGE, "")
    assert said in err
    assert "Traceback" not in err
