"""What a benchmark asks of a subject; a driver module offers ``open_subject(place) -> Subject``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import Any, Protocol

from .workload import SLOTS, Command, slot


@dataclass(frozen=True)
class Place:
    """Where the servers are. ``primaries``: in the order of their slots, which are split evenly."""

    primaries: tuple[tuple[str, int], ...]
    standalone: tuple[str, int] | None

    def primary_of(self, key: str) -> int:
        """Which primary owns the key's slot."""
        edges = [round(i * SLOTS / len(self.primaries)) for i in range(1, len(self.primaries) + 1)]
        return next(i for i, edge in enumerate(edges) if slot(key) < edge)


@dataclass(frozen=True)
class Calls:
    """What a sample times, and nothing else: ``function(*arguments)`` for each of ``arguments``.

    ``decode`` turns what the function returned into what the command must reply, untimed: the
    value for GET, True for SET, a list of these for a batch.
    """

    function: Callable[..., Any]
    arguments: Sequence[tuple[Any, ...]]
    decode: Callable[[Any], object]


class Channel(Protocol):
    """A subscriber and, on another client, a publisher."""

    def publish(self, data: bytes) -> None:
        """Publish to the channel."""

    def receive(self, seconds: float) -> bytes | None:
        """Wait for the next message; None when the time is over."""

    def close(self) -> None:
        """Close both clients."""


class Subject(Protocol):
    """A client, opened once and shared by all threads of a sample."""

    def facts(self) -> Mapping[str, str]:
        """What is measured: the client's class, its parser where it has one."""

    def singles(self, commands: Sequence[Command], lane: int) -> Calls:
        """One call a command; all are GETs or all are SETs. ``lane``: number of the thread."""

    def pipelines(self, batches: Sequence[Sequence[Command]]) -> Calls:
        """One call a batch, not atomic."""

    def channel(self, name: str) -> Channel:
        """Subscribe to a channel."""

    def further(self, topology: str, key: str) -> object:
        """Return one more client, which has done one GET of ``key``."""


def installed() -> str:
    """Every distribution of this environment with its version."""
    found = {d.metadata["Name"].lower(): d.version for d in distributions()}
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
