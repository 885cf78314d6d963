"""Progress of a run: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from slotproof.model import CellId, Outcome

_BAD = frozenset(
    {Outcome.FAILED, Outcome.ERROR, Outcome.HUNG, Outcome.CRASHED, Outcome.SERVER_LOST}
)
_AT_REST = frozenset({"waiting", "done", "not whole"})
PLAIN_EVERY_SECONDS = 15.0


@dataclass(slots=True)
class CellProgress:
    """How far one cell is. ``seconds``: what its tests took when they were locked."""

    tests: int
    seconds: float
    done: set[str] = field(default_factory=set)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    current: str = ""
    state: str = "waiting"


class Progress(Protocol):
    """What the runner tells; safe to call from several threads."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def say(self, text: str) -> None:
        """Something worth a line."""

    def begin(self, cells: Mapping[CellId, tuple[int, float]], jobs: int) -> None:
        """The cells to come: number of tests and their locked seconds."""

    def state(self, cell: CellId, text: str) -> None:
        """What a cell is doing."""

    def start(self, cell: CellId, test: str) -> None:
        """A test begins."""

    def test(self, cell: CellId, test: str, outcome: Outcome) -> None:
        """An attempt at a test has ended."""


class _Base:
    def __init__(self, console: Console) -> None:
        self.console = console
        self.cells: dict[CellId, CellProgress] = {}
        self.jobs = 1
        self._lock = threading.RLock()
        self._began = time.monotonic()

    def begin(self, cells: Mapping[CellId, tuple[int, float]], jobs: int) -> None:
        with self._lock:
            self.cells = {c: CellProgress(n, s) for c, (n, s) in cells.items()}
            self.jobs = jobs
            self._began = time.monotonic()

    def state(self, cell: CellId, text: str) -> None:
        with self._lock:
            self.cells[cell].state = text

    def start(self, cell: CellId, test: str) -> None:
        with self._lock:
            self.cells[cell].current = test

    def test(self, cell: CellId, test: str, outcome: Outcome) -> None:
        with self._lock:
            progress = self.cells[cell]
            if test not in progress.done:
                progress.done.add(test)
                progress.outcomes[outcome] += 1

    def left(self) -> float | None:
        """Seconds to go, from the pace so far over locked durations; None before any pace."""
        with self._lock:
            total = sum(c.seconds for c in self.cells.values())
            done = sum(c.seconds * len(c.done) / c.tests for c in self.cells.values() if c.tests)
        spent = time.monotonic() - self._began
        if not total or done / total < 0.02:
            return None
        return spent * (total - done) / done

    def summary(self) -> str:
        """One line over all cells."""
        with self._lock:
            tests = sum(c.tests for c in self.cells.values())
            done = sum(len(c.done) for c in self.cells.values())
            bad = sum(n for c in self.cells.values() for o, n in c.outcomes.items() if o in _BAD)
        return f"{done}/{tests} tests, {bad} not passed, {_eta(self.left())}"


class PlainProgress(_Base):
    """Lines: when a cell starts and ends, and a summary now and then."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def state(self, cell: CellId, text: str) -> None:
        super().state(cell, text)
        self.say(f"{cell}: {text}")

    def test(self, cell: CellId, test: str, outcome: Outcome) -> None:
        super().test(cell, test, outcome)
        with self._lock:
            going = any(len(c.done) < c.tests for c in self.cells.values())
            if not going or time.monotonic() - self._last < PLAIN_EVERY_SECONDS:
                return
            self._last = time.monotonic()
        self.say(self.summary())


class LiveProgress(_Base):
    """A table that redraws itself: a line a cell, with the test that runs in it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._live.console.print(Text(text), soft_wrap=True)

    def _render(self) -> RenderableType:
        with self._lock:
            if not self.cells:
                return Text("preparing …")
            table = Table.grid(padding=(0, 1), expand=False)
            for cell, progress in self.cells.items():
                bad = sum(n for o, n in progress.outcomes.items() if o in _BAD)
                running = progress.state not in _AT_REST
                table.add_row(
                    Text(str(cell), style="bold" if running else "dim"),
                    ProgressBar(max(progress.tests, 1), len(progress.done), width=18),
                    Text(f"{len(progress.done)}/{progress.tests}"),
                    Text(f"{bad} not passed" if bad else "", style="red"),
                    Text(progress.state, "dim"),
                    Text(progress.current if running else "", "dim", no_wrap=True),
                )
        return Group(table, Text(self.summary(), style="bold"))


def for_console(console: Console) -> Progress:
    """The live table on a terminal, lines elsewhere."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


def _eta(seconds: float | None) -> str:
    if seconds is None:
        return "time left not known yet"
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes} min {rest:02d} s left" if minutes else f"about {rest} s left"
