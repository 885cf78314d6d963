"""The benchmark on a terminal: ratios, costs, and each bar with what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from slotproof.bench.cases import CONTROL
from slotproof.bench.performance import Verdict
from slotproof.report.quantities import quantity, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from slotproof.bench.performance import Compared, Judged, Performance, Row
    from slotproof.bench.statistics import Spread

_CLIENT_WIDTH = 18
_TITLE_WIDTH = 34

_STYLES = {
    Verdict.HELD: "green",
    Verdict.MISSED: "bold red",
    Verdict.UNDECIDED: "yellow",
    Verdict.NOT_MEASURED: "yellow",
    Verdict.REPORTED: "dim",
}


def render(performance: Performance, console: Console) -> None:
    """Print figures and bars.

    Throughput, CPU time, and costs (latency, memory, connections): the control's own figure, and
    each client's ratio to it with its 95 % interval; where the terminal is too narrow for a column
    a client, a line each. Every verdict is a word, so nothing is said by colour alone.
    """
    speed = [row for row in performance.rows if not row.case.lower_is_better]
    costs = [row for row in performance.rows if row.case.lower_is_better]
    to = "as a ratio to the control's"
    _figures(f"throughput, {to} (more is better)", performance, speed, console, _OWN)
    _figures(f"CPU time a command, {to} (less is better)", performance, speed, console, _CPU)
    _figures(f"costs, {to} (less is better)", performance, costs, console, _OWN)
    _print_reasons(performance, console)
    _bars(performance.judged, console)


@dataclass(frozen=True, slots=True)
class _Shown:
    """Which of a client's figures a table shows."""

    value: Callable[[Compared], Spread | None]
    ratio: Callable[[Compared], Spread | None]
    unit: Callable[[Compared], str]

    def own(self, compared: Compared | None) -> Text:
        """A client's own figure."""
        if compared is None:
            return Text("")
        value = self.value(compared)
        if value is None:
            return Text("not measured", "yellow")
        return Text(quantity(value.median, self.unit(compared)))

    def to_control(self, compared: Compared | None) -> Text:
        """Its ratio to the control's."""
        if compared is None or compared.client == CONTROL:
            return Text("")
        found, own = self.ratio(compared), self.own(compared)
        if found is None or compared.unit != "connections":
            return own if found is None else Text(ratio(found))
        # A number of connections says more than a ratio of two small numbers.
        return own.append(f" ({ratio(found)})")


_OWN = _Shown(lambda c: c.value, lambda c: c.ratio, lambda c: c.unit)
_CPU = _Shown(lambda c: c.cpu, lambda c: c.cpu_ratio, lambda _: "s/command")


def _figures(
    title: str, performance: Performance, rows: Sequence[Row], console: Console, shown: _Shown
) -> None:
    if not rows:
        return
    others = [name for name in performance.clients if name != CONTROL]
    wide = console.width >= _TITLE_WIDTH + _CLIENT_WIDTH * len(performance.clients)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.add_column("", no_wrap=wide, overflow="fold")
    if wide:
        table.add_column(Text(_one_line(performance.titles.get(CONTROL, CONTROL))), justify="right")
        for name in others:
            table.add_column(Text(name), justify="right", overflow="fold")
    else:
        table.add_column("client", overflow="fold")
        table.add_column("figure", justify="right")
        table.add_column("ratio", justify="right")
    for row in rows:
        by_name = {compared.client: compared for compared in row.clients}
        if wide:
            cells = [shown.to_control(by_name.get(name)) for name in others]
            table.add_row(row.case.title, shown.own(by_name.get(CONTROL)), *cells)
            continue
        first = row.case.title
        for name in (n for n in performance.clients if n in by_name):
            one = by_name[name]
            found = shown.ratio(one) if name != CONTROL else None
            table.add_row(first, Text(name), shown.own(one), ratio(found) if found else "")
            first = ""
    console.print(table)


def _print_reasons(performance: Performance, console: Console) -> None:
    reasons = {c.reason: None for row in performance.rows for c in row.clients if c.reason}
    for reason in reasons:
        console.print(Text(f"not measured: {_one_line(reason)}", "yellow"), soft_wrap=True)


def _bars(judged: Sequence[Judged], console: Console) -> None:
    if not judged:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="bars", title_justify="left")
    for name in ("bar", "case", "against"):
        table.add_column(name, overflow="fold")
    table.add_column("wanted", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    before = ""
    for one in judged:
        name = f"{one.bar.client}: {one.bar.title}"
        verdict = Text(str(one.verdict), _STYLES[one.verdict])
        if one.verdict is Verdict.UNDECIDED:
            verdict.append(f", {one.reason}")
        table.add_row(
            "" if name == before else name,
            one.case.title,
            _against(one),
            one.bar.shown if one.bar.judges else "",
            ratio(one.ratio) if one.ratio else "",
            verdict,
        )
        before = name
    console.print(table)
    counts = [(v, sum(j.verdict is v for j in judged)) for v in Verdict]
    console.print(Text("bars: " + ", ".join(f"{n} {v}" for v, n in counts if n)))


def _against(one: Judged) -> str:
    name = one.against or " or ".join(one.bar.against)
    return f"{name}, {one.bar.against_case.title}" if one.bar.against_case else name


def _one_line(text: str) -> str:
    """A client's own words, without what would steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
