"""The matrix on a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from slotproof.judge.verdict import Verdict
from slotproof.model import DEFAULT_VARIANT
from slotproof.report.systems import TROUBLE, Column, columns, count, in_column, titles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from slotproof.judge.matrix import CellVerdicts, Judged, Matrix, Ratio

# A column narrower than this breaks its figures; then the matrix is turned into a list.
_COLUMN_WIDTH = 19
_FIRST_WIDTH = 16

_STYLES = {
    Verdict.BYPASSED: "bold red",
    Verdict.LOST: "red",
    Verdict.ADAPTER: "red",
    Verdict.ENVIRONMENT: "magenta",
    Verdict.FLAKY: "yellow",
    Verdict.GAIN: "green",
}


def render(
    matrix: Matrix, console: Console, *, report: Path | None = None, worst: int = 10
) -> None:
    """Print the matrix, up to ``worst`` tests that did worst, and the path of the report.

    Suites are rows and client x topology columns, controls first; where the terminal is too
    narrow for that, one block a suite. Colours are rich's, which honours NO_COLOR; every figure
    has its word, so nothing is said by colour alone. The path comes last, on a line of its own.
    """
    found = columns(matrix)
    if not found:
        console.print("No cell was run.")
    elif console.width >= _FIRST_WIDTH + (_COLUMN_WIDTH + 3) * len(found):
        console.print(_wide(matrix, found))
    else:
        _narrow(matrix, found, console)
    _print_worst(matrix, console, worst)
    if report is not None:
        # Soft-wrapped: a path that is broken over lines cannot be clicked or copied.
        console.print(Text(f"Report: {report}"), soft_wrap=True)


def _wide(matrix: Matrix, found: tuple[Column, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_lines=False, pad_edge=False)
    table.add_column("suite", min_width=_FIRST_WIDTH - 2, overflow="fold")
    several = len({column.server for column in found}) > 1
    for column in found:
        head = Text(_one_line(column.client), style="bold")
        head.append(f"\n{column.topology}", style="not bold")
        if several:
            head.append(f"\n{column.server}", style="dim")
        if _is_control(matrix, column):
            head.append("\ncontrol", style="dim")
        table.add_column(head, justify="right", min_width=_COLUMN_WIDTH, vertical="top")
    for row in matrix.rows:
        first = Text(_one_line(row.title))
        first.append(f"\n{_one_line(f'{row.suite.suite} {row.suite.version}')}", style="dim")
        cells = [in_column(row, column) for column in found]
        table.add_row(first, *(Text("") if c is None else _figures(c) for c in cells))
    return table


def _is_control(matrix: Matrix, column: Column) -> bool:
    cells = (in_column(row, column) for row in matrix.rows)
    return any(cell is not None and cell.control for cell in cells)


def _figures(cell: CellVerdicts) -> Text:
    lines = list(_lines(cell))
    return Text("\n").join(lines)


def _lines(cell: CellVerdicts) -> Iterator[Text]:
    if cell.status != "run":
        yield Text(_one_line(cell.status), style="yellow")
        return
    yield Text.assemble((str(cell.proved), _ratio_style(cell.proved)), " ", _of(cell.proved))
    offline = cell.offline_total
    yield Text(f"offline {offline} {_of(offline)}", style="dim")
    if not cell.control:
        gains = count(cell, Verdict.GAIN)
        yield Text(_plural(gains, "gain"), style="green" if gains else "dim")
        faults = count(cell, Verdict.ADAPTER)
        yield Text(_plural(faults, "adapter fault"), style="red" if faults else "dim")
    for verdict in (Verdict.BYPASSED, Verdict.LOST, Verdict.ENVIRONMENT):
        if count(cell, verdict):
            yield Text(f"{count(cell, verdict)} {verdict}", style=_STYLES[verdict])
    if not cell.run.complete:
        yield Text("incomplete", style="bold yellow")
    if cell.run.canary:
        yield Text(f"{_plural(len(cell.run.canary), 'server')} broken", style="bold yellow")


def _ratio_style(ratio: Ratio) -> str:
    if ratio.value is None:
        return "dim"
    return "bold green" if ratio.passed == ratio.of else "bold"


def _of(ratio: Ratio) -> str:
    return f"{ratio.passed}/{ratio.of}"


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _narrow(matrix: Matrix, found: tuple[Column, ...], console: Console) -> None:
    names = titles(found)
    for row in matrix.rows:
        name = f"{row.title} ({row.suite.suite} {row.suite.version})"
        console.print(Text(_one_line(name), "bold"))
        for column in found:
            cell = in_column(row, column)
            if cell is None:
                continue
            control = " (control)" if cell.control else ""
            console.print(Text(f"  {_one_line(names[column])}{control}"))
            for line in _lines(cell):
                console.print(Text("    ").append_text(line))
        console.print()


def _print_worst(matrix: Matrix, console: Console, limit: int) -> None:
    found = [
        (TROUBLE.index(judged.verdict), cell, judged)
        for row in matrix.rows
        for cell in row.cells
        for judged in cell.tests.values()
        # A cell that was not run says so once, in the matrix.
        if judged.verdict in TROUBLE and cell.status == "run"
    ]
    if not found or limit < 1:
        return
    found.sort(key=lambda item: (item[0], item[1].control))
    total = Counter(judged.verdict for _, _, judged in found)
    console.print(
        Text("Not passed: ").append(", ".join(f"{total[v]} {v}" for v in TROUBLE if total[v])),
        soft_wrap=True,
    )
    for _, cell, judged in found[:limit]:
        console.print(_line(cell, judged), soft_wrap=True)
    if len(found) > limit:
        console.print(Text(f"  and {len(found) - limit} more, all of them in the report"))


def _line(cell: CellVerdicts, judged: Judged) -> Text:
    line = Text("  ")
    line.append(f"{judged.verdict:<12}", style=_STYLES.get(judged.verdict, "dim"))
    variant = "" if cell.cell.variant == DEFAULT_VARIANT else f", {cell.cell.variant}"
    where = f"{cell.cell.client}, {cell.cell.topology}{variant}"
    line.append(f"{_one_line(judged.id)}  ").append(f"[{where}]", style="dim")
    message = judged.last.message if judged.last else ""
    why = _one_line(message or judged.reason)
    return line.append(f"  {why[:120]}", style="dim") if why else line


def _one_line(text: str) -> str:
    """A test's own words, without what would steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
