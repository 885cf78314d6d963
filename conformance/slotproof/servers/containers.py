"""slotproof's containers: how they are labelled, and how leftovers are told from those in use."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

MARK = "org.slotproof"
RUN = "org.slotproof.run"
_PID = "org.slotproof.owner.pid"
_BORN = "org.slotproof.owner.born"
_PLACE = "org.slotproof.owner.place"
_SINCE = "org.slotproof.since"
DAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that keeps containers.

    ``born`` is its start time in clock ticks since boot: a pid alone may be another process's by
    now. ``place`` names boot and PID namespace: where they differ, pids cannot be compared.
    """

    pid: int
    born: str
    place: str


def _born(pid: int) -> str | None:
    """Return the start time of a process, None when there is none (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def this_process() -> Owner:
    """Return the calling process as an owner."""
    return Owner(os.getpid(), _born(os.getpid()) or "", _place())


def labels(run: str, owner: Owner) -> dict[str, str]:
    """Return the labels that every container of a run carries."""
    return {
        MARK: "1",
        RUN: run,
        _PID: str(owner.pid),
        _BORN: owner.born,
        _PLACE: owner.place,
        _SINCE: str(int(time.time())),
    }


def is_leftover(marks: Mapping[str, str], *, now: float, place: str, max_age: float) -> bool:
    """Decide by its labels whether a container is nobody's any more.

    Same boot and PID namespace: when its owner is gone. Elsewhere (the engine is shared, or the
    machine was restarted): when it is older than ``max_age`` seconds.
    """
    if marks.get(_PLACE) == place:
        pid = marks.get(_PID, "")
        return not pid.isdecimal() or _born(int(pid)) != marks.get(_BORN)
    since = marks.get(_SINCE, "")
    return not since.isdecimal() or now - int(since) > max_age


def remove_run(client: DockerClient, run: str) -> None:
    """Remove every container of a run, running or not, all at once. Raises DockerException."""
    _remove(
        client.containers.list(all=True, filters={"label": f"{RUN}={run}"}, ignore_removed=True)
    )


def reap(client: DockerClient, *, max_age: float = DAY_SECONDS) -> tuple[str, ...]:
    """Remove slotproof's leftover containers; return their names. Raises DockerException."""
    place = _place()
    found = [
        container
        for container in client.containers.list(
            all=True, filters={"label": f"{MARK}=1"}, ignore_removed=True
        )
        if is_leftover(container.labels, now=time.time(), place=place, max_age=max_age)
    ]
    _remove(found)
    return tuple(sorted(str(container.name) for container in found))


def _remove(containers: list[Container]) -> None:
    from docker.errors import APIError

    def remove(container: Container) -> None:
        try:
            container.remove(force=True, v=True)
        except APIError as error:
            if error.status_code not in {404, 409}:  # gone, or on its way out by another hand
                raise

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove, containers))
