"""A ``slotproof run`` as a process, and everything that it started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "SLOTPROOF_TEST_MARK"
# What issue and documentation promise of a run that was ended.
GONE_WITHIN_SECONDS = 5.0


class Started:
    """A ``slotproof run`` as a process, and every process that it started, by an inherited mark."""

    def __init__(self, fixtures: Path, folder: Path, *more: str) -> None:
        self.mark = uuid.uuid4().hex
        self.spaces: set[str] = set()
        self.folder = folder
        self.log = folder.parent / f"{folder.name}.log"
        argv = [
            "run",
            "steady",
            "--client",
            "redis-py",
            "--topology",
            "standalone",
            "--profile",
            "full",
        ]
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "slotproof", *argv, "--output", str(folder), *more],
                env=os.environ | {"SLOTPROOF_FIXTURES": str(fixtures), MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    @property
    def results(self) -> Path:
        """The results file."""
        return self.folder / "results.jsonl"

    def done(self) -> int:
        """How many results have been written so far."""
        if not self.results.exists():
            return 0
        return self.results.read_bytes().count(b'"type":"test"')

    def wait_for_results(self, count: int) -> None:
        """Wait until ``count`` results are there."""
        until(lambda: self.done() >= count or self.process.poll() is not None, 60)
        assert self.done() >= count, self.log.read_text(encoding="utf-8")

    def alive(self) -> dict[int, str]:
        """Every living process of the run, the runner included: pid to command line.

        Known by an inherited variable, or by being in a process namespace in which such a process
        was seen: servers overwrite their environment with their title.
        """
        needle = f"{MARK}={self.mark}".encode()
        ours = pid_namespace("self")
        found = {}
        for pid in processes():
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                space = pid_namespace(str(pid))
                marked = needle in Path(f"/proc/{pid}/environ").read_bytes()
                if marked and space != ours:
                    self.spaces.add(space)
                if command and (marked or space in self.spaces):
                    found[pid] = command.replace(b"\0", b" ").decode("utf-8", "replace")
        return found

    def children(self, pattern: str) -> list[int]:
        """Pids of the run's processes whose command line matches."""
        return [pid for pid, command in self.alive().items() if re.search(pattern, command)]


def processes() -> list[int]:
    """All processes but this one."""
    pids = [int(e.name) for e in Path("/proc").iterdir() if e.name.isdigit()]
    return [pid for pid in pids if pid != os.getpid()]


def pid_namespace(pid: str) -> str:
    """The name of a process's process namespace."""
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a state; the deadline only keeps a broken run from hanging the tests."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def started(fixtures: Path, folder: Path, *more: str) -> Iterator[Started]:
    """Run slotproof; whatever the test does, nothing stays behind."""
    run = Started(fixtures, folder, *more)
    try:
        yield run
    finally:
        for pid in run.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.process.wait()
