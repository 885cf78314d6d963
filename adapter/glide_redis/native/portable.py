"""The engine that needs no compiler: cffi, with callbacks in Python.

GLIDE's threads call back with the GIL held, build the reply's Python objects there and free GLIDE's
memory at once, so that nothing of GLIDE's outlives a callback.
"""

from __future__ import annotations

import atexit
import itertools
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from glide_redis.native import library, portable_calls
from glide_redis.native.engine import PushHandler
from glide_redis.native.portable_calls import Pending, PortableCall
from glide_redis.native.portable_clients import Client, Process, run_apart
from glide_redis.native.portable_replies import Reader, text_of
from glide_redis.native.values import Closed, Lost, NativeError, Refused, TimedOut, Value

_RAW_COMMAND: Final = 1
_FAILURES: Final[dict[int, type[NativeError]]] = {2: TimedOut, 3: Lost}


class PortableEngine:
    """See ``engine.Engine``."""

    name: Final = "portable"

    def __init__(self) -> None:
        self._process: Process | None = None
        self._numbers = itertools.count(1)
        self._handles = itertools.count(1)
        ffi = library.current().ffi
        self._ffi = ffi
        self._null = ffi.NULL
        self._succeeded = ffi.callback("Succeeded")(self._on_success)
        self._failed = ffi.callback("Failed")(self._on_failure)
        self._scope_succeeded = ffi.callback("Succeeded")(self._on_scope_success)
        self._pushed = ffi.callback("Pushed")(self._on_push)
        self._replies = Reader(ffi)
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
        process.begin()
        ffi, lib = process.library.ffi, process.library.lib
        handler = self._null if push is None else self._pushed

        def connect() -> Client:
            opened = lib.create_client(request, len(request), self._kind, handler, ffi.NULL, 0)
            try:
                if opened.conn_ptr == ffi.NULL:
                    text = text_of(ffi.string(opened.connection_error_message))
                    raise library.opening_failure(opened.connection_error_type, text)
                address = int(ffi.cast(self._integer, opened.conn_ptr))
                client = Client(opened.conn_ptr, address, push)
                process.by_address[address] = client
                return client
            finally:
                lib.free_connection_response(opened)

        client: Client = run_apart(connect, process.close)
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
        lib = process.library.lib
        path = self._null if route is None else self._ffi.from_buffer(route)
        with process.use(found):
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
            pending = Pending(fd)
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
        with process.use(found):
            number, pending = self._expect(process, found, fd)
            process.library.lib.batch(found.pointer, number, whole, False, ffi.NULL, 0)
        del blob
        return PortableCall(pending)

    # Scopes

    def acquire(self, client: int, request: bytes, timeout: float) -> int:
        """See ``engine.Engine``."""
        process, found = self._client(client)
        ffi, lib = process.library.ffi, process.library.lib
        milliseconds = max(int(timeout * 1000), 1)

        def connect() -> int:
            with process.use(found):
                outcome = lib.glide_scope_acquire_blocking(
                    found.address, request, len(request), False, 0, milliseconds
                )
                if outcome == ffi.NULL:
                    raise Refused("GLIDE gave no connection of its own")
                try:
                    if outcome.failure != ffi.NULL:
                        kind = _FAILURES.get(outcome.failure.kind, Refused)
                        raise kind(text_of(ffi.string(outcome.failure.text)))
                    return int(outcome.reply.number)
                finally:
                    lib.free_command_result(outcome)

        def give_back(scope: int) -> None:
            with suppress(Closed), process.use(found):
                lib.glide_scope_release(scope, found.address)

        scope: int = run_apart(connect, give_back, found)
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
        with process.use(found):
            number, pending = self._expect(process, found, fd, of_scope=True)
            refused = process.library.lib.glide_scope_execute_async(
                native, payload, len(payload), number, self._scope_succeeded, self._failed
            )
        if refused:
            process.forget(number)
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
        with suppress(Closed), process.use(found):
            process.library.lib.glide_scope_release(native, found.address)

    # Life

    def forked(self) -> None:
        """Forget, in a forked child, everything that belongs to the parent."""
        self._process = None

    def shut_down(self) -> None:
        """Close everything, before the interpreter ends."""
        if self._process is not None:
            self._process.shut_down()

    def _here(self) -> Process:
        process = self._process
        if process is None:
            process = self._process = Process()
        return process

    def _client(self, handle: int) -> tuple[Process, Client]:
        process = self._here()
        try:
            return process, process.clients[handle]
        except KeyError:
            raise Closed("the client is closed, or belongs to the parent process") from None

    def _expect(
        self, process: Process, client: Client, fd: int, of_scope: bool = False
    ) -> tuple[int, Pending]:
        number, pending = next(self._numbers), Pending(fd, of_scope)
        process.expect(client, number, pending)
        return number, pending

    def _pack(self, data: list[bytes]) -> tuple[bytes, list[int], list[int]]:
        """All arguments in one buffer, which must live as long as the addresses are used."""
        blob = b"".join(data)
        base = int(self._ffi.cast(self._integer, self._ffi.from_buffer(blob)))
        lengths = [len(arg) for arg in data]
        starts = list(itertools.accumulate(lengths[:-1], initial=base)) if data else []
        return blob, starts, lengths

    # Callbacks, in threads of GLIDE. A call is struck out last: the end waits for that.

    def _on_success(self, number: int, reply: Any) -> None:
        if (process := self._process) is None:
            return
        try:
            if (pending := process.find(number)) is not None:
                pending.settle(self._replies.read(reply))
        finally:
            if reply.arena != self._null:
                process.library.lib.free_response_arena(reply.arena)
            process.forget(number)

    def _on_failure(self, number: int, text: Any, kind: int) -> None:
        if (process := self._process) is None:
            return
        if (pending := process.find(number)) is not None:
            error = _FAILURES.get(kind, Refused)
            pending.settle(error(text_of(self._ffi.string(text))))
        process.forget(number)

    def _on_scope_success(self, number: int, reply: Any) -> None:
        if (process := self._process) is None:
            return
        nil = reply == self._null
        try:
            if (pending := process.find(number)) is not None:
                pending.settle(None if nil else self._replies.read(reply))
        finally:
            if not nil:
                process.library.lib.free_command_response(self._ffi.cast("Reply *", reply))
            process.forget(number)

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


_engine: PortableEngine | None = None


def create() -> PortableEngine:
    """The one portable engine of this process."""
    global _engine  # noqa: PLW0603
    if _engine is None:
        _engine = PortableEngine()
    return _engine


def _forked() -> None:
    portable_calls.forked()
    if _engine is not None:
        _engine.forked()


def _shut_down() -> None:
    portable_calls.end()
    if _engine is not None:
        _engine.shut_down()


os.register_at_fork(after_in_child=_forked)
# What registered later runs before, and still finds its clients open.
atexit.register(_shut_down)
