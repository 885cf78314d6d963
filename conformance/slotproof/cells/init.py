"""The first process of a cell: reaps orphans, holds the lifeline, and ends everything.

In namespaces it is process 1, so the kernel kills whatever is left the moment it exits. Without
them it makes itself the reaper of its descendants (Linux) and kills these one by one.

Usage: ``python -m slotproof.cells.init PLAN private|shared|leash`` with the lifeline as standard
input: when that reaches its end, the runner is gone, however it went.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from slotproof.cells.plan import CellPlan
from slotproof.cells.private import hide_shared_folders, raise_loopback

# The supervisor stops its servers and says goodbye within this; then the axe falls.
GRACE_SECONDS = 2.0
_PR_SET_CHILD_SUBREAPER = 36


def main(argv: list[str]) -> int:
    """Run one cell to its end and return the supervisor's exit code."""
    plan_path, mode = Path(argv[0]), argv[1]
    plan = CellPlan.load(plan_path)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    if mode == "leash":
        _become_reaper()
    else:
        if mode == "private":
            raise_loopback()
        hide_shared_folders(plan.expose)
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "slotproof.cells.supervisor", str(plan_path)],
        stdin=subprocess.DEVNULL,
    )
    code = _watch(supervisor.pid, wake_read)
    if mode == "leash":
        _end_descendants()
    _empty(Path(plan.workdir))
    return code


def _watch(supervisor: int, wake: int) -> int:
    """Wait for the supervisor; on a lost lifeline or a signal, end it in time."""
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(wake, select.POLLIN)
    deadline: float | None = None
    while True:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ending = False
        for fd, _ in poller.poll(timeout):
            if fd == wake:
                signals = os.read(wake, 512)
                ending |= any(s != signal.SIGCHLD for s in signals)
            elif not os.read(0, 4096):
                poller.unregister(0)
                ending = True
        code = _reap(supervisor)
        if code is not None:
            return code
        if ending and deadline is None:
            deadline = time.monotonic() + GRACE_SECONDS
            os.kill(supervisor, signal.SIGTERM)
        if deadline is not None and time.monotonic() >= deadline:
            return 128 + signal.SIGKILL


def _reap(supervisor: int) -> int | None:
    """Collect every dead child; return the supervisor's exit code when it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == supervisor:
            found = os.waitstatus_to_exitcode(status)


def _become_reaper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_descendants() -> None:
    """Kill all that still runs below this process; orphans have become its own children."""
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline:
        pids = _children()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _children() -> list[int]:
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    except OSError:
        listing = subprocess.run(
            ["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=False
        )
        text = listing.stdout
    return [int(pid) for pid in text.split()]


def _empty(folder: Path) -> None:
    """Remove what the cell wrote; the runner may lack the right to, if the cell ran as root."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
