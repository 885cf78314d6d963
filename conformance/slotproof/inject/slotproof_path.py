"""Who opens a socket to where: an audit hook in every Python process of a cell. Standard library.

``socket.connect`` and ``connect_ex`` raise one audit event before they act
(https://docs.python.org/3/library/audit_events.html). A connection to a node of the cell that
comes neither from the recorder nor from the client under test is written down as *foreign*; one
to an address outside the cell's lease is written down and, under ``leash=refuse``, refused.

Blind by nature: sockets opened by C code (GLIDE's core, uvloop), and Python processes started
without the environment or with ``-S``, ``-I`` or ``-E``.
"""

from __future__ import annotations

import _socket
import json
import os
import sys
import time

import slotproof_caller
import slotproof_listeners

TYPE_CHECKING = False  # Every process of the tree pays for an import of typing or dataclasses.
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    Target = tuple[str, int]
    """A canonical host (``loopback``, an IP address, ``unix:<path>``) and a port (0 for unix)."""

_REPEAT_SECONDS = 1.0


class Lease:
    """What a process may connect to, out of ``cell.json``.

    ``nodes``: pairs of host and port; a host that begins with ``/`` is a unix socket's path.
    ``connects_from``: packages that may connect to the nodes. ``refuse``: whether to refuse
    addresses outside the cell. ``record``: path of the file of connections.
    Raises KeyError, TypeError or ValueError when a key is missing or of another type.
    """

    __slots__ = ("connects_from", "nodes", "record", "refuse")

    def __init__(self, cell: dict[str, Any]) -> None:
        self.nodes = tuple((str(host), int(port)) for host, port in cell["nodes"])
        self.connects_from = tuple(str(name) for name in cell["connects_from"])
        self.refuse: bool = cell["leash"] == "refuse"
        self.record = os.path.abspath(cell["connects"])  # noqa: PTH100


class Watch:
    """The hook's state in one process."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._names: dict[str, tuple[str, ...]] = {}
        self._nodes: frozenset[Target] | None = None
        self._seen: dict[tuple[object, ...], float] = {}
        self._listeners = slotproof_listeners.Listeners()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Be the audit hook: near-free for every event but the few it is for."""
        if event == "socket.connect":
            if self._connect(args[0], args[1], sys._getframe(1)):
                raise ConnectionRefusedError(
                    f"[slotproof] {_text(args[1])} is not a server of this cell"
                )
        elif event == "socket.bind":
            self._listeners.bound(args[0])
        elif event in slotproof_listeners.SPAWNS:
            self._listeners.spawning()

    def new_test(self) -> None:
        """Forget which connections were written down already."""
        self._seen.clear()

    def _connect(self, sock: Any, address: Any, frame: FrameType | None) -> bool:
        """Judge one connection, write it down where needed; return whether to refuse it."""
        try:
            targets = self._targets(sock, address)
            if not targets:
                return False
            if self._nodes is None:
                self._nodes = self._resolve_nodes()
            caller = slotproof_caller.find(frame)
            if not self._nodes.isdisjoint(targets):
                if not caller.recorder and not caller.within(self._lease.connects_from):
                    self._write(address, caller, reached=True)
                return False
            if self._allowed(targets):
                return False
            self._write(address, caller, reached=False)
            return self._lease.refuse
        except Exception as error:
            # A fault of ours must not become a fault of the test's; it must not be silent either.
            _complain(f"could not judge a connection to {address!r}: {error!r}")
            return False

    def _targets(self, sock: Any, address: Any) -> frozenset[Target]:
        family = int(sock.family)
        if family == getattr(_socket, "AF_UNIX", None):
            path = os.fsdecode(bytes(address) if isinstance(address, bytearray) else address)
            if not path.startswith("\0"):
                path = os.path.realpath(path)
            return frozenset({(f"unix:{path}", 0)})
        if family not in (_socket.AF_INET, _socket.AF_INET6) or not isinstance(address, tuple):
            return frozenset()
        host, port = address[0], int(address[1])
        name = host.decode("idna") if isinstance(host, bytes | bytearray) else str(host)
        return frozenset((place, port) for place in self._places(name))

    def _places(self, host: str) -> tuple[str, ...]:
        """Return the canonical forms of a host: of every address its name resolves to."""
        literal = _literal(host)
        if literal:
            return (literal,)
        known = self._names.get(host)
        if known is None:
            try:
                found = _socket.getaddrinfo(host, None, 0, _socket.SOCK_STREAM)
            except OSError:
                return (f"unresolved:{host}",)
            known = tuple({_literal(str(entry[4][0])) or str(entry[4][0]) for entry in found})
            self._names[host] = known
        return known

    def _resolve_nodes(self) -> frozenset[Target]:
        targets: set[Target] = set()
        for host, port in self._lease.nodes:
            if host.startswith("/"):
                targets.add((f"unix:{os.path.realpath(host)}", 0))
            else:
                targets.update((place, port) for place in self._places(host))
        return frozenset(targets)

    def _allowed(self, targets: frozenset[Target]) -> bool:
        """Whether a process of the cell's own tree serves the address."""
        for place, port in targets:
            if place.startswith("unix:"):
                path = place[len("unix:") :]
                if _temporary(path) or self._listeners.unix(path):
                    return True
            elif self._listeners.tcp(port):
                return True
        return False

    def _write(self, address: Any, caller: slotproof_caller.Caller, *, reached: bool) -> None:
        line = {
            "address": _text(address),
            "module": caller.module,
            "file": caller.file,
            "line": caller.line,
            "reached": reached,
            "pid": os.getpid(),
        }
        # A client that retries in a loop would fill the disk with one and the same line.
        key, now = tuple(line.values()), time.monotonic()
        if now - self._seen.get(key, -_REPEAT_SECONDS) < _REPEAT_SECONDS:
            return
        self._seen[key] = now
        data = json.dumps(line).encode() + b"\n"
        # Opened each time: tests close descriptors they do not know, and forked children write too.
        handle = os.open(self._lease.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)


_installed: list[Watch] = []


def install(cell: dict[str, Any]) -> None:
    """Install the hook in this process, once. An audit hook cannot be taken out again."""
    if _installed:
        return
    watch = Watch(Lease(cell))
    _installed.append(watch)
    hook: Callable[[str, tuple[Any, ...]], None] = watch
    sys.addaudithook(hook)


def new_test() -> None:
    """Tell the hook of this process, if there is one, that another test begins."""
    for watch in _installed:
        watch.new_test()


def _literal(host: str) -> str:
    """Return the canonical form of an IP address (every loopback alias is one), or nothing."""
    if host in ("", "localhost", "<broadcast>"):
        return host if host == "<broadcast>" else "loopback"
    host, _, _ = host.partition("%")
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            packed = _socket.inet_pton(family, host)
        except OSError:
            continue
        if len(packed) == 16 and packed[:12] == bytes(10) + b"\xff\xff":
            packed = packed[12:]
        if len(packed) == 4:
            local = packed[0] == 127 or packed == bytes(4)
            return "loopback" if local else _socket.inet_ntop(_socket.AF_INET, packed)
        local = packed in (bytes(15) + b"\x01", bytes(16))
        return "loopback" if local else _socket.inet_ntop(_socket.AF_INET6, packed)
    return ""


def _temporary(path: str) -> bool:
    folders = {os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")} | {"/tmp"}
    return any(path.startswith(os.path.realpath(folder) + os.sep) for folder in folders if folder)


def _text(address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        host = os.fsdecode(address[0]) if isinstance(address[0], bytes) else str(address[0])
        return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
    return f"unix:{os.fsdecode(address) if isinstance(address, bytes) else address}"


def _complain(text: str) -> None:
    # The interpreter may be without a stderr (daemons).
    if sys.stderr is not None:
        sys.stderr.write(f"slotproof: {text}\n")
