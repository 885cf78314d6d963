"""What the user asked for, checked, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from slotproof.model import Topology


class Profile(StrEnum):
    """How much of each suite runs."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of ``slotproof run``; every name in here exists.

    ``backend``: ``embedded``, ``docker`` or the URL of running servers. ``shard``: (i, n) with i
    from 1. ``only``: run just these tests (``repro``), or () for the profile's choice.
    """

    suites: tuple[str, ...]
    clients: tuple[str, ...]
    topologies: tuple[Topology, ...]
    server: str
    backend: str
    profile: Profile
    jobs: int
    reruns: int
    output: Path
    shard: tuple[int, int] | None = None
    only: tuple[str, ...] = ()
    allow_flush: bool = False
