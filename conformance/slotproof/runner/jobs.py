"""What a run consists of: cells, their tests, and the lanes these are split into. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slotproof.clients.plugin import Client
from slotproof.model import CellId, LockedTest, SuiteRun, Topology
from slotproof.runner.options import Profile, RunOptions
from slotproof.suites import sampling
from slotproof.suites.manifest import Suite


@dataclass(frozen=True, slots=True)
class LaneJob:
    """One lane to run: some tests of a cell on servers of their own."""

    cell: CellId
    tests: tuple[LockedTest, ...]

    @property
    def seconds(self) -> float:
        """What the tests took when they were locked."""
        return sum(t.seconds for t in self.tests)


@dataclass(frozen=True, slots=True)
class CellJob:
    """One cell to run, in one lane or several."""

    cell: CellId
    suite: Suite
    client: Client
    lanes: tuple[LaneJob, ...]

    @property
    def tests(self) -> int:
        """How many tests the cell has."""
        return sum(len(lane.tests) for lane in self.lanes)


def select(
    suites: Mapping[str, Suite], locked: Mapping[str, Sequence[LockedTest]], options: RunOptions
) -> tuple[SuiteRun, ...]:
    """Choose the tests of the run: the profile's, in the topologies asked for, of this shard.

    A test's ``topologies`` are narrowed to those in which this run runs it. A suite that has none
    of the variants asked for is left out.
    """
    runs = []
    for name, suite in suites.items():
        if not options.variants_of(suite):
            continue
        chosen: dict[str, set[Topology]] = {}
        for topology in options.topologies:
            tests = tuple(t for t in locked[name] if topology in t.topologies)
            if options.only:
                tests = tuple(t for t in tests if t.id in options.only)
            elif options.profile is Profile.QUICK:
                tests = sampling.quick(tests, topology, suite.quick_seconds)
            if options.shard:
                tests = sampling.shard(tests, *options.shard)
            for test in tests:
                chosen.setdefault(test.id, set()).add(topology)
        kept = tuple(
            LockedTest(t.id, t.kind, frozenset(chosen[t.id]), t.seconds)
            for t in locked[name]
            if t.id in chosen
        )
        runs.append(
            SuiteRun(suite.name, suite.version, suite.title, suite.row, suite.licence, kept)
        )
    return tuple(runs)


def cells(
    runs: Sequence[SuiteRun],
    suites: Mapping[str, Suite],
    clients: Mapping[str, Client],
    options: RunOptions,
    *,
    private: bool,
) -> tuple[CellJob, ...]:
    """Lay out the cells, controls first, and split into lanes where suite and isolation allow it.

    With fewer cells than ``options.jobs`` a cell is split so that nobody idles; each lane has
    servers of its own.
    """
    layout = [
        (run, variant, clients[c], topology)
        for run in runs
        for variant in options.variants_of(suites[run.suite])
        for c in sorted(options.clients, key=lambda c: not clients[c].control)
        for topology in options.topologies
        if topology in clients[c].topologies and topology in suites[run.suite].topologies
    ]
    share = -(-options.jobs // len(layout)) if layout else 1
    jobs = []
    for run, variant, client, topology in layout:
        suite = suites[run.suite]
        cell = CellId(run.suite, client.name, topology, options.server, variant)
        tests = tuple(t for t in run.tests if topology in t.topologies)
        count = share if suite.lanes and private else 1
        lanes = sampling.lanes(tests, max(1, count))
        jobs.append(
            CellJob(cell, suite, client, tuple(LaneJob(cell, lane) for lane in lanes if lane))
        )
    return tuple(jobs)
