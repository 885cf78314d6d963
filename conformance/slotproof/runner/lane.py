"""One lane of a cell as a child process: started behind its lifeline, read until it ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import slotproof
from slotproof.cells.isolation import Isolation, wrap
from slotproof.cells.plan import CellPlan

# The cell's own grace (cells.init) is shorter; past this its first process is killed.
STOP_SECONDS = 4.0


class LaneProcess:
    """A running lane. ``events`` yields what the supervisor says; ``stop`` cuts the lifeline."""

    def __init__(
        self, plan: CellPlan, isolation: Isolation, folder: Path, *, enter_pid: int | None = None
    ) -> None:
        self.plan = plan
        self._stderr_path = folder / "cell.log"
        plan_path = folder / "plan.json"
        plan.dump(plan_path)
        mode = "leash"
        if isolation.private:
            mode = "private" if enter_pid is None else "shared"
        # -P and an explicit path: the cell must run this very slotproof, in any folder.
        package = str(Path(slotproof.__file__).resolve().parents[1])
        argv = [sys.executable, "-P", "-m", "slotproof.cells.init", str(plan_path), mode]
        if isolation is Isolation.SUDO:
            argv = ["env", f"PYTHONPATH={package}", *argv]
        with self._stderr_path.open("wb") as sink:
            self._process = subprocess.Popen(
                wrap(isolation, argv, enter_pid=enter_pid),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=os.environ | {"PYTHONPATH": package, "PYTHONUNBUFFERED": "1"},
                # Ctrl-C is for the runner alone: it cuts the lifelines and keeps the results.
                start_new_session=True,
            )

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield events until the lane has ended. A line cut short by a kill is dropped."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)
        self._process.wait()

    @property
    def pid(self) -> int:
        """The outermost process of the lane."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, once the lane has ended."""
        return self._process.poll()

    def stderr_tail(self) -> str:
        """The end of what the cell's own processes printed when something went wrong."""
        with contextlib.suppress(OSError):
            return self._stderr_path.read_text(encoding="utf-8", errors="replace")[-4000:].strip()
        return ""

    def cut(self) -> None:
        """Cut the lifeline: the cell stops its servers and ends within its own grace."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def stop(self) -> None:
        """Cut the lifeline and see that the lane is gone."""
        self.cut()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # --kill-child: the kernel takes the whole process namespace down with it.
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


class LaneRegister:
    """The lanes that run right now, so that an interrupt can end them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: set[LaneProcess] = set()
        self.stopping = False

    @contextlib.contextmanager
    def running(self, lane: LaneProcess) -> Iterator[LaneProcess]:
        """Hold a lane in the register while the block runs; it is gone afterwards."""
        with self._lock:
            self._lanes.add(lane)
            late = self.stopping
        try:
            if late:
                lane.cut()
            yield lane
        finally:
            lane.stop()
            with self._lock:
                self._lanes.discard(lane)

    def stop_all(self) -> None:
        """Cut every lifeline at once; lanes started from now on end at once too."""
        with self._lock:
            self.stopping = True
            lanes = list(self._lanes)
        for lane in lanes:
            lane.cut()
