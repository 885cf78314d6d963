"""GLIDE's cheapest way: its FFI called directly, arguments prepared, no Python on top.

What GLIDE's own synchronous client does around each call (argument packing, spans, checks of the
client's state) is left out, so this bounds what any Python layer over that FFI can reach.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from .glide_typed import REQUEST_TIMEOUT, decode_batch, is_ok
from .subject import Calls, Channel, Place
from .workload import Command

_SYNC = 1


def open_subject(place: Place) -> GlideFfi:
    """Create a client of the synchronous type."""
    return GlideFfi(place)


class GlideFfi:
    """``command()`` and ``batch()`` of the library that ``glide_sync`` loads."""

    def __init__(self, place: Place) -> None:
        instance = importlib.import_module("glide_sync._ffi_instance")._SYNC_FFI
        self._ffi: Any = instance.ffi
        self._lib: Any = instance.lib
        messages = importlib.import_module("glide_shared.protobuf.command_request_pb2")
        self._types: Any = messages.RequestType
        parse = importlib.import_module("glide_shared._fast_response").parse_response
        self._take = self._taker(parse)
        self._client = self._create(place)

    def _create(self, place: Place) -> Any:
        messages: Any = importlib.import_module("glide_shared.protobuf.connection_request_pb2")
        request = messages.ConnectionRequest()
        address = request.addresses.add()
        address.host, address.port = place.primaries[0]
        request.cluster_mode_enabled = True
        request.request_timeout = REQUEST_TIMEOUT
        request.lib_name = "slotproof-bench"
        data = request.SerializeToString()
        kind = self._ffi.new("ClientType*", {"_type": _SYNC})
        null = self._ffi.NULL
        made = self._lib.create_client(data, len(data), kind, null, null, 0)
        if made.conn_ptr == null:
            raise ConnectionError(self._ffi.string(made.connection_error_message).decode())
        return made.conn_ptr

    def _taker(self, parse: Any) -> Any:
        """Return what turns a result into a Python value and frees it."""
        ffi, free = self._ffi, self._lib.free_command_result
        null, cast = ffi.NULL, ffi.cast

        def take(result: Any) -> Any:
            response = result.response
            if response == null:
                message = ffi.string(result.command_error.command_error_message)
                free(result)
                raise RuntimeError(message.decode())
            value = parse(int(cast("uintptr_t", response)))[0]
            free(result)
            return value

        return take

    def facts(self) -> Mapping[str, str]:
        """No class: the library itself."""
        return {"class": "libglide_ffi, command() and batch()", "parser": "native"}

    def _packed(self, command: Command) -> tuple[Any, Any, int, list[Any]]:
        """Pointers, lengths, number of arguments, and what keeps the memory alive."""
        ffi = self._ffi
        words = [command.key.encode()]
        if command.name == "SET":
            words.append(command.value)
        buffers = [ffi.from_buffer(word) for word in words]
        pointers = ffi.new("size_t[]", [int(ffi.cast("size_t", b)) for b in buffers])
        lengths = ffi.new("unsigned long[]", [len(word) for word in words])
        return pointers, lengths, len(words), [*words, *buffers]

    def singles(self, commands: Sequence[Command], lane: int) -> Calls:  # noqa: ARG002
        """One ``command()`` a call."""
        reading = commands[0].name == "GET"
        kind = int(self._types.Get if reading else self._types.Set)
        call, client, null, take = self._lib.command, self._client, self._ffi.NULL, self._take

        def execute(pointers: Any, lengths: Any, count: int, _alive: object) -> Any:
            return take(call(client, 0, kind, count, pointers, lengths, null, 0, 0))

        return Calls(execute, [self._packed(c) for c in commands], _same if reading else is_ok)

    def pipelines(self, batches: Sequence[Sequence[Command]]) -> Calls:
        """One ``batch()`` a call."""
        call, client, null, take = self._lib.batch, self._client, self._ffi.NULL, self._take

        def execute(info: Any, _alive: object) -> Any:
            return take(call(client, 0, info, True, null, 0))

        return Calls(execute, [self._batch(batch) for batch in batches], decode_batch)

    def _batch(self, batch: Sequence[Command]) -> tuple[Any, list[Any]]:
        ffi = self._ffi
        alive: list[Any] = []
        infos = []
        for command in batch:
            kind = self._types.Get if command.name == "GET" else self._types.Set
            words = [command.key.encode()]
            if command.name == "SET":
                words.append(command.value)
            buffers = [ffi.from_buffer(word) for word in words]
            arguments = ffi.new("const uint8_t*[]", buffers)
            lengths = ffi.new("size_t[]", [len(word) for word in words])
            fields = {
                "request_type": int(kind),
                "args": arguments,
                "arg_count": len(words),
                "args_len": lengths,
            }
            infos.append(ffi.new("CmdInfo*", fields))
            alive += [*words, *buffers, arguments, lengths]
        commands = ffi.new("const CmdInfo*[]", infos)
        fields = {"cmd_count": len(infos), "cmds": commands, "is_atomic": False}
        return ffi.new("BatchInfo*", fields), [*alive, *infos, commands]

    def channel(self, name: str) -> Channel:
        """Messages come by a callback that the typed API measures already."""
        raise NotImplementedError(f"no subscription: {name}")

    def further(self, topology: str, key: str) -> object:
        """What a client takes is measured through the typed API."""
        raise NotImplementedError(f"no further client: {topology}, {key}")


def _same(reply: object) -> object:
    return reply
