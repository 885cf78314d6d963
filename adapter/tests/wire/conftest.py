"""The same command on a raw socket and through GLIDE, to the same server."""

from __future__ import annotations

import io
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from redis._parsers import _HiredisParser, _RESP2Parser, _RESP3Parser
from redis._parsers.encoders import Encoder
from redis.utils import HIREDIS_AVAILABLE

from glide_redis.native.links import Link, connect
from glide_redis.native.request import Options
from glide_redis.native.values import Refused, Value
from glide_redis.wire.commands import needs_raw
from glide_redis.wire.encode import encode, encode_error
from glide_redis.wire.errors import server_line
from glide_redis.wire.requests import RequestReader
from glide_redis.wire.restore import restore

SECONDS = 20


class Wire:
    """A raw connection: what the server writes, byte by byte."""

    def __init__(self, address: tuple[str, int], protocol: int = 2) -> None:
        self._socket = socket.create_connection(address, timeout=SECONDS)
        self._file = self._socket.makefile("rb")
        if protocol == 3:
            assert self(b"HELLO", b"3").startswith(b"%")

    def __call__(self, *args: bytes) -> bytes:
        parts = [b"*%d\r\n" % len(args), *(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)]
        self._socket.sendall(b"".join(parts))
        return self._reply()

    def _reply(self) -> bytes:
        line = self._file.readline()
        assert line.endswith(b"\r\n"), line
        kind, rest = line[:1], line[1:]
        if kind in b"$=!":
            return line if rest.startswith(b"-") else line + self._file.read(int(rest) + 2)
        if kind in b"*~>%":
            count = max(0, int(rest)) * (2 if kind == b"%" else 1)
            return line + b"".join(self._reply() for _ in range(count))
        return line

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Glide:
    """A link of GLIDE: what the adapter would have written, byte by byte."""

    def __init__(self, address: tuple[str, int], protocol: int = 2) -> None:
        self.link: Link = connect(Options(addresses=(address,)), SECONDS)
        self._protocol = protocol
        if protocol == 3:
            self.value(b"HELLO", b"3")

    def value(self, *args: bytes) -> Value:
        """GLIDE's value, as it is. Raises Refused and others of NativeError."""
        return self.link.submit(args).wait(SECONDS)

    def __call__(self, *args: bytes) -> bytes:
        try:
            if needs_raw(args):
                return encode(self.raw(*args), self._protocol)
            return self.direct(*args)
        except Refused as error:
            return encode_error(server_line(str(error)))

    def direct(self, *args: bytes) -> bytes:
        """The reply restored, whether or not that is enough."""
        return encode(restore(args, self.value(*args), self._protocol), self._protocol)

    def raw(self, *args: bytes) -> Value:
        """GLIDE's value of a command in a transaction of its own."""
        if self.value(b"MULTI") != b"OK":
            raise AssertionError("no transaction")
        self.value(*args)
        replies = self.value(b"EXEC")
        assert isinstance(replies, list)
        return replies[0]

    def close(self) -> None:
        self.link.close()


@pytest.fixture(scope="session", params=[2, 3], ids=["resp2", "resp3"])
def sides(server: Any, request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """``protocol``, and two connections of that protocol: ``wire`` and ``glide``."""
    address = (server.host, server.port)
    wire, glide = Wire(address, request.param), Glide(address, request.param)
    yield SimpleNamespace(protocol=request.param, wire=wire, glide=glide)
    wire.close()
    glide.close()


@pytest.fixture(scope="session")
def wire_to() -> Iterator[Callable[[tuple[str, int]], Wire]]:
    """Open raw RESP2 connections."""
    opened: list[Wire] = []

    def opener(address: tuple[str, int]) -> Wire:
        opened.append(Wire(address))
        return opened[-1]

    yield opener
    for wire in opened:
        wire.close()


@pytest.fixture(scope="session")
def glide_to() -> Iterator[Callable[[tuple[str, int]], Glide]]:
    """Open RESP2 connections of GLIDE."""
    opened: list[Glide] = []

    def opener(address: tuple[str, int]) -> Glide:
        opened.append(Glide(address))
        return opened[-1]

    yield opener
    for glide in opened:
        glide.close()


class _Canned(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        reader = RequestReader()
        while data := self.request.recv(65536):
            for command in reader.feed(data):
                reply = self.server.reply if command[-1] == b"!" else b"+OK\r\n"  # type: ignore[attr-defined]
                self.request.sendall(reply)


@pytest.fixture(scope="module")
def canned() -> Iterator[Callable[..., Value]]:
    """``canned(reply, *args)``: GLIDE's value for a command to which a server answers ``reply``."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Canned)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    glide = Glide(server.server_address)  # type: ignore[arg-type]

    def ask(reply: bytes, *args: bytes) -> Value:
        server.reply = reply  # type: ignore[attr-defined]
        return glide.value(*args, b"!")

    yield ask
    glide.close()
    server.shutdown()
    thread.join()
    server.server_close()


class _Source:
    """What the parsers of redis-py need of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def recv(self, size: int) -> bytes:
        return self._data.read(size)

    def recv_into(self, buffer: bytearray) -> int:
        return self._data.readinto(buffer)

    def settimeout(self, timeout: float | None) -> None:
        pass


def _comparable(value: Any) -> Any:
    if isinstance(value, Exception):
        return type(value), value.args, getattr(value, "status_code", None)
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return [(_comparable(key), _comparable(item)) for key, item in value.items()]
    if isinstance(value, float):
        return repr(value)
    return value


def _read(parser: Any, data: bytes) -> Any:
    connection = SimpleNamespace(
        _sock=_Source(data), socket_timeout=None, encoder=Encoder("utf-8", "strict", False)
    )
    parser.on_connect(connection)
    try:
        return _comparable(parser.read_response())
    finally:
        parser.on_disconnect()


@pytest.fixture(scope="session")
def parse() -> Callable[[bytes, int], Any]:
    """``parse(data, protocol)``: what redis-py makes of a reply, by each parser that it has here.

    Errors and floats come in a form that can be compared, maps as lists of pairs.
    """

    def parsed(data: bytes, protocol: int) -> Any:
        results = [_read((_RESP3Parser if protocol == 3 else _RESP2Parser)(65536), data)]
        if HIREDIS_AVAILABLE:
            results.append(_read(_HiredisParser(65536), data))
        return results

    return parsed


Tree = Any


def _tree(data: io.BytesIO) -> Tree:
    line = data.readline()
    kind, rest = line[:1], line[1:-2]
    if kind in b"$=":
        if rest == b"-1":
            return None
        text = data.read(int(rest) + 2)[:-2]
        return text[4:] if kind == b"=" else text
    if kind in b"*~>%":
        if rest == b"-1":
            return None
        count = int(rest) * (2 if kind == b"%" else 1)
        return (kind, [_tree(data) for _ in range(count)])
    if kind in b"_":
        return None
    numbers: dict[bytes, Callable[[bytes], Any]] = {b":": int, b",": lambda text: repr(float(text))}
    return rest if kind == b"+" else (kind, numbers.get(kind, bytes)(rest))


def _shape(tree: Tree) -> Tree:
    if not isinstance(tree, tuple):
        return type(tree)
    kind, inside = tree
    return (kind, [_shape(item) for item in inside] if isinstance(inside, list) else type(inside))


@pytest.fixture(scope="session")
def tree() -> Callable[..., Tree]:
    """``tree(data, loose=False)``: a reply with the types that it has on the wire.

    All strings and all nulls are alike, as they are for a client. Loose: types without values.
    """

    def build(data: bytes, loose: bool = False) -> Tree:
        source = io.BytesIO(data)
        whole = _tree(source)
        assert not source.read(), "more than one reply"
        return _shape(whole) if loose else whole

    return build
