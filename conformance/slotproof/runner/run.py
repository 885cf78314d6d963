"""``slotproof run`` without its command line: from options to a finished results file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from slotproof.cells.isolation import Isolation, probe
from slotproof.clients.plugin import Client
from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.model import CellId, CellRun, Run, SuiteRun
from slotproof.results.reader import read
from slotproof.results.records import SCHEMA_VERSION, Header
from slotproof.results.writer import ResultsWriter
from slotproof.runner import backends, jobs
from slotproof.runner.execute import Executor, LanePlan
from slotproof.runner.options import RunOptions
from slotproof.runner.planning import lane_plan, wanted_servers
from slotproof.runner.prepare import Prepared, client_version, prepare
from slotproof.runner.progress import Progress
from slotproof.servers import spec as server_specs
from slotproof.suites import collected
from slotproof.suites.manifest import Suite


def run(
    options: RunOptions,
    suites: Mapping[str, Suite],
    clients: Mapping[str, Client],
    *,
    argv: Sequence[str],
    progress: Progress,
    resume: bool = False,
) -> Path:
    """Run everything ``options`` asks for and return the path of ``results.jsonl``.

    ``resume``: go on with the results file that is there; what it holds is not run again. Ctrl-C
    ends all cells, keeps the results so far and is raised again. Raises UsageProblem for a
    selection that is empty or not that of the run to be resumed.
    """
    path = options.output / "results.jsonl"
    selected = _select(options, suites)
    suites = {s.suite: suites[s.suite] for s in selected}
    before = _resumable(path, selected) if resume else None
    isolation = _isolation(options)
    spec = server_specs.find(options.server)
    progress.say(f"isolation: {isolation}; preparing {', '.join(suites)} for {', '.join(clients)}")
    embedded = options.backend == backends.EMBEDDED
    prepared = prepare(suites, clients, spec if embedded else None, progress.say)
    backend = _backend(options, prepared, spec)
    todo = jobs.cells(
        selected,
        suites,
        clients,
        options,
        private=isolation.private and not backend.shared_network,
    )
    progress.begin(
        {j.cell: (j.tests, sum(lane.seconds for lane in j.lanes)) for j in todo}, options.jobs
    )
    planner = _Planner(options, prepared, backend, isolation, {j.cell: j for j in todo}, before)
    with ResultsWriter.resume(path) if resume else ResultsWriter(path) as writer:
        if not resume:
            writer.header(Header.here(argv, str(options.profile), selected, options.shard))
        runnable = []
        for job in todo:
            cell = _describe(job, isolation, options, prepared)
            problem = prepared.failed.get((job.cell.suite, job.cell.client))
            if problem:
                cell = replace(cell, status=f"not run: {problem.tried}: {problem.found}")
                writer.cell(cell)
                progress.state(job.cell, cell.status)
            elif job.lanes and not planner.finished(job):
                runnable.append((job, cell))
        executor = Executor(
            [job for job, _ in runnable],
            {cell.cell: cell for _, cell in runnable},
            planner.lane,
            writer=writer,
            progress=progress,
            isolation=isolation,
            workers=options.jobs,
        )
        try:
            executor.run()
        except KeyboardInterrupt:
            writer.finish(complete=False)
            raise
        writer.finish()
    return path


class _Planner:
    """Makes a lane's plan when its turn has come."""

    def __init__(
        self,
        options: RunOptions,
        prepared: Prepared,
        backend: backends.Backend,
        isolation: Isolation,
        cells: Mapping[CellId, jobs.CellJob],
        before: Run | None,
    ) -> None:
        self.options = options
        self.prepared = prepared
        self.backend = backend
        self.isolation = isolation
        self.cells = cells
        self.serial = threading.Lock()
        self.done: dict[tuple[CellId, str], list[str]] = {}
        self.ended = {c.cell for c in before.cells if c.complete} if before else set()
        for seen in before.observations if before else ():
            self.done.setdefault((seen.cell, seen.test), []).append(str(seen.outcome))

    def finished(self, job: jobs.CellJob) -> bool:
        """True when the run to be resumed had already ended this cell."""
        return job.cell in self.ended

    @contextlib.contextmanager
    def lane(self, lane: jobs.LaneJob, folder: Path) -> Iterator[LanePlan]:
        """Hold the lane's servers, and the turn of a suite that cannot run beside another."""
        job = self.cells[lane.cell]
        private = self.isolation.private and not self.backend.shared_network
        wanted = wanted_servers(job.suite, lane.cell, private=private)
        alone = job.suite.namespace_only and not private
        turn = self.serial if alone else contextlib.nullcontext()
        with turn, self.backend.lease(wanted, lane.cell.topology) as servers:
            plan = lane_plan(
                job.suite,
                job.client,
                lane.cell,
                self.prepared,
                servers.plan,
                folder,
                private=private,
                ids=[t.id for t in lane.tests],
                done={
                    t.id: tuple(self.done[lane.cell, t.id])
                    for t in lane.tests
                    if (lane.cell, t.id) in self.done
                },
                reruns=self.options.reruns,
            )
            yield LanePlan(plan, servers.enter_pid)


def _select(options: RunOptions, suites: Mapping[str, Suite]) -> tuple[SuiteRun, ...]:
    locked = {name: collected.read(suite.collected_lock) for name, suite in suites.items()}
    selected = jobs.select(suites, locked, options)
    selected = tuple(s for s in selected if s.tests)
    if not selected:
        raise UsageProblem(
            "choosing the tests to run",
            "no locked test is left after --profile, --topology, --shard and the names given",
            "look at `slotproof list`, and ask for less",
        )
    return selected


def _resumable(path: Path, selected: Sequence[SuiteRun]) -> Run:
    run = read(path)
    if run.header["schema"] != SCHEMA_VERSION:
        raise UsageProblem(
            f"continuing the run in {path.parent}",
            f"its results are of schema version {run.header['schema']}, not {SCHEMA_VERSION}",
            "start a new run; `slotproof report` still reads the old one",
        )
    then = {s.suite: {(t.id, t.topologies) for t in s.tests} for s in run.suites}
    now = {s.suite: {(t.id, t.topologies) for t in s.tests} for s in selected}
    if then != now:
        raise UsageProblem(
            f"continuing the run in {path.parent}",
            "its tests are not those that these options and locks select now",
            "start a new run",
        )
    return run


def _isolation(options: RunOptions) -> Isolation:
    isolation = probe()
    if options.backend not in {backends.EMBEDDED, backends.DOCKER}:
        return Isolation.LEASH
    if options.backend == backends.DOCKER and isolation not in {Isolation.ROOT, Isolation.SUDO}:
        raise EnvironmentProblem(
            "entering the network namespace of a container",
            f"the isolation that works here is {isolation!s}",
            "run as root, or where sudo needs no password",
        )
    return isolation


def _backend(
    options: RunOptions, prepared: Prepared, spec: server_specs.ServerSpec
) -> backends.Backend:
    if options.backend == backends.DOCKER:
        return backends.Docker(spec)
    if prepared.binary is None:
        return backends.Existing(options.backend, allow_flush=options.allow_flush)
    return backends.Embedded(prepared.binary)


def _describe(
    job: jobs.CellJob, isolation: Isolation, options: RunOptions, prepared: Prepared
) -> CellRun:
    where = {
        backends.EMBEDDED: str(isolation),
        backends.DOCKER: f"{isolation}, containers",
        # Whoever else uses these servers is counted as well, so no touch proves anything.
    }.get(options.backend, f"{isolation}, servers by URL: touches unproved")
    return CellRun(
        cell=job.cell,
        control=job.client.control,
        client_version=client_version(
            job.client, prepared.environments.get((job.cell.suite, job.cell.client))
        ),
        isolation=where,
        lanes=len(job.lanes),
    )
