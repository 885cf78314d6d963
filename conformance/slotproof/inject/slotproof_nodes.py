"""The recorder's connections to the nodes of a cell: what each was called between two tests."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import slotproof_stats
from slotproof_resp import Reply, RespConnection, RespError
from slotproof_stats import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TIMEOUT = 2.0
_MARK = slotproof_stats.MARK.split("|")
_OWN = {"info": 1, slotproof_stats.MARK: 1}
_ASK = b"".join(
    b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in command)
    for command in (
        [b"INFO", b"server", b"replication", b"commandstats"],
        [part.upper().encode() for part in _MARK],
    )
)


class _Connection(RespConnection):
    """One connection that asks first and reads later, so that all nodes answer at once."""

    def ask(self) -> None:
        self._socket.sendall(_ASK)

    def answer(self) -> Reading:
        info = self._read()
        self._read()
        if isinstance(info, RespError):
            raise info
        if not isinstance(info, bytes):
            raise RespError("ERR the reply of INFO is no string")
        return slotproof_stats.parse(info, _OWN)

    def abandon(self) -> None:
        """Let go of the socket without a lock, which another thread of the parent may have held."""
        os.close(self._socket.detach())


class Node:
    """One node: its connection, and the reading from which the next test is counted.

    ``before`` is None while there is none: the node gave none at the last test's end.
    """

    def __init__(self, host: str, port: int, username: str | None, password: str | None) -> None:
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.before: Reading | None = None
        self.uncertain: dict[str, int] = {}
        self._address = (host, port)
        self._credentials = (username, password)
        self._connection: _Connection | None = None
        self._asked = False
        self._dead: str | None = None

    def advance(self) -> tuple[Reading | None, Reading | None]:
        """Return the previous reading and a new one, which becomes the next test's first."""
        before, after = self.before, self.answer()
        if before is None and after is not None and self._dead not in (None, after.run_id):
            # Nothing listened here before, so whatever this process counted came after.
            before = Reading(run_id="", replica=after.replica, lines=frozenset())
        if after is not None:
            self._dead = None
        self.before = after
        return before, after

    def ask(self) -> None:
        """Send the question on the connection there is, if there is one."""
        self._asked = False
        if self._connection is not None:
            try:
                self._connection.ask()
                self._asked = True
            except OSError:
                self._lost()

    def answer(self) -> Reading | None:
        """Return a reading, connecting again once; None when the node does not give one."""
        if self._asked and self._connection is not None:
            try:
                return self._connection.answer()
            except TimeoutError:
                self._lost()
                return None
            except OSError:
                self._lost()
            except (RespError, ValueError):
                # The node is alive and refuses: loading, or busy with a script.
                return None
        return self._again()

    def call(self, name: str) -> Reply:
        """Call one command on the connection there is. Raises OSError or RespError."""
        if self._connection is None:
            raise ConnectionError(f"no connection to {self.name}")
        try:
            reply = self._connection.call(name)
        except OSError:
            self._lost()
            raise
        finally:
            if self.before is not None:
                self.before = replace(self.before, own={**self.before.own, name.lower(): 1})
        return reply

    def abandon(self) -> None:
        """Let go of the connection in a forked child; it stays the parent's."""
        if self._connection is not None:
            self._connection.abandon()
            self._connection = None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _again(self) -> Reading | None:
        username, password = self._credentials
        try:
            self._connection = _Connection(
                *self._address, timeout=_TIMEOUT, username=username, password=password
            )
            if password is not None:
                self._add("auth")
            self._connection.ask()
            self._asked = True
            return self._connection.answer()
        except ConnectionRefusedError:
            self._dead = self.before.run_id if self.before is not None else self._dead or ""
        except OSError:
            self._lost()
        except (RespError, ValueError):
            self.close()
        return None

    def _lost(self) -> None:
        """Drop a broken connection; what was asked on it may or may not have been counted."""
        if self._asked:
            for name in _OWN:
                self._add(name)
        self._asked = False
        try:
            self.close()
        except OSError:
            self._connection = None

    def _add(self, name: str) -> None:
        self.uncertain[name] = self.uncertain.get(name, 0) + 1


class Nodes:
    """All nodes of a cell."""

    def __init__(
        self,
        addresses: Sequence[tuple[str, int]],
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self._nodes = [Node(host, port, username, password) for host, port in addresses]
        self._unreplicated: frozenset[str] | None = None

    def begin(self) -> None:
        """Take the reading from which the first test is counted."""
        self._read(self._nodes)

    def refresh(self) -> None:
        """Take a reading of nodes that gave none at the last test's end.

        What they were called meanwhile cannot be told apart by test, so it is nobody's.
        """
        without = [node for node in self._nodes if node.before is None]
        if without:
            self._read(without)

    def difference(self) -> tuple[dict[str, Mapping[str, int]], bool]:
        """Return calls by node and command since the last reading, and whether any was reset.

        Nodes that were called nothing are left out.
        """
        counts: dict[str, Mapping[str, int]] = {}
        reset = False
        for node, before, after in self._read(self._nodes):
            if before is None:
                continue
            replica = before.replica or after.replica
            unreplicated = self._unreplicated_commands() if replica else frozenset[str]()
            found = slotproof_stats.touched(before, after, unreplicated, node.uncertain)
            node.uncertain = {}
            reset = reset or found.reset
            if found.counts:
                counts[node.name] = found.counts
        return counts, reset

    def close(self) -> None:
        """Close every connection."""
        for node in self._nodes:
            node.close()

    def abandon(self) -> None:
        """Let go of every connection in a forked child."""
        for node in self._nodes:
            node.abandon()

    def _read(self, nodes: Sequence[Node]) -> list[tuple[Node, Reading | None, Reading]]:
        for node in nodes:
            node.ask()
        readings = []
        for node in nodes:
            before, after = node.advance()
            if before is None:
                node.uncertain = {}
            if after is not None:
                readings.append((node, before, after))
        return readings

    def _unreplicated_commands(self) -> frozenset[str]:
        """Return the commands that no primary sends on, asked once, of whichever node answers."""
        if self._unreplicated is None:
            for node in self._nodes:
                try:
                    reply = node.call("COMMAND")
                except (OSError, RespError):
                    continue
                self._unreplicated = slotproof_stats.unreplicated_commands(reply)
                break
        return self._unreplicated if self._unreplicated is not None else frozenset()
