"""What a cell's process tree has to know, as one JSON file that the runner leaves for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from slotproof.model import CellId, Topology


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """The servers of a cell.

    ``binary``: path of the server program, or "" when ``nodes`` names servers that run already
    (``host``, ``port``, ``role`` each). ``ports``: the ports the suite hard-codes, or () for free
    ones. ``config``: server directives by name. ``companions``: ports of a standalone server and
    its replicas beside a cluster; containers and servers of others have none.
    """

    product: str
    version: str
    binary: str = ""
    ports: tuple[int, ...] = ()
    replicas: int = 1
    config: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[tuple[str, int, str], ...] = ()
    companions: tuple[int, ...] = ()
    username: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """How ``import redis`` becomes the client (see ``slotproof.clients.plugin``)."""

    bootstrap: str | None
    bootstrap_dir: str | None
    connects_from: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellPlan:
    """One lane of one cell.

    ``ids``: the tests to run, in order, or None to run (or collect) everything. ``pytest_args``
    and ``env`` may hold ``{url}``, ``{host}``, ``{port}`` and ``{nodes}``. ``timeout`` in seconds
    per test. ``done``: outcomes of an interrupted run, which are not repeated. ``reruns``: how
    often a test that did not pass is tried again. ``leash``: ``record`` inside a private network,
    ``refuse`` elsewhere. ``workdir``: a fresh folder that the cell owns and empties. ``expose``:
    paths that stay visible although temporary folders are private.
    """

    cell: CellId
    mode: str
    python: str
    suite_root: str
    files: tuple[str, ...]
    pytest_args: tuple[str, ...]
    env: Mapping[str, str]
    server: ServerPlan
    client: ClientPlan
    ids: tuple[str, ...] | None
    done: Mapping[str, tuple[str, ...]]
    timeout: float
    reruns: int
    leash: str
    workdir: str
    expose: tuple[str, ...]

    def dump(self, path: Path) -> None:
        """Write the plan as JSON."""
        raw = asdict(self) | {"cell": str(self.cell)}
        path.write_text(json.dumps(raw), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> CellPlan:
        """Inverse of ``dump``."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        server = dict(raw.pop("server"))
        server["ports"] = tuple(server["ports"])
        server["companions"] = tuple(server["companions"])
        server["nodes"] = tuple((h, p, r) for h, p, r in server["nodes"])
        client = dict(raw.pop("client"))
        client["connects_from"] = tuple(client["connects_from"])
        ids = raw.pop("ids")
        done = {test: tuple(outcomes) for test, outcomes in raw.pop("done").items()}
        for name in ("files", "pytest_args", "expose"):
            raw[name] = tuple(raw[name])
        return cls(
            cell=CellId.parse(raw.pop("cell")),
            server=ServerPlan(**server),
            client=ClientPlan(**client),
            ids=None if ids is None else tuple(ids),
            done=done,
            **raw,
        )

    @property
    def topology(self) -> Topology:
        """The cell's topology."""
        return self.cell.topology
