"""The limit that no client can pass: requests encoded beforehand, ``send`` and ``recv``, no client.

Replies are of known length, so nothing is parsed while the clock runs.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping, Sequence

from .subject import Calls, Place
from .workload import Command


def open_subject(place: Place) -> RawSocket:
    """Nothing is opened before the first request."""
    return RawSocket(place)


class RawSocket:
    """One connection to each primary for each thread."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._sockets: dict[tuple[int, int], socket.socket] = {}

    def facts(self) -> Mapping[str, str]:
        """No client, no parser."""
        return {"class": "socket.socket", "parser": "none: replies of known length"}

    def _socket(self, lane: int, primary: int) -> socket.socket:
        if (lane, primary) not in self._sockets:
            self._sockets[lane, primary] = _connect(self._place.primaries[primary])
        return self._sockets[lane, primary]

    def singles(self, commands: Sequence[Command], lane: int) -> Calls:
        """``sendall`` and one ``recv`` that waits for the whole reply."""
        whole = socket.MSG_WAITALL

        def exchange(where: socket.socket, request: bytes, length: int) -> bytes:
            where.sendall(request)
            return where.recv(length, whole)

        arguments = [
            (self._socket(lane, self._place.primary_of(c.key)), _request(c), len(_reply(c)))
            for c in commands
        ]
        return Calls(exchange, arguments, _decode)

    def pipelines(self, batches: Sequence[Sequence[Command]]) -> Calls:
        """All requests of a batch to each primary at once, then all replies of each."""
        whole = socket.MSG_WAITALL

        def exchange(parts: Sequence[tuple[socket.socket, bytes, int]]) -> list[bytes]:
            for where, requests, _length in parts:
                where.sendall(requests)
            return [where.recv(length, whole) for where, _requests, length in parts]

        arguments = [(self._parts(batch),) for batch in batches]
        return Calls(exchange, arguments, _Batches(self._place, batches))

    def _parts(self, batch: Sequence[Command]) -> list[tuple[socket.socket, bytes, int]]:
        parts = []
        for primary in range(len(self._place.primaries)):
            mine = [c for c in batch if self._place.primary_of(c.key) == primary]
            requests = b"".join(map(_request, mine))
            parts.append((self._socket(0, primary), requests, sum(len(_reply(c)) for c in mine)))
        return parts

    def channel(self, name: str) -> RawChannel:
        """Two connections to one primary."""
        return RawChannel(self._place.primaries[0], name.encode())

    def further(self, topology: str, key: str) -> object:
        """There is no client that could take memory."""
        raise NotImplementedError(f"no client: {topology}, {key}")


class RawChannel:
    """SUBSCRIBE on one connection, PUBLISH on another."""

    def __init__(self, address: tuple[str, int], name: bytes) -> None:
        self._name = name
        self._out, self._in = _connect(address), _connect(address)
        self._in.sendall(_bulk(b"SUBSCRIBE", name))
        self._in.recv(len(b"*3\r\n" + _string(b"subscribe") + _string(name) + b":1\r\n"), _ALL)
        self._head = b"*3\r\n" + _string(b"message") + _string(name)

    def publish(self, data: bytes) -> None:
        """PUBLISH; one subscriber is told."""
        self._out.sendall(_bulk(b"PUBLISH", self._name, data))
        self._out.recv(len(b":1\r\n"), _ALL)

    def receive(self, seconds: float) -> bytes | None:
        """The data of the next message: all of it comes in one piece."""
        if not select.select([self._in], [], [], seconds)[0]:
            return None
        message = self._in.recv(65536)
        return message.removeprefix(self._head).partition(b"\r\n")[2].removesuffix(b"\r\n")

    def close(self) -> None:
        """Close both connections."""
        self._out.close()
        self._in.close()


class _Batches:
    """Puts the replies of a batch into the order of its commands again."""

    def __init__(self, place: Place, batches: Sequence[Sequence[Command]]) -> None:
        self._place = place
        self._by_reply: dict[tuple[bytes, ...], list[object]] = {}
        for batch in batches:
            values = [c.value if c.name == "GET" else True for c in batch]
            self._by_reply[tuple(self._replies(batch))] = list(values)

    def _replies(self, batch: Sequence[Command]) -> list[bytes]:
        places = range(len(self._place.primaries))
        return [
            b"".join(_reply(c) for c in batch if self._place.primary_of(c.key) == primary)
            for primary in places
        ]

    def __call__(self, replies: list[bytes]) -> object:
        # Replies that belong to no batch stay as they are and compare unequal.
        return self._by_reply.get(tuple(replies), replies)


_ALL = socket.MSG_WAITALL


def _connect(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _string(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


def _bulk(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(map(_string, parts))


def _request(command: Command) -> bytes:
    if command.name == "GET":
        return _bulk(b"GET", command.key.encode())
    return _bulk(b"SET", command.key.encode(), command.value)


def _reply(command: Command) -> bytes:
    return _string(command.value) if command.name == "GET" else b"+OK\r\n"


def _decode(reply: bytes) -> object:
    if reply == b"+OK\r\n":
        return True
    head, _, rest = reply.partition(b"\r\n")
    return rest[:-2] if head == b"$%d" % (len(rest) - 2) else reply
