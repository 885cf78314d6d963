"""Whether a process of this cell's own tree listens on an address: a test's own little server.

Sockets that this process bound are known. For those of others, in whatever language, the kernel's
tables answer on Linux: an inode in ``/proc/net`` and the process that holds it
(https://man7.org/linux/man-pages/man5/proc.5.html). A process belongs to the tree when its
environment names the same cell. Elsewhere there are only the ports that ancestors bound before
they started this process, handed on in an environment variable.
"""

from __future__ import annotations

import os
from weakref import WeakSet

TYPE_CHECKING = False  # Every process of the tree pays for an import of typing or dataclasses.
if TYPE_CHECKING:
    from typing import Any

SPAWNS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.exec", "os.spawn"})
"""Audit events before a child starts that does not inherit this process's memory."""

_PORTS = "SLOTPROOF_BOUND_PORTS"
_LISTENING = "0A"


class Listeners:
    """What the tree listens on. ``proc``: where the process file system is mounted."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._kernel = os.path.exists(f"{proc}/net/tcp")  # noqa: PTH110
        self._bound: WeakSet[Any] = WeakSet()

    def bound(self, sock: Any) -> None:
        """Note a socket that is about to be bound (its port may not be known yet)."""
        try:
            self._bound.add(sock)
        except TypeError:
            # A bare ``_socket.socket`` cannot be referred to weakly; the kernel's tables know it.
            return

    def spawning(self) -> None:
        """Hand the ports bound so far on to children."""
        if not self._kernel and self._bound:
            ports = self._own_ports() | _inherited()
            os.environ[_PORTS] = ",".join(str(port) for port in sorted(ports))

    def tcp(self, port: int) -> bool:
        """Whether the tree listens on a TCP port, on whichever of the machine's addresses."""
        if port in self._own_ports():
            return True
        if not self._kernel:
            return port in _inherited()
        suffix = f":{port:04X}"
        inodes: set[str] = set()
        for table in ("tcp", "tcp6", "udp", "udp6"):
            for fields in self._table(table, suffix):
                # A datagram socket does not listen; to be bound is all it can be.
                listening = fields[3] == _LISTENING or table.startswith("udp")
                if listening and len(fields) > 9 and fields[1].endswith(suffix):
                    inodes.add(fields[9])
        return self._ours(inodes)

    def unix(self, path: str) -> bool:
        """Whether the tree serves a unix socket; an abstract name begins with NUL."""
        if not self._kernel:
            return False
        shown = f"@{path[1:]}" if path.startswith("\0") else path
        inodes = {
            fields[6]
            for fields in self._table("unix", shown)
            if len(fields) > 7 and fields[7] == shown
        }
        return self._ours(inodes)

    def _own_ports(self) -> set[int]:
        ports: set[int] = set()
        for sock in tuple(self._bound):
            try:
                name = sock.getsockname()
            except OSError:
                continue
            if isinstance(name, tuple) and len(name) >= 2:
                ports.add(int(name[1]))
        return ports

    def _table(self, name: str, text: str) -> list[list[str]]:
        """Return the fields of a table's lines that hold a text."""
        try:
            with open(f"{self._proc}/net/{name}", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                return [line.split() for line in file if text in line]
        except OSError:
            return []

    def _ours(self, inodes: set[str]) -> bool:
        if not inodes:
            return False
        links = {f"socket:[{inode}]" for inode in inodes}
        own = str(os.getpid())
        if self._holds(own, links):
            return True
        try:
            others = [entry for entry in os.listdir(self._proc) if entry.isdigit()]  # noqa: PTH208
        except OSError:
            return False
        return any(self._same_cell(pid) and self._holds(pid, links) for pid in others if pid != own)

    def _holds(self, pid: str, links: set[str]) -> bool:
        folder = f"{self._proc}/{pid}/fd"
        try:
            for descriptor in os.listdir(folder):  # noqa: PTH208
                try:
                    if os.readlink(f"{folder}/{descriptor}") in links:  # noqa: PTH115
                        return True
                except OSError:
                    continue
        except OSError:
            pass
        return False

    def _same_cell(self, pid: str) -> bool:
        cell = os.environ.get("SLOTPROOF_CELL", "")
        try:
            with open(f"{self._proc}/{pid}/environ", "rb") as file:  # noqa: PTH123
                return f"SLOTPROOF_CELL={cell}".encode() in file.read().split(b"\0")
        except OSError:
            return False


def _inherited() -> set[int]:
    return {int(port) for port in os.environ.get(_PORTS, "").split(",") if port.isdigit()}
