"""What the user asked for, checked, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from slotproof.model import DEFAULT_VARIANT, Topology
from slotproof.suites.manifest import Suite


class Profile(StrEnum):
    """How much of each suite runs."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of ``slotproof run``; every name in here exists.

    ``backend``: ``embedded``, ``docker`` or the URL of running servers. ``shard``: (i, n) with i
    from 1. ``only``: run just these tests (``repro``), or () for the profile's choice.
    ``variants``: names of the suites' variants to run, or () for the profile's choice: all of them
    in the full profile, the default one in the quick profile or with ``only``.
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
    variants: tuple[str, ...] = ()

    def variants_of(self, suite: Suite) -> tuple[str, ...]:
        """The variants of one suite that the run covers, in the manifest's order."""
        if not self.variants:
            every = self.profile is Profile.FULL and not self.only
            return tuple(suite.variants) if every else (DEFAULT_VARIANT,)
        return tuple(name for name in suite.variants if name in self.variants)
