"""Ends what a pytest process left running: children in process groups and sessions of their own.

Within a cell these would live on beside the next round of the same tests, and a worker that waits
for jobs would take those of its successors.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

VARIABLE = "SLOTPROOF_CELL"
"""Names the cell's description to every process of pytest's tree, so it tells whose they are."""

_PROC = Path("/proc")
_PATIENCE_SECONDS = 2.0


def end(cell: str) -> None:
    """Kill every process that was started with ``VARIABLE`` set to ``cell`` in its environment.

    Goes on until none is left, for new ones may be started meanwhile. Where there is no ``/proc``
    (macOS) nothing can be found, and nothing is done.
    """
    mark = os.fsencode(f"{VARIABLE}={cell}")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (found := _marked(mark)) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _marked(mark: bytes) -> list[int]:
    found = []
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            # Gone meanwhile, another user's, or dead and not yet reaped: then it is empty.
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
