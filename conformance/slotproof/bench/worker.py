"""The harness's end of a worker: a process in a foreign environment that answers requests."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from slotproof.bench.subjects import Subject
from slotproof.servers.deployment import Deployment

_FOREIGN = Path(__file__).resolve().parent / "foreign"
_INJECT = Path(__file__).resolve().parents[1] / "inject"
_STOP_SECONDS = 2.0
_TAIL_CHARACTERS = 300

Answer = Mapping[str, Any]


class WorkerProblem(Exception):
    """Why a subject's figures cannot be had; the message names the subject."""


class Failed(WorkerProblem):
    """One request failed (an exception of the client's, wrong replies); the worker goes on."""


class Lost(WorkerProblem):
    """The worker died, hung or was never up: nothing more can be asked of it."""


class Worker:
    """One subject's process. ``ask`` sends a request and waits for its answer.

    It has a session of its own, so that Ctrl-C reaches the harness alone, and it ends when the
    pipe to its standard input does, so that none outlives a harness that was killed.
    """

    def __init__(self, subject: Subject, python: Path, log: Path) -> None:
        self.subject = subject
        self._log = log
        hidden = ("PYTHON", "VIRTUAL_ENV")
        env = {name: text for name, text in os.environ.items() if not name.startswith(hidden)}
        with log.open("ab") as sink:
            try:
                self._process = subprocess.Popen(
                    [str(python), "-P", "-m", "slotproof_bench_worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=sink,
                    env=env | {"PYTHONPATH": str(_FOREIGN)},
                    start_new_session=True,
                )
            except OSError as error:
                raise Lost(f"{subject.name}: its worker did not start: {error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._buffer = b""

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._process.pid

    def hello(
        self, cluster: Deployment, standalone: Deployment | None, seconds: float
    ) -> Mapping[str, str]:
        """Have it import the client; return what it says of its environment."""
        subject = self.subject
        bootstrap_dir = subject.bootstrap_dir or (_INJECT if subject.bootstrap else None)
        request = {
            "do": "hello",
            "driver": subject.driver,
            "path": str(subject.path) if subject.path else None,
            "bootstrap": subject.bootstrap,
            "bootstrap_dir": str(bootstrap_dir) if bootstrap_dir else None,
            "primaries": [(node.host, node.port) for node in cluster.primaries],
            "standalone": (
                (standalone.nodes[0].host, standalone.nodes[0].port) if standalone else None
            ),
        }
        return dict(self.ask(request, seconds)["facts"])

    def ask(self, request: Mapping[str, object], seconds: float) -> Answer:
        """Return the answer to ``request``.

        Raises Failed with the client's own words, and Lost, after which the process is gone, when
        there is no answer within ``seconds``, or none at all.
        """
        what = f"{self.subject.name}: {request['do']}"
        try:
            self._in.write(json.dumps(request).encode() + b"\n")
            self._in.flush()
        except OSError:
            self._died(what)
        try:
            answer = json.loads(self._line(what, seconds))
        except ValueError as error:
            self.kill()
            raise Lost(f"{what}: the worker's answer is unreadable ({error})") from error
        if "error" in answer:
            raise Failed(f"{what}: {answer['error']}")
        return dict(answer)

    def _line(self, what: str, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._out], [], [], left)[0]:
                self.kill()
                raise Lost(f"{what}: the worker hung, there was no answer within {seconds:g} s")
            data = os.read(self._out.fileno(), 1 << 20)
            if not data:
                self._died(what)
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _died(self, what: str) -> None:
        try:
            code = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Lost(f"{what}: the worker closed its pipe") from None
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        raise Lost(f"{what}: the worker died {how}{self._tail()}")

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            text = self._log.read_text(encoding="utf-8", errors="replace").strip()
            if text:
                return f"; it said: {' '.join(text[-_TAIL_CHARACTERS:].split())}"
        return ""

    def kill(self) -> None:
        """End the process and whatever it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End the process: it is told by the end of its input, and killed when it is slow."""
        with contextlib.suppress(OSError):
            self._in.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._out.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
