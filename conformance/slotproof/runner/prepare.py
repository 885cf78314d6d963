"""Bring everything a run needs onto the disk, before any cell is shut off from the network."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import slotproof
from slotproof.clients.plugin import Client
from slotproof.environments import Environment, environment
from slotproof.errors import SlotproofError, UsageProblem
from slotproof.fetch import archive, cache, pip
from slotproof.servers import embedded
from slotproof.servers.embedded import ServerBinary
from slotproof.servers.spec import ServerSpec
from slotproof.suites.manifest import Suite

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)(?: \\)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What lies ready: suite trees, environments per (suite, client), the server's program.

    ``failed``: per suite or (suite, client) the problem that keeps it from running.
    """

    trees: Mapping[str, Path]
    environments: Mapping[tuple[str, str], Environment]
    binary: ServerBinary | None
    failed: Mapping[tuple[str, str], SlotproofError]

    def expose(self, key: tuple[str, str]) -> tuple[str, ...]:
        """Paths that a cell must see although its temporary folders are private."""
        python = self.environments[key].python
        binary = [str(self.binary.path)] if self.binary else []
        return (
            sys.prefix,
            sys.base_prefix,
            str(Path(slotproof.__file__).parent),
            str(self.trees[key[0]]),
            str(python.parent.parent),
            *binary,
        )


def prepare(
    suites: Mapping[str, Suite],
    clients: Mapping[str, Client],
    spec: ServerSpec | None,
    say: Callable[[str], None],
) -> Prepared:
    """Fetch and unpack suites, make environments, fetch the server; in parallel, cached.

    A suite or an environment that cannot be had is noted in ``failed`` and its cells show as "not
    run: reason"; without the server nothing can run, so its problem is raised.
    """
    trees: dict[str, Path] = {}
    environments: dict[tuple[str, str], Environment] = {}
    failed: dict[tuple[str, str], SlotproofError] = {}
    with ThreadPoolExecutor(4, thread_name_prefix="prepare") as pool:
        server = pool.submit(embedded.binary, spec) if spec else None
        tree_jobs = {name: pool.submit(tree, suite) for name, suite in suites.items()}
        env_jobs = {
            (s, c): pool.submit(_environment, suites[s], clients[c])
            for s in suites
            for c in clients
        }
        for name, tree_job in tree_jobs.items():
            try:
                trees[name] = tree_job.result()
            except UsageProblem:
                raise
            except SlotproofError as error:
                failed |= {(name, c): error for c in clients}
        for key, env_job in env_jobs.items():
            try:
                environments[key] = env_job.result()
            except SlotproofError as error:
                failed.setdefault(key, error)
                say(f"{key[0]} with {key[1]} cannot run: {error.found}")
        binary = server.result() if server else None
    return Prepared(trees, environments, binary, failed)


def _environment(suite: Suite, client: Client) -> Environment:
    if client.missing:
        raise client.missing
    return environment(
        [suite.requirements_lock, client.lock],
        label=f"{suite.name} with {client.name}",
        projects=client.projects,
        build_lock=client.build_lock,
    )


def tree(suite: Suite) -> Path:
    """Return the suite's unpacked source, read-only by convention, from the cache.

    Raises EnvironmentProblem when it cannot be fetched, or is not what its hash says.
    """
    source = suite.source
    if source.kind == "path":
        path = Path(source.path)
        if not path.is_dir():
            raise UsageProblem(
                f"looking for the suite {suite.name}", f"{path} is no folder", "correct its path"
            )
        return path
    if source.kind != "sdist":
        raise UsageProblem(
            f"fetching the suite {suite.name}",
            f"a source of kind {source.kind!r} cannot be fetched yet",
            "use an sdist or a local path",
        )
    wanted = hashlib.sha256("\n".join((source.sha256, *source.keep)).encode()).hexdigest()
    folder = cache.cache_dir() / "suites" / f"{suite.name}-{source.version}-{wanted[:16]}"
    with cache.locked(f"suite-{folder.name}"):
        if not folder.is_dir():
            sdist = pip.fetch(source.name, source.version, source.sha256, "sdist")
            with cache.staging() as stage:
                archive.unpack(sdist, stage / "tree", keep=source.keep)
                cache.ensure_dir(folder.parent)
                (stage / "tree").rename(folder)
    return folder


def client_version(client: Client, environment: Environment | None = None) -> str:
    """Return what names the client's version, such as ``valkey 6.2.0, redis 8.1.0``.

    ``environment``: one of the client's, which knows what its local projects hold.
    """
    pins = [(n, v) for n, v in _PIN.findall(client.lock) if not client.names or n in client.names]
    projects = environment.projects if environment else ()
    return ", ".join([*projects, *(f"{name} {version}" for name, version in pins)])
