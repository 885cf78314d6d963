"""Run lanes side by side and write down what they say."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from slotproof.cells.isolation import Isolation
from slotproof.cells.plan import CellPlan
from slotproof.errors import SlotproofError
from slotproof.model import CellId, CellRun, Connect, Observation, Outcome
from slotproof.results.writer import ResultsWriter
from slotproof.runner.jobs import CellJob, LaneJob
from slotproof.runner.lane import LaneProcess, LaneRegister
from slotproof.runner.progress import Progress

PlanFor = Callable[[LaneJob, Path], "contextlib.AbstractContextManager[LanePlan]"]


@dataclass(frozen=True, slots=True)
class LanePlan:
    """A lane that can start: its plan, and the container to enter when there is one."""

    plan: CellPlan
    enter_pid: int | None = None


@dataclass(slots=True)
class _CellState:
    """A cell while it runs; guarded by the executor's lock."""

    run: CellRun
    pending: int
    began: float = field(default_factory=time.monotonic)
    announced: bool = False
    troubles: list[str] = field(default_factory=list)
    canary: set[str] = field(default_factory=set)
    log: str = ""


class Executor:
    """Runs every lane of ``jobs``, at most ``workers`` at a time, longest first.

    ``cells``: what is known of each cell beforehand. ``plan_for``: makes a lane's plan when its
    turn has come, in a context that holds whatever the lane needs (containers, a serial lock).
    """

    def __init__(
        self,
        jobs: Sequence[CellJob],
        cells: Mapping[CellId, CellRun],
        plan_for: PlanFor,
        *,
        writer: ResultsWriter,
        progress: Progress,
        isolation: Isolation,
        workers: int,
    ) -> None:
        self.jobs = jobs
        self.plan_for = plan_for
        self.writer = writer
        self.progress = progress
        self.isolation = isolation
        self.workers = workers
        self.register = LaneRegister()
        self._lock = threading.Lock()
        self._states = {
            job.cell: _CellState(cells[job.cell], len(job.lanes)) for job in jobs if job.lanes
        }

    def run(self) -> None:
        """Run all lanes. On any exception, Ctrl-C included, every lane is ended first."""
        lanes = sorted(
            (lane for job in self.jobs for lane in job.lanes), key=lambda lane: -lane.seconds
        )
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="lane")
        try:
            pending = {pool.submit(self._lane, lane) for lane in lanes}
            while pending:
                # A bounded wait: the main thread must get round to signals.
                done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
        except BaseException:
            self.register.stop_all()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _lane(self, job: LaneJob) -> None:
        if self.register.stopping:
            return
        state = self._states[job.cell]
        folder = Path(tempfile.mkdtemp(prefix="slotproof-"))
        ended = False
        try:
            self.progress.state(job.cell, "starting")
            with self.plan_for(job, folder) as lane_plan:
                lane = LaneProcess(
                    lane_plan.plan, self.isolation, folder, enter_pid=lane_plan.enter_pid
                )
                with self.register.running(lane):
                    for event in lane.events():
                        ended |= event["e"] == "end"
                        self._hear(job, state, event)
                if not ended and not self.register.stopping:
                    tail = lane.stderr_tail() or f"it left with exit code {lane.exit_code}"
                    self._trouble(state, f"the cell ended before its time: {tail}")
        except SlotproofError as error:
            if self.register.stopping:
                return
            self._trouble(state, f"{error.tried}: {error.found}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._lane_over(job, state, ended)

    def _hear(self, job: LaneJob, state: _CellState, event: dict[str, Any]) -> None:
        match event["e"]:
            case "up":
                self._announce(state, f"{event['product']} {event['version']}")
                self.progress.state(job.cell, "running")
            case "start":
                self.progress.start(job.cell, event["id"])
            case "test":
                observation = observe(job.cell, event)
                self.writer.observation(observation)
                self.progress.test(job.cell, observation.test, observation.outcome)
            case "again":
                self.progress.state(job.cell, f"trying {event['tests']} again")
            case "problem":
                self._trouble(state, f"{event['tried']}: {event['found']}")
            case "end":
                with self._lock:
                    state.canary |= set(event["canary"])
                    state.log += event["log"]

    def _announce(self, state: _CellState, server_version: str = "", status: str = "run") -> None:
        with self._lock:
            if state.announced:
                return
            state.announced = True
            state.run = replace(state.run, server_version=server_version, status=status)
            self.writer.cell(state.run)

    def _trouble(self, state: _CellState, text: str) -> None:
        self._announce(state, status=f"not run: {text.splitlines()[0]}")
        with self._lock:
            state.troubles.append(text)
        self.progress.say(f"{state.run.cell}: {text}")

    def _lane_over(self, job: LaneJob, state: _CellState, ended: bool) -> None:
        with self._lock:
            state.pending -= 1
            if not ended and not state.troubles:
                state.troubles.append("interrupted")
            if state.pending or not state.announced:
                return
            whole = not state.troubles
            self.writer.cell_end(
                replace(
                    state.run,
                    seconds=round(time.monotonic() - state.began, 3),
                    canary=tuple(sorted(state.canary)),
                    server_log=(state.log + "\n".join(state.troubles))[-8000:],
                    complete=whole,
                )
            )
        self.progress.state(job.cell, "done" if whole else "not whole")


def observe(cell: CellId, event: Mapping[str, Any]) -> Observation:
    """Turn the supervisor's ``test`` event into an observation."""
    return Observation(
        cell=cell,
        test=event["id"],
        attempt=event["attempt"],
        outcome=Outcome(event["outcome"]),
        seconds=event["seconds"],
        message=event["message"],
        traceback=event["traceback"],
        touches=event["touches"],
        nodes=event["nodes"],
        connects=tuple(
            Connect(c["address"], c["module"], c["file"], c["line"], c["reached"])
            for c in event["connects"]
        ),
        stats_reset=event["stats_reset"],
    )
