"""The values that only ``results.jsonl`` needs: the header, a bench figure, the secret filter.

Suites, cells and observations are those of ``slotproof.model``.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import slotproof

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slotproof.model import SuiteRun

SCHEMA_VERSION = 2
"""What is written. Version 2 lets a cell's name end with the variant of its suite."""

READABLE = (1, 2)
"""Versions that are read: every file of version 1 means the same in version 2."""

_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^/@\s:]*):\S*@", re.I)
_QUERY = re.compile(r"(?P<key>[?&;][^=&;\s]*(?:pass|secret|token|auth)[^=&;\s]*=)[^&;\s]*", re.I)
_OPTION = re.compile(r"^--?[\w-]*(?:pass|secret|token|auth)[\w-]*$", re.I)
_OPTION_WITH_VALUE = re.compile(r"^(--?[\w-]*(?:pass|secret|token|auth)[\w-]*=).*$", re.I | re.S)
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Header:
    """What was run, where and how.

    ``argv``: without secrets (``without_secrets``). ``started``: UTC, ISO 8601. ``shard``: (i, n)
    with i from 1, or None for a run that is whole. ``suites``: with the ids selected in this run,
    or in this shard of it.
    """

    slotproof: str
    python: str
    platform: str
    argv: tuple[str, ...]
    profile: str
    started: str
    suites: tuple[SuiteRun, ...]
    shard: tuple[int, int] | None = None
    schema: int = SCHEMA_VERSION

    @classmethod
    def here(
        cls,
        argv: Sequence[str],
        profile: str,
        suites: Sequence[SuiteRun],
        shard: tuple[int, int] | None = None,
    ) -> Header:
        """Return the header of a run that starts now, on this machine."""
        return cls(
            slotproof=slotproof.__version__,
            python=platform.python_version(),
            platform=platform.platform(),
            argv=without_secrets(argv),
            profile=profile,
            started=now(),
            suites=tuple(suites),
            shard=shard,
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """One benchmark or chaos figure: ``value`` in ``unit`` for a client in one case.

    ``parameters``: what the case was (topology, threads, payload ...). Two figures are comparable
    when their measure, unit and parameters agree. ``round``: figures of one round, from 1, were
    taken side by side, and are compared pair by pair; None for a figure that stands alone.
    """

    measure: str
    client: str
    value: float
    unit: str
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    round: int | None = None


@dataclass(frozen=True, slots=True)
class BenchFacts:
    """What a benchmark was made of: ``of`` names a client, or ``benchmark`` for all of it."""

    of: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BenchVoid:
    """Figures that do not count, or were never taken, and why.

    Concerned are those of ``client`` that have this ``measure`` ("": any) and at least these
    ``parameters``.
    """

    client: str
    reason: str
    measure: str = ""
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def covers(self, bench: Bench) -> bool:
        """Whether ``bench`` is among the figures that do not count."""
        return (
            bench.client == self.client
            and self.measure in {"", bench.measure}
            and all(bench.parameters.get(key) == value for key, value in self.parameters.items())
        )


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The figures of a results file that count, what they were made of, and what is missing."""

    benches: tuple[Bench, ...] = ()
    facts: tuple[BenchFacts, ...] = ()
    voids: tuple[BenchVoid, ...] = ()


def now() -> str:
    """The time in UTC as ISO 8601 with seconds, e.g. ``2026-01-31T23:59:59Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def without_secrets(argv: Sequence[str]) -> tuple[str, ...]:
    """Return a command line with passwords and tokens hidden.

    Hidden are the password of a URL, query parameters and options whose name says that they are
    secret, and the word that follows such an option.
    """
    shown = []
    hide_next = False
    for word in argv:
        if hide_next and not word.startswith("--"):
            shown.append(HIDDEN)
            hide_next = False
            continue
        hide_next = _OPTION.match(word) is not None
        plain = _OPTION_WITH_VALUE.sub(rf"\g<1>{HIDDEN}", word)
        plain = _USERINFO.sub(rf"\g<scheme>\g<user>:{HIDDEN}@", plain)
        shown.append(_QUERY.sub(rf"\g<key>{HIDDEN}", plain))
    return tuple(shown)
