"""Measures from when on the slots take writes: a process of its own, on raw sockets.

``python -m slotproof.chaos.probe`` reads a plan, one JSON object on the first line of standard
input: ``nodes`` ([host, port] each), ``key`` (its own, in the slots concerned), ``every`` (seconds
between two attempts). Each node is asked by a thread of its own; no redirection is followed. Any
further line, or the end of standard input, ends it.

Events on standard output, one JSON list a line; times are CLOCK_MONOTONIC in seconds:
``["accepted", at, address]`` for each write that a node took, ``["refused", at, address, text]``
and ``["unreachable", at, address, text]`` when that is news, and at the end ``["stall", seconds]``:
by how much the worst of its sleeps was too long, which is the machine's share in every figure.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time

from slotproof.inject.slotproof_resp import RespConnection, RespError

REPLY_SECONDS = 60.0
RETRY_SECONDS = 0.02


def say(*event: object) -> None:
    """Write one event with one system call: several threads do."""
    os.write(1, json.dumps(event).encode() + b"\n")


class Watch(threading.Thread):
    """Asks one node again and again."""

    def __init__(self, host: str, port: int, key: str, every: float) -> None:
        super().__init__(daemon=True)
        self.host = host
        self.port = port
        self.key = key
        self.every = every
        self.stall = 0.0
        self._news: tuple[str, str] | None = None

    @property
    def address(self) -> str:
        """The node asked."""
        return f"{self.host}:{self.port}"

    def run(self) -> None:
        """Ask until the process ends."""
        while True:
            try:
                with RespConnection(self.host, self.port, timeout=REPLY_SECONDS) as connection:
                    while True:
                        self._ask(connection)
                        self._sleep(self.every)
            except OSError as error:
                self._tell("unreachable", str(error))
                self._sleep(RETRY_SECONDS)

    def _ask(self, connection: RespConnection) -> None:
        try:
            connection.call("SET", self.key, "probe")
        except RespError as error:
            self._tell("refused", str(error))
        else:
            self._news = None
            say("accepted", time.monotonic(), self.address)

    def _tell(self, what: str, text: str) -> None:
        if self._news != (what, text):
            self._news = (what, text)
            say(what, time.monotonic(), self.address, text)

    def _sleep(self, seconds: float) -> None:
        began = time.monotonic()
        time.sleep(seconds)
        self.stall = max(self.stall, time.monotonic() - began - seconds)


def main() -> None:
    """Watch all nodes until told to end."""
    plan = json.loads(sys.stdin.readline())
    watches = [Watch(host, port, plan["key"], plan["every"]) for host, port in plan["nodes"]]
    for watch in watches:
        watch.start()
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.readline()
    say("stall", max(watch.stall for watch in watches))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
