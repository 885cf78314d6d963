"""Writers and the probe as child processes whose events go into files.

Into files rather than pipes: nothing that the reader does can slow down whoever is being measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import slotproof
from slotproof.chaos import worker
from slotproof.chaos.timeline import Ack, Shown, Timeline
from slotproof.errors import EnvironmentProblem

Event = list[Any]
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.05
_TAIL = 1500


class Child:
    """A process that is told one plan and tells events. It ends at the latest with this process.

    ``name``: names its files in ``folder`` (``NAME.jsonl``, ``NAME.log``). It gets a session of
    its own: Ctrl-C is for the harness, which then ends it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        plan: Mapping[str, object],
        folder: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._events_path = folder / f"{name}.jsonl"
        self._log_path = folder / f"{name}.log"
        self._half = b""
        try:
            with self._events_path.open("wb") as events, self._log_path.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=events,
                    stderr=log,
                    env={**os.environ, **(env or {})},
                    start_new_session=True,
                )
            self._reader = self._events_path.open("rb")
        except OSError as error:
            raise EnvironmentProblem(
                f"starting {name} ({command[0]})", str(error), "check the disk and the limits"
            ) from error
        with contextlib.suppress(OSError):
            self._tell(json.dumps(plan))

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def look(self) -> None:
        """Take in what it has said. Raises EnvironmentProblem when it cannot do its part."""

    def news(self) -> list[Event]:
        """Return the events since the last call."""
        *lines, self._half = (self._half + self._reader.read()).split(b"\n")
        return [json.loads(line) for line in lines]

    @property
    def alive(self) -> bool:
        """False once the process has ended."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """Return the end of what it printed on standard error."""
        with contextlib.suppress(OSError):
            return self._log_path.read_text(encoding="utf-8", errors="replace")[-_TAIL:].strip()
        return ""

    def finish(self) -> None:
        """Tell it to end; ``stop`` waits for that."""
        with contextlib.suppress(OSError):
            self._tell("end")

    def stop(self) -> None:
        """End it, by force when it does not end in time; calling twice is allowed."""
        self.finish()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except BaseException:
            self._process.kill()
            raise
        finally:
            self._reader.close()


class Writer(Child):
    """A subject's worker, and its timeline so far."""

    def __init__(self, name: str, python: Path, plan: Mapping[str, object], folder: Path) -> None:
        # -P: the worker's own folder, where modules of the harness lie, is none of its business.
        command = [str(python), "-P", str(Path(worker.__file__).resolve())]
        # What the caller set for its own Python must not reach the subject's.
        super().__init__(name, command, plan, folder, {"PYTHONPATH": "", "PYTHONUNBUFFERED": "1"})
        self.acks: list[Ack] = []
        self.errors: list[Shown] = []
        self.ready = False
        self.died = False
        self._ended = False
        self._failed = ""

    def look(self) -> None:
        """As above: the client could not be made. One that dies later died of the outage."""
        alive = self.alive
        for kind, *rest in self.news():
            match kind:
                case "ack":
                    self.acks.append(Ack(*rest))
                case "error":
                    self.errors.append(Shown(*rest))
                case "ready":
                    self.ready = True
                case "failed":
                    self._failed = str(rest[0])
                case _:
                    self._ended = True
        self.died = self.died or (self.ready and not (alive or self._ended))
        if self._failed or not (alive or self._ended or self.ready):
            raise EnvironmentProblem(
                f"writing through {self.name}",
                self._failed or f"its process ended; it last said:\n{self.last_words()}",
                "correct the client, or leave it out (name the others with --subject)",
            )

    @property
    def numbers(self) -> int:
        """How many writes it has told the outcome of: the numbers below this one."""
        said = (event[-1].number for event in (self.acks, self.errors) if event)
        return 1 + max(said, default=-1)

    @property
    def timeline(self) -> Timeline:
        """What it saw until the last ``look``."""
        return Timeline(tuple(self.acks), tuple(self.errors), self.died)


class Probe(Child):
    """The harness's own measure of when the slots take writes."""

    def __init__(self, nodes: Sequence[tuple[str, int]], key: str, folder: Path) -> None:
        package = str(Path(slotproof.__file__).resolve().parents[1])
        plan = {"nodes": list(nodes), "key": key, "every": 0.005}
        command = [sys.executable, "-P", "-m", "slotproof.chaos.probe"]
        super().__init__("probe", command, plan, folder, {"PYTHONPATH": package})
        self.accepted: list[tuple[float, str]] = []
        self.asked: set[str] = set()
        self.stall = 0.0

    def look(self) -> None:
        """As above: its process died."""
        alive = self.alive
        ended = False
        for kind, *rest in self.news():
            if kind == "stall":
                self.stall = rest[0]
                ended = True
                continue
            self.asked.add(rest[1])
            if kind == "accepted":
                self.accepted.append((rest[0], rest[1]))
        if not (alive or ended):
            raise EnvironmentProblem(
                "asking the servers when they take writes",
                f"the probe ended; it last said:\n{self.last_words()}",
                "check that this Python starts other Pythons",
            )

    def first_after(self, moment: float) -> float | None:
        """Return when a write was first accepted after a moment, as far as is known."""
        return next((at for at, _ in self.accepted if at > moment), None)


def finish(children: Iterable[Child]) -> None:
    """Tell all of them to end."""
    for child in children:
        child.finish()


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a state; return whether it came within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
