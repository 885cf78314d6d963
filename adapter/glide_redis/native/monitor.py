"""MONITOR: GLIDE's monitor client, whose lines arrive by a callback of its own."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from glide_redis.native.library import Library, current, generation
from glide_redis.native.request import Options
from glide_redis.native.values import Lost


@dataclass(frozen=True, slots=True)
class MonitorLine:
    """A command that the server executed; ``args`` without its name. GLIDE decodes it as UTF-8."""

    timestamp: float
    database: int
    address: str
    command: str
    args: tuple[str, ...]


class Monitor:
    """Streams the commands that a server executes to ``arrived``, called in a GLIDE thread."""

    def __init__(self, options: Options, arrived: Callable[[MonitorLine], None]) -> None:
        library = current()
        ffi = library.ffi

        def line(
            _client: int,
            timestamp: float,
            database: int,
            address: Any,
            address_length: int,
            command: Any,
            command_length: int,
            args: Any,
            args_length: int,
        ) -> None:
            def text(pointer: Any, length: int) -> str:
                return bytes(ffi.buffer(pointer, length)).decode("utf-8", "replace")

            words = json.loads(text(args, args_length)) if args_length else []
            arrived(
                MonitorLine(
                    timestamp,
                    database,
                    text(address, address_length),
                    text(command, command_length),
                    tuple(words),
                )
            )

        self._callback = ffi.callback("MonitorCallback", line)
        request = replace(options, cluster=False, lazy=False).serialize()
        response = library.lib.create_monitor_client(request, len(request), self._callback)
        if response == ffi.NULL:
            raise Lost("GLIDE made no monitor client")
        try:
            if response.conn_ptr == ffi.NULL:
                message = response.connection_error_message
                raise Lost(
                    "no reason given" if message == ffi.NULL else ffi.string(message).decode()
                )
            client = response.conn_ptr
        finally:
            library.lib.free_connection_response(response)
        # The callback must live as long as the client: it rides along with the finalizer.
        self._close = weakref.finalize(self, _close, library, client, generation(), self._callback)
        self._close.atexit = False

    def close(self) -> None:
        """Stop. Further calls do nothing."""
        self._close()


def _close(library: Library, client: Any, made_in: int, _callback: object) -> None:
    if made_in == generation():
        library.lib.close_monitor_client(client)
