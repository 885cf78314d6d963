"""A RESP client on a raw socket, small enough to trust: the recorder's and the harness's own.

Standard library only. RESP2 without a handshake (https://valkey.io/topics/protocol/), one
connection, blocking, one command at a time.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import TypeAlias

Reply: TypeAlias = "bytes | int | list[Reply] | RespError | None"


class RespError(Exception):
    """An error reply of the server, with its text (``MOVED 1 host:port``, ``ERR ...``)."""

    @property
    def code(self) -> str:
        """The first word of the text, such as ``MOVED`` or ``NOAUTH``."""
        return str(self).split(" ", 1)[0]


class RespConnection:
    """One connection to one node. Raises OSError on anything wrong with the network.

    ``timeout`` in seconds bounds the connect and each read.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float = 5.0,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.address = (host, port)
        self._socket = socket.create_connection(self.address, timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        if password is not None:
            auth = ("AUTH", username, password) if username else ("AUTH", password)
            try:
                self.call(*auth)
            except BaseException:
                self.close()
                raise

    def call(self, *args: str | bytes | int) -> Reply:
        """Send one command and return its reply; a top-level error reply is raised."""
        parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
        buffer = [b"*%d\r\n" % len(parts)]
        for part in parts:
            buffer.append(b"$%d\r\n%s\r\n" % (len(part), part))
        self._socket.sendall(b"".join(buffer))
        reply = self._read()
        if isinstance(reply, RespError):
            raise reply
        return reply

    def text(self, *args: str | bytes | int) -> str:
        """Like ``call`` for a command whose reply is a string."""
        reply = self.call(*args)
        if not isinstance(reply, bytes):
            raise RespError(f"ERR expected a string from {args[0]!r}, got {type(reply).__name__}")
        return reply.decode("utf-8", "surrogateescape")

    def close(self) -> None:
        """Close the connection; closing twice is allowed."""
        self._file.close()
        self._socket.close()

    def __enter__(self) -> RespConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _line(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError(f"{self.address[0]}:{self.address[1]} closed the connection")
        return line[:-2]

    def _read(self) -> Reply:
        line = self._line()
        mark, rest = line[:1], line[1:]
        if mark == b"+":
            return rest
        if mark == b":":
            return int(rest)
        if mark == b"-":
            return RespError(rest.decode("utf-8", "replace"))
        if mark == b"$":
            length = int(rest)
            if length < 0:
                return None
            data = self._file.read(length + 2)
            if len(data) != length + 2:
                raise ConnectionResetError("connection closed in the middle of a bulk string")
            return data[:-2]
        if mark == b"*":
            count = int(rest)
            return None if count < 0 else [self._read() for _ in range(count)]
        raise ConnectionAbortedError(f"not RESP2: {line[:80]!r}")
