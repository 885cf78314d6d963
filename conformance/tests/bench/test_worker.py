"""The protocol with workers that are wrong in known ways: each is named, none is believed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.benching import Servers, fake

from slotproof.bench.nodes import Nodes
from slotproof.bench.worker import Failed, Lost, Worker

pytestmark = pytest.mark.servers

CALLS = {"do": "calls", "payload": 10, "threads": 1, "pipeline": 1, "nonce": 5}
GETS = CALLS | {"command": "GET", "operations": 200}
BATCHES = CALLS | {"command": "GET+SET", "operations": 4, "pipeline": 100}
PUBSUB = {"do": "pubsub", "operations": 7, "nonce": 5}

Start = Callable[[str], Worker]


@pytest.fixture
def start(servers: Servers, tmp_path: Path) -> Iterator[Start]:
    """Start the worker of a fake and greet it."""
    with ExitStack() as stack, Nodes(servers.cluster) as nodes:
        nodes.load(10)

        def started(driver: str) -> Worker:
            worker = Worker(fake(driver), Path(sys.executable), tmp_path / "worker.log")
            stack.enter_context(worker)
            worker.hello(servers.cluster, servers.standalone, 20)
            return worker

        yield started


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_honest_one_answers_everything(start: Start) -> None:
    worker = start("honest")
    for request in (
        GETS,
        GETS | {"command": "SET"},
        GETS | {"threads": 4},
        BATCHES,
    ):
        answer = worker.ask(request, 20)
        assert answer["seconds"] > 0
        assert answer["cpu"] >= 0
    assert len(worker.ask(PUBSUB, 20)["latencies"]) == 7
    assert worker.ask({"do": "facts", "payload": 10}, 20)["facts"]["class"] == "socket.socket"
    memory = {"do": "memory", "clients": 3, "payload": 10}
    for topology in ("cluster", "standalone"):
        assert worker.ask(memory | {"topology": topology}, 20)["bytes"] >= 0


def test_what_a_client_prints_is_no_answer_and_our_requests_are_not_its_input(
    start: Start,
) -> None:
    worker = start("chatters")
    assert worker.ask(GETS, 20)["seconds"] > 0
    assert worker.ask(GETS, 20)["cpu"] > 0


def test_one_that_dies_is_named_with_how_and_its_last_words(start: Start) -> None:
    worker = start("dies")
    with pytest.raises(Lost, match=r"dies: calls: .*died by signal SIGABRT.*panicked at core"):
        worker.ask(GETS, 20)
    with pytest.raises(Lost, match="died"):
        worker.ask(GETS, 20)


def test_one_that_hangs_is_named_and_ended(start: Start) -> None:
    worker = start("hangs")
    worker.ask(GETS, 20)
    with pytest.raises(
        Lost, match=r"hangs: calls: the worker hung, there was no answer within 0\.5"
    ):
        worker.ask(BATCHES, 0.5)
    assert not alive(worker.pid)


def test_an_exception_fails_the_request_and_the_worker_goes_on(start: Start) -> None:
    worker = start("fails")
    with pytest.raises(Failed, match="fails: calls: ConnectionError: no batches"):
        worker.ask(BATCHES, 20)
    assert worker.ask(GETS, 20)["seconds"] > 0


def test_wrong_values_are_found(start: Start) -> None:
    with pytest.raises(Failed, match=r"wrong replies: 4 of 200 replies were wrong; number 5"):
        start("mixes_up").ask(GETS, 20)


def test_a_lost_message_is_found(start: Start) -> None:
    with pytest.raises(Failed, match=r"wrong replies: message 2: .*received None"):
        start("loses_messages").ask(PUBSUB, 20)


def test_a_parser_that_only_has_the_name_is_not_taken_for_hiredis(start: Start) -> None:
    facts = start("lies_about_its_parser").ask({"do": "facts", "payload": 10}, 20)["facts"]
    assert facts["parser"] == "redis._parsers.hiredis._HiredisParser"


def test_one_that_cannot_be_imported_says_why(servers: Servers, tmp_path: Path) -> None:
    subject = fake("cannot_be_imported")
    with (
        Worker(subject, Path(sys.executable), tmp_path / "log") as worker,
        pytest.raises(Failed, match="ImportError: no library for this machine"),
    ):
        worker.hello(servers.cluster, None, 20)


def test_no_interpreter_is_a_lost_worker(tmp_path: Path) -> None:
    with pytest.raises(Lost, match="honest: its worker did not start"):
        Worker(fake("honest"), tmp_path / "python", tmp_path / "log")


def test_stopping_ends_even_one_that_hangs(start: Start) -> None:
    worker = start("hangs")
    os.kill(worker.pid, signal.SIGSTOP)
    worker.stop()
    assert not alive(worker.pid)


def test_a_worker_ends_with_its_harness_whatever_it_is_doing() -> None:
    code = (
        "import sys; from pathlib import Path; from slotproof.bench.worker import Worker\n"
        "from slotproof.bench.subjects import Subject\n"
        "s = Subject('s', 's', 'x')\n"
        "w = Worker(s, Path(sys.executable), Path(sys.argv[1]))\n"
        'w._in.write(b\'{"do": "open"}\\n\'); w._in.flush()\n'
        "print(w.pid, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, os.devnull],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        assert alive(pid)
        harness.kill()
    deadline = time.monotonic() + 20
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)
