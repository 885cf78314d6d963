"""What every provider of servers hands out: the nodes of a running deployment and how to end it."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import quote

from slotproof.inject.slotproof_resp import RespConnection, RespError
from slotproof.model import Role, Topology


@dataclass(frozen=True, slots=True)
class Node:
    """One server of a deployment, with its role when the deployment was formed.

    ``pid`` is its process in the caller's PID namespace, None where slotproof did not start it.
    """

    host: str
    port: int
    role: Role
    pid: int | None = None

    @property
    def address(self) -> str:
        """``host:port``, an IPv6 host in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Deployment:
    """Running servers. Primaries come first in ``nodes``, in the order of their slots.

    This base class owns no process: it describes servers that somebody else keeps (see
    ``servers.url``), so ``stop`` does nothing. Usable as a context manager.
    """

    def __init__(
        self,
        nodes: tuple[Node, ...],
        topology: Topology,
        *,
        product: str,
        version: str,
        username: str | None = None,
        password: str | None = None,
        database: int = 0,
    ) -> None:
        self.nodes = nodes
        self.topology = topology
        self.product = product
        self.version = version
        self.username = username
        self.password = password
        self.database = database

    @property
    def url(self) -> str:
        """URL of the first primary, ``redis://127.0.0.1:6379/0``, with any credentials."""
        login = ""
        if self.password is not None:
            login = f"{quote(self.username or '', safe='')}:{quote(self.password, safe='')}@"
        return f"redis://{login}{self.nodes[0].address}/{self.database}"

    @property
    def primaries(self) -> tuple[Node, ...]:
        """The nodes that were primaries when the deployment was formed."""
        return tuple(node for node in self.nodes if node.role is Role.PRIMARY)

    @property
    def replicas(self) -> tuple[Node, ...]:
        """The nodes that were replicas when the deployment was formed."""
        return tuple(node for node in self.nodes if node.role is Role.REPLICA)

    def dead(self) -> tuple[Node, ...]:
        """Return the nodes that are gone: here, those that do not answer PING within a second."""
        return tuple(node for node in self.nodes if not self._answers(node))

    def stop(self) -> None:
        """End what this deployment started and wait until it is gone; calling twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _answers(self, node: Node) -> bool:
        try:
            with RespConnection(
                node.host,
                node.port,
                timeout=1.0,
                username=self.username,
                password=self.password,
            ) as connection:
                connection.call("PING")
        except OSError:
            return False
        except RespError:  # an error reply (LOADING, NOPERM) still comes from a living server
            return True
        return True
