"""Cells reach nothing but their own servers, and do not meet each other."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support.miniatures import MINIATURE, by_cell, client, run_tiny

from slotproof.cells import isolation
from slotproof.cells.isolation import Isolation
from slotproof.clients.redis_py import CLIENT
from slotproof.judge.matrix import build
from slotproof.judge.verdict import Verdict
from slotproof.model import Topology
from slotproof.results.reader import read
from slotproof.runner.options import Profile, RunOptions
from slotproof.runner.progress import PlainProgress
from slotproof.runner.run import run
from slotproof.suites import library

pytestmark = pytest.mark.servers

BYSTANDERS = (6379, 7000, 7001)


class Bystander:
    """A listener outside every cell, on a port that suites and clients like to try."""

    def __init__(self, port: int) -> None:
        self.seen = 0
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.settimeout(0.1)
        self._open = True
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while self._open:
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            self.seen += 1
            connection.close()

    def close(self) -> None:
        """Stop listening; everything that had connected by now has been counted."""
        self._open = False
        self._thread.join()
        self._socket.close()


@contextmanager
def bystanders() -> Iterator[list[Bystander]]:
    """Listeners on all of ``BYSTANDERS``."""
    with ExitStack() as stack:
        found = []
        for port in BYSTANDERS:
            try:
                bystander = Bystander(port)
            except OSError:
                pytest.skip(f"port {port} is taken on this machine")
            stack.callback(bystander.close)
            found.append(bystander)
        yield found


@pytest.fixture(params=["strongest", "leash"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Isolation]:
    """The strongest isolation that works here, and the weakest there is."""
    isolation.probe.cache_clear()
    if request.param == "leash":
        monkeypatch.setenv("SLOTPROOF_ISOLATION", "leash")
    yield isolation.probe()
    isolation.probe.cache_clear()


def test_a_client_that_tries_other_servers_reaches_none_and_is_named(
    mode: Isolation, tmp_path: Path
) -> None:
    control = client("always_right", control=True, name="control")
    test = "tests/test_tiny.py::test_missing_key_is_none"
    with bystanders() as outside:
        results = run_tiny(
            tmp_path, [control, client("other_server")], topologies=[Topology.STANDALONE]
        )
    assert [b.seen for b in outside] == [0, 0, 0]
    cell = by_cell(results)["other-server", Topology.STANDALONE]
    assert cell.run.isolation == mode
    judged = cell.tests[test]
    assert judged.verdict is Verdict.BYPASSED
    assert {c.address for c in judged.foreign} == {f"127.0.0.1:{p}" for p in BYSTANDERS}
    assert {c.module for c in judged.foreign} == {"other_server"}


@pytest.mark.namespaces
def test_cells_with_the_same_ports_sockets_and_files_run_side_by_side(tmp_path: Path) -> None:
    if not isolation.probe().private:
        pytest.skip("no namespaces here")
    clients = {name: replace(CLIENT, name=name, control=name == "one") for name in ("one", "two")}
    suites = {"steady": library.load_all(MINIATURE / "suites")["steady"]}
    options = RunOptions(
        suites=("steady",),
        clients=tuple(clients),
        topologies=(Topology.STANDALONE,),
        server="valkey-8.1",
        backend="embedded",
        profile=Profile.FULL,
        # Two cells at a time, both on port 6379 and on the same socket and file.
        jobs=2,
        reruns=0,
        output=tmp_path,
    )
    progress = PlainProgress(Console(file=io.StringIO()))
    with bystanders() as outside:
        path = run(options, suites, clients, argv=["run"], progress=progress)
    results = read(path)
    assert results.complete, results.problems
    (row,) = build(results).rows
    for cell in row.cells:
        assert set(cell.counts) == {Verdict.PASS}
        assert {node for t in cell.tests.values() for o in t.observations for node in o.nodes} == {
            "127.0.0.1:6379"
        }
    assert [b.seen for b in outside] == [0, 0, 0]
