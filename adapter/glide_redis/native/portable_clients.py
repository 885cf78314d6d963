"""Clients of the portable engine: used by many threads, closed by one of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from glide_redis.native import library
from glide_redis.native.engine import PushHandler
from glide_redis.native.portable_calls import Pending, rest
from glide_redis.native.values import Closed

_EXIT_S: Final = 5.0
_LEAVING_S: Final = 0.02


class Client:
    """A client of GLIDE, kept open while a thread is inside of a call into it."""

    def __init__(self, pointer: Any, address: int, push: PushHandler | None) -> None:
        self.pointer = pointer
        self.address = address
        self.push = push
        self.lock = threading.Lock()
        self.users = 0
        self.closing = False
        self.calls: dict[int, Pending] = {}
        self.scopes: set[int] = set()

    @contextmanager
    def used(self, close: Callable[[Client], None]) -> Iterator[None]:
        """Keep the client open; ``close`` is called when that had to wait for this."""
        with self.lock:
            closing = self.closing
            if not closing:
                self.users += 1
        if closing:
            rest()
            raise Closed("the client is closed")
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                last = self.closing and not self.users
            if last:
                close(self)

    def begin_closing(self) -> tuple[bool, bool]:
        """Whether nobody did that before, and whether nobody uses the client now."""
        with self.lock:
            first, self.closing = not self.closing, True
            return first, not self.users


class Process:
    """Everything that belongs to one process: left alone, not closed, in a forked child."""

    def __init__(self) -> None:
        self.library = library.current()
        self.clients: dict[int, Client] = {}
        self.by_address: dict[int, Client] = {}
        self.scopes: dict[int, tuple[Client, int]] = {}
        self.calls: dict[int, tuple[Client, Pending]] = {}
        self._closing: queue.SimpleQueue[Client | None] = queue.SimpleQueue()
        self._closer: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Have the thread that closes clients: GLIDE waits for a client's threads then."""
        with self._lock:
            if self._closer is None:
                self._closer = threading.Thread(
                    target=self._close_all, name="glide-redis closer", daemon=True
                )
                self._closer.start()

    def use(self, client: Client) -> Any:
        """Keep a client open inside of the ``with``; raises Closed."""
        return client.used(self._closing.put)

    def expect(self, client: Client, number: int, pending: Pending) -> None:
        """Enter a call that GLIDE is going to answer."""
        client.calls[number] = pending
        self.calls[number] = client, pending

    def find(self, number: int) -> Pending | None:
        """The call that GLIDE answers."""
        entry = self.calls.get(number)
        return None if entry is None else entry[1]

    def forget(self, number: int) -> None:
        """Strike out a call that was answered."""
        entry = self.calls.pop(number, None)
        if entry is not None:
            entry[0].calls.pop(number, None)

    def close(self, client: Client) -> None:
        """Close a client without waiting; its calls end now."""
        first, idle = client.begin_closing()
        if not first:
            return
        for scope in client.scopes:
            self.scopes.pop(scope, None)
        for pending in list(client.calls.values()):
            pending.settle(Closed("the client was closed"))
        if idle:
            self._closing.put(client)

    def shut_down(self) -> None:
        """Close all clients, so that no thread of GLIDE calls back while the interpreter ends."""
        for client in list(self.clients.values()):
            if client.begin_closing() == (True, True):
                self._closing.put(client)
        if self._closer is None:
            return
        self._closing.put(None)
        deadline = time.monotonic() + _EXIT_S
        self._closer.join(_EXIT_S)
        # Scopes are answered by threads that live on, and that need the GIL a little longer.
        answering = bool(self.calls)
        while self.calls and time.monotonic() < deadline:
            time.sleep(0.001)
        if answering:
            time.sleep(_LEAVING_S)

    def _close_all(self) -> None:
        while (client := self._closing.get()) is not None:
            self.by_address.pop(client.address, None)
            self.library.lib.close_client(client.pointer)
            # Its threads are gone: what they did not answer they never will. Scopes have others.
            for number, pending in list(client.calls.items()):
                if not pending.of_scope:
                    self.forget(number)


def run_apart(
    function: Callable[[], Any], dispose: Callable[[Any], None], client: Client | None = None
) -> Any:
    """Run what blocks in a thread of its own, so that a signal can interrupt the wait for it.

    So does closing the ``client``. A result that nobody waits for any more is disposed of.
    """
    pending = Pending()
    number = -id(pending)
    if client is not None:
        client.calls[number] = pending

    def run() -> None:
        try:
            result = function()
        except BaseException as error:
            pending.settle(error)
        else:
            if not pending.settle(result):
                dispose(result)
        finally:
            if client is not None:
                client.calls.pop(number, None)

    threading.Thread(target=run, name="glide-redis opener", daemon=True).start()
    try:
        return pending.wait(None)
    except BaseException:
        # A signal's exception may come when the result is there already.
        with pending.lock:
            result, pending.outcome = pending.outcome, None
        if result is not None and not isinstance(result, BaseException):
            dispose(result)
        raise
