"""What several commands share: options, consoles, signals."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click
from rich.console import Console

from slotproof.model import Topology

INTERRUPTED = 130
DEFAULT_SERVER = "valkey-8.1"

TOPOLOGY = click.Choice([str(t) for t in Topology])


def console(*, stderr: bool = False) -> Console:
    """A console that keeps colours off where they are not wanted (NO_COLOR, pipes)."""
    return Console(stderr=stderr, highlight=False)


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
