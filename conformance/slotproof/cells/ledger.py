"""Which tests of a lane are done, which remain and which get another attempt: pure bookkeeping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from slotproof.model import Outcome

# An expected failure too: most of those are expected because they come and go.
RETRIED = frozenset(
    {
        Outcome.FAILED,
        Outcome.ERROR,
        Outcome.XFAILED,
        Outcome.HUNG,
        Outcome.CRASHED,
        Outcome.SERVER_LOST,
    }
)


@dataclass(slots=True)
class Ledger:
    """The state of a lane: every id in ``order`` ends with at least one outcome, or is missing.

    ``reruns``: further attempts that a test which did not pass gets, in later rounds.
    """

    order: tuple[str, ...]
    reruns: int
    attempt: int = 0
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)

    def record(self, test: str, outcome: Outcome) -> int:
        """Note an outcome and return the number of the attempt, from 0."""
        seen = self.outcomes.setdefault(test, [])
        seen.append(outcome)
        return len(seen) - 1

    def remaining(self) -> tuple[str, ...]:
        """The tests to run in the present round, in the locked order."""
        return tuple(t for t in self._round() if len(self.outcomes.get(t, ())) <= self.attempt)

    def next_round(self) -> bool:
        """Begin the next round; False when nothing needs another attempt."""
        self.attempt += 1
        return self.attempt <= self.reruns and bool(self.remaining())

    def _round(self) -> Iterable[str]:
        if self.attempt == 0:
            return self.order
        return (
            t
            for t in self.order
            if (seen := self.outcomes.get(t)) and all(o in RETRIED for o in seen)
        )
