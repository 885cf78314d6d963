"""Figures of a benchmark in words, the same on the terminal and in the HTML report. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slotproof.bench.statistics import Spread


def quantity(value: float, unit: str) -> str:
    """A figure with its unit in a size that can be read: ``8,300/s``, ``0.31 MB``, ``163 µs``."""
    match unit:
        case "commands/s":
            return f"{value:,.0f}/s"
        case "bytes":
            return f"{value / 1e6:.2f} MB"
        case "s" | "s/command":
            return f"{value * 1e3:.2f} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"
        case "connections":
            return f"{value:g}"
    return f"{value:.3g} {unit}".strip()


def ratio(spread: Spread) -> str:
    """Median and interval: ``1.31 [1.22, 1.40]``; the median alone where there is no other."""
    middle = number(spread.median)
    if spread.count == 1:
        return middle
    return f"{middle} [{number(spread.low)}, {number(spread.high)}]"


def number(value: float) -> str:
    """A ratio with three significant figures, two decimals at most."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
