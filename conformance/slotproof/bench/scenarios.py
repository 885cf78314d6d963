"""The scenarios of the benchmark as values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from slotproof import names

PIPELINE = 100
THREADS = 8
BUSY_THREADS = 16
FURTHER_CLIENTS = 50

_SIZES: Mapping[str, int] = {"10B": 10, "1KiB": 1024, "100KiB": 102400}


class Family(StrEnum):
    """What a scenario measures; also a name for all scenarios of a kind on the command line."""

    SINGLE = "single"
    THREADS = "threads"
    PIPELINE = "pipeline"
    PUBSUB = "pubsub"
    MEMORY = "memory"
    CONNECTIONS = "connections"


TIMED = frozenset({Family.SINGLE, Family.THREADS, Family.PIPELINE, Family.PUBSUB})
"""Families that are measured in every round."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that is measured for each subject.

    ``command``: GET, SET, both in turn (``GET+SET``), or PUBLISH. ``payload``: size of a value in
    bytes. ``pipeline``: commands a call.
    """

    name: str
    title: str
    family: Family
    command: str = "GET"
    payload: int = 10
    threads: int = 1
    pipeline: int = 1

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """What its figures say of it."""
        return {
            "topology": "cluster",
            "scenario": self.name,
            "command": self.command,
            "payload": self.payload,
            "threads": self.threads,
            "pipeline": self.pipeline,
        }


def _all() -> Iterable[Scenario]:
    for command in ("GET", "SET"):
        for size, payload in _SIZES.items():
            name = f"{command.lower()}-{size}"
            yield Scenario(name, f"{command} {_words(size)}", Family.SINGLE, command, payload)
    for command in ("GET", "SET"):
        for size in ("10B", "1KiB"):
            name = f"threads-{command.lower()}-{size}"
            title = f"{command} {_words(size)}, {THREADS} threads"
            yield Scenario(name, title, Family.THREADS, command, _SIZES[size], THREADS)
    for size, payload in _SIZES.items():
        title = f"pipeline of {PIPELINE}, {_words(size)}"
        name = f"pipeline-{size}"
        yield Scenario(name, title, Family.PIPELINE, "GET+SET", payload, pipeline=PIPELINE)
    yield Scenario("pubsub", "PUBLISH to get_message", Family.PUBSUB, "PUBLISH")
    yield Scenario("memory", "memory of a further client", Family.MEMORY)
    yield Scenario("connections", "connections to the cluster", Family.CONNECTIONS)


def _words(size: str) -> str:
    return size.replace("KiB", " KiB").replace("10B", "10 B")


ALL: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _all()}


def choose(words: Iterable[str]) -> tuple[Scenario, ...]:
    """Return the scenarios called by name or by family, all for no word, in their fixed order.

    Raises UsageProblem with a suggestion for an unknown word.
    """
    wanted = set(words)
    names.check("scenario", sorted(wanted), [*ALL, *map(str, Family)])
    return tuple(
        s for s in ALL.values() if not wanted or s.name in wanted or str(s.family) in wanted
    )
