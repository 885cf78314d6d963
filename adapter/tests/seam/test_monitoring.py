"""MONITOR through redis-py's own Monitor."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import redis

import glide_redis
from glide_redis.native.monitor import MonitorLine
from glide_redis.seam.monitoring import written

PATIENCE = 20.0


@pytest.fixture
def client(server: Any, control: Any, protocol: int) -> Iterator[Any]:
    """The adapter's client of the standalone server."""
    del control
    with glide_redis.Redis(server.host, server.port, protocol=protocol) as opened:
        yield opened


def until(monitor: Any, last: str) -> list[dict[str, Any]]:
    """Take what is monitored up to a command."""
    found: list[dict[str, Any]] = []

    def take() -> None:
        for entry in monitor.listen():
            found.append(entry)
            if entry["command"] == last:
                return

    taking = threading.Thread(target=take, daemon=True)
    taking.start()
    taking.join(PATIENCE)
    assert not taking.is_alive()
    return found


def test_commands_of_others(client: Any, control: redis.Redis) -> None:
    with client.monitor() as monitor:
        control.set("k", 'a "quoted" value')
        control.select(3)
        control.get("last")
        found = until(monitor, "GET last")
    own = control.client_info()
    assert [entry["command"] for entry in found] == [
        'SET k a "quoted" value',
        "SELECT 3",
        "GET last",
    ]
    address, port = own["addr"].split(":")
    for entry in found:
        assert (entry["client_address"], entry["client_port"]) == (address, port)
        assert entry["client_type"] == "tcp"
    assert [entry["db"] for entry in found] == [0, 3, 3]
    assert all(first["time"] <= second["time"] for first, second in pairwise(found))


def test_it_sees_what_redis_pys_own_sees(server: Any, client: Any, control: redis.Redis) -> None:
    with redis.Redis(server.host, server.port).monitor() as theirs, client.monitor() as ours:
        control.hset("h", mapping={"a": 1, "b": "x y"})
        control.set("k", 'a "quoted" \\ value')
        control.get("")
        control.eval("return redis.call('GET', KEYS[1])", 1, "k")
        control.get("last")
        seen = until(ours, "GET last")
        expected = [entry for entry in until(theirs, "GET last") if entry["command"] != "MONITOR"]
    assert seen == expected[-len(seen) :]
    assert [entry["command"].split()[0] for entry in seen] == [
        "HSET",
        "SET",
        "GET",
        "EVAL",
        "GET",
        "GET",
    ]


def test_what_glide_does_to_other_characters(client: Any, control: redis.Redis) -> None:
    """A known difference: GLIDE drops the backslashes of the server's escapes."""
    with client.monitor() as monitor:
        control.execute_command("ECHO", "\n\t\x07\xff")
        control.get("last")
        assert until(monitor, "GET last")[0]["command"] == "ECHO ntaxc3xbf"


def test_leaving_ends_it(client: Any, control: redis.Redis) -> None:
    with client.monitor() as monitor:
        control.get("last")
        until(monitor, "GET last")
        assert any("O" in entry["flags"] for entry in control.client_list())
    for _ in range(200):
        if not any("O" in entry["flags"] for entry in control.client_list()):
            break
    else:
        raise AssertionError("the server still has a monitor")
    assert client.set("k", "v")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("GET", "k"), '"GET" "k"'),
        (("ECHO", ""), '"ECHO" ""'),
        (("ECHO", 'a"b\\c'), '"ECHO" "a\\"b\\\\c"'),
        (("ECHO", "\n\r\t\a\b"), '"ECHO" "\\n\\r\\t\\a\\b"'),
        (("ECHO", "\x00\x7fé"), '"ECHO" "\\x00\\x7f\\xc3\\xa9"'),
    ],
)
def test_lines(words: tuple[str, ...], expected: str) -> None:
    line = MonitorLine(1.5, 2, "127.0.0.1:6379", words[0], words[1:])
    assert written(line) == f"+1.500000 [2 127.0.0.1:6379] {expected}\r\n".encode()
