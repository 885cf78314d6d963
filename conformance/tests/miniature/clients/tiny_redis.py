"""The smallest client that is right: RESP2 over a socket, following redirections."""

from __future__ import annotations

import socket
import sys
import types


class ConnectionError(OSError):  # noqa: A001 - the name that suites know
    """The server cannot be reached."""


class ResponseError(Exception):
    """The server answered with an error."""


def encode(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Redis:
    """One connection a node, opened when it is needed and again when it was lost."""

    def __init__(self, host: str, port: int) -> None:
        self.seed = (host, port)
        self.links: dict[tuple[str, int], socket.socket] = {}
        self.pid = 0

    def execute(self, *args: object) -> object:
        address = self.seed
        for _ in range(6):
            try:
                reply = self.ask(address, args)
            except (OSError, EOFError) as error:
                self.drop(address)
                if isinstance(error, ConnectionError):
                    raise
                failure = error
                continue
            if isinstance(reply, ResponseError):
                word, _, rest = str(reply).partition(" ")
                if word == "MOVED":
                    host, _, port = rest.split()[1].rpartition(":")
                    address = (host or self.seed[0], int(port))
                    continue
                raise reply
            return reply
        raise ConnectionError(f"{address}: {failure}")

    def ask(self, address: tuple[str, int], args: tuple[object, ...]) -> object:
        link = self.link(address)
        parts = [encode(a) for a in args]
        request = b"*%d\r\n" % len(parts)
        link.sendall(request + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self.read(link.makefile("rb"))

    def link(self, address: tuple[str, int]) -> socket.socket:
        if address not in self.links:
            self.links[address] = socket.create_connection(address, 10)
        return self.links[address]

    def read(self, file: object) -> object:
        line = file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("closed")
        mark, rest = line[:1], line[1:-2]
        if mark == b"+":
            return rest.decode()
        if mark == b"-":
            return ResponseError(rest.decode())
        if mark == b":":
            return int(rest)
        if mark == b"$":
            return None if rest == b"-1" else file.read(int(rest) + 2)[:-2]
        return [self.read(file) for _ in range(int(rest))]

    def drop(self, address: tuple[str, int]) -> None:
        link = self.links.pop(address, None)
        if link:
            link.close()

    def close(self) -> None:
        for address in list(self.links):
            self.drop(address)


def install(client: type[Redis]) -> None:
    """Make ``import redis`` give ``client``."""
    module = types.ModuleType("redis")
    module.Redis = client
    module.ConnectionError = ConnectionError
    module.ResponseError = ResponseError
    module.encode = encode
    sys.modules["redis"] = module
