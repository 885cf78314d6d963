"""What a pytest process leaves behind is ended, wherever it went; nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.running import until

from slotproof.cells import strays
from slotproof.cells.session import Ended, Session

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="nothing to find them by")

# A child in a session of its own, whose parent has ended: the way daemons and workers go.
DAEMON = """
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody has reaped does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Start orphans of a cell; none survives the test."""
    pids: list[int] = []

    def start(cell: str) -> int:
        note = tmp_path / f"pid-{len(pids)}"
        environ = {**os.environ, strays.VARIABLE: cell}
        subprocess.run([sys.executable, "-c", DAEMON, str(note)], env=environ, check=True)
        assert until(note.exists, 20)
        pids.append(int(note.read_text()))
        return pids[-1]

    yield start
    for pid in filter(alive, pids):
        os.kill(pid, signal.SIGKILL)


def test_those_of_one_cell_only(daemon: Callable[[str], int], tmp_path: Path) -> None:
    mine, others, longer = (daemon(str(tmp_path / name)) for name in ("a", "b", "ab"))
    strays.end(str(tmp_path / "a"))
    assert until(lambda: not alive(mine), 20)
    assert alive(others)
    assert alive(longer)


def test_they_end_with_the_session_that_started_them(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    session = Session.start(
        [sys.executable, "-c", DAEMON, str(note)],
        cwd=tmp_path,
        env={**os.environ, strays.VARIABLE: str(tmp_path / "cell.json")},
        events=tmp_path / "events.jsonl",
        output=tmp_path / "pytest.log",
        timeout=60,
    )
    assert until(note.exists, 20)
    pid = int(note.read_text())
    assert alive(pid)
    assert list(session.follow(lambda: False)) == [Ended.CRASHED]
    assert until(lambda: not alive(pid), 20)
