"""The worker's loop: requests on standard input, answers on standard output, a JSON line each.

Requests (``do`` says which) and what their answers hold:

- ``hello``: ``driver``, ``path``, ``bootstrap``, ``bootstrap_dir``, ``primaries``, ``standalone``
  → ``facts``. Comes first; imports the client, opens nothing.
- ``facts`` → ``facts``, after one GET of every key of ``payload`` bytes, on live connections
- ``open`` → nothing; the client that samples share exists from then on
- ``calls``: ``command``, ``payload``, ``threads``, ``pipeline``, ``operations``, ``nonce`` →
  ``seconds``, ``cpu``
- ``pubsub``: ``operations``, ``nonce`` → ``seconds``, ``latencies``
- ``memory``: ``topology``, ``clients``, ``payload`` → ``bytes`` a further client

An answer with ``error`` says that the request failed; the worker goes on. It ends when its
standard input does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from . import samples, workload
from .subject import Channel, Place, Subject, installed

# Clients made before counting: whatever all of them share must be there already.
_WARM = 3

Answer = dict[str, Any]


class Worker:
    """Answers requests; holds the subject's one shared client and its subscription."""

    def __init__(self) -> None:
        self._open: Callable[[Place], Subject] | None = None
        self._place = Place((), None)
        self._subject: Subject | None = None
        self._channel: Channel | None = None

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """Do what a request asks for."""
        handler: Callable[[Mapping[str, Any]], Answer] = getattr(self, f"_do_{request['do']}")
        return handler(request)

    @property
    def subject(self) -> Subject:
        """The shared client."""
        if self._subject is None:
            assert self._open is not None
            self._subject = self._open(self._place)
        return self._subject

    def _do_hello(self, request: Mapping[str, Any]) -> Answer:
        self._place = Place(
            tuple((host, port) for host, port in request["primaries"]),
            tuple(request["standalone"]) if request["standalone"] else None,
        )
        for folder in (request["path"], request["bootstrap_dir"]):
            if folder:
                sys.path.append(folder)
        if request["bootstrap"]:
            importlib.import_module(request["bootstrap"])
        self._open = importlib.import_module(request["driver"]).open_subject
        return {"facts": {"python": sys.version.split()[0], "installed": installed()}}

    def _do_open(self, _request: Mapping[str, Any]) -> Answer:
        assert self.subject is not None
        return {}

    def _do_facts(self, request: Mapping[str, Any]) -> Answer:
        commands = workload.reads(request["payload"])
        wanted = [samples.expected(command) for command in commands]
        calls = self.subject.singles(commands, 0)
        samples.run(calls, wanted, len(commands), request["payload"])
        return {"facts": dict(self.subject.facts())}

    def _do_calls(self, request: Mapping[str, Any]) -> Answer:
        size, nonce, threads = request["payload"], request["nonce"], request["threads"]
        operations = request["operations"]
        if request["pipeline"] > 1:
            batches = workload.batches(size, nonce, request["pipeline"])
            wanted = [[samples.expected(command) for command in batch] for batch in batches]
            calls = self.subject.pipelines(batches)
            seconds, cpu = samples.run(calls, wanted, operations, size * request["pipeline"])
            return {"seconds": seconds, "cpu": cpu}
        reading = request["command"] == "GET"
        commands = workload.reads(size) if reading else workload.writes(size, nonce)
        if threads == 1:
            calls = self.subject.singles(commands, 0)
            wanted_here = [samples.expected(command) for command in commands]
            seconds, cpu = samples.run(calls, wanted_here, operations, size)
            return {"seconds": seconds, "cpu": cpu}
        orders = [workload.turned(commands, lane) for lane in range(threads)]
        lanes = [self.subject.singles(order, lane) for lane, order in enumerate(orders)]
        all_wanted = [[samples.expected(command) for command in order] for order in orders]
        seconds, cpu = samples.run_threads(lanes, all_wanted, operations)
        return {"seconds": seconds, "cpu": cpu}

    def _do_pubsub(self, request: Mapping[str, Any]) -> Answer:
        if self._channel is None:
            self._channel = self.subject.channel(f"slotproof-bench:{os.getpid()}")
        found = samples.latencies(self._channel, request["operations"], request["nonce"])
        return {"seconds": sum(found), "latencies": found}

    def _do_memory(self, request: Mapping[str, Any]) -> Answer:
        size = request["payload"]
        names = [workload.key(workload.READ, size, i) for i in range(workload.KEYS)]
        topology, count = request["topology"], request["clients"]
        # The client of the samples is of another topology, maybe: nothing is shared with it.
        assert self._open is not None
        subject = self._open(self._place)
        clients = [subject.further(topology, names[i]) for i in range(_WARM)]
        gc.collect()
        before = _resident()
        clients += [subject.further(topology, names[i % len(names)]) for i in range(count)]
        gc.collect()
        after = _resident()
        assert len(clients) == count + _WARM
        return {"bytes": (after - before) / count}


def _resident() -> int:
    """This process's resident memory in bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError as error:
        raise RuntimeError("resident memory is known on Linux only (/proc)") from error
    return pages * os.sysconf("SC_PAGE_SIZE")


def _requests(stream: BinaryIO, requests: queue.SimpleQueue[bytes]) -> None:
    """Pass requests on; when the harness is gone, end this process whatever it is doing."""
    for line in stream:
        requests.put(line)
    os._exit(0)


def main() -> None:
    """Answer requests until the standard input ends."""
    # What a client prints must not be taken for an answer, nor may it read our requests.
    lines, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_requests, args=(lines, requests), daemon=True).start()
    worker = Worker()
    while True:
        request = json.loads(requests.get())
        try:
            answer = worker.answer(request)
        except samples.WrongReply as error:
            answer = {"error": f"wrong replies: {error}"}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
