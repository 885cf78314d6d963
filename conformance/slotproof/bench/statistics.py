"""Ratios of paired measurements, and how far they can be trusted. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 2000
CONFIDENCE = 0.95
# Any fixed number does: the same figures must always give the same interval.
_SEED = 20110


@dataclass(frozen=True, slots=True)
class Spread:
    """Several figures of one thing: median, 95 % bootstrap interval of it, extremes, how many."""

    median: float
    low: float
    high: float
    smallest: float
    largest: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Sum up figures; the interval is the percentile bootstrap of their median, seeded.

    Raises ValueError for no figure at all. One figure is its own interval.
    """
    if not values:
        raise ValueError("no figures")
    ordered = sorted(values)
    count = len(ordered)
    low = high = ordered[0]
    if ordered[0] != ordered[-1]:
        generator = random.Random(_SEED)
        medians = sorted(median(generator.choices(ordered, k=count)) for _ in range(RESAMPLES))
        outside = round(RESAMPLES * (1 - CONFIDENCE) / 2)
        low, high = medians[outside], medians[-1 - outside]
    return Spread(median(ordered), low, high, ordered[0], ordered[-1], count)


def paired(subject: Mapping[int, float], control: Mapping[int, float]) -> list[float]:
    """Return subject ÷ control of every round that both have, in the order of rounds.

    Rounds that only one of them has are left out: they were not measured side by side. A round
    in which the control is 0 is left out too.
    """
    common = sorted(subject.keys() & control.keys())
    return [subject[number] / control[number] for number in common if control[number]]
