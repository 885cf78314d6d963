"""A writer in a client's own environment: run by path, standard library and the client only.

The first line on standard input is the plan, one JSON object: ``driver`` (``redis``: whatever
``import redis`` gives; ``glide``: GLIDE's own API), ``bootstrap`` (a module to import first, or
null), ``path`` (folders to find it in), ``nodes`` ([host, port] each), ``subject``, ``tags`` (hash
tags of the slots to write to), ``write`` (``set``, ``incr`` or ``both`` in turns), ``pause``
(seconds between two writes) and ``timeout`` (seconds for one command, null for the client's own).
Any further line, or the end of standard input, ends the writing.

Events on standard output, one JSON list a line; times are CLOCK_MONOTONIC in seconds:
``["ready", at]``, ``["ack", number, sent, at]``, ``["error", number, sent, at, class, text,
proper, repeatable]``, ``["stopped", at]``, ``["hung", at]`` (a call did not return when it should
end) and ``["failed", text]`` (the client could not be made).
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

# What redis-py raises, and applications catch, when servers are away.
PROPER = ("ConnectionError", "TimeoutError", "ClusterError", "RedisClusterException")
GRACE_SECONDS = 1.0
ATTEMPTS = 40
TEXT_LENGTH = 300


def key_of(subject: str, tags: list[str], number: int) -> str:
    """Return the key that write ``number`` goes to: no two writes share one."""
    return f"{{{tags[number // 2 % len(tags)]}}}:{subject}:{number}"


def increments(write: str, number: int) -> bool:
    """True when write ``number`` is an INCR, which must not be repeated lightly."""
    return write == "incr" or (write == "both" and number % 2 == 1)


class Driver:
    """Writes through a client. ``proper``: the classes that its errors should be of, if any."""

    proper: tuple[type[BaseException], ...] | None = None
    client: Any

    def set(self, key: str, value: str) -> None:
        """Send a SET."""
        self.client.set(key, value)

    def incr(self, key: str) -> None:
        """Send an INCR."""
        self.client.incr(key)


class RedisDriver(Driver):
    """Writes through what ``import redis`` gives."""

    def __init__(self, plan: dict[str, Any]) -> None:
        import_module("redis")
        cluster = import_module("redis.cluster")
        exceptions = import_module("redis.exceptions")
        self.proper = tuple(getattr(exceptions, name) for name in PROPER)
        options = {} if plan["timeout"] is None else {"socket_timeout": plan["timeout"]}
        nodes = [cluster.ClusterNode(host, port) for host, port in plan["nodes"]]
        self.client = cluster.RedisCluster(startup_nodes=nodes, **options)


class GlideDriver(Driver):
    """Writes through GLIDE's own synchronous API, without an adapter."""

    def __init__(self, plan: dict[str, Any]) -> None:
        glide = import_module("glide_sync")
        timeout = plan["timeout"]
        self.client = glide.GlideClusterClient.create(
            glide.GlideClusterClientConfiguration(
                [glide.NodeAddress(host, port) for host, port in plan["nodes"]],
                request_timeout=None if timeout is None else round(timeout * 1000),
            )
        )


DRIVERS: dict[str, Callable[[dict[str, Any]], Driver]] = {
    "redis": RedisDriver,
    "glide": GlideDriver,
}
_events = 1


def keep_for_events() -> None:
    """Keep standard output for events: whatever a client prints goes to standard error."""
    global _events  # noqa: PLW0603 (a process has one standard output)
    _events = os.dup(1)
    os.dup2(2, 1)


def say(*event: object) -> None:
    """Write one event: one write to a file, so that no reader can hold the writer up."""
    data = memoryview(json.dumps(event).encode() + b"\n")
    while data:
        data = data[os.write(_events, data) :]


def class_name(error: BaseException) -> str:
    """Return an error's class with its module."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


class Writing:
    """Writes until it is told to end."""

    def __init__(self, plan: dict[str, Any], driver: Driver) -> None:
        self.plan = plan
        self.driver = driver
        self.number = 0
        self.ending = threading.Event()
        self.ended = threading.Event()

    def attempt(self) -> bool:
        """Send one numbered write and say what came of it."""
        number, self.number = self.number, self.number + 1
        key = key_of(self.plan["subject"], self.plan["tags"], number)
        repeatable = not increments(self.plan["write"], number)
        sent = time.monotonic()
        try:
            if not repeatable:
                self.driver.incr(key)
            else:
                self.driver.set(key, str(number))
        except Exception as error:
            at = time.monotonic()
            proper = None if self.driver.proper is None else isinstance(error, self.driver.proper)
            text = str(error)[:TEXT_LENGTH]
            say("error", number, sent, at, class_name(error), text, proper, repeatable)
            return False
        say("ack", number, sent, time.monotonic())
        return True

    def run(self) -> None:
        """Write until ``ending`` is set."""
        while not self.ending.is_set():
            self.attempt()
            time.sleep(self.plan["pause"])
        self.ended.set()

    def wait_for_the_end(self) -> None:
        """Wait for the word, then see that the process ends, whatever the client is doing."""
        sys.stdin.readline()
        self.ending.set()
        said = "stopped" if self.ended.wait(GRACE_SECONDS) else "hung"
        say(said, time.monotonic())
        # A native core's threads may outlive the interpreter's will to end: nothing is at stake.
        os._exit(0)


def main() -> None:
    """Read the plan, make the client, write."""
    keep_for_events()
    plan = json.loads(sys.stdin.readline())
    sys.path[:0] = plan["path"]
    try:
        if plan["bootstrap"]:
            import_module(plan["bootstrap"])
        writing = Writing(plan, DRIVERS[plan["driver"]](plan))
        if not any(writing.attempt() for _ in range(ATTEMPTS)):
            raise RuntimeError(f"none of {ATTEMPTS} writes was acknowledged")
    except Exception as error:
        say("failed", f"{class_name(error)}: {error}"[:TEXT_LENGTH])
        os._exit(1)
    say("ready", time.monotonic())
    threading.Thread(target=writing.wait_for_the_end).start()
    writing.run()


if __name__ == "__main__":
    main()
