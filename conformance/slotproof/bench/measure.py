"""The benchmark itself: rounds over subjects and scenarios, then memory and connections."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from math import ceil
from pathlib import Path
from typing import Protocol

from slotproof.bench.foreign.slotproof_bench_worker import workload
from slotproof.bench.nodes import Nodes
from slotproof.bench.scenarios import (
    BUSY_THREADS,
    FURTHER_CLIENTS,
    TIMED,
    Family,
    Scenario,
)
from slotproof.bench.subjects import Subject
from slotproof.bench.worker import Answer, Failed, Lost, Worker, WorkerProblem
from slotproof.model import Topology
from slotproof.results.recording import Record
from slotproof.results.records import Bench, BenchFacts, BenchVoid, without_secrets
from slotproof.servers.deployment import Deployment

MEASURES = ("throughput", "cpu", "latency", "memory", "connections")
MEMORY_ROUNDS = 3
_SMALL = 10
_MOST_OPERATIONS = 200_000
# A calibrating sample of at least this part of the target is near enough to compute the count.
_ENOUGH = 0.25
_CALIBRATIONS = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    ``seconds``: what a sample should take. ``limit``: seconds after which a worker that does not
    answer is taken for hung.
    """

    rounds: int = 9
    seconds: float = 0.3
    limit: float = 60.0
    clients: int = FURTHER_CLIENTS


@dataclass(frozen=True, slots=True)
class Participant:
    """A subject, and the interpreter of its environment.

    ``built``: what of the environment was built from this disk.
    """

    subject: Subject
    python: Path
    built: tuple[str, ...] = ()


class Progress(Protocol):
    """What is told to whoever waits."""

    def say(self, text: str) -> None:
        """Something worth a line."""

    def doing(self, text: str) -> None:
        """What is going on right now."""


class Measurement:
    """One benchmark on running servers. The first participant is the control.

    What cannot be measured becomes a ``BenchVoid`` with the reason and is left out from then on: a
    scenario whose request failed, a whole subject whose worker died, hung, or is not what it has
    to be.
    """

    def __init__(
        self,
        participants: Sequence[Participant],
        scenarios: Sequence[Scenario],
        plan: Plan,
        cluster: Deployment,
        standalone: Deployment | None,
        record: Record,
        progress: Progress,
        workdir: Path,
    ) -> None:
        self._participants = {p.subject.name: p for p in participants}
        self._control = participants[0].subject.name
        self._scenarios = scenarios
        self._plan = plan
        self._cluster, self._standalone = cluster, standalone
        self._write, self._progress = record, progress
        self._workdir = workdir
        self._nonces = count(1)
        self._void: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Measure everything. Raises OSError or RespError when a server of ours is gone."""
        timed = [s for s in self._scenarios if s.family in TIMED]
        with Nodes(self._cluster) as nodes, ExitStack() as stack:
            for size in {_SMALL, *(s.payload for s in timed)}:
                nodes.load(size)
            if self._standalone is not None:
                with Nodes(self._standalone) as alone:
                    alone.load(_SMALL)
            workers = self._start(stack)
            if timed and self._control in workers:
                self._rounds(timed, workers, nodes)
                self._still_as_required(workers)
        # Their workers are gone now, so that connections of theirs are not counted.
        if self._control in self._participants:
            with Nodes(self._cluster) as nodes:
                for scenario in self._scenarios:
                    if scenario.family is Family.MEMORY:
                        self._memory(scenario)
                    elif scenario.family is Family.CONNECTIONS:
                        self._connections(scenario, nodes)

    # Participants

    def _start(self, stack: ExitStack) -> dict[str, Worker]:
        workers: dict[str, Worker] = {}
        for name, participant in list(self._participants.items()):
            self._progress.doing(f"starting {name}")
            with self._dropping(name):
                worker = stack.enter_context(self._worker(participant))
                facts = dict(worker.hello(self._cluster, self._standalone, self._plan.limit))
                facts |= self._facts(worker)
                facts |= _settings(name)
                if participant.built:
                    facts["built"] = ", ".join(participant.built)
                self._write([BenchFacts(name, {"title": participant.subject.title, **facts})])
                self._require(participant.subject, facts)
                workers[name] = worker
        return workers

    def _worker(self, participant: Participant) -> Worker:
        log = self._workdir / f"{participant.subject.name}.log"
        return Worker(participant.subject, participant.python, log)

    def _facts(self, worker: Worker) -> Mapping[str, str]:
        return dict(worker.ask({"do": "facts", "payload": _SMALL}, self._plan.limit)["facts"])

    @staticmethod
    def _require(subject: Subject, facts: Mapping[str, str]) -> None:
        for fact, wanted in subject.requires.items():
            if facts.get(fact) != wanted:
                raise Lost(
                    f"{subject.name}: its {fact} on a live connection is"
                    f" {facts.get(fact, 'not known')!r}, not {wanted!r}"
                )

    def _still_as_required(self, workers: Mapping[str, Worker]) -> None:
        for name, worker in workers.items():
            if worker.subject.requires and name in self._participants:
                with self._dropping(name):
                    self._require(worker.subject, self._facts(worker))

    @contextmanager
    def _dropping(self, name: str) -> Iterator[None]:
        """Drop a subject for good on any problem."""
        try:
            yield
        except WorkerProblem as problem:
            self._drop(name, problem)

    def _drop(self, name: str, problem: WorkerProblem) -> None:
        self._participants.pop(name, None)
        self._write(voids(name, str(problem)))
        self._progress.say(f"not measured any further: {problem}")

    @contextmanager
    def _trying(
        self, name: str, scenario: Scenario, measure: str, parameters: Mapping[str, str | int]
    ) -> Iterator[None]:
        """Drop a scenario of a subject when it fails, and the subject when its worker is lost."""
        try:
            yield
        except Failed as problem:
            self._void.add((name, scenario.name))
            self._write(voids(name, str(problem), measure, parameters))
            self._progress.say(f"{scenario.name} is not measured: {problem}")
        except Lost as problem:
            self._drop(name, problem)

    def _able(self, scenario: Scenario) -> list[str]:
        """Who is to be measured, in the order of participants."""
        return [
            name
            for name, participant in self._participants.items()
            if participant.subject.measures(scenario) and (name, scenario.name) not in self._void
        ]

    # Rounds

    def _rounds(
        self, scenarios: Sequence[Scenario], workers: Mapping[str, Worker], nodes: Nodes
    ) -> None:
        operations = self._calibrate(scenarios, workers, nodes)
        began = time.monotonic()
        rounds = self._plan.rounds
        for number in range(1, rounds + 1):
            for scenario in scenarios:
                if self._control not in self._participants:
                    return  # there is nothing left to compare with
                self._progress.doing(f"round {number} of {rounds}: {scenario.title}")
                names = self._able(scenario)
                # A B C D, then D C B A: what drifts during a round hits all alike.
                for name in names if number % 2 else reversed(names):
                    with self._trying(name, scenario, "", _named(scenario)):
                        answer = self._sample(
                            workers[name], scenario, operations[name, scenario.name], nodes
                        )
                        self._record(workers[name].subject, scenario, number, answer)
            spent = time.monotonic() - began
            left = spent / number * (rounds - number)
            self._progress.say(
                f"round {number} of {rounds} done, {spent:.0f} s"
                + (f", about {left:.0f} s left" if number < rounds else "")
            )

    def _calibrate(
        self, scenarios: Sequence[Scenario], workers: Mapping[str, Worker], nodes: Nodes
    ) -> dict[tuple[str, str], int]:
        """Find how many operations take about the wanted time; this warms everything up too."""
        found = {}
        for scenario in scenarios:
            self._progress.doing(f"calibrating: {scenario.title}")
            for name in self._able(scenario):
                with self._trying(name, scenario, "", _named(scenario)):
                    found[name, scenario.name] = self._count(workers[name], scenario, nodes)
        return found

    def _count(self, worker: Worker, scenario: Scenario, nodes: Nodes) -> int:
        target = self._plan.seconds
        operations = scenario.threads
        self._sample(worker, scenario, operations, nodes)
        for _ in range(_CALIBRATIONS):
            took = max(float(self._sample(worker, scenario, operations, nodes)["seconds"]), 1e-6)
            enough = took >= target * _ENOUGH
            # Beyond a first guess, steps of ten at most: a cold start says little.
            wanted = operations * target / took
            operations = _multiple(wanted if enough else min(wanted, operations * 10), scenario)
            if enough or operations >= _MOST_OPERATIONS:
                break
        return operations

    def _sample(self, worker: Worker, scenario: Scenario, operations: int, nodes: Nodes) -> Answer:
        """Take one sample, check at the servers that it happened, add ``commands``."""
        nonce = next(self._nonces)
        request = {"operations": operations, "nonce": nonce, **_request(scenario)}
        if scenario.family is Family.PUBSUB:
            answer = worker.ask(request, self._plan.limit)
            return {**answer, "commands": operations}
        before = nodes.calls()
        answer = worker.ask(request, self._plan.limit)
        after = nodes.calls()
        written = 0
        for command in ("GET", "SET"):
            wanted = _commands(scenario, command, operations)
            counted = after[command] - before[command]
            if counted < wanted:
                raise Failed(
                    f"{worker.subject.name}: {scenario.name}: the servers executed {counted}"
                    f" {command}s of {wanted}"
                )
            written = wanted if command == "SET" else written
        if written:
            keys = min(workload.KEYS, written // scenario.threads)
            problem = nodes.missing(scenario.payload, nonce, keys)
            if problem:
                raise Failed(f"{worker.subject.name}: {scenario.name}: {problem}")
        return {**answer, "commands": operations * scenario.pipeline}

    def _record(self, subject: Subject, scenario: Scenario, number: int, answer: Answer) -> None:
        if scenario.family is Family.PUBSUB:
            ordered = sorted(answer["latencies"])
            for quantile, part in (("p50", 0.5), ("p99", 0.99)):
                value = ordered[min(len(ordered) - 1, int(part * len(ordered)))]
                parameters = {**scenario.parameters, "quantile": quantile}
                self._figure(subject, "latency", value, "s", parameters, number)
            return
        commands = answer["commands"]
        rate, cpu = commands / answer["seconds"], answer["cpu"] / commands
        self._figure(subject, "throughput", rate, "commands/s", scenario.parameters, number)
        self._figure(subject, "cpu", cpu, "s/command", scenario.parameters, number)

    def _figure(
        self,
        subject: Subject,
        measure: str,
        value: float,
        unit: str,
        parameters: Mapping[str, str | int],
        number: int,
    ) -> None:
        everything = {**parameters, **subject.parameters}
        self._write([Bench(measure, subject.name, value, unit, everything, number)])

    # Memory and connections

    def _memory(self, scenario: Scenario) -> None:
        topologies = [Topology.CLUSTER]
        if self._standalone is not None:
            topologies.append(Topology.STANDALONE)
        rounds = min(MEMORY_ROUNDS, self._plan.rounds)
        for number in range(1, rounds + 1):
            names = self._able(scenario)
            for name in names if number % 2 else reversed(names):
                for topology in topologies:
                    if name not in self._able(scenario):
                        continue
                    self._progress.doing(f"memory {number} of {rounds}: {name}, {topology}")
                    parameters: dict[str, str | int] = {"topology": str(topology)}
                    with self._trying(name, scenario, "memory", {}), self._fresh(name) as worker:
                        request = {
                            "do": "memory",
                            "topology": str(topology),
                            "clients": self._plan.clients,
                            "payload": _SMALL,
                        }
                        value = worker.ask(request, self._plan.limit)["bytes"]
                        self._figure(worker.subject, "memory", value, "bytes", parameters, number)
        self._progress.say(f"memory of {self._plan.clients} further clients done")

    def _connections(self, scenario: Scenario, nodes: Nodes) -> None:
        for name in self._able(scenario):
            self._progress.doing(f"connections: {name}")
            with self._trying(name, scenario, "connections", {}), self._fresh(name) as worker:
                before = nodes.connections()
                worker.ask({"do": "open"}, self._plan.limit)
                self._count_connections(worker, nodes, before, "idle")
                for threads in (1, BUSY_THREADS):
                    worker.ask(
                        {
                            "do": "calls",
                            "command": "GET",
                            "payload": _SMALL,
                            "threads": threads,
                            "pipeline": 1,
                            "operations": workload.KEYS * threads,
                            "nonce": next(self._nonces),
                        },
                        self._plan.limit,
                    )
                    state = f"{threads} thread{'s' if threads > 1 else ''}"
                    self._count_connections(worker, nodes, before, state)
        self._progress.say("connections counted")

    def _count_connections(
        self, worker: Worker, nodes: Nodes, before: frozenset[tuple[int, str]], state: str
    ) -> None:
        value = float(len(nodes.connections() - before))
        parameters: dict[str, str | int] = {"topology": "cluster", "state": state}
        self._figure(worker.subject, "connections", value, "connections", parameters, 1)

    @contextmanager
    def _fresh(self, name: str) -> Iterator[Worker]:
        """A worker that has not done anything yet."""
        with self._worker(self._participants[name]) as worker:
            worker.hello(self._cluster, self._standalone, self._plan.limit)
            yield worker


def voids(
    client: str,
    reason: str,
    measure: str = "",
    parameters: Mapping[str, str | int] | None = None,
) -> list[BenchVoid]:
    """Void figures of this benchmark: of one measure, or of each.

    Never of any measure whatever: those of other benchmarks in the same file stay.
    """
    measures = [measure] if measure else MEASURES
    return [BenchVoid(client, reason, name, parameters or {}) for name in measures]


def _settings(name: str) -> Mapping[str, str]:
    """What the environment sets for the client: variables that begin with its name."""
    prefix = f"{name.upper().replace('-', '_')}_"
    found = sorted(f"{key}={value}" for key, value in os.environ.items() if key.startswith(prefix))
    return {"settings": " ".join(without_secrets(found))} if found else {}


def _named(scenario: Scenario) -> Mapping[str, str | int]:
    return {"scenario": scenario.name}


def _request(scenario: Scenario) -> Mapping[str, object]:
    if scenario.family is Family.PUBSUB:
        return {"do": "pubsub"}
    return {
        "do": "calls",
        "command": scenario.command,
        "payload": scenario.payload,
        "threads": scenario.threads,
        "pipeline": scenario.pipeline,
    }


def _commands(scenario: Scenario, command: str, operations: int) -> int:
    """How many of a command a sample sends: a batch has as many GETs as SETs."""
    if scenario.pipeline > 1:
        return operations * scenario.pipeline // 2
    return operations if command == scenario.command else 0


def _multiple(wanted: float, scenario: Scenario) -> int:
    """A whole number of operations for each thread."""
    bounded = min(max(wanted, 1.0), _MOST_OPERATIONS)
    return ceil(bounded / scenario.threads) * scenario.threads
