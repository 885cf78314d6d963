"""The docker provider: one container a node, all in one private network namespace.

The containers belong to a keeper process (``servers.docker_keeper``), so that they go when this
process goes, SIGKILL included. Nothing is pulled: see ``servers.image``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import slotproof
from slotproof.errors import EnvironmentProblem
from slotproof.model import Role, Topology
from slotproof.servers import containers, embedded, settings
from slotproof.servers.deployment import Deployment, Node
from slotproof.servers.docker_keeper import Request
from slotproof.servers.embedded import ServerBinary
from slotproof.servers.formation import node_count
from slotproof.servers.spec import ServerSpec

if TYPE_CHECKING:
    from docker import DockerClient

_ENGINE_SECONDS = 5
_DEFAULT_HOST = "unix:///var/run/docker.sock"
_REMOVE_SECONDS = 30.0
_FIRST_PORT: Mapping[Topology, int] = {Topology.STANDALONE: 6379, Topology.CLUSTER: 7000}


class DockerDeployment(Deployment):
    """Containers in a network namespace of their own.

    ``enter_pid`` is a process in that namespace: ``nsenter --net --target PID`` leads to where the
    nodes' addresses mean something. ``containers`` holds the nodes' container ids, in their order.
    """

    def __init__(
        self,
        nodes: tuple[Node, ...],
        topology: Topology,
        *,
        binary: ServerBinary,
        keeper: subprocess.Popen[bytes],
        enter_pid: int,
        container_ids: tuple[str, ...],
    ) -> None:
        super().__init__(nodes, topology, product=binary.product, version=binary.version)
        self.enter_pid = enter_pid
        self.containers = container_ids
        self._keeper = keeper

    def dead(self) -> tuple[Node, ...]:
        """Return the nodes whose container does not run. Raises EnvironmentProblem."""
        client = _client()
        try:
            running = {c.id for c in client.containers.list(ignore_removed=True)}
        finally:
            client.close()
        pairs = zip(self.nodes, self.containers, strict=True)
        return tuple(node for node, id_ in pairs if id_ not in running)

    def stop(self) -> None:
        """Have the keeper remove the containers and wait for it."""
        _end(self._keeper)


def enter_command() -> tuple[str, ...] | None:
    """Return the command that runs another in the network of process ``{pid}``, or None.

    None where that is not allowed: it needs root, or sudo without a password.
    """
    nsenter = shutil.which("nsenter")
    if nsenter is None:
        return None
    prefix: tuple[str, ...] = ()
    if os.geteuid() != 0:
        prefix = ("sudo", "-n", "--preserve-env=PYTHONPATH")
        try:
            subprocess.run([*prefix, "true"], capture_output=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
    return (*prefix, nsenter, "--net", "--target", "{pid}", "--")


def available() -> str | None:
    """Return None when containers can be used here, else the reason why not."""
    if not sys.platform.startswith("linux"):
        return "network namespaces can be entered on Linux only"
    if find_spec("testcontainers") is None:
        return "testcontainers is not installed (pip install 'slotproof[docker]')"
    if enter_command() is None:
        return "entering a network namespace needs nsenter, and root or sudo without a password"
    try:
        client = _client()
    except EnvironmentProblem as problem:
        return f"no container engine answers ({problem.found})"
    client.close()
    return None


def _client() -> DockerClient:
    import docker
    from docker.errors import DockerException

    try:
        _knock(os.environ.get("DOCKER_HOST") or _DEFAULT_HOST)
        client = docker.from_env(timeout=_ENGINE_SECONDS)
        client.ping()
    except (DockerException, OSError) as error:
        raise EnvironmentProblem(
            "connecting to the container engine",
            str(error),
            "start the engine (dockerd), set DOCKER_HOST, or use --backend embedded",
        ) from error
    return client


def _knock(host: str) -> None:
    """Raise OSError unless an engine of this machine listens: no other's namespaces can be entered.

    Done by hand, because the engine's client forgets to close a socket that it cannot connect.
    """
    scheme, _, path = host.partition("://")
    if scheme != "unix":
        raise OSError(f"{host} is no engine of this machine (unix://...)")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_ENGINE_SECONDS)
        try:
            probe.connect(path)
        except OSError as error:
            raise OSError(f"{error.strerror or error}: {path}") from error


def start(
    spec: ServerSpec,
    topology: Topology,
    *,
    ports: Sequence[int] | None = None,
    config: Mapping[str, str] | None = None,
    replicas: int = 0,
    seconds: float = 60.0,
) -> DockerDeployment:
    """Start one container a node and return once all are ready.

    Arguments as in ``embedded.start``. Without ``ports``, 6379 (cluster: 7000) and those after it:
    nothing else is in that network. Raises UsageProblem and EnvironmentProblem as there, and
    EnvironmentProblem where containers cannot be used (see ``available``).
    """
    count = node_count(topology, replicas)
    settings.check_ports(ports, count)
    settings.check(config or {})
    if reason := available():
        raise EnvironmentProblem(
            "starting servers in containers", reason, "remedy that, or use --backend embedded"
        )
    binary = embedded.binary(spec)
    first = _FIRST_PORT[topology]
    request = Request(
        name=spec.name,
        binary=str(binary.path),
        topology=str(topology),
        ports=list(ports or range(first, first + count)),
        config=dict(config or {}),
        seconds=seconds,
        enter=list(enter_command() or ()),
    )
    keeper = _start_keeper()
    try:
        answer = _ask(keeper, request)
    except BaseException:
        _end(keeper)
        raise
    nodes = tuple(Node(host, port, Role(role), pid) for host, port, role, pid in answer["nodes"])
    return DockerDeployment(
        nodes,
        topology,
        binary=binary,
        keeper=keeper,
        enter_pid=answer["pid"],
        container_ids=tuple(answer["containers"]),
    )


def reap(max_age: float = containers.DAY_SECONDS) -> tuple[str, ...]:
    """Remove containers that killed runs left; return their names. Raises EnvironmentProblem.

    ``max_age`` in seconds is for those of another boot or PID namespace, whose owner cannot be
    asked for.
    """
    client = _client()
    try:
        return containers.reap(client, max_age=max_age)
    finally:
        client.close()


def _start_keeper() -> subprocess.Popen[bytes]:
    root = str(Path(slotproof.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "slotproof.servers.docker_keeper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )


def _pipes(keeper: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    return keeper.stdin, keeper.stdout


def _ask(keeper: subprocess.Popen[bytes], request: Request) -> dict[str, Any]:
    to_keeper, from_keeper = _pipes(keeper)
    line = b""
    with contextlib.suppress(BrokenPipeError):
        to_keeper.write(json.dumps(dataclasses.asdict(request)).encode() + b"\n")
        to_keeper.flush()
        line = from_keeper.readline()
    if not line:
        raise EnvironmentProblem(
            "starting servers in containers",
            f"the process that keeps them ended with exit code {keeper.wait()}",
            "see its traceback above",
        )
    answer: dict[str, Any] = json.loads(line)
    if "problem" in answer:
        raise EnvironmentProblem(*answer["problem"])
    return answer


def _end(keeper: subprocess.Popen[bytes]) -> None:
    to_keeper, from_keeper = _pipes(keeper)
    with contextlib.suppress(OSError):
        to_keeper.close()
    try:
        keeper.wait(_REMOVE_SECONDS)
    except subprocess.TimeoutExpired:
        # The engine hangs. What is left carries this keeper's label, and the next run reaps it.
        keeper.send_signal(signal.SIGKILL)
        keeper.wait()
    from_keeper.close()
