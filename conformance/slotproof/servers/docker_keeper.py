"""Keeps the containers of one deployment, and removes them when nobody needs them any more.

Run as ``python -m slotproof.servers.docker_keeper``. A process of its own, because a runner that
is killed with SIGKILL cannot remove anything. One JSON line in: a ``Request``. One out:
``{"nodes": [[host, port, role, pid], ...], "pid", "containers"}`` or
``{"problem": [tried, found, next_step]}``. Then it waits, and removes all containers when its
standard input ends, when it gets another parent, or on SIGTERM. If the keeper is killed as well,
the next one reaps (see ``servers.containers``).

Topology: a *pause* container has the network namespace, without any network but loopback; one
container a node joins it, so that nodes and clients use the same addresses.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slotproof.errors import EnvironmentProblem
from slotproof.model import Role, Topology
from slotproof.servers import containers, image, settings
from slotproof.servers.formation import PRIMARIES
from slotproof.servers.ports import private_buses

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

HOST = "127.0.0.1"
_CONFIG = "/data/server.conf"
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Request:
    """What to keep. ``enter``: command that runs another in the network of process ``{pid}``."""

    name: str
    binary: str
    topology: str
    ports: Sequence[int]
    config: dict[str, str]
    seconds: float
    enter: Sequence[str]


class NotNeeded(Exception):
    """Whoever asked has gone."""


class Lifeline:
    """Tells whether the process that asked still wants its servers."""

    def __init__(self) -> None:
        self.parent = os.getppid()
        self.told = False
        signal.signal(signal.SIGTERM, self._tell)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _tell(self, *_: object) -> None:
        self.told = True

    def check(self, seconds: float = 0.0) -> None:
        """Wait up to ``seconds``. Raises NotNeeded as soon as nobody wants the servers."""
        ready = select.select([0], [], [], seconds)[0]
        if self.told or ready or os.getppid() != self.parent:
            raise NotNeeded


class Kept:
    """The containers of one request."""

    def __init__(self, request: Request, lifeline: Lifeline) -> None:
        from testcontainers.core.docker_client import DockerClient

        self.request = request
        self.lifeline = lifeline
        self.run = uuid.uuid4().hex
        self.labels = containers.labels(self.run, containers.this_process())
        self.client = DockerClient().client

    def start(self) -> dict[str, object]:
        """Start everything and return the answer. Raises EnvironmentProblem and NotNeeded."""
        containers.reap(self.client)
        self.lifeline.check()
        tag = image.build(self.request.name, Path(self.request.binary))
        self.lifeline.check()
        pause = self._container(tag, "pause", network_mode="none")
        # Any process that waits will do; the image has only this one.
        pause.with_command(["--port", "0", "--unixsocket", "/data/pause.sock", "--save", ""])
        pause.start()
        enter_pid = self._pid(pause)
        ports = self.request.ports
        buses = private_buses(ports)
        nodes = [
            self._node(tag, pause.get_container_id(), port, bus)
            for port, bus in zip(ports, buses, strict=True)
        ]
        with ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(lambda node: node.start(), nodes))
        self.lifeline.check()
        self._form(enter_pid, nodes, buses)
        count = PRIMARIES if self.request.topology == Topology.CLUSTER else 1
        roles = [Role.PRIMARY if i < count else Role.REPLICA for i in range(len(nodes))]
        return {
            "nodes": [
                [HOST, port, role, self._pid(node)]
                for port, role, node in zip(ports, roles, nodes, strict=True)
            ],
            "pid": enter_pid,
            "containers": [node.get_container_id() for node in nodes],
        }

    def remove(self) -> None:
        """Remove the containers of this run, those of an unfinished start included."""
        containers.remove_run(self.client, self.run)

    def _container(self, tag: str, what: str, *, network_mode: str) -> DockerContainer:
        from testcontainers.core.container import DockerContainer

        return (
            DockerContainer(tag)
            .with_name(f"slotproof-{self.run[:12]}-{what}")
            .with_kwargs(network_mode=network_mode, labels=self.labels)
        )

    def _node(self, tag: str, pause_id: str, port: int, bus: int) -> DockerContainer:
        text = settings.render(
            Topology(self.request.topology),
            host=HOST,
            port=port,
            bus_port=bus,
            config=self.request.config,
        )
        node = self._container(tag, str(port), network_mode=f"container:{pause_id}")
        return node.with_command([_CONFIG]).with_copy_into_container(text.encode(), _CONFIG)

    @staticmethod
    def _pid(container: DockerContainer) -> int:
        wrapped = container.get_wrapped_container()
        wrapped.reload()
        return int(wrapped.attrs["State"]["Pid"])

    def _form(self, enter_pid: int, nodes: Sequence[DockerContainer], buses: Sequence[int]) -> None:
        """Form the deployment from inside its network, in a process of its own."""
        arguments = {
            "addresses": [[HOST, port] for port in self.request.ports],
            "topology": self.request.topology,
            "bus_ports": list(buses),
            "seconds": self.request.seconds,
        }
        command = [part.replace("{pid}", str(enter_pid)) for part in self.request.enter]
        command += [sys.executable, "-m", "slotproof.servers.formation"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as forming:
            try:
                written: bytes | None = json.dumps(arguments).encode()
                while True:
                    try:
                        out, err = forming.communicate(written, timeout=_POLL_SECONDS)
                        break
                    except subprocess.TimeoutExpired:
                        written = None
                    self.lifeline.check()
                    self._all_running(nodes)
            except BaseException:
                forming.kill()
                raise
        self._all_running(nodes)
        if forming.returncode != 0:
            raise EnvironmentProblem(
                f"entering the network of the containers ({' '.join(command[:4])} ...)",
                err.decode(errors="replace").strip() or f"exit code {forming.returncode}",
                "run as root, or allow sudo without a password",
            )
        answer = json.loads(out)
        if "found" in answer:
            raise EnvironmentProblem(answer["tried"], answer["found"], answer["next_step"])

    @staticmethod
    def _all_running(nodes: Sequence[DockerContainer]) -> None:
        for node in nodes:
            wrapped = node.get_wrapped_container()
            wrapped.reload()
            if wrapped.status != "running":
                log = wrapped.logs().decode(errors="replace")
                code = wrapped.attrs["State"]["ExitCode"]
                raise EnvironmentProblem(
                    f"starting the container {wrapped.name}",
                    f"it ended with exit code {code}; the end of its log:\n{settings.tail(log)}",
                    "correct the server configuration, as the log says",
                )


def keep(request: Request, lifeline: Lifeline) -> None:
    """Start, answer, wait, remove."""
    from docker.errors import DockerException

    try:
        kept = Kept(request, lifeline)
    except DockerException as error:
        _say({"problem": ["connecting to the container engine", str(error), "start the engine"]})
        return
    try:
        _say(kept.start())
        while True:
            lifeline.check(_POLL_SECONDS)
    except NotNeeded:
        pass
    except EnvironmentProblem as problem:
        _say({"problem": [problem.tried, problem.found, problem.next_step]})
    except DockerException as error:
        _say({"problem": ["starting containers", str(error), "see the engine's log"]})
    finally:
        kept.remove()
        kept.client.close()


def _say(message: object) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(message), flush=True)


def _first_line() -> bytes:
    # Read by hand: a buffered reader would swallow the end that the lifeline waits for.
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 1)
        if not part:
            sys.exit(0)
        line += part
    return bytes(line)


if __name__ == "__main__":
    # slotproof's own labels and this process do what testcontainers' reaper container would do,
    # whose image would have to be pulled.
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    lifeline = Lifeline()
    keep(Request(**json.loads(_first_line())), lifeline)
