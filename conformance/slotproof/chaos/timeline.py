"""What one writer saw of one outage, and what follows from it. Pure.

All times are seconds of CLOCK_MONOTONIC, which on Linux and macOS is one clock for all processes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

# A writer that wrote without such a hole for so long is back: one write in that time is no service.
# Large enough for a busy machine not to be taken for a client that is stuck.
STEADY_SECONDS = 4.0
HOLE_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Ack:
    """Write ``number`` was sent at ``sent`` and the client said at ``at`` that it was done."""

    number: int
    sent: float
    at: float


@dataclass(frozen=True, slots=True)
class Shown:
    """An error that the client raised to its caller for write ``number``.

    ``error``: the class with its module. ``proper``: whether it belongs to those classes of
    redis-py that an application catches when a server is away; None for a client that does not
    claim to be redis-py. ``repeatable``: the write was one that may be sent again when nobody knows
    whether it was done.
    """

    number: int
    sent: float
    at: float
    error: str
    text: str
    proper: bool | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything one writer was told, in order of time. ``died``: its process ended by itself."""

    acks: tuple[Ack, ...]
    errors: tuple[Shown, ...] = ()
    died: bool = False


@dataclass(frozen=True, slots=True)
class Outage:
    """The moments of one fault.

    ``fault``: it had been injected. ``served``: the harness's own probe had a write to the slots
    acknowledged again: the replica was promoted; after a migration: the last slot had its new
    owner. ``healed``: the harness undid the fault, or None where it never does. ``ended``: the
    writers were told to stop. ``interrupts``: nobody can write between ``fault`` and ``served``.
    """

    fault: float
    served: float
    ended: float
    healed: float | None = None
    interrupts: bool = True

    @property
    def deadline(self) -> float:
        """Until when a writer must be back to count as having come back by itself.

        A fault that is undone after the replica has taken over is no help that production gives.
        """
        late = self.healed is not None and self.healed > self.served
        return self.healed if late and self.healed is not None else self.ended


@dataclass(frozen=True, slots=True)
class Seen:
    """One subject in one outage, summed up.

    ``gap``: the longest time between two acknowledgements (s). ``delay``: from ``Outage.served``
    to the first acknowledgement after the fault (s), a few ms negative when the subject was
    quicker than the probe; None for a fault that interrupts nobody. ``back``: it wrote steadily
    again by itself; where it did not, gap and delay are lower bounds. ``errors``: shown to the
    caller from the fault on. ``lost``: writes acknowledged and not there afterwards, of which
    ``lost_early`` were acknowledged before the fault. ``twice``: increments that were applied more
    than once. ``died``: the client took its process down.
    """

    acknowledged: int
    gap: float
    delay: float | None
    back: bool
    errors: tuple[Shown, ...]
    lost: int
    lost_early: int
    twice: int
    died: bool = False


def since_fault(timeline: Timeline, outage: Outage) -> tuple[Shown, ...]:
    """Return the errors that the fault caused: those shown after it."""
    return tuple(error for error in timeline.errors if error.at > outage.fault)


def longest_gap(acks: Iterable[Ack], outage: Outage) -> float:
    """Return the longest time without an acknowledgement that reaches beyond the fault, in s.

    The time from the last acknowledgement to the end counts too: it may be the longest of all.
    """
    times = [ack.at for ack in acks if ack.at <= outage.ended]
    before = max((at for at in times if at <= outage.fault), default=outage.fault)
    edges = [before, *sorted(at for at in times if at > outage.fault), outage.ended]
    return max(later - earlier for earlier, later in pairwise(edges))


def recovery(acks: Sequence[Ack], outage: Outage) -> Ack | None:
    """Return the acknowledgement with which the subject was back, None when it never was.

    ``acks``: in order of time. A reply that was under way when the fault struck is none; the write
    that the fault caught in flight and that the client repeated until it was done is one. Where
    the fault interrupts nobody: the first write after it.
    """
    first = bisect_right(acks, outage.fault, key=lambda ack: ack.at)
    for ack in acks[first:]:
        if outage.interrupts:
            after = ack.sent >= outage.fault or ack.at >= outage.served
        else:
            after = ack.sent >= outage.served
        if after:
            return ack if ack.at <= outage.deadline else None
    return None


def steady(acks: Sequence[Ack], until: float, seconds: float = STEADY_SECONDS) -> bool:
    """Whether a writer wrote without a hole for the last ``seconds`` before ``until``.

    ``acks``: in order of time. A client that is stuck may get a write through now and then.
    """
    first, last = (
        bisect_right(acks, moment, key=lambda ack: ack.at) for moment in (until - seconds, until)
    )
    edges = [until - seconds, *(ack.at for ack in acks[first:last]), until]
    return all(later - earlier <= HOLE_SECONDS for earlier, later in pairwise(edges))


def summed_up(timeline: Timeline, outage: Outage, stored: Mapping[int, int]) -> Seen:
    """Sum up a subject's part in an outage.

    ``stored``: number of a write to how often it was applied, as read back from the cluster after
    everything had settled.
    """
    back = None
    if not timeline.died and steady(timeline.acks, outage.deadline):
        back = recovery(timeline.acks, outage)
    lost = [ack for ack in timeline.acks if not stored.get(ack.number)]
    delay = None
    if outage.interrupts:
        delay = (back.at if back else outage.deadline) - outage.served
    return Seen(
        acknowledged=len(timeline.acks),
        gap=longest_gap(timeline.acks, outage),
        delay=delay,
        back=back is not None,
        errors=since_fault(timeline, outage),
        lost=len(lost),
        lost_early=sum(ack.at <= outage.fault for ack in lost),
        twice=sum(count > 1 for count in stored.values()),
        died=timeline.died,
    )


def in_most(values: Sequence[float], share: float = 0.95) -> float:
    """Return the smallest value that at least ``share`` of ``values`` do not exceed.

    Of 20 values the 19th; of fewer than 20 the largest. Raises ValueError without values.
    """
    if not values:
        raise ValueError("no values")
    return sorted(values)[count_of_most(len(values), share) - 1]


def count_of_most(of: int, share: float = 0.95) -> int:
    """Return how many of ``of`` are at least ``share`` of them."""
    # In whole numbers: 0.95 * 20 is not 19 in binary fractions.
    return max(1, -(-of * round(share * 100) // 100))
