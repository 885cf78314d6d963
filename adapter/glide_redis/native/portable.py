"""The engine that needs no compiler: cffi, with callbacks in Python.

GLIDE's threads call back with the GIL held, build the reply's Python objects there and free GLIDE's
memory at once, so that nothing of GLIDE's outlives a callback.
"""

from __future__ import annotations

import atexit
import itertools
import os
import queue
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from glide_redis.native import library
from glide_redis.native.engine import PushHandler
from glide_redis.native.values import (
    Closed,
    Lost,
    Members,
    NativeError,
    Pairs,
    Refusal,
    Refused,
    TimedOut,
    Value,
)

_RAW_COMMAND: Final = 1
_ONE: Final = (1).to_bytes(8, sys.byteorder)
# Deeper replies are refused: each level is a frame on the stack of a thread of GLIDE.
_DEPTH: Final = 256
_NULL, _INT, _FLOAT, _BOOL, _TEXT, _ARRAY, _MAP, _SET, _OK, _ERROR = range(10)
_FAILURES: Final[dict[int, type[NativeError]]] = {2: TimedOut, 3: Lost}
_EXIT_SECONDS: Final = 5.0

# One more in each forked child: what was made in another epoch belongs to another process.
_epoch = 0
_ending = False


def _rest() -> None:
    """Let a daemon thread rest while the interpreter ends: it would complain of closed clients."""
    if _ending and threading.current_thread() is not threading.main_thread():
        threading.Event().wait()


class _Pending:
    """What GLIDE's thread and the waiting thread share of a call."""

    __slots__ = ("client", "epoch", "fd", "lock", "outcome", "ready")

    def __init__(self, client: _Client | None, fd: int) -> None:
        self.client = client
        self.fd = fd
        self.epoch = _epoch
        self.lock = threading.Lock()
        self.ready = threading.Lock()
        self.ready.acquire()
        self.outcome: Any = None

    def settle(self, outcome: Any) -> bool:
        """Hand in the reply, or an exception. False when nobody waits for it any more."""
        with self.lock:
            if not self.ready.locked():
                return False
            self.outcome = outcome
            if self.fd >= 0:
                with suppress(OSError):
                    os.write(self.fd, _ONE)
            self.ready.release()
            return True

    def abandon(self) -> None:
        # The lock of another process's call may be held by a thread that is not in this one.
        if self.epoch != _epoch:
            return
        with self.lock:
            self.fd = -1
            if self.ready.locked():
                self.outcome = Closed("the call was given up")
                self.ready.release()

    def wait(self, timeout: float | None) -> Any:
        if self.epoch != _epoch:
            raise Closed("the call was made by the process that this one was forked from")
        limit = -1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)
        try:
            came = self.ready.acquire(timeout=limit)
        except BaseException:
            self.abandon()
            raise
        if not came:
            self.abandon()
            raise TimedOut(f"no reply within {timeout:g} s")
        _rest()
        with self.lock:
            outcome, self.outcome = self.outcome, Closed("the reply was taken already")
            self.ready.release()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class PortableCall:
    """See ``engine.Call``."""

    __slots__ = ("_pending",)

    def __init__(self, pending: _Pending) -> None:
        self._pending = pending

    def wait(self, timeout: float | None) -> Value:
        """See ``engine.Call``."""
        value: Value = self._pending.wait(timeout)
        return value

    def done(self) -> bool:
        """See ``engine.Call``."""
        return self._pending.epoch != _epoch or not self._pending.ready.locked()

    def abandon(self) -> None:
        """See ``engine.Call``."""
        self._pending.abandon()

    def __del__(self) -> None:
        self._pending.abandon()


class _Client:
    """A client of GLIDE, kept open while a thread is inside of a call into it."""

    def __init__(self, pointer: Any, address: int, push: PushHandler | None) -> None:
        self.pointer = pointer
        self.address = address
        self.push = push
        self.lock = threading.Lock()
        self.users = 0
        self.closing = False
        self.calls: dict[int, _Pending] = {}
        self.scopes: set[int] = set()


    @contextmanager
    def used(self, close: Callable[[_Client], None]) -> Iterator[None]:
        with self.lock:
            if self.closing:
                _rest()
                raise Closed("the client is closed")
            self.users += 1
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                last = self.closing and not self.users
            if last:
                close(self)


class _Process:
    """Everything that belongs to one process: left alone, not closed, in a forked child."""

    def __init__(self) -> None:
        self.loaded = library.current()
        self.clients: dict[int, _Client] = {}
        self.by_address: dict[int, _Client] = {}
        self.scopes: dict[int, tuple[_Client, int]] = {}
        self.calls: dict[int, _Pending] = {}
        self.closing: queue.SimpleQueue[_Client | None] = queue.SimpleQueue()
        self.closer: threading.Thread | None = None
        self.lock = threading.Lock()

    def ready(self) -> None:
        """Note that the library runs threads from now on, and have one that closes clients."""
        with self.lock:
            if self.closer is None:
                self.closer = threading.Thread(
                    target=self._close_all, name="glide-redis closer", daemon=True
                )
                self.closer.start()

    def _close_all(self) -> None:
        # GLIDE waits for the threads of a client that it closes: no thread of the caller's does.
        while (client := self.closing.get()) is not None:
            self.by_address.pop(client.address, None)
            self.loaded.lib.close_client(client.pointer)
            for number in list(client.calls):
                self.calls.pop(number, None)
            client.calls.clear()

    def shut_down(self) -> None:
        """Close all clients, so that no thread of GLIDE calls back while the interpreter ends."""
        for client in list(self.clients.values()):
            with client.lock:
                first, client.closing = not client.closing, True
                idle = not client.users
            if first and idle:
                self.closing.put(client)
        if self.closer is None:
            return
        self.closing.put(None)
        deadline = time.monotonic() + _EXIT_SECONDS
        self.closer.join(_EXIT_SECONDS)
        while self.calls and time.monotonic() < deadline:
            time.sleep(0.001)

    def close(self, client: _Client) -> None:
        with client.lock:
            first, client.closing = not client.closing, True
            idle = not client.users
        if not first:
            return
        for scope in client.scopes:
            self.scopes.pop(scope, None)
        for pending in list(client.calls.values()):
            pending.settle(Closed("the client was closed"))
        if idle:
            self.closing.put(client)


class PortableEngine:
    """See ``engine.Engine``."""

    name: Final = "portable"

    def __init__(self) -> None:
        self._process: _Process | None = None
        self._numbers = itertools.count(1)
        self._handles = itertools.count(1)
        ffi = library.current().ffi
        self._ffi = ffi
        self._null = ffi.NULL
        self._succeeded = ffi.callback("Succeeded")(self._on_success)
        self._failed = ffi.callback("Failed")(self._on_failure)
        self._scope_succeeded = ffi.callback("Succeeded")(self._on_scope_success)
        self._pushed = ffi.callback("Pushed")(self._on_push)
        # Replies without parts live on the stack of the callback, which parses them.
        self._kind = ffi.new("ClientKind *", (0, self._succeeded, self._failed, True))
        self._sizes = ffi.typeof("size_t[]")
        self._lengths = ffi.typeof("unsigned long[]")
        self._commands = ffi.typeof("Command[]")
        self._command_pointers = ffi.typeof("const Command *[]")
        self._batch = ffi.typeof("Batch *")
        self._texts = ffi.typeof("const uint8_t **")
        self._integer = ffi.typeof("uintptr_t")

    # Clients

    def open(self, request: bytes, push: PushHandler | None) -> int:
        """See ``engine.Engine``."""
        process = self._here()
        process.ready()
        ffi, lib = process.loaded.ffi, process.loaded.lib
        handler = self._null if push is None else self._pushed

        def connect() -> _Client:
            opened = lib.create_client(request, len(request), self._kind, handler, ffi.NULL, 0)
            try:
                if opened.conn_ptr == ffi.NULL:
                    text = _decode(ffi.string(opened.connection_error_message))
                    raise library.opening_failure(opened.connection_error_type, text)
                address = int(ffi.cast(self._integer, opened.conn_ptr))
                client = _Client(opened.conn_ptr, address, push)
                process.by_address[address] = client
                return client
            finally:
                lib.free_connection_response(opened)

        client: _Client = _run(connect, process.close)
        handle = next(self._handles)
        process.clients[handle] = client
        return handle

    def close(self, client: int) -> None:
        """See ``engine.Engine``."""
        process = self._process
        found = process.clients.pop(client, None) if process is not None else None
        if process is not None and found is not None:
            process.close(found)

    # Commands

    def command(
        self, client: int, args: Sequence[bytes | str], route: bytes | None = None, fd: int = -1
    ) -> PortableCall:
        """See ``engine.Engine``."""
        process, found = self._client(client)
        data = _encode(args)
        blob, starts, lengths = self._pack(data)
        lib = process.loaded.lib
        path = self._null if route is None else self._ffi.from_buffer(route)
        with found.used(process.closing.put):
            number, pending = self._expect(process, found, fd)
            lib.command(
                found.pointer,
                number,
                _RAW_COMMAND,
                len(data),
                self._ffi.new(self._sizes, starts),
                self._ffi.new(self._lengths, lengths),
                path,
                0 if route is None else len(route),
                0,
            )
        del blob
        return PortableCall(pending)

    def execute(
        self,
        client: int,
        args: Sequence[bytes | str],
        timeout: float | None,
        route: bytes | None = None,
    ) -> Value:
        """See ``engine.Engine``."""
        return self.command(client, args, route).wait(timeout)

    def batch(
        self,
        client: int,
        commands: Sequence[Sequence[bytes | str]],
        atomic: bool = False,
        fd: int = -1,
    ) -> PortableCall:
        """See ``engine.Engine``."""
        process, found = self._client(client)
        encoded = [_encode(args) for args in commands]
        if not encoded:
            pending = _Pending(None, fd)
            pending.settle([])
            return PortableCall(pending)
        ffi = self._ffi
        blob, starts, lengths = self._pack([arg for args in encoded for arg in args])
        all_starts, all_lengths = ffi.new(self._sizes, starts), ffi.new(self._sizes, lengths)
        texts = ffi.cast(self._texts, all_starts)
        offsets = itertools.accumulate((len(args) for args in encoded), initial=0)
        each = ffi.new(
            self._commands,
            [
                (_RAW_COMMAND, texts + offset, len(args), all_lengths + offset)
                for offset, args in zip(offsets, encoded, strict=False)
            ],
        )
        pointers = ffi.new(self._command_pointers, [each + i for i in range(len(encoded))])
        whole = ffi.new(self._batch, (len(encoded), pointers, atomic))
        with found.used(process.closing.put):
            number, pending = self._expect(process, found, fd)
            process.loaded.lib.batch(found.pointer, number, whole, False, ffi.NULL, 0)
        del blob
        return PortableCall(pending)

    # Scopes

    def acquire(self, client: int, request: bytes, timeout: float) -> int:
        """See ``engine.Engine``."""
        process, found = self._client(client)
        ffi, lib = process.loaded.ffi, process.loaded.lib
        milliseconds = max(int(timeout * 1000), 1)

        def connect() -> int:
            with found.used(process.closing.put):
                outcome = lib.glide_scope_acquire_blocking(
                    found.address, request, len(request), False, 0, milliseconds
                )
                if outcome == ffi.NULL:
                    raise Refused("GLIDE gave no connection of its own")
                try:
                    if outcome.failure != ffi.NULL:
                        kind = _FAILURES.get(outcome.failure.kind, Refused)
                        raise kind(_decode(ffi.string(outcome.failure.text)))
                    return int(outcome.reply.number)
                finally:
                    lib.free_command_result(outcome)

        def give_back(scope: int) -> None:
            with suppress(Closed), found.used(process.closing.put):
                lib.glide_scope_release(scope, found.address)

        scope: int = _run(connect, give_back, found)
        handle = next(self._handles)
        with found.lock:
            if found.closing:
                raise Closed("the client was closed")
            found.scopes.add(handle)
            process.scopes[handle] = found, scope
        return handle

    def link(self, scope: int, args: Sequence[bytes], fd: int = -1) -> PortableCall:
        """See ``engine.Engine``."""
        process = self._here()
        try:
            found, native = process.scopes[scope]
        except KeyError:
            raise Closed("the scope is closed, or belongs to the parent process") from None
        data = _encode(args)
        payload = b"".join(
            itertools.chain(
                (struct.pack("<I", len(data[0])), data[0], struct.pack("<I", len(data) - 1)),
                *((struct.pack("<I", len(arg)), arg) for arg in data[1:]),
            )
        )
        with found.used(process.closing.put):
            number, pending = self._expect(process, found, fd)
            refused = process.loaded.lib.glide_scope_execute_async(
                native, payload, len(payload), number, self._scope_succeeded, self._failed
            )
        if refused:
            self._take(number)
            raise Closed("the scope is gone") if refused == -1 else Refused("malformed command")
        return PortableCall(pending)

    def release(self, scope: int, client: int) -> None:  # noqa: ARG002
        """See ``engine.Engine``."""
        process = self._process
        entry = process.scopes.pop(scope, None) if process is not None else None
        if process is None or entry is None:
            return
        found, native = entry
        found.scopes.discard(scope)
        with suppress(Closed), found.used(process.closing.put):
            process.loaded.lib.glide_scope_release(native, found.address)

    # Life

    def forked(self) -> None:
        """Forget, in a forked child, everything that belongs to the parent."""
        self._process = None

    def shut_down(self) -> None:
        """Close everything, before the interpreter ends."""
        if self._process is not None:
            self._process.shut_down()

    def _here(self) -> _Process:
        process = self._process
        if process is None:
            process = self._process = _Process()
        return process

    def _client(self, handle: int) -> tuple[_Process, _Client]:
        process = self._here()
        try:
            return process, process.clients[handle]
        except KeyError:
            raise Closed("the client is closed, or belongs to the parent process") from None

    def _expect(self, process: _Process, client: _Client, fd: int) -> tuple[int, _Pending]:
        number = next(self._numbers)
        pending = _Pending(client, fd)
        client.calls[number] = process.calls[number] = pending
        return number, pending

    def _take(self, number: int) -> _Pending | None:
        process = self._process
        pending = process.calls.pop(number, None) if process is not None else None
        if pending is not None and pending.client is not None:
            pending.client.calls.pop(number, None)
        return pending

    def _pack(self, data: list[bytes]) -> tuple[bytes, list[int], list[int]]:
        """All arguments in one buffer, which must live as long as the addresses are used."""
        blob = b"".join(data)
        base = int(self._ffi.cast(self._integer, self._ffi.from_buffer(blob)))
        lengths = [len(arg) for arg in data]
        starts = list(itertools.accumulate(lengths[:-1], initial=base)) if data else []
        return blob, starts, lengths

    # Callbacks, in threads of GLIDE

    def _on_success(self, number: int, reply: Any) -> None:
        process, pending = self._process, self._take(number)
        try:
            if pending is not None:
                pending.settle(self._parse(reply))
        finally:
            if process is not None and reply.arena != self._null:
                process.loaded.lib.free_response_arena(reply.arena)

    def _on_failure(self, number: int, text: Any, kind: int) -> None:
        pending = self._take(number)
        if pending is not None:
            pending.settle(_FAILURES.get(kind, Refused)(_decode(self._ffi.string(text))))

    def _on_scope_success(self, number: int, reply: Any) -> None:
        process, pending = self._process, self._take(number)
        try:
            if pending is not None:
                pending.settle(None if reply == self._null else self._parse(reply))
        finally:
            if process is not None and reply != self._null:
                process.loaded.lib.free_command_response(self._ffi.cast("Reply *", reply))

    def _on_push(
        self, address: int, kind: int, data: Any, n: int, channel: Any, m: int, pattern: Any, k: int
    ) -> None:
        process = self._process
        client = process.by_address.get(address) if process is not None else None
        if client is None or client.push is None or client.closing:
            return
        buffer = self._ffi.buffer
        of = None if pattern == self._null else bytes(buffer(pattern, k))
        client.push(kind, bytes(buffer(channel, m)), bytes(buffer(data, n)), of)

    def _parse(self, reply: Any) -> Any:
        try:
            return self._value(reply, _DEPTH)
        except NativeError as error:
            return error

    def _value(self, reply: Any, depth: int) -> Any:  # noqa: PLR0911
        kind = reply.kind
        match kind:
            case 4:  # first: by far the most frequent
                return bytes(self._ffi.buffer(reply.text, reply.text_len))
            case 0:
                return None
            case 1:
                return int(reply.number)
            case 8:
                return b"OK"
            case 2:
                return float(reply.real)
            case 3:
                return bool(reply.truth)
            case 9:
                return Refusal(_decode(self._ffi.buffer(reply.text, reply.text_len)[:]))
        if not depth:
            raise Refused(f"a reply is nested more than {_DEPTH} levels deep")
        value, depth = self._value, depth - 1
        match kind:
            case 5:
                items = reply.items
                return [value(items[i], depth) for i in range(reply.items_len)]
            case 6:
                items = reply.items
                return Pairs(
                    (value(items[i].key, depth), value(items[i].value, depth))
                    for i in range(reply.items_len)
                )
            case 7:
                items = reply.members
                return Members(value(items[i], depth) for i in range(reply.members_len))
        raise Refused(f"a reply is of the unknown kind {kind}")


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _encode(args: Sequence[bytes | str]) -> list[bytes]:
    if isinstance(args, str | bytes):
        raise TypeError("a command is a sequence of arguments")
    data = [
        arg.encode()
        if isinstance(arg, str)
        else arg
        if isinstance(arg, bytes)
        else bytes(memoryview(arg))
        for arg in args
    ]
    if not data:
        raise ValueError("a command needs a name")
    return data


def _run(
    function: Callable[[], Any], dispose: Callable[[Any], None], client: _Client | None = None
) -> Any:
    """Run what blocks in a thread of its own, so that a signal can interrupt the wait for it.

    So does closing the ``client``.
    """
    pending = _Pending(client, -1)
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


_engine: PortableEngine | None = None


def create() -> PortableEngine:
    """The one portable engine of this process."""
    global _engine  # noqa: PLW0603
    if _engine is None:
        _engine = PortableEngine()
    return _engine


def _forked() -> None:
    global _epoch, _ending  # noqa: PLW0603
    _epoch += 1
    _ending = False
    if _engine is not None:
        _engine.forked()


def _shut_down() -> None:
    global _ending  # noqa: PLW0603
    _ending = True
    if _engine is not None:
        _engine.shut_down()


os.register_at_fork(after_in_child=_forked)
# What registered later runs before, and still finds its clients open.
atexit.register(_shut_down)
