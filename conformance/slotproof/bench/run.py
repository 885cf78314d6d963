"""A whole benchmark: environments, servers, the measurement, and the results file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from slotproof.bench.bars import Bar
from slotproof.bench.measure import Measurement, Participant, Plan, Progress, voids
from slotproof.bench.performance import WHOLE
from slotproof.bench.scenarios import Family, Scenario
from slotproof.bench.subjects import Subject
from slotproof.environments import Environment
from slotproof.errors import EnvironmentProblem, SlotproofError, UsageProblem
from slotproof.fetch import cache
from slotproof.inject.slotproof_resp import RespError
from slotproof.model import Topology
from slotproof.results.reader import read, read_benchmark
from slotproof.results.recording import adding, recording
from slotproof.results.records import BenchFacts
from slotproof.servers import embedded
from slotproof.servers.spec import ServerSpec

PROFILE = "bench"
_LOCK = "bench"


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What the user asked for, checked. The first of ``subjects`` is the control.

    ``output``: the folder of the results file, a new one or, with ``add``, that of a finished run.
    ``absent``: names of clients that would belong to it but are not installed.
    """

    subjects: tuple[Subject, ...]
    scenarios: tuple[Scenario, ...]
    server: ServerSpec
    plan: Plan
    output: Path
    add: bool = False
    absent: tuple[str, ...] = ()


def absent(bars: Sequence[Bar], known: Mapping[str, Subject]) -> tuple[str, ...]:
    """Return the clients that bars are about and that are not there."""
    return tuple(dict.fromkeys(bar.client for bar in bars if bar.client not in known))


def run(options: BenchOptions, *, argv: Sequence[str], progress: Progress) -> Path:
    """Measure, and return the results file.

    One benchmark runs at a time on this machine: another one is waited for. Ended by
    KeyboardInterrupt, a new file keeps its figures and says that it is not whole, and results that
    were there stay as they were.

    Raises UsageProblem for results that nothing can be added to, EnvironmentProblem when the
    control or the servers cannot be had.
    """
    path = options.output / "results.jsonl"
    _check(options, path)
    with _alone(progress), cache.staging() as workdir:
        progress.doing("preparing environments and servers")
        ready, missing = _environments(options.subjects)
        binary = embedded.binary(options.server)
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(
                embedded.start(binary, Topology.CLUSTER, workdir=workdir / "cluster", replicas=1)
            )
            standalone = None
            if any(s.family is Family.MEMORY for s in options.scenarios):
                standalone = stack.enter_context(
                    embedded.start(binary, Topology.STANDALONE, workdir=workdir / "standalone")
                )
            record = stack.enter_context(
                adding(path) if options.add else recording(path, PROFILE, argv)
            )
            record([_about(options, f"{binary.product} {binary.version}")])
            for name in options.absent:
                record(voids(name, f"{name}: no such client is installed"))
            for name, problem in missing.items():
                progress.say(f"{name} cannot be measured: {problem.found}")
                record(voids(name, f"{name}: {problem}"))
            participants = [
                Participant(subject, ready[subject.name].python, ready[subject.name].projects)
                for subject in options.subjects
                if subject.name in ready
            ]
            measurement = Measurement(
                participants,
                options.scenarios,
                options.plan,
                cluster,
                standalone,
                record,
                progress,
                workdir,
            )
            try:
                measurement.run()
            except (OSError, RespError) as error:
                raise EnvironmentProblem(
                    "reading from the servers of the benchmark",
                    str(error),
                    "look for what ended them (memory, `dmesg`), then run it again",
                ) from error
    return path


def _check(options: BenchOptions, path: Path) -> None:
    """Refuse results to which these figures cannot go, before anything takes its time."""
    if not options.add:
        if path.exists():
            raise UsageProblem(
                f"writing the figures to {path}",
                "there are results already",
                "choose another --output, or --add-to to add to a finished run",
            )
        return
    read(path, strict=True)
    if any(facts.of == WHOLE for facts in read_benchmark(path).facts):
        raise UsageProblem(
            f"adding the figures to {path}",
            "it holds a benchmark already",
            "add to another run, or leave --add-to away",
        )


@contextlib.contextmanager
def _alone(progress: Progress) -> Iterator[None]:
    """Two benchmarks at once would measure each other."""
    with contextlib.ExitStack() as stack:
        if not stack.enter_context(cache.locked_if_free(_LOCK)):
            progress.say("another benchmark is running on this machine: waiting for it to end")
            stack.enter_context(cache.locked(_LOCK))
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        if load > (os.cpu_count() or 1) / 2:
            progress.say(
                f"this machine is busy (load {load:.1f}, {os.cpu_count()} processors):"
                " expect wide intervals"
            )
        yield


def _environments(
    subjects: Sequence[Subject],
) -> tuple[Mapping[str, Environment], Mapping[str, SlotproofError]]:
    ready: dict[str, Environment] = {}
    missing: dict[str, SlotproofError] = {}
    with ThreadPoolExecutor(4, thread_name_prefix="environment") as pool:
        jobs = {subject.name: pool.submit(subject.environment) for subject in subjects}
        for name, job in jobs.items():
            try:
                ready[name] = job.result()
            except SlotproofError as error:
                missing[name] = error
    control = subjects[0].name
    if control in missing:
        raise missing[control]
    return ready, missing


def _about(options: BenchOptions, server: str) -> BenchFacts:
    plan = options.plan
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return BenchFacts(
        WHOLE,
        {
            "scenarios": ", ".join(s.name for s in options.scenarios),
            "subjects": ", ".join([*(s.name for s in options.subjects), *options.absent]),
            "rounds": str(plan.rounds),
            "sample": f"{plan.seconds:g} s",
            "server": server,
            "cluster": "3 primaries with a replica each, on this machine",
            "machine": f"{os.cpu_count()} processors{load}",
        },
    )
