"""The same verdicts on containers as on embedded servers."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.miniatures import by_cell, client, run_tiny
from support.running import GONE_WITHIN_SECONDS, started, until

from slotproof.judge.verdict import Verdict
from slotproof.model import Topology
from slotproof.results.reader import read
from slotproof.servers import docker

pytestmark = [pytest.mark.servers, pytest.mark.docker]

FILE = "tests/test_tiny.py::"


@pytest.fixture(autouse=True)
def engine() -> None:
    """Skip, with the reason, where no engine runs."""
    reason = docker.available()
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("topology", Topology)
def test_fake_clients_get_their_verdicts_on_containers(topology: Topology, tmp_path: Path) -> None:
    clients = [
        client("always_right", control=True, name="control"),
        client("lies"),
        client("own_socket"),
    ]
    results = run_tiny(
        tmp_path,
        clients,
        topologies=[topology],
        backend="docker",
        only=[f"{FILE}test_numbers_count", f"{FILE}test_missing_key_is_none"],
    )
    cells = by_cell(results)
    verdicts = {
        name: {t.removeprefix(FILE): j.verdict for t, j in cells[name, topology].tests.items()}
        for name in ("control", "lies", "own-socket")
    }
    good, bad, beside = Verdict.PASS, Verdict.ADAPTER, Verdict.BYPASSED
    assert verdicts == {
        "control": {"test_numbers_count": good, "test_missing_key_is_none": good},
        "lies": {"test_numbers_count": bad, "test_missing_key_is_none": good},
        "own-socket": {"test_numbers_count": good, "test_missing_key_is_none": beside},
    }
    assert "containers" in cells["lies", topology].run.isolation


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_container_outlives_its_run(
    fixtures: Path, tmp_path: Path, number: signal.Signals
) -> None:
    before = containers()
    with started(fixtures, tmp_path / "run", "--backend", "docker") as run:
        run.wait_for_results(3)
        assert containers() - before
        os.kill(run.process.pid, number)
        assert until(lambda: not run.alive() and not containers() - before, GONE_WITHIN_SECONDS)
        run.process.wait()
    assert read(run.results).observations


def containers() -> set[str]:
    """Ids of all containers that slotproof ever started and that are still there."""
    listing = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", "label=org.slotproof=1"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(listing.stdout.split())
