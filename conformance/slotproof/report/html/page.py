"""Fill the report's template. Pure: the template and its style and script are package data."""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup

from slotproof.criteria import GROUPS, Measured
from slotproof.judge.verdict import Verdict
from slotproof.model import Outcome, Run
from slotproof.report.html.payload import dump, payload
from slotproof.report.html.performance import render as render_performance
from slotproof.report.systems import TROUBLE, Column, columns, count, in_column, server_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slotproof.bench.performance import Performance
    from slotproof.judge.matrix import CellVerdicts, Matrix, Row

SYMBOLS: Mapping[Verdict, str] = {
    Verdict.PASS: "\N{CHECK MARK}",
    Verdict.GAIN: "+",
    Verdict.ADAPTER: "\N{MULTIPLICATION X}",
    Verdict.TOPOLOGY: "\N{WHITE DIAMOND}",
    Verdict.UPSTREAM: "\N{WHITE UP-POINTING TRIANGLE}",
    Verdict.LOST: "\N{EMPTY SET}",
    Verdict.BYPASSED: "\N{RIGHTWARDS ARROW OVER LEFTWARDS ARROW}",
    Verdict.FLAKY: "~",
    Verdict.ENVIRONMENT: "!",
    Verdict.SKIPPED: "\N{EN DASH}",
}


@dataclass(frozen=True, slots=True)
class _Head:
    """A column's head in the matrix."""

    client: str
    topology: str
    server: str
    control: bool


def render(
    run: Run,
    matrix: Matrix,
    measured: Sequence[Measured],
    performance: Performance | None = None,
) -> str:
    """Return the report of a run as one HTML document; ``performance``: that of its benchmark.

    It makes no request: style, script and data are inside, and a content security policy with
    the hashes of the two allows nothing else. Whatever a suite or a client wrote is text in it.
    """
    style, script = _asset("report.css"), _asset("report.js")
    data = payload(matrix)
    data["symbols"] = SYMBOLS
    data["trouble"] = TROUBLE
    found = columns(matrix)
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    template = environment.from_string(_asset("report.html.j2"))
    page = template.render(
        run=run,
        header=run.header,
        command=shlex.join(["slotproof", *_words(run.header.get("argv"))]),
        servers=server_names(run),
        heads=[_head(matrix, c) for c in found],
        rows=[(row, [_cell(row, c, n) for n, c in enumerate(found)]) for row in matrix.rows],
        groups=[(g, [m for m in measured if m.criterion.group == g]) for g in GROUPS],
        measured=measured,
        performance=None if performance is None else render_performance(performance),
        trouble=TROUBLE,
        symbols=SYMBOLS,
        tests=sum(len(suite.tests) for suite in run.suites),
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        # The JSON is escaped by ``dump``; escaping it again for HTML would break it.
        data=Markup(dump(data)),
    )
    # A lone surrogate in a test's message has no UTF-8.
    return page.encode("utf-8", "replace").decode("utf-8")


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _words(argv: object) -> list[str]:
    return [str(word) for word in argv] if isinstance(argv, list | tuple) else []


def _head(matrix: Matrix, column: Column) -> _Head:
    cells = [in_column(row, column) for row in matrix.rows]
    control = any(c is not None and c.control for c in cells)
    versions = dict.fromkeys(c.run.server_version for c in cells if c is not None)
    server = ", ".join(v for v in versions if v) or column.server
    return _Head(column.client, column.topology, server, control)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell of the matrix as the template shows it."""

    verdicts: CellVerdicts
    suite: str
    column: int

    @property
    def percent(self) -> float:
        """Width of the bar, 0 to 100; never full unless all passed."""
        ratio = self.verdicts.proved
        return 0.0 if not ratio.of else round(100 * ratio.passed / ratio.of, 2)

    @property
    def anchor(self) -> str:
        """The id of the cell's own section."""
        return f"cell-{self.suite}-{self.column}"

    def count(self, verdict: Verdict) -> int:
        """How many tests got this verdict."""
        return count(self.verdicts, verdict)

    @property
    def counted(self) -> list[tuple[Verdict, int]]:
        """Every verdict that some test got."""
        return [(v, self.count(v)) for v in Verdict if self.count(v)]

    @property
    def outcomes(self) -> list[tuple[Outcome, int]]:
        """Every outcome that some test had."""
        counts = self.verdicts.outcomes
        return [(o, counts[o]) for o in Outcome if counts.get(o)]

    def link(self, verdict: Verdict) -> str:
        """The fragment that shows these tests in the table."""
        return "#" + urlencode({"suite": self.suite, "column": self.column, "verdict": verdict})


def _cell(row: Row, column: Column, number: int) -> _Cell | None:
    found = in_column(row, column)
    return None if found is None else _Cell(found, row.name, number)


def duration(seconds: float) -> str:
    """Seconds in words: ``850 ms``, ``12.5 s``, ``3 min 20 s``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
