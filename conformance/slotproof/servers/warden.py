"""Starts servers and sees to it that they end with whoever asked for them, SIGKILL included.

Run by file name (``python -I -S warden.py``), standard library only, one thread. Why a process of
its own: Linux ties PR_SET_PDEATHSIG to the *thread* that spawned the child, so a server spawned by
a worker thread would die when that thread ends. The warden's only thread lives as long as the
warden, so its servers can carry the death signal, and the warden itself watches its parent: it
stops everything when its standard input ends or when it is handed to another parent (a child that
the parent forked may hold the pipe open). Where there is no death signal (macOS), servers outlive
only a warden that was itself killed with SIGKILL.

Protocol, JSON lines. In: ``[{"argv": [...], "cwd": "...", "log": "..."}, ...]`` once, then
``"stop"``. Out: ``{"pids": [...]}``, then ``{"exited": pid, "status": n}`` as servers end, a
negative status being the signal. Exit code 0 when all servers are gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import TypedDict

PR_SET_PDEATHSIG = 1
PARENT_CHECK_SECONDS = 0.25
TERM_SECONDS = 1.5


class Server(TypedDict):
    """What to start: absolute ``argv[0]``, working folder, file that takes stdout and stderr."""

    argv: list[str]
    cwd: str
    log: str


def _death_signal() -> Callable[[], None]:
    """Return what a new child calls to be killed along with the warden."""
    warden = os.getpid()
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != warden:  # the warden died before the request took effect
            os._exit(1)

    return ask


def spawn(server: Server, ask: Callable[[], None]) -> int:
    """Fork, execute the server with output appended to its log, and return its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        ask()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        output = os.open(server["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(server["cwd"])
        os.execv(server["argv"][0], server["argv"])
    except OSError as error:
        os.write(2, f"cannot start {server['argv'][0]}: {error}\n".encode())
    finally:
        os._exit(127)


class Warden:
    """The servers that are alive, and the loop that waits for a reason to end them."""

    def __init__(self) -> None:
        self.parent = os.getppid()
        self.alive: set[int] = set()
        self.ending = False
        self.wake_out, self.wake_in = os.pipe()
        os.set_blocking(self.wake_in, False)
        os.set_blocking(self.wake_out, False)
        signal.set_wakeup_fd(self.wake_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _end(self, *_: object) -> None:
        self.ending = True

    def say(self, message: object) -> None:
        """Write one line to the parent, who may be gone."""
        with contextlib.suppress(OSError):
            os.write(1, json.dumps(message).encode() + b"\n")

    def reap(self) -> None:
        """Collect ended servers and report them."""
        while self.alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self.alive.discard(pid)
            self.say({"exited": pid, "status": os.waitstatus_to_exitcode(status)})

    def wait(self, seconds: float, watch: list[int]) -> list[int]:
        """Sleep until a signal arrives or one of ``watch`` can be read."""
        ready = select.select([self.wake_out, *watch], [], [], seconds)[0]
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_out, 512)
        return [fd for fd in ready if fd != self.wake_out]

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to every server that has not been reaped (so no pid can be another's)."""
        for pid in self.alive:
            os.kill(pid, number)

    def run(self, servers: list[Server]) -> None:
        """Start the servers, wait for the end, end them."""
        ask = _death_signal()
        pids = [spawn(server, ask) for server in servers]
        self.alive.update(pids)
        self.say({"pids": pids})
        while not self.ending:
            ready = self.wait(PARENT_CHECK_SECONDS, [0])
            self.reap()
            # Anything on standard input is either the word "stop" or its end: both mean the same.
            self.ending = self.ending or bool(ready) or os.getppid() != self.parent
        self.signal_all(signal.SIGTERM)
        deadline = time.monotonic() + TERM_SECONDS
        while self.alive and (left := deadline - time.monotonic()) > 0:
            self.wait(min(left, 0.05), [])
            self.reap()
        self.signal_all(signal.SIGKILL)
        while self.alive:
            self.wait(0.05, [])
            self.reap()


def _first_line() -> bytes:
    # Read by hand: a buffered reader could swallow the "stop" that select waits for.
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(0)
        line += byte
    return bytes(line)


if __name__ == "__main__":
    warden = Warden()
    warden.run(json.loads(_first_line()))
