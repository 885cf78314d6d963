"""One pytest process in the foreign environment: started, listened to, and ended if it must be."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from slotproof.cells import strays

Event = dict[str, Any]

POLL_SECONDS = 0.05
# From interrupt to terminate to kill.
STEP_SECONDS = 2.0
# Importing the test files, before any test has started and between two tests.
SILENCE_SECONDS = 180.0
TAIL_BYTES = 20_000


class Ended(StrEnum):
    """Why a pytest process is over."""

    ITSELF = "itself"
    HUNG = "hung"
    CRASHED = "crashed"
    SERVERS = "servers"


@dataclass(slots=True)
class Session:
    """A running or ended pytest process.

    ``current``: the test that has started and not finished. ``collected``: the ids asked for that
    were found; ``missing``: those that were not. ``collect_errors``: path to message.
    ``cell``: what all of its descendants have in their environment (``strays.VARIABLE``), or "".
    """

    process: subprocess.Popen[bytes]
    cell: str
    events: Path
    output: Path
    timeout: float
    current: str | None = None
    finished: int = 0
    missing: tuple[str, ...] = ()
    collect_errors: dict[str, str] = field(default_factory=dict)
    closed: bool = False
    _offset: int = 0
    _last: float = 0.0

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        events: Path,
        output: Path,
        timeout: float,
    ) -> Session:
        """Start pytest with its output in a file and its events in another."""
        events.unlink(missing_ok=True)
        stacks_file(events).unlink(missing_ok=True)
        events.touch()
        with output.open("wb") as sink:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        cell = env.get(strays.VARIABLE, "")
        return cls(process, cell, events, output, timeout, _last=time.monotonic())

    def follow(self, servers_lost: Callable[[], bool]) -> Iterator[Event | Ended]:
        """Yield every event as it comes, then one ``Ended``; the process is gone by then.

        A test that runs longer than ``timeout`` seconds, or a pytest that is silent for too long
        outside a test, ends as HUNG. ``servers_lost`` is asked between events.
        """
        verdict: Ended | None = None
        while verdict is None:
            gone = self.process.poll() is not None
            for event in self._read():
                self._note(event)
                yield event
            if gone:
                verdict = Ended.ITSELF if self.closed else Ended.CRASHED
            elif servers_lost():
                verdict = Ended.SERVERS
            elif self._silent_for() > (self.timeout if self.current else SILENCE_SECONDS):
                self._ask_for_stacks()
                verdict = Ended.HUNG
            else:
                time.sleep(POLL_SECONDS)
        # Once asked to leave, pytest may still report the test it was in; by then it counts as
        # hung, so what it says is not listened to.
        self.end()
        yield verdict

    def end(self) -> None:
        """Interrupt, terminate, kill: whatever it takes, with all of its process group."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if self.process.poll() is not None:
                break
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STEP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End pytest and its children at once: whoever waits for this cell will not wait long.

        What outlived pytest must not touch the next round, in whatever process group it is.
        """
        self._signal(signal.SIGKILL)
        self.process.wait()
        if self.cell:
            strays.end(self.cell)

    def tail(self) -> str:
        """The end of what pytest printed."""
        return _tail(self.output)

    def stacks(self) -> str:
        """Where every thread was when the test was given up, if the interpreter could say."""
        return _tail(stacks_file(self.events))

    def how_it_died(self) -> str:
        """The exit of a process that left without saying goodbye, in words."""
        code = self.process.returncode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return f"the interpreter died of {signal.Signals(-code).name}"
        return f"the interpreter left with exit code {code}"

    def _silent_for(self) -> float:
        return time.monotonic() - self._last

    def _ask_for_stacks(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and not self.stacks():
            time.sleep(POLL_SECONDS)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _read(self) -> list[Event]:
        with self.events.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def _note(self, event: Event) -> None:
        self._last = time.monotonic()
        match event["e"]:
            case "collected":
                self.missing = tuple(event["missing"])
            case "collect-error" | "collect-skip":
                self.collect_errors[event["path"]] = event["message"]
            case "start":
                self.current = event["id"]
            case "test":
                self.current = None
                self.finished += 1
            case "end":
                self.closed = True


def stacks_file(events: Path) -> Path:
    """Where the recorder dumps all stacks on SIGUSR1."""
    return events.with_name(events.name + ".stacks")


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
