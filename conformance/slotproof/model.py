"""The values that flow through slotproof: suite + client + server -> cell -> observations.

Frozen and free of I/O. Everything that a run writes to ``results.jsonl`` is one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Topology(StrEnum):
    """How the servers of a cell are arranged."""

    STANDALONE = "standalone"
    CLUSTER = "cluster"


class Kind(StrEnum):
    """What a test relies on, frozen per id before any adapter exists."""

    BLACK_BOX = "black-box"
    POKE = "poke"
    MOCK = "mock"


class Outcome(StrEnum):
    """What one attempt at one test came to."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"
    HUNG = "hung"
    CRASHED = "crashed"
    SERVER_LOST = "server-lost"
    NOT_COLLECTED = "not-collected"
    NOT_RUN = "not-run"


class Role(StrEnum):
    """A node's part in replication."""

    PRIMARY = "primary"
    REPLICA = "replica"


DEFAULT_VARIANT = "default"
"""The variant of a suite that runs it as its manifest says, with nothing added."""


@dataclass(frozen=True, slots=True)
class CellId:
    """Names a cell: one suite, in one variant, through one client on one topology of one server.

    As text ``suite/client/topology/server``, with ``/variant`` behind it unless that is the
    default one.
    """

    suite: str
    client: str
    topology: Topology
    server: str
    variant: str = DEFAULT_VARIANT

    def __str__(self) -> str:
        name = f"{self.suite}/{self.client}/{self.topology}/{self.server}"
        return name if self.variant == DEFAULT_VARIANT else f"{name}/{self.variant}"

    @classmethod
    def parse(cls, text: str) -> CellId:
        """Inverse of ``str``. Raises ValueError on anything else."""
        suite, client, topology, server, *variant = text.split("/")
        if len(variant) > 1 or variant in ([""], [DEFAULT_VARIANT]):
            raise ValueError(f"{text!r} is no suite/client/topology/server[/variant]")
        return cls(suite, client, Topology(topology), server, *variant)


@dataclass(frozen=True, slots=True)
class Connect:
    """A Python-level ``socket.connect`` that the client under test did not make itself.

    ``reached``: True when the address is a server of the cell (a *foreign connection*), False when
    it lies outside the cell's lease (refused there, or with nothing listening in the namespace).
    """

    address: str
    module: str
    file: str
    line: int
    reached: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """One attempt at one test, as the recorder and the cell's supervisor saw it.

    ``touches``: command name in lower case (``config|resetstat`` for subcommands) to the number of
    calls that the servers counted during set-up, call and teardown, the recorder's own excluded
    and before the published list of handshake and clean-up commands is applied.
    ``nodes``: the same per node, keyed ``host:port``. ``seconds``: wall clock of all phases.
    """

    cell: CellId
    test: str
    attempt: int
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    traceback: str = ""
    touches: Mapping[str, int] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    connects: tuple[Connect, ...] = ()
    stats_reset: bool = False


@dataclass(frozen=True, slots=True)
class LockedTest:
    """One line of a suite's ``collected.lock``.

    ``seconds``: duration in the locking run's slowest topology, for budgets and lanes only.
    """

    id: str
    kind: Kind
    topologies: frozenset[Topology]
    seconds: float


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """What the header of a run says of one suite: which locked tests this run set out to run."""

    suite: str
    version: str
    title: str
    row: str
    licence: str
    tests: tuple[LockedTest, ...]


@dataclass(frozen=True, slots=True)
class CellRun:
    """One cell of a run: what was started, and what it ended with.

    ``status``: ``run`` or ``not run: <reason>``. ``complete``: the cell reached its own end.
    ``canary``: addresses of primaries that no longer executed scripts when the suite had ended.
    """

    cell: CellId
    control: bool
    client_version: str = ""
    server_version: str = ""
    isolation: str = ""
    lanes: int = 1
    status: str = "run"
    seconds: float = 0.0
    canary: tuple[str, ...] = ()
    server_log: str = ""
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A whole ``results.jsonl``, read back.

    ``problems``: why the file is not the whole of a finished run (empty when it is).
    """

    header: Mapping[str, object]
    suites: tuple[SuiteRun, ...]
    cells: tuple[CellRun, ...]
    observations: tuple[Observation, ...]
    problems: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True when nothing is missing from the file."""
        return not self.problems
