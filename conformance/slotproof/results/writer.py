"""Write ``results.jsonl`` so that whatever happens, what is in it stays readable.

Each line is one ``write`` to a file opened for appending: nothing that was written is lost when
the process dies, at most the last line is cut. When the disk is full the half-written line is
taken back.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.results import decode, encode
from slotproof.results.records import Bench, BenchFacts, BenchVoid, Header, now

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from slotproof.model import CellRun, Observation


class ResultsWriter:
    """Appends to one results file; safe for use by several threads.

    ``ResultsWriter(path)`` makes a new file and refuses one that is there;
    ``ResultsWriter.resume(path)`` goes on with one that an interrupted run left. Raises
    UsageProblem when the file is there (or not there), or another run is writing it;
    EnvironmentProblem when the disk is full or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._open(path, os.O_CREAT | os.O_EXCL)

    def _open(self, path: Path, flags: int) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._trouble: EnvironmentProblem | None = None
        self._fd = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags, 0o644)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileExistsError as error:
            raise UsageProblem(
                f"opening {path} for the results of a new run",
                "the file exists already",
                "choose another --output folder, or continue that run with --resume",
            ) from error
        except FileNotFoundError as error:
            raise UsageProblem(
                f"opening {path} to continue a run",
                "there is no such file",
                "start the run without --resume",
            ) from error
        except BlockingIOError as error:
            self.close()
            raise UsageProblem(
                f"opening {path} for writing",
                "another run is writing this file right now",
                "wait for it, or choose another --output folder",
            ) from error
        except OSError as error:
            raise self._problem(error) from error

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Go on with the file of an interrupted run.

        A half-written last line and a footer are dropped; everything else stays as it is, and a
        ``resumed`` line records the fact. The file is not judged here: read it first.
        """
        writer = cls.__new__(cls)
        writer._open(path, 0)
        dropped = writer._take_over()
        writer._append(encode.resumed(now(), dropped))
        return writer

    def _take_over(self) -> int:
        kept = 0
        try:
            with self.path.open("rb") as lines:
                for line in lines:
                    kind = self._type(line)
                    if kind in {None, "footer"}:
                        break
                    self._counts[str(kind)] += 1
                    self._sha256.update(line)
                    kept += len(line)
            whole = os.fstat(self._fd).st_size
            os.ftruncate(self._fd, kept)
        except OSError as error:
            raise self._problem(error) from error
        self._size = kept
        return whole - kept

    def _type(self, line: bytes) -> str | None:
        if not line.endswith(b"\n"):
            return None
        try:
            return decode.load(line).text("type")
        except decode.Malformed as error:
            self.close()
            raise UsageProblem(
                f"continuing the run in {self.path}",
                f"line {self._counts.total() + 1} cannot be read ({error})",
                "start a new run in another --output folder",
            ) from error

    def header(self, header: Header) -> None:
        """Write the first line."""
        self._append(encode.header(header))

    def cell(self, cell: CellRun) -> None:
        """Write that a cell starts, or why it was not run."""
        self._append(encode.cell(cell))

    def observation(self, observation: Observation) -> None:
        """Write one attempt at one test."""
        self._append(encode.observation(observation))

    def cell_end(self, cell: CellRun) -> None:
        """Write how a cell ended."""
        self._append(encode.cell_end(cell))

    def bench(self, bench: Bench) -> None:
        """Write one benchmark or chaos figure."""
        self._append(encode.bench(bench))

    def bench_facts(self, facts: BenchFacts) -> None:
        """Write what a benchmark, or one client in it, was made of."""
        self._append(encode.bench_facts(facts))

    def bench_void(self, void: BenchVoid) -> None:
        """Write that figures, before this line or after it, do not count."""
        self._append(encode.bench_void(void))

    def finish(self, *, complete: bool = True) -> None:
        """Write the footer and close. ``complete=False``: the run was ended before its time."""
        with self._lock:
            line = encode.footer(self._counts, self._sha256.hexdigest(), now(), complete)
            self._write(encode.dump(line))
        self.close()

    def close(self) -> None:
        """Close the file as it is. Without ``finish`` before, a reader sees an interrupted run."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, line: encode.Line) -> None:
        data = encode.dump(line)
        with self._lock:
            self._write(data)
            self._counts[str(line["type"])] += 1
            self._sha256.update(data)

    def _write(self, data: bytes) -> None:
        if self._trouble is not None:
            raise self._trouble
        if self._fd < 0:
            raise ValueError(f"{self.path} is closed")
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            self._trouble = self._problem(error)
            self._take_back()
            raise self._trouble from error
        self._size += len(data)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            # The reader recognizes a cut last line; there is nothing better to do on such a disk.
            return

    def _problem(self, error: OSError) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"writing {self.path}",
            f"{error.strerror or error} (results so far are kept in {self.path})"
            if self._size
            else f"{error.strerror or error}",
            "free some disk space or choose another --output folder, then use --resume",
        )
