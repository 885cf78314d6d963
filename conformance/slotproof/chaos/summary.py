"""All outages of one kind together, and the bars that they are held against. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from slotproof.chaos.outage import Observed
from slotproof.chaos.timeline import Seen, count_of_most, in_most
from slotproof.criteria import COMPARATORS

_ADDRESS = re.compile(r"\b127\.0\.0\.1:\d+\b")


@dataclass(frozen=True, slots=True)
class Block:
    """The outages of one scenario on one server. ``server``: its name, such as ``valkey-9.1``."""

    server: str
    scenario: str
    observed: tuple[Observed, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """The names of those who wrote."""
        return tuple(self.observed[0].seen) if self.observed else ()

    def of(self, subject: str) -> Column:
        """Return one subject's part."""
        return Column(subject, tuple(one.seen[subject] for one in self.observed))


@dataclass(frozen=True, slots=True)
class Column:
    """One subject in all outages of a block, at least one."""

    subject: str
    seen: tuple[Seen, ...]

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds, one an outage."""
        return tuple(one.gap for one in self.seen)

    @property
    def delays(self) -> tuple[float, ...]:
        """Seconds, one an outage; empty for a fault that interrupts nobody."""
        return tuple(one.delay for one in self.seen if one.delay is not None)

    @property
    def errors(self) -> tuple[int, ...]:
        """Errors shown to the caller, one number an outage."""
        return tuple(len(one.errors) for one in self.seen)

    @property
    def repeatable_errors(self) -> int:
        """Errors shown for writes that may be repeated, in all outages."""
        return sum(error.repeatable for one in self.seen for error in one.errors)

    @property
    def lost(self) -> int:
        """Writes acknowledged and then lost, in all outages."""
        return sum(one.lost for one in self.seen)

    @property
    def twice(self) -> int:
        """Increments applied more than once, in all outages."""
        return sum(one.twice for one in self.seen)

    @property
    def never_back(self) -> int:
        """Outages out of which the subject did not come back by itself."""
        return sum(not one.back for one in self.seen)


Measure = Callable[[Column, Column | None], float | None]
"""A subject's column and the control's to a value; None where there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a subject is held to in one scenario.

    ``title`` may name ``{most}`` and ``{of}``, such as 19 and 20. ``servers``: a regular expression
    for the names of the servers it counts on.
    """

    scenario: str
    title: str
    measure: Measure
    comparator: str
    limit: float
    unit: str
    servers: str = ".*"


@dataclass(frozen=True, slots=True)
class Held:
    """A bar with a subject's value; ``held`` is None, and ``value`` too, without a control."""

    bar: Bar
    server: str
    subject: str
    title: str
    value: float | None
    held: bool | None

    @property
    def limit(self) -> str:
        """The bar in words, such as ``≤ 0.2 s``."""
        sign = {">=": "≥", "<=": "≤", "==": "="}.get(self.bar.comparator, self.bar.comparator)
        return f"{sign} {self.bar.limit:g} {self.bar.unit}".rstrip()

    @property
    def verdict(self) -> str:
        """``held``, ``missed`` or ``not compared``."""
        if self.held is None:
            return "not compared"
        return "held" if self.held else "missed"


def _more_than_control(column: Column, control: Column | None) -> float | None:
    if control is None:
        return None
    # redis-py repeats increments blindly; an error that says "nobody knows" is better than that.
    return float(column.repeatable_errors - control.repeatable_errors)


_ERRORS_EACH = "errors shown to the caller, the most in one outage"
_ERRORS_CONTROL = (
    "errors shown for writes that may be repeated, beyond redis-py's in the same outages"
)
_BACK = "outages after which it did not write steadily again by itself"
_LOST = "writes acknowledged, then lost"


def _common(scenario: str) -> tuple[Bar, ...]:
    return (
        Bar(scenario, _BACK, lambda c, _: float(c.never_back), "==", 0, ""),
        Bar(scenario, _LOST, lambda c, _: float(c.lost), "==", 0, ""),
    )


def _few_errors(scenario: str) -> tuple[Bar, ...]:
    return (
        Bar(scenario, _ERRORS_EACH, lambda c, _: float(max(c.errors)), "<=", 1, ""),
        Bar(scenario, _ERRORS_CONTROL, _more_than_control, "<=", 0, ""),
    )


BARS: tuple[Bar, ...] = (
    Bar(
        "kill",
        "acknowledges again after the promotion, {most} of {of}",
        lambda c, _: in_most(c.delays),
        "<=",
        0.2,
        "s",
    ),
    Bar(
        # Older servers' own election alone takes longer.
        "kill",
        "gap between two acknowledgements, median",
        lambda c, _: median(c.gaps),
        "<",
        1.0,
        "s",
        servers=r"valkey-(9\.[1-9]|[1-9]\d).*",
    ),
    *_few_errors("kill"),
    *_common("kill"),
    Bar(
        "freeze",
        "acknowledges again after the promotion, {of} of {of}",
        lambda c, _: max(c.delays),
        "<=",
        1.0,
        "s",
    ),
    *_few_errors("freeze"),
    *_common("freeze"),
    Bar(
        "migrate",
        "errors shown to the caller, in all migrations",
        lambda c, _: float(sum(c.errors)),
        "==",
        0,
        "",
    ),
    *_common("migrate"),
    *_common("partition"),
)


def hold(blocks: Sequence[Block], subjects: Sequence[str], control: str | None) -> tuple[Held, ...]:
    """Hold subjects against every bar that counts for what was observed.

    ``control``: the name of the subject that errors are compared with.
    """
    return tuple(
        _hold(bar, block, subject, control)
        for block in blocks
        for subject in subjects
        for bar in BARS
        if bar.scenario == block.scenario and re.fullmatch(bar.servers, block.server)
        if subject in block.subjects
    )


def _hold(bar: Bar, block: Block, subject: str, control: str | None) -> Held:
    other = block.of(control) if control in block.subjects and control is not None else None
    value = bar.measure(block.of(subject), other)
    of = len(block.observed)
    title = bar.title.format(most=count_of_most(of), of=of)
    held = None if value is None else COMPARATORS[bar.comparator](value, bar.limit)
    return Held(bar, block.server, subject, title, value, held)


def error_kinds(column: Column) -> Mapping[tuple[str, str], int]:
    """Return how often each error (class, text) was shown, most frequent first.

    Every outage has nodes of its own: their addresses are all the same here.
    """
    counts = Counter(
        (error.error, " ".join(_ADDRESS.sub("NODE", error.text).split()))
        for one in column.seen
        for error in one.errors
    )
    return dict(counts.most_common())
