"""Ratios as an inline SVG: a row a case, a mark and an interval a client, a logarithmic axis. Pure.

No script and no style attribute: colours are the page's classes, so light, dark and print follow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from slotproof.bench.statistics import Spread
from slotproof.report.quantities import number

_WIDTH = 960.0
_LEFT = 216.0
_RIGHT = 24.0
_LANE = 13.0
_GAP = 13.0
_AXIS = 26.0
_LEGEND = 24.0
_MARK = 4.2
TIMES = "\N{MULTIPLICATION SIGN}"
_STEPS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One case: the spread of each client's ratio (None: not measured), and bars to be reached."""

    title: str
    ratios: Mapping[str, Spread | None]
    bars: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn. ``clients``: name to title, in the order of lanes, without the control."""

    id: str
    title: str
    description: str
    control: str
    clients: Mapping[str, str]
    lines: tuple[Line, ...]


def render(plot: Plot) -> Markup:
    """Return the SVG; its title and description are what a screen reader hears."""
    scale = _Scale.of(plot.lines)
    rows = _GAP + _LANE * len(plot.clients)
    top = _LEGEND * math.ceil(len(plot.clients) / 4) + _AXIS
    height = top + rows * len(plot.lines) + _AXIS
    parts = [
        Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-labelledby="{} {}">').format(
            _n(_WIDTH), _n(height), f"{plot.id}-title", f"{plot.id}-desc"
        ),
        Markup('<title id="{}-title">{}</title>').format(plot.id, plot.title),
        Markup('<desc id="{}-desc">{}</desc>').format(plot.id, plot.description),
        *_legend(plot),
        *_axis(scale, top, top + rows * len(plot.lines), plot.control),
    ]
    for number_, line in enumerate(plot.lines):
        parts += _row(line, plot, scale, top + rows * number_, rows)
    parts.append(Markup("</svg>"))
    return Markup("\n").join(parts)


@dataclass(frozen=True, slots=True)
class _Scale:
    """A logarithmic axis from ``low`` to ``high``."""

    low: float
    high: float

    @classmethod
    def of(cls, lines: Sequence[Line]) -> _Scale:
        """Hold every interval and bar, and 1, with some room; never narrower than 0.5 to 2."""
        values = [0.5, 2.0]
        for line in lines:
            values += line.bars
            values += [v for s in line.ratios.values() if s is not None for v in (s.low, s.high)]
        positive = [v for v in values if v > 0]
        return cls(min(positive) / 1.12, max(positive) * 1.12)

    def x(self, value: float) -> float:
        """Where a ratio lies; what is not positive lies at the left edge."""
        if value <= 0:
            return _LEFT
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def ticks(self) -> list[float]:
        """1, 2 and 5 times powers of ten; of those only powers of ten when they are many."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        steps = _STEPS if last - first <= 4 else _STEPS[:1]
        candidates = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        return [tick for tick in candidates if self.low <= tick <= self.high]


def _legend(plot: Plot) -> Iterator[Markup]:
    room = (_WIDTH - _LEFT - _RIGHT) / 4
    for index, title in enumerate(plot.clients.values()):
        x = _LEFT + room * (index % 4) + _MARK
        y = _LEGEND * (index // 4) + _LEGEND / 2
        yield _mark(index, x, y)
        yield Markup('<text x="{}" y="{}">{}</text>').format(_n(x + 10), _n(y + 4), title)


def _axis(scale: _Scale, top: float, bottom: float, control: str) -> Iterator[Markup]:
    for tick in scale.ticks():
        x = scale.x(tick)
        kind = "one" if math.isclose(tick, 1.0) else "tick"
        yield Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            kind, _n(x), _n(x), _n(top - 4), _n(bottom)
        )
        for y in (top - 9, bottom + 16):
            yield Markup('<text class="at" x="{}" y="{}">{}</text>').format(
                _n(x), _n(y), f"{tick:g}"
            )
    yield Markup('<text class="control" x="{}" y="{}">{}</text>').format(
        "0", _n(top - 9), f"{TIMES} {control}"
    )


def _row(line: Line, plot: Plot, scale: _Scale, top: float, height: float) -> Iterator[Markup]:
    yield Markup('<line class="rule" x1="0" x2="{}" y1="{}" y2="{}"/>').format(
        _n(_WIDTH), _n(top), _n(top)
    )
    yield Markup('<text class="case" x="0" y="{}">{}</text>').format(
        _n(top + height / 2 + 4), line.title
    )
    for bar in line.bars:
        x = scale.x(bar)
        yield Markup(
            '<line class="bar-line" x1="{}" x2="{}" y1="{}" y2="{}"><title>{}</title></line>'
        ).format(_n(x), _n(x), _n(top + 2), _n(top + height - 2), f"bar {bar:g}")
    for index, (name, title) in enumerate(plot.clients.items()):
        y = top + _GAP / 2 + _LANE * (index + 0.5)
        spread = line.ratios.get(name)
        if spread is None:
            if name in line.ratios:
                yield Markup('<text class="missing s{}" x="{}" y="{}">{}</text>').format(
                    index % 6, _n(_LEFT + 4), _n(y + 4), "not measured"
                )
            continue
        said = (
            f"{title}, {line.title}: {number(spread.median)},"
            f" interval {number(spread.low)} to {number(spread.high)}"
        )
        yield Markup("<g><title>{}</title>").format(said)
        yield Markup('<line class="interval s{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            index % 6, _n(scale.x(spread.low)), _n(scale.x(spread.high)), _n(y), _n(y)
        )
        yield _mark(index, scale.x(spread.median), y)
        yield Markup("</g>")


def _mark(index: int, x: float, y: float) -> Markup:
    """A shape of its own for each client: nothing is said by colour alone."""
    r = _MARK
    kind = index % 6
    if kind == 0:
        return Markup('<circle class="mark-shape s0" cx="{}" cy="{}" r="{}"/>').format(
            _n(x), _n(y), _n(r)
        )
    shapes: Mapping[int, Sequence[tuple[float, float]]] = {
        1: ((-r, -r), (r, -r), (r, r), (-r, r)),
        2: ((0, -1.3 * r), (1.3 * r, 0), (0, 1.3 * r), (-1.3 * r, 0)),
        3: ((0, -1.2 * r), (1.2 * r, r), (-1.2 * r, r)),
        4: ((0, 1.2 * r), (1.2 * r, -r), (-1.2 * r, -r)),
        5: ((-0.5 * r, -1.3 * r), (0.5 * r, -1.3 * r), (0.5 * r, 1.3 * r), (-0.5 * r, 1.3 * r)),
    }
    points = " ".join(f"{_n(x + dx)},{_n(y + dy)}" for dx, dy in shapes[kind])
    return Markup('<polygon class="mark-shape s{}" points="{}"/>').format(kind, points)


def _n(value: float) -> str:
    return escape(f"{value:.1f}")
