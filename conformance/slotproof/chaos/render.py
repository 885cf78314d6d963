"""Outages and bars as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.text import Text

from slotproof.chaos.outage import Observed
from slotproof.chaos.scenarios import SCENARIOS
from slotproof.chaos.summary import Block, Column, Held, error_kinds
from slotproof.chaos.timeline import Seen, count_of_most, in_most

_KINDS_SHOWN = 3
_TEXT_SHOWN = 120
_STYLES = {"held": "green", "missed": "bold red", "not compared": "yellow"}


def one_line(observed: Observed) -> str:
    """Return one outage in one line."""
    parts = [f"{name} {_short(seen)}" for name, seen in observed.seen.items()]
    return f"served again after {observed.promotion:.2f} s; " + "; ".join(parts)


def _short(seen: Seen) -> str:
    said = f"gap {seen.gap:.2f} s" if seen.back else f"not back after {seen.gap:.0f} s"
    if seen.died:
        said = "its process died"
    if seen.errors:
        said += f", {len(seen.errors)} errors"
    if seen.lost:
        said += f", {seen.lost} lost"
    return said


def table(block: Block, out: Console) -> None:
    """Print what every subject saw in the outages of a block."""
    of = len(block.observed)
    interrupts = SCENARIOS[block.scenario].interrupts
    out.print()
    out.print(Text(f"{SCENARIOS[block.scenario].title}: {block.server}", "bold"), soft_wrap=True)
    times = ["gap (s)", "delay (s)"] if interrupts else ["gap (s)"]
    rows = [["", *times, "errors", "in all", "lost", "twice", "not back"]]
    for subject in block.subjects:
        column = block.of(subject)
        cells = [_times(column.gaps)]
        cells += [_times(column.delays)] if interrupts else []
        cells += [_each(column.errors), str(sum(column.errors))]
        cells += [str(column.lost), str(column.twice), str(column.never_back)]
        rows.append([subject, *cells])
    # No table of rich's: on a narrow terminal or in a pipe it would cut cells off.
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for number, (name, *cells) in enumerate(rows):
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        line = "  ".join([name.ljust(widths[0]), *padded])
        out.print(Text(line, "" if number else "dim"), soft_wrap=True)
    promotions = [one.promotion for one in block.observed]
    stall = max(one.stall for one in block.observed)
    word = "served again after" if interrupts else "moved in"
    note = (
        f"{of} outages; times are median, {count_of_most(of)} of {of}, longest; {word}"
        f" {median(promotions):.2f} s ({min(promotions):.2f} to {max(promotions):.2f});"
        f" this machine stalled for up to {stall * 1000:.0f} ms"
    )
    out.print(Text(note, "dim"), soft_wrap=True)
    for subject in block.subjects:
        _kinds(block.of(subject), out)


def _times(values: Sequence[float]) -> str:
    return f"{median(values):.2f}  {in_most(values):.2f}  {max(values):.2f}"


def _each(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _kinds(column: Column, out: Console) -> None:
    kinds = list(error_kinds(column).items())
    for (name, text), count in kinds[:_KINDS_SHOWN]:
        said = f"{column.subject}: {count} of {name}: {text[:_TEXT_SHOWN]}"
        out.print(Text(said, "dim"), soft_wrap=True)
    if len(kinds) > _KINDS_SHOWN:
        out.print(Text(f"{column.subject}: and {len(kinds) - _KINDS_SHOWN} other kinds", "dim"))


def bars(held: Sequence[Held], gated: Sequence[str], out: Console) -> None:
    """Print each bar with its verdict; of subjects that no gate holds just what they miss."""
    out.print()
    for one in held:
        if one.subject in gated:
            verdict = (f"{one.verdict:<13}", _STYLES[one.verdict])
            out.print(Text.assemble(verdict, _measured(one)), soft_wrap=True)
    for one in held:
        if one.subject not in gated and one.held is False:
            out.print(Text(f"would miss   {_measured(one)}", "dim"), soft_wrap=True)


def _measured(one: Held) -> str:
    value = "no control in this run" if one.value is None else f"{one.value:.3g}"
    head = f"{one.subject} {one.bar.scenario} {one.server}"
    return f"{head}: {one.title}: {value} (bar: {one.limit})"
