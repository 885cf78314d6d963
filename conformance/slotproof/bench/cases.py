"""What is compared between clients: each case selects figures by measure and parameters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slotproof.bench.scenarios import ALL, BUSY_THREADS, TIMED, Family
from slotproof.results.records import Bench

CONTROL = "redis-py"
"""The client that all others are compared with."""


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison. ``scenario``: by whose name on the command line it is measured."""

    name: str
    title: str
    family: Family
    scenario: str
    measure: str
    where: Mapping[str, str]
    lower_is_better: bool

    def selects(self, bench: Bench) -> bool:
        """Whether a figure belongs to this case."""
        return bench.measure == self.measure and self._fits(bench.parameters)

    def selects_cpu(self, bench: Bench) -> bool:
        """Whether a figure is the CPU time of this case."""
        return (
            bench.measure == "cpu" and self.measure == "throughput" and self._fits(bench.parameters)
        )

    def _fits(self, parameters: Mapping[str, object]) -> bool:
        return all(parameters.get(key) == value for key, value in self.where.items())


def _all() -> Iterable[Case]:
    for scenario in ALL.values():
        family, name = scenario.family, scenario.name
        if family is Family.PUBSUB:
            for part in ("p50", "p99"):
                where = {"scenario": name, "quantile": part}
                title = f"{scenario.title}, {part}"
                yield Case(f"{name}-{part}", title, family, name, "latency", where, True)
        elif family in TIMED:
            yield Case(name, scenario.title, family, name, "throughput", {"scenario": name}, False)
        elif family is Family.MEMORY:
            for topology in ("cluster", "standalone"):
                title = f"memory of a further client, {topology}"
                where = {"topology": topology}
                yield Case(f"memory-{topology}", title, family, name, "memory", where, True)
        else:
            for state in ("idle", "1 thread", f"{BUSY_THREADS} threads"):
                where = {"topology": "cluster", "state": state}
                case = f"connections-{state.replace(' ', '-')}"
                title = f"connections, {state}"
                yield Case(case, title, family, name, "connections", where, True)


CASES: Mapping[str, Case] = {case.name: case for case in _all()}
