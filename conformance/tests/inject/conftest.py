"""A small foreign project, run under the recorder against real servers in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from slotproof.inject.slotproof_resp import RespConnection
from slotproof.model import Topology
from slotproof.servers import embedded, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from slotproof.servers.deployment import Deployment
    from slotproof.servers.embedded import ServerBinary

INJECT = Path(__file__).parents[2] / "slotproof" / "inject"

# The foreign project's client: a package of its own, so that it can be told from the tests.
WIRE = """
import os, socket

def encode(*args):
    parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    return b"*%d\\r\\n" % len(parts) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(p), p) for p in parts)

def connect(port, host="127.0.0.1"):
    return socket.create_connection((host, int(port)), 5)

def call(port, *args, host="127.0.0.1"):
    with connect(port, host) as sock:
        sock.sendall(encode(*args))
        return sock.recv(1 << 20)

PORTS = [int(p) for p in os.environ.get("PORTS", "").split(",") if p]
PORT = PORTS[0] if PORTS else 0
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of a project left behind."""

    code: int
    output: str
    events: tuple[Mapping[str, Any], ...]
    connects: tuple[Mapping[str, Any], ...]
    stacks: str

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """The events of one kind, in order."""
        return [event for event in self.events if event["e"] == kind]

    def test(self, name: str) -> Mapping[str, Any]:
        """The only line of the test whose id ends with ``::name``."""
        found = [e for e in self.of("test") if e["id"].endswith(f"::{name}")]
        assert len(found) == 1, f"{name}: {found}\n{self.output}"
        return found[0]

    def outcomes(self) -> dict[str, str]:
        """The outcome by the last part of the id."""
        return {e["id"].rpartition("::")[2]: e["outcome"] for e in self.of("test")}


class Project:
    """A foreign project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.cell = folder / "cell.json"
        self.python = sys.executable
        self._write("wire.py", WIRE)

    def file(self, **files: str) -> Project:
        """Write modules by name without ``.py``."""
        for name, text in files.items():
            self._write(f"{name}.py", dedent(text))
        return self

    def environment(self, nodes: Sequence[tuple[str, int]] = (), **cell: Any) -> dict[str, str]:
        """Write cell.json and return the environment of a process of the cell."""
        description = {
            "nodes": [list(node) for node in nodes],
            "username": None,
            "password": None,
            "events": str(self.cell.with_name("events.jsonl")),
            "connects": str(self.cell.with_name("connects.jsonl")),
            "bootstrap": None,
            "connects_from": ["wire"],
            "leash": "record",
            "ids": None,
            "mode": "run",
            "topology": "standalone",
            **cell,
        }
        if isinstance(description["ids"], list):
            listed = self.cell.with_name("ids.json")
            listed.write_text(json.dumps(description["ids"]))
            description["ids"] = str(listed)
        self.cell.write_text(json.dumps(description))
        return {
            **os.environ,
            "PYTHONPATH": f"{INJECT}{os.pathsep}{self.folder}",
            "SLOTPROOF_CELL": str(self.cell),
            "PORTS": ",".join(str(port) for _, port in nodes),
        }

    def start(
        self, *args: str, nodes: Sequence[tuple[str, int]] = (), **cell: Any
    ) -> subprocess.Popen[str]:
        """Start pytest on the project as a cell's supervisor does."""
        pytest_command = [self.python, "-m", "pytest", "-p", "slotproof_recorder"]
        options = ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
        return subprocess.Popen(
            [*pytest_command, *options, "--rootdir", str(self.folder), *args],
            cwd=self.folder,
            env=self.environment(nodes, **cell),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *args: str, nodes: Sequence[tuple[str, int]] = (), **cell: Any) -> Ran:
        """Run pytest to its end."""
        with self.start(*args, nodes=nodes, **cell) as process:
            output, _ = process.communicate(timeout=120)
            return self.left(process.returncode, output)

    def python_run(self, code: str, nodes: Sequence[tuple[str, int]] = (), **cell: Any) -> Ran:
        """Run a program instead of pytest."""
        done = subprocess.run(
            [self.python, "-c", dedent(code)],
            cwd=self.folder,
            env=self.environment(nodes, **cell),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        return self.left(done.returncode, done.stdout)

    def left(self, code: int, output: str) -> Ran:
        """Read what a run left behind."""
        stacks = self.cell.with_name("events.jsonl.stacks")
        return Ran(
            code,
            output,
            self._lines("events.jsonl"),
            self._lines("connects.jsonl"),
            stacks.read_text() if stacks.exists() else "",
        )

    def _lines(self, name: str) -> tuple[Mapping[str, Any], ...]:
        path = self.cell.with_name(name)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return tuple(json.loads(line) for line in text.splitlines())

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


class Server:
    """One standalone server on a port of its own, that can be killed and started again."""

    def __init__(self, binary: ServerBinary, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def node(self) -> tuple[str, int]:
        """Host and port."""
        return ("127.0.0.1", self.port)

    @property
    def command(self) -> list[str]:
        """What starts it."""
        return [
            *(str(self._binary.path), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--dir", str(self._folder), "--loglevel", "warning"),
            *("--logfile", str(self._folder / "log"), "--enable-debug-command", "yes"),
        ]

    def start(self) -> Server:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self.command)
        deadline = time.monotonic() + 20
        while True:
            try:
                with RespConnection("127.0.0.1", self.port) as connection:
                    connection.call("PING")
                return self
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def stop(self) -> None:
        """Kill it, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def binary() -> ServerBinary:
    """The default server's binary."""
    return embedded.binary(spec.find(spec.DEFAULT))


@pytest.fixture
def new_server(binary: ServerBinary, tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Make servers that end with the test."""
    servers: list[Server] = []

    def make() -> Server:
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        servers.append(Server(binary, folder))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def server(new_server: Callable[[], Server]) -> Server:
    """A running standalone server."""
    return new_server().start()


@pytest.fixture(scope="module")
def cluster(binary: ServerBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A running 3+3 cluster."""
    folder = tmp_path_factory.mktemp("cluster")
    with embedded.start(
        binary, Topology.CLUSTER, ports=None, config={}, replicas=1, workdir=folder
    ) as deployment:
        yield deployment


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty foreign project."""
    return Project(tmp_path)
