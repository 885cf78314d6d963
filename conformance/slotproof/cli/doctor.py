"""``slotproof doctor``."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from rich.text import Text

from slotproof.cells.isolation import Isolation, probe
from slotproof.cli.common import console
from slotproof.clients import plugin
from slotproof.data import fixtures_dir
from slotproof.errors import Exit, SlotproofError
from slotproof.fetch import cache, project
from slotproof.model import Topology
from slotproof.servers import canary, docker, embedded, spec
from slotproof.suites import library

_LOW_DISK = 2 << 30


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: ``good`` None is worth knowing, False keeps something from working."""

    good: bool | None
    text: str


@click.command()
def doctor() -> int:
    """Look at the machine: what works here, what does not, and what to do about it.

    Really tries things: unpacks the default server and starts it, forms a cluster, enters
    namespaces. Exits 3 when a run would not work.
    """
    out = console()
    bad = False
    for check in _checks():
        mark, style = {True: ("ok", "green"), None: ("--", "yellow"), False: ("no", "red")}[
            check.good
        ]
        out.print(Text(f"{mark}  ", style) + Text(check.text), soft_wrap=True)
        bad |= check.good is False
    return Exit.ENVIRONMENT if bad else Exit.HELD


def _checks() -> Iterator[Check]:
    yield Check(True, f"Python {platform.python_version()} on {platform.platform()}")
    yield Check(None if (os.cpu_count() or 1) < 2 else True, f"{os.cpu_count()} processors")
    yield from _guarded("data files", lambda: f"data files in {fixtures_dir()}")
    yield from _guarded("suites", lambda: f"suites: {', '.join(library.load_all()) or 'none'}")
    yield from _guarded("clients", lambda: f"clients: {', '.join(plugin.load_all())}")
    yield from _projects()
    yield from _guarded("cache", lambda: f"cache in {cache.cache_dir()}")
    free = shutil.disk_usage(Path.home()).free
    yield Check(free > _LOW_DISK, f"{free >> 30} GiB free for the cache")
    isolation = probe()
    if isolation is Isolation.LEASH:
        yield Check(
            None,
            "no namespaces (they need Linux and root, passwordless sudo or user namespaces): cells "
            "stay on free ports under the leash, suites that hard-code ports run one at a time",
        )
    else:
        yield Check(True, f"isolation: {isolation}")
    reason = docker.available()
    yield Check(None if reason else True, f"containers: {reason or 'an engine answers'}")
    yield from _guarded("server", _server)


def _projects() -> Iterator[Check]:
    """Clients that are built from folders; without one of them only its columns are missing."""
    try:
        clients = plugin.load_all().values()
    except SlotproofError:
        # Said above already.
        return
    for client in clients:
        if client.missing:
            why = f"{client.missing.found}; {client.missing.next_step}"
            yield Check(None, f"{client.name} is left out: {why}")
        for folder in client.projects:
            try:
                built = project.build(folder, build_lock=client.build_lock)
                yield Check(True, f"{built} builds from {folder}")
            except SlotproofError as error:
                yield Check(None, f"{client.name} is left out: {error.found}; {error.next_step}")


def _server() -> str:
    binary = embedded.binary(spec.find(spec.DEFAULT))
    with (
        cache.staging() as folder,
        embedded.start(
            binary, Topology.CLUSTER, ports=None, config={}, replicas=1, workdir=folder
        ) as deployment,
    ):
        sick = canary.check(deployment.nodes)
    if sick:
        return f"{binary.product} {binary.version}: {', '.join(sick)} does not execute scripts"
    return f"a 3+3 cluster of {binary.product} {binary.version} forms and executes scripts"


def _guarded(what: str, look: Callable[[], str]) -> Iterator[Check]:
    try:
        yield Check(True, look())
    except SlotproofError as error:
        yield Check(False, f"{what}: {error.found}; {error.next_step}")
