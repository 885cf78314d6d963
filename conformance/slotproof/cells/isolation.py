"""How a cell is shut off from the machine: what the system allows, and the command that does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import cache

from slotproof.names import check


class Isolation(StrEnum):
    """From the strongest to the weakest; the first that works is taken.

    With ``LEASH`` there are no namespaces: servers listen on free ports, the audit hook refuses
    every address outside the cell's lease, and suites that hard-code ports run one at a time.
    """

    ROOT = "namespaces"
    USER = "user-namespaces"
    SUDO = "namespaces-by-sudo"
    LEASH = "leash"

    @property
    def private(self) -> bool:
        """True when cells cannot see each other's ports, processes and temporary files."""
        return self is not Isolation.LEASH


_UNSHARE = ("unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child")
_PREFIX: dict[Isolation, tuple[str, ...]] = {
    Isolation.ROOT: _UNSHARE,
    Isolation.USER: (*_UNSHARE, "--user", "--map-root-user"),
    Isolation.SUDO: ("sudo", "-n", *_UNSHARE),
    Isolation.LEASH: (),
}


@cache
def probe() -> Isolation:
    """Return the strongest isolation that works here, found out by trying.

    ``SLOTPROOF_ISOLATION`` (one of the values above) forces one; UsageProblem for anything else.
    """
    forced = os.environ.get("SLOTPROOF_ISOLATION")
    if forced:
        check("isolation", [forced], [str(mode) for mode in Isolation])
        return Isolation(forced)
    if sys.platform != "linux" or not shutil.which("unshare"):
        return Isolation.LEASH
    order = [Isolation.USER, Isolation.SUDO]
    if os.geteuid() == 0:
        order = [Isolation.ROOT]
    for mode in order:
        try:
            trial = subprocess.run(
                [*_PREFIX[mode], "true"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if trial.returncode == 0:
            return mode
    return Isolation.LEASH


def wrap(mode: Isolation, argv: Sequence[str], *, enter_pid: int | None = None) -> list[str]:
    """Return the command that runs ``argv`` in fresh namespaces.

    ``enter_pid``: take the network namespace of that process (a pause container's) instead of a
    new one; needs root or sudo, and ValueError is raised for any other mode.
    """
    prefix = list(_PREFIX[mode])
    if enter_pid is not None:
        if mode not in {Isolation.ROOT, Isolation.SUDO}:
            raise ValueError("entering a container's network namespace needs root or sudo")
        prefix.remove("--net")
        at = prefix.index("unshare")
        prefix[at:at] = ["nsenter", "--target", str(enter_pid), "--net"]
    return [*prefix, *argv]
