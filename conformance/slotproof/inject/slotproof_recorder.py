"""The pytest plug-in that observes a foreign suite: one JSON line a test. Standard library only.

Loaded by ``-p slotproof_recorder`` with the path of the cell's description in ``SLOTPROOF_CELL``.
It changes nothing about how the suite runs but which ids do. Silent in forked children: a child
that unwinds into pytest must not write its parent's lines.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import slotproof_nodes
import slotproof_outcome
import slotproof_path
import slotproof_stats

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_MAX_CONNECTS = 50


def pytest_configure(config: pytest.Config) -> None:
    """Start recording. Raises pytest.UsageError when the cell's description cannot be read."""
    description = os.environ.get("SLOTPROOF_CELL")
    if not description:
        raise pytest.UsageError("slotproof_recorder: SLOTPROOF_CELL names no cell.json")
    try:
        recorder = Recorder(json.loads(Path(description).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise pytest.UsageError(f"slotproof_recorder: {description}: {error!r}") from error
    if recorder.collect_only:
        config.option.collectonly = True
    config.pluginmanager.register(recorder, "slotproof-recorder-of-the-cell")


class Events:
    """A file of JSON lines, appended to with one write a line."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle = -1
        self._broken = False

    def write(self, event: dict[str, Any]) -> None:
        """Append one event. Never raises: what cannot be written is named once on stderr."""
        # ASCII with escapes: no byte of a test's text can break the file's encoding or its lines.
        data = json.dumps(event, ensure_ascii=True).encode("ascii") + b"\n"
        for _ in range(2):
            try:
                if self._handle < 0:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                    self._handle = os.open(self._path, flags, 0o644)
                written = os.write(self._handle, data)
                while written < len(data):
                    written += os.write(self._handle, data[written:])
                return
            except OSError as error:
                # A test may have closed every descriptor of the process.
                self._handle = -1
                problem = error
        if not self._broken:
            self._broken = True
            _complain(f"cannot write {self._path}: {problem}")


class Connections:
    """The lines that any process of the tree appends to the file of connections."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> list[dict[str, Any]]:
        """Return the distinct connections written down since the last call, without their pids."""
        try:
            if os.stat(self._path).st_size <= self._offset:  # noqa: PTH116
                return []
            with Path(self._path).open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        distinct: dict[tuple[Any, ...], dict[str, Any]] = {}
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
                entry.pop("pid", None)
                distinct.setdefault(tuple(entry.values()), entry)
            except (ValueError, AttributeError, TypeError):
                continue
        return list(distinct.values())[:_MAX_CONNECTS]


class Recorder:
    """The hooks. Raises KeyError, TypeError or ValueError on a description that lacks a key."""

    def __init__(self, cell: dict[str, Any]) -> None:
        self.collect_only = cell["mode"] == "collect"
        self._pid = os.getpid()
        self._events = Events(os.path.abspath(cell["events"]))  # noqa: PTH100
        self._connections = Connections(os.path.abspath(cell["connects"]))  # noqa: PTH100
        self._ids: list[str] | None = None
        if cell.get("ids"):
            self._ids = json.loads(Path(cell["ids"]).read_text(encoding="utf-8"))
        nodes = [(str(host), int(port)) for host, port in cell["nodes"]]
        self._nodes = slotproof_nodes.Nodes(nodes, cell.get("username"), cell.get("password"))
        self._reports: list[slotproof_outcome.Report] = []
        _dump_stacks_on_signal(os.path.abspath(cell["events"]) + ".stacks")  # noqa: PTH100
        os.register_at_fork(after_in_child=self._nodes.abandon)

    @property
    def _silent(self) -> bool:
        return os.getpid() != self._pid

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, Any, None]:
        """Report what is left after every selection, then keep the ids asked for."""
        yield
        if self._silent:
            return
        found = [item.nodeid for item in items]
        wanted = found if self._ids is None else self._ids
        missing = sorted(set(wanted) - set(found))
        self._events.write({"e": "collected", "ids": found, "missing": missing})
        if self._ids is not None:
            chosen = set(self._ids)
            dropped = [item for item in items if item.nodeid not in chosen]
            if dropped:
                items[:] = [item for item in items if item.nodeid in chosen]
                config.hook.pytest_deselected(items=dropped)

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Report a module that cannot be collected, or that skips itself as a whole."""
        if self._silent or report.passed:
            return
        message, _ = slotproof_outcome.describe(report)
        kind = "collect-error" if report.failed else "collect-skip"
        self._events.write({"e": kind, "path": report.nodeid, "message": message})

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, Any, None]:
        """Take the first reading: what collection sent belongs to no test."""
        if not self._silent and not self.collect_only:
            self._guard(self._nodes.begin)
            self._connections.new()
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, None]:
        """Observe one test over all its phases and attempts."""
        if self._silent:
            yield
            return
        self._reports = []
        slotproof_path.new_test()
        self._guard(self._nodes.refresh)
        self._events.write({"e": "start", "id": item.nodeid, "t": time.time()})
        result = yield
        # An exception here ends the session (Ctrl-C, pytest.exit): the test was not run to its
        # end, and "start" without "test" says so.
        if not self._silent and result.excinfo is None:
            self._guard(lambda: self._finish(item.nodeid))

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the reports of the running test."""
        if self._silent:
            return
        if str(report.outcome) == "rerun":
            # A plug-in that repeats failures: only the last attempt counts.
            self._reports = []
        else:
            self._guard(lambda: self._reports.append(slotproof_outcome.report(report)))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Say that pytest came to its end."""
        if not self._silent:
            self._events.write({"e": "end", "exit": int(exitstatus)})
            self._nodes.close()

    def _finish(self, nodeid: str) -> None:
        result = slotproof_outcome.judge(self._reports)
        per_node, reset = self._nodes.difference()
        self._events.write(
            {
                "e": "test",
                "id": nodeid,
                "outcome": result.outcome,
                "seconds": round(result.seconds, 6),
                "message": result.message,
                "traceback": result.traceback,
                "touches": slotproof_stats.total(per_node.values()),
                "nodes": per_node,
                "connects": self._connections.new(),
                "stats_reset": reset,
            }
        )

    def _guard(self, action: Callable[[], object]) -> None:
        """Do our own work; a fault in it must not become the test's."""
        try:
            action()
        except Exception as error:
            _complain(f"recorder: {error!r}")


def _dump_stacks_on_signal(path: str) -> None:
    """Let SIGUSR1 append every thread's stack to a file."""
    # A bare descriptor: a file object would warn when a suite's child collects it.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    faulthandler.register(signal.SIGUSR1, file=handle, all_threads=True)


def _complain(text: str) -> None:
    if sys.__stderr__ is not None:
        print(f"slotproof: {text}", file=sys.__stderr__)
