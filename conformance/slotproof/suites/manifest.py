"""Suites as data: ``fixtures/suites/<name>/suite.toml`` read into a frozen value.

docs/suites.md explains each key for people who add a suite. Nothing here touches the network or
starts a process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, cast

from slotproof.errors import UsageProblem
from slotproof.model import DEFAULT_VARIANT, Topology
from slotproof.suites.tables import Table, read_toml

PLACEHOLDERS = ("url", "host", "port", "nodes")
"""What ``{...}`` may name in arguments and environment: the first node's URL, host and port, and
the number of nodes."""

SourceKind = Literal["sdist", "git", "path"]
_NAME = r"[a-z0-9][a-z0-9._-]*"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a suite's tests come from.

    ``sdist``: ``name``, ``version`` and ``sha256`` of a source distribution. ``git``:
    ``repository`` and ``commit``. ``path``: ``path``, absolute. ``keep``: the files and folders
    that are unpacked, all when empty; the library under test itself must not be among them, or it
    would shadow the client. Fields of another kind are "".
    """

    kind: SourceKind
    keep: tuple[str, ...]
    name: str = ""
    version: str = ""
    sha256: str = ""
    repository: str = ""
    commit: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class SuiteTopology:
    """How the suite runs on one topology.

    ``args``: pytest arguments, with placeholders. ``ports``: those that its tests hard-code or
    its upstream uses, one a node, primaries first; () for any. ``replicas``: of each primary.
    ``config``: server directives. ``companions``: ports of a standalone server and its replicas
    that upstream keeps beside the cluster, or ().
    """

    args: tuple[str, ...]
    ports: tuple[int, ...]
    replicas: int
    config: Mapping[str, str]
    companions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Deviation:
    """One way in which the suite runs otherwise than upstream runs it, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite: what to run, where it comes from, and how it must be run.

    ``row``: title of its row in the status document. ``requirements``: PEP 508 lines of what the
    tests need beside the client; ``without``: projects that these would bring along but that come
    with the client's own lock. ``files``: test files or folders below the source's top.
    ``timeout``: seconds a test may take. ``lanes``: whether its tests may be split over several
    server sets at once, for the reason ``lanes_reason``. ``variants``: further ways to run the same
    tests, such as over another protocol: name to the pytest arguments that make it, placeholders
    not filled in; the default one, without any, is first. ``namespace_only``: it hard-codes ports
    or paths, so that without a private network it runs alone, on exactly those ports.
    ``quick_seconds``: the quick profile's budget. ``locked_requirements``: the text of
    ``requirements.lock``, None when there is no such file yet. ``folder``: where the manifest is.
    """

    name: str
    title: str
    row: str
    licence: str
    folder: Path
    source: Source
    requirements: tuple[str, ...]
    without: tuple[str, ...]
    locked_requirements: str | None
    files: tuple[str, ...]
    args: tuple[str, ...]
    env: Mapping[str, str]
    topologies: Mapping[Topology, SuiteTopology]
    variants: Mapping[str, tuple[str, ...]]
    timeout: float
    lanes: bool
    lanes_reason: str
    namespace_only: bool
    quick_seconds: float
    deviations: tuple[Deviation, ...]

    @property
    def version(self) -> str:
        """The source's version: of the sdist, the commit's first 12 digits, or ``local``."""
        return {
            "sdist": self.source.version,
            "git": self.source.commit[:12],
            "path": "local",
        }[self.source.kind]

    @property
    def collected_lock(self) -> Path:
        """Where the suite's locked ids are."""
        return self.folder / "collected.lock"

    @property
    def requirements_lock(self) -> str:
        """The text of ``requirements.lock``. Raises UsageProblem while there is none."""
        if self.locked_requirements is None:
            raise UsageProblem(
                f"reading the requirements of the suite {self.name}",
                f"no file {self.folder / 'requirements.lock'}",
                f"make it with `slotproof lock {self.name}`",
            )
        return self.locked_requirements

    def topology(self, topology: Topology) -> SuiteTopology:
        """Return how the suite runs there. Raises UsageProblem when it does not."""
        if topology not in self.topologies:
            raise UsageProblem(
                f"running the suite {self.name} on {topology}",
                f"it runs on {', '.join(self.topologies)} only",
                f"leave out --topology {topology} for it, or add [topology.{topology}] to it",
            )
        return self.topologies[topology]

    def pytest_args(self, topology: Topology, variant: str = DEFAULT_VARIANT) -> tuple[str, ...]:
        """The arguments for one topology and variant, placeholders not filled in, without files."""
        return (*self.args, *self.topology(topology).args, *self.variants[variant])


def load(path: Path) -> Suite:
    """Read one manifest. Raises UsageProblem naming file, key and line for anything wrong."""
    top = read_toml(path, "suite manifest")
    name = top.matching("name", _NAME, "a name of lower-case letters, digits, '.', '_' and '-'")
    if name != path.absolute().parent.name:
        raise top.problem(
            "name", f"{name!r} is not the name of its folder", "call folder and suite the same"
        )
    pytest = top.table("pytest")
    requirements = top.table("requirements")
    profile = top.table("profile")
    quick = profile.table("quick")
    suite = Suite(
        name=name,
        title=top.text("title"),
        row=top.text("row"),
        licence=top.text("licence"),
        folder=path.absolute().parent,
        source=_source(top.table("source"), path.absolute().parent),
        requirements=_requirements(requirements),
        without=requirements.texts("without", needed=False),
        locked_requirements=_lock(path.absolute().parent / "requirements.lock"),
        files=_paths(pytest, "files", needed=True),
        args=_filled(pytest, "args", pytest.texts("args", needed=False)),
        env=_environment(top),
        topologies=_topologies(top),
        variants=_variants(top),
        timeout=top.number("timeout"),
        lanes=top.flag("lanes"),
        lanes_reason=top.text("lanes_reason"),
        namespace_only=top.choice("isolation", ("namespace-only", "any")) == "namespace-only",
        quick_seconds=quick.number("seconds"),
        deviations=tuple(_deviation(table) for table in top.tables("deviation")),
    )
    for table in (pytest, requirements, quick, profile, top):
        table.close()
    return suite


def _source(table: Table, folder: Path) -> Source:
    kind = cast("SourceKind", table.choice("kind", ("sdist", "git", "path")))
    keep = _paths(table, "keep", needed=False)
    if kind == "sdist":
        source = Source(
            kind,
            keep,
            name=table.matching("name", r"[A-Za-z0-9][A-Za-z0-9._-]*", "a project's name"),
            version=table.matching("version", r"[A-Za-z0-9][A-Za-z0-9.+!_-]*", "one exact version"),
            sha256=table.matching("sha256", r"[0-9a-f]{64}", "64 lower-case hexadecimal digits"),
        )
    elif kind == "git":
        source = Source(
            kind,
            keep,
            repository=table.text("repository"),
            commit=table.matching("commit", r"[0-9a-f]{40}", "a full commit hash of 40 digits"),
        )
    else:
        source = Source(kind, keep, path=str((folder / table.text("path")).resolve()))
    table.close()
    return source


def _requirements(table: Table) -> tuple[str, ...]:
    lines = table.texts("in")
    for line in lines:
        if not re.match(r"[A-Za-z0-9]", line) or "://" in line or "\n" in line:
            raise table.problem(
                "in",
                f"{line!r} is no requirement by name and version",
                "write it like 'pytest>=8' (PEP 508), without an address or an option",
            )
    return lines


def _lock(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(
            f"reading {path}", str(error), "make it with `slotproof lock`"
        ) from error


def _topologies(top: Table) -> Mapping[Topology, SuiteTopology]:
    tables = top.table("topology")
    found = {}
    for topology in Topology:
        if topology not in tables:
            continue
        table = tables.table(topology)
        replicas = table.count("replicas", 0)
        found[topology] = SuiteTopology(
            args=_filled(table, "args", table.texts("args", needed=False)),
            ports=_ports(table, (3 if topology is Topology.CLUSTER else 1) * (1 + replicas)),
            replicas=replicas,
            config=table.mapping("config"),
            companions=table.counts("companions"),
        )
        table.close()
    tables.close()
    if not found:
        raise top.problem("topology", "names no topology", "add [topology.standalone]")
    return found


def _variants(top: Table) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {DEFAULT_VARIANT: ()}
    if "variant" not in top:
        return found
    tables = top.table("variant")
    for name in tables:
        if name == DEFAULT_VARIANT or not re.fullmatch(_NAME, name):
            raise tables.problem(
                name,
                f"{name!r} cannot be the name of a variant",
                f"use lower-case letters, digits, '.', '_' and '-', not {DEFAULT_VARIANT!r}",
            )
        table = tables.table(name)
        found[name] = _filled(table, "args", table.texts("args"))
        table.close()
    return found


def _ports(table: Table, nodes: int) -> tuple[int, ...]:
    ports = table.counts("ports")
    if ports and (len(set(ports)) != nodes or len(ports) != nodes):
        raise table.problem(
            "ports", f"{len(ports)} for {nodes} nodes", f"give {nodes} different ports, or none"
        )
    if not all(0 < port < 65536 for port in ports):
        raise table.problem("ports", f"{ports} holds no port", "ports go from 1 to 65535")
    return ports


def _environment(top: Table) -> Mapping[str, str]:
    env = top.mapping("env")
    for name, value in env.items():
        _filled(top.table("env"), name, [value])
    return env


def _filled(table: Table, key: str, values: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        for word in re.findall(r"\{([A-Za-z_]\w*)\}", value):
            if word not in PLACEHOLDERS:
                allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                raise table.problem(key, f"{{{word}}} stands for nothing", f"use one of {allowed}")
    return tuple(values)


def _paths(table: Table, key: str, *, needed: bool) -> tuple[str, ...]:
    values = table.texts(key, needed=needed)
    for value in values:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or str(path) != value or value == ".":
            raise table.problem(
                key, f"{value!r} is no path below the source", "write it like tests/test_lock.py"
            )
    return values


def _deviation(table: Table) -> Deviation:
    deviation = Deviation(what=table.text("what"), reason=table.text("reason"))
    table.close()
    return deviation
