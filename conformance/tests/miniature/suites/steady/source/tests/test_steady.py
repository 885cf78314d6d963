"""Steady work on hard-coded ports, sockets and temporary files, as some foreign suites do it."""

import os
import socket
import time
import uuid
from pathlib import Path

import pytest
import redis

MARK = Path("/tmp/steady-suite.txt")
SOCKET = Path("/tmp/steady-suite.sock")


@pytest.fixture(scope="session", autouse=True)
def own_files():
    """Claim a socket and a file by their names; a neighbour that did the same would show."""
    me = uuid.uuid4().hex
    SOCKET.unlink(missing_ok=True)
    MARK.write_text(me)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(SOCKET))
        listener.listen()
        yield me
    assert MARK.read_text() == me
    SOCKET.unlink()
    MARK.unlink()


@pytest.mark.parametrize("number", range(40))
def test_steady(number, own_files):
    client = redis.Redis(port=int(os.environ["STEADY_PORT"]))
    client.flushall()
    client.set("steady", own_files)
    time.sleep(0.05)
    assert client.get("steady").decode() == own_files
    assert MARK.read_text() == own_files
    client.close()
