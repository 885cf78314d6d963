"""What several commands share: options, consoles, signals."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from slotproof.errors import UsageProblem
from slotproof.model import Topology

INTERRUPTED = 130

TOPOLOGY = click.Choice([str(t) for t in Topology])


def console(*, stderr: bool = False) -> Console:
    """A console that keeps colours off where they are not wanted (NO_COLOR, pipes)."""
    return Console(stderr=stderr, highlight=False)


def results_files(named: Iterable[Path]) -> list[Path]:
    """Return the results file of each name: a ``results.jsonl``, or a folder that holds one.

    Raises UsageProblem for the first that is not there.
    """
    paths = [p / "results.jsonl" if p.is_dir() else p for p in named]
    for path in paths:
        if not path.is_file():
            raise UsageProblem(f"reading {path}", "there is no such file", "name a results.jsonl")
    return paths


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, clean-up included."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP) if sys.platform != "win32" else (signal.SIGTERM,)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
