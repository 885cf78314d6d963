"""The parent's end of a warden: starts server processes, hears of their end, ends them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from slotproof.errors import EnvironmentProblem
from slotproof.servers import warden

_STOP_SECONDS = 10.0


class ServerProcesses:
    """Server processes under one warden (see ``servers.warden``), in the order given.

    They get a session of their own: Ctrl-C at the terminal reaches the caller, which then ends
    them in its own time. Safe to use from several threads; a forked child that calls ``stop``
    does nothing, the servers are not its own. Raises EnvironmentProblem when the warden does not
    start.
    """

    def __init__(self, servers: Sequence[warden.Server]) -> None:
        command = [sys.executable, "-I", "-S", str(Path(warden.__file__).resolve())]
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._ended: dict[int, int] = {}
        self._buffer = b""
        self.pids: tuple[int, ...] = ()
        try:
            self._warden = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise self._no_warden(str(error)) from error
        assert self._warden.stdin is not None
        assert self._warden.stdout is not None
        self._in, self._out = self._warden.stdin, self._warden.stdout
        try:
            self._in.write(json.dumps(servers).encode() + b"\n")
            self._in.flush()
            hello = json.loads(self._out.readline())
        except (OSError, ValueError) as error:
            self.stop()
            raise self._no_warden(f"{error}, exit code {self._warden.returncode}") from error
        except BaseException:
            self.stop()
            raise
        self.pids = tuple(hello["pids"])

    @staticmethod
    def _no_warden(found: str) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"starting the process that watches the servers ({sys.executable})",
            found,
            "check that this Python starts and that the process limit (ulimit -u) allows it",
        )

    def ended(self) -> Mapping[int, int]:
        """Return pid to exit status (negative: signal) of every server that has ended."""
        with self._lock:
            self._listen()
            return dict(self._ended)

    def _listen(self) -> None:
        while not self._out.closed and select.select([self._out], [], [], 0)[0]:
            data = os.read(self._out.fileno(), 65536)
            if not data:  # the warden is gone, and its servers with it
                for pid in self.pids:
                    self._ended.setdefault(pid, -9)
                return
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                self._ended[message["exited"]] = message["status"]

    def stop(self) -> None:
        """Have the warden end the servers, and wait for it; calling twice is allowed."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            if self._warden.returncode is not None and self._out.closed:
                return
            with contextlib.suppress(OSError):
                self._in.close()
            try:
                self._warden.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._warden.kill()
                self._warden.wait()
            self._listen()
            self._out.close()
