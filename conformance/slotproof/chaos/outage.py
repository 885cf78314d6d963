"""One outage: a fresh cluster, all subjects writing to one shard, a fault, what each saw of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from slotproof.chaos.children import Child, Probe, Writer, finish, until
from slotproof.chaos.readback import read_back
from slotproof.chaos.scenarios import Scenario, Struck, Victims
from slotproof.chaos.subjects import Ready
from slotproof.chaos.timeline import (
    Outage,
    Seen,
    recovery,
    steady,
    summed_up,
)
from slotproof.errors import EnvironmentProblem
from slotproof.inject.slotproof_resp import RespError
from slotproof.model import Topology
from slotproof.servers import embedded
from slotproof.servers.embedded import ServerBinary
from slotproof.servers.formation import slot_ranges
from slotproof.servers.state import slot_of

SLOTS_WRITTEN = 8
START_SECONDS = 60.0
# An election takes the node timeout and about a second more; this long means that there is none.
SERVED_SECONDS = 90.0
WARM_ACKS = 50
WARM_SECONDS = 1.0
# The servers' own timers tick ten times a second: the fault must not always meet the same phase.
JITTER_SECONDS = 0.5
# Second gaps, and what a woken primary does with the writes that lie in its sockets.
LINGER_SECONDS = 2.0
WRITE_PAUSE_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is the same in all outages of a run.

    ``node_timeout``: milliseconds. ``patience``: seconds that a subject has to come back.
    ``timeout``: seconds for one command of every subject, None for each client's own default.
    ``write``: ``set``, ``incr`` or ``both`` in turns.
    """

    node_timeout: int = 500
    patience: float = 30.0
    timeout: float | None = None
    write: str = "both"


@dataclass(frozen=True, slots=True)
class Observed:
    """One outage and what every subject saw of it. ``stall``: seconds, see ``chaos.probe``."""

    outage: Outage
    seen: Mapping[str, Seen]
    stall: float

    @property
    def promotion(self) -> float:
        """From the fault until the slots took writes again, in s."""
        return self.outage.served - self.outage.fault


class Void(Exception):
    """The servers did not do what the scenario needs; nobody's fault, and nothing measured."""


def tags_within(first: int, last: int, count: int) -> tuple[str, ...]:
    """Return ``count`` hash tags in as many slots from ``first`` to ``last``."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < count:
        slot = slot_of(f"{{chaos-{number}}}")
        if first <= slot <= last:
            found.setdefault(slot, f"chaos-{number}")
        number += 1
    return tuple(found.values())


def observe(
    scenario: Scenario,
    subjects: Sequence[Ready],
    binary: ServerBinary,
    conditions: Conditions,
    folder: Path,
    *,
    on_progress: Callable[[str], None],
) -> Observed:
    """Run one outage.

    ``folder``: fresh, for the servers' files and everything that is told. Raises Void, and
    EnvironmentProblem for servers that do not start and subjects that cannot write at all.
    """
    tags = tags_within(*slot_ranges()[0], SLOTS_WRITTEN)
    with ExitStack() as stack:
        servers = stack.enter_context(
            embedded.start(
                binary,
                Topology.CLUSTER,
                workdir=folder,
                config={"cluster-node-timeout": str(conditions.node_timeout)},
                replicas=1,
                on_progress=on_progress,
            )
        )
        victims = Victims(servers, tags)
        stack.callback(victims.thaw)
        scenario.prepare(victims)
        nodes = [(node.host, node.port) for node in servers.nodes]
        watched = [(node.host, node.port) for node in scenario.watched(victims)]
        probe = stack.enter_context(Probe(watched, f"{{{tags[0]}}}:probe", folder))
        writers = [
            stack.enter_context(_writer(one, nodes, tags, conditions, folder)) for one in subjects
        ]
        # Whatever happens: all are told to end before the first one is waited for.
        stack.callback(finish, [probe, *writers])
        on_progress("waiting for every writer")
        _warm_up(writers, probe, len(watched))
        outage = _Run(scenario, victims, probe, writers, conditions, on_progress).to_the_end()
        witness = (servers.primaries[-1].host, servers.primaries[-1].port)
        seen = {}
        for writer in writers:
            stored = read_back(witness, writer.name, tags, conditions.write, writer.numbers)
            seen[writer.name] = summed_up(writer.timeline, outage, stored)
        return Observed(outage, seen, probe.stall)


def _writer(
    ready: Ready,
    nodes: Sequence[tuple[str, int]],
    tags: Sequence[str],
    conditions: Conditions,
    folder: Path,
) -> Writer:
    subject = ready.subject
    plan = {
        "driver": subject.driver,
        "bootstrap": subject.client.bootstrap,
        "path": list(subject.path),
        "nodes": list(nodes),
        "subject": subject.name,
        "tags": list(tags),
        "write": conditions.write,
        "pause": WRITE_PAUSE_SECONDS,
        "timeout": conditions.timeout,
    }
    return Writer(subject.name, ready.python, plan, folder)


def _warm_up(writers: Sequence[Writer], probe: Probe, watched: int) -> None:
    """Wait until everybody writes, and a moment longer."""

    def started() -> bool:
        probe.look()
        for writer in writers:
            writer.look()
        return len(probe.asked) == watched and all(writer.ready for writer in writers)

    if not until(started, START_SECONDS):
        late = [writer.name for writer in writers if not writer.ready] or ["the probe"]
        raise EnvironmentProblem(
            f"waiting until {', '.join(late)} can write",
            f"not within {START_SECONDS:g} s",
            "try again on a quieter machine, or leave it out (name the others with --subject)",
        )
    before = {writer.name: len(writer.acks) for writer in writers}
    time.sleep(WARM_SECONDS + random.random() * JITTER_SECONDS)

    def warm() -> bool:
        started()
        return all(w.died or len(w.acks) >= before[w.name] + WARM_ACKS for w in writers)

    if not until(warm, START_SECONDS):
        raise Void("a writer did not get up to speed before the fault")
    if dead := [writer.name for writer in writers if writer.died]:
        raise EnvironmentProblem(
            f"writing through {', '.join(dead)}",
            "its process ended before anything had happened",
            "correct the client, or leave it out (name the others with --subject)",
        )


class _Run:
    """From the fault to the end of the writing."""

    def __init__(
        self,
        scenario: Scenario,
        victims: Victims,
        probe: Probe,
        writers: Sequence[Writer],
        conditions: Conditions,
        on_progress: Callable[[str], None],
    ) -> None:
        self.scenario = scenario
        self.victims = victims
        self.probe = probe
        self.writers = writers
        self.conditions = conditions
        self.on_progress = on_progress

    def to_the_end(self) -> Outage:
        """Inject the fault, wait for everybody, undo it, end the writing."""
        self.on_progress(f"{self.scenario.name}: the fault")
        try:
            struck = self.scenario.strike(self.victims)
        except (OSError, RespError) as error:
            raise Void(f"the fault could not be injected: {error}") from error
        served = struck.served or self._served(struck)
        if not self.scenario.everywhere and self.probe.first_after(0) not in {None, served}:
            raise Void("the replica was promoted before anything was done to its primary")
        open_end = Outage(
            struck.fault, served, float("inf"), struck.healed, self.scenario.interrupts
        )
        self.on_progress(f"{self.scenario.name}: waiting until everybody is back")
        until(lambda: self._all_back(open_end), self.conditions.patience)
        time.sleep(LINGER_SECONDS)
        healed = self.scenario.heal(self.victims)
        if healed is not None:
            time.sleep(LINGER_SECONDS)
        ended = time.monotonic()
        children: list[Child] = [self.probe, *self.writers]
        finish(children)
        for child in children:
            child.stop()
            child.look()
        return Outage(
            struck.fault, served, ended, healed or struck.healed, self.scenario.interrupts
        )

    def _served(self, struck: Struck) -> float:
        since = struck.healed or struck.fault

        def accepted() -> bool:
            self.probe.look()
            return self.probe.first_after(since) is not None

        if not until(accepted, SERVED_SECONDS):
            raise Void(f"no node took writes for the slots within {SERVED_SECONDS:g} s")
        moment = self.probe.first_after(since)
        assert moment is not None
        return moment

    def _all_back(self, outage: Outage) -> bool:
        for writer in self.writers:
            writer.look()
        now = time.monotonic()
        return all(
            writer.died or (recovery(writer.acks, outage) is not None and steady(writer.acks, now))
            for writer in self.writers
        )
