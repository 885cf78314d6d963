"""Subjects for the benchmark that are wrong in known ways, and what a measurement leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slotproof.bench.measure import Plan
from slotproof.bench.subjects import Subject
from slotproof.results.recording import Line
from slotproof.results.records import Bench, BenchFacts, BenchVoid
from slotproof.servers.deployment import Deployment

FAKES = Path(__file__).parents[1] / "bench" / "fakes"
TINY = Plan(rounds=2, seconds=0.002, limit=20.0, clients=3)


def fake(driver: str, **more: Any) -> Subject:
    """A subject whose driver is one of the fakes; it runs in this very environment."""
    return Subject(name=more.pop("name", driver), title=driver, driver=driver, path=FAKES, **more)


@dataclass(frozen=True)
class Servers:
    """Running servers."""

    cluster: Deployment
    standalone: Deployment


@dataclass
class Kept:
    """What a measurement wrote and said."""

    benches: list[Bench] = field(default_factory=list)
    facts: list[BenchFacts] = field(default_factory=list)
    voids: list[BenchVoid] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __call__(self, lines: Iterable[Line]) -> None:
        for line in lines:
            match line:
                case Bench():
                    self.benches.append(line)
                case BenchFacts():
                    self.facts.append(line)
                case BenchVoid():
                    self.voids.append(line)

    def say(self, text: str) -> None:
        self.said.append(text)

    def doing(self, text: str) -> None:
        assert text

    def of(self, client: str, measure: str) -> list[Bench]:
        """A client's figures."""
        return [b for b in self.benches if (b.client, b.measure) == (client, measure)]
