"""Wire sockets to the standalone server, in both protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from glide_redis.native.request import Options
from glide_redis.seam.socket import WireSocket

PATIENCE = 20.0
"""Seconds after which a test gives up waiting."""


def request_of(*args: bytes | str | int) -> bytes:
    """Return a command as redis-py writes it."""
    words = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


class Wire:
    """A wire socket, and what tests do with one again and again."""

    def __init__(self, host: str, port: int, protocol: int) -> None:
        self.protocol = protocol
        self.socket = WireSocket(Options(addresses=((host, port),)), PATIENCE)
        self.socket.settimeout(PATIENCE)
        if protocol == 3:
            self.send("HELLO", 3)
            self.socket.recv(65536)

    def send(self, *args: bytes | str | int) -> None:
        """Send one command."""
        self.socket.sendall(request_of(*args))

    def read(self, size: int) -> bytes:
        """Receive exactly that many bytes, or fewer when the connection ends before."""
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                break
            data += chunk
        return data

    def ask(self, *args: bytes | str | int) -> bytes:
        """Send one command and return what comes back at once."""
        self.send(*args)
        return self.socket.recv(1 << 20)

    def number(self, *args: bytes | str | int) -> int:
        """Send a command that answers with an integer; return it."""
        return int(self.ask(*args)[1:-2])


@pytest.fixture
def connect(server: Any) -> Iterator[Callable[[int], Wire]]:
    """Open wire sockets to the standalone server; they are closed after the test."""
    opened: list[Wire] = []

    def connected(protocol: int = 2) -> Wire:
        opened.append(Wire(server.host, server.port, protocol))
        return opened[-1]

    yield connected
    for wire in opened:
        wire.socket.close()


@pytest.fixture
def wire(control: Any, connect: Callable[[int], Wire], protocol: int) -> Wire:  # noqa: ARG001
    """A wire socket to an empty standalone server."""
    return connect(protocol)
