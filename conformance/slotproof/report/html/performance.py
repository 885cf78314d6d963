"""The report's section on a benchmark: plots, the figures behind them, bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import jinja2
from markupsafe import Markup

from slotproof.bench.cases import CONTROL
from slotproof.bench.performance import Judged, Performance, Row
from slotproof.report.html import plot
from slotproof.report.quantities import number, quantity, ratio


def render(performance: Performance) -> Markup:
    """Return the inside of the section as HTML; whatever a client said is text in it."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"quantity": quantity, "ratio": ratio, "number": number}
    asset = files(__package__).joinpath("performance.html.j2").read_text(encoding="utf-8")
    speed = [row for row in performance.rows if not row.case.lower_is_better]
    costs = [row for row in performance.rows if row.case.lower_is_better]
    plots = [
        _plot(
            "plot-speed", "Throughput", "more is better", performance, _ratios(performance, speed)
        ),
        _plot("plot-cpu", "CPU time a command", "less is better", performance, _cpu_ratios(speed)),
        _plot(
            "plot-costs",
            "Latency, memory and connections",
            "less is better",
            performance,
            _ratios(performance, costs),
        ),
    ]
    page = environment.from_string(asset).render(
        performance=performance,
        control=CONTROL,
        plots=[(p.title, plot.render(p)) for p in plots if p is not None],
        counts=_counts(performance.judged),
        bars=_by_bar(performance.judged),
    )
    return Markup(page)


def _counts(judged: Sequence[Judged]) -> list[tuple[str, int]]:
    verdicts = dict.fromkeys(str(j.verdict) for j in judged)
    return [(verdict, sum(j.verdict == verdict for j in judged)) for verdict in verdicts]


def _by_bar(judged: Sequence[Judged]) -> list[tuple[str, list[Judged]]]:
    found: dict[str, list[Judged]] = {}
    for one in judged:
        found.setdefault(f"{one.bar.client}: {one.bar.title}", []).append(one)
    return list(found.items())


def _plot(
    name: str, title: str, sense: str, performance: Performance, every: Sequence[plot.Line]
) -> plot.Plot | None:
    clients = {c: performance.titles[c] for c in performance.clients if c != CONTROL}
    lines = [line for line in every if any(line.ratios.values())]
    if not lines or not clients:
        return None
    control = performance.titles.get(CONTROL, CONTROL)
    return plot.Plot(
        id=name,
        title=f"{title}, as a ratio to {control}: {sense}",
        description=(
            "One row a case, one mark a client at the median of the ratios of all rounds, with the"
            " 95 % interval of that median, on a logarithmic axis. Dashed lines are bars. The"
            " table below has every figure."
        ),
        control=control,
        clients=clients,
        lines=tuple(lines),
    )


def _ratios(performance: Performance, rows: Sequence[Row]) -> list[plot.Line]:
    lines = []
    for row in rows:
        bars = {
            value: None
            for judged in performance.judged
            if judged.case == row.case and CONTROL in judged.bar.against
            if (value := judged.bar.at_least or judged.bar.at_most) is not None
        }
        ratios = {c.client: c.ratio for c in row.clients if c.client != CONTROL}
        lines.append(plot.Line(row.case.title, ratios, tuple(bars)))
    return lines


def _cpu_ratios(rows: Sequence[Row]) -> list[plot.Line]:
    return [
        plot.Line(
            row.case.title, {c.client: c.cpu_ratio for c in row.clients if c.client != CONTROL}
        )
        for row in rows
    ]
