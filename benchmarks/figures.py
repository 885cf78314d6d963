"""Several measurements of one thing, as the benchmarks print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figures:
    """Measurements in the order in which they were taken, all in one unit."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.values)

    def __str__(self) -> str:
        return f"{self.median:.2f} (median of {len(self.values)}; " + (
            f"{min(self.values):.2f} to {max(self.values):.2f})"
        )
