"""The six systems of the status document and what stands for each of them in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slotproof.judge.verdict import Verdict

if TYPE_CHECKING:
    from slotproof.judge.matrix import CellVerdicts, Matrix, Row
    from slotproof.model import CellId, Run


@dataclass(frozen=True, slots=True)
class System:
    """``name``: the row's title in the status document; ``here``: the Python counterpart."""

    name: str
    here: str


SYSTEMS = (
    System("ioredis core", "redis-py core and cluster"),
    System("Bull v3", "RQ"),
    System("BullMQ", "Celery"),
    System("Socket.IO", "python-socketio"),
    System("express-session", "Flask-Session"),
    System("rate-limit-redis", "Flask-Limiter"),
)

# What a reader must look into first, worst first. Pass, gain and skipped are no trouble.
TROUBLE = (
    Verdict.BYPASSED,
    Verdict.LOST,
    Verdict.ADAPTER,
    Verdict.ENVIRONMENT,
    Verdict.FLAKY,
    Verdict.UPSTREAM,
    Verdict.TOPOLOGY,
)


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """A column of the matrix: a client on a topology of a server, over all suites."""

    client: str
    topology: str
    server: str

    @classmethod
    def of(cls, cell: CellId) -> Column:
        """The column a cell stands in."""
        return cls(cell.client, str(cell.topology), cell.server)


def columns(matrix: Matrix) -> tuple[Column, ...]:
    """Every column of the matrix, in the order in which the rows name them first."""
    return tuple(dict.fromkeys(Column.of(c.cell) for row in matrix.rows for c in row.cells))


def titles(found: tuple[Column, ...]) -> dict[Column, str]:
    """``client, topology`` for each column, with the server only where it tells two apart."""
    several = len({column.server for column in found}) > 1
    return {c: f"{c.client}, {c.topology}" + (f", {c.server}" if several else "") for c in found}


def in_column(row: Row, column: Column) -> CellVerdicts | None:
    """The cell of a row in a column, or None."""
    return next((c for c in row.cells if Column.of(c.cell) == column), None)


def count(cell: CellVerdicts, verdict: Verdict) -> int:
    """How many tests of a cell got a verdict."""
    return cell.counts.get(verdict, 0)


def server_names(run: Run) -> list[str]:
    """The servers that ran, each with its version as it named itself; sorted."""
    return sorted({c.server_version or c.cell.server for c in run.cells if c.status == "run"})
