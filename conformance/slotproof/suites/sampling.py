"""Which tests a run takes, and how they are divided: quick sample, lanes, shards. Pure.

All three depend on ids and locked durations alone: the same locks give the same choice on every
machine, and nobody picks a test by hand.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence

from slotproof.errors import UsageProblem
from slotproof.model import LockedTest, Topology

_OVERHEAD_SECONDS = 0.01
"""What a test costs beside its own duration, so that many short ones are not taken for nothing."""


def quick(
    tests: Sequence[LockedTest], topology: Topology, seconds: float
) -> tuple[LockedTest, ...]:
    """Return the tests of the quick profile, in the order of ``tests``.

    Tests of ``topology`` are taken by the sha256 of their ids, lowest first, while the sum of
    their durations stays within ``seconds``. The first that does not fit ends the sample, or
    short tests would be preferred; only one that is longer than a tenth of the budget is passed
    over instead.
    """
    here = [test for test in tests if topology in test.topologies]
    left = seconds
    chosen: set[str] = set()
    for test in sorted(here, key=lambda test: _rank(test.id)):
        if test.seconds <= left:
            chosen.add(test.id)
            left -= test.seconds
        elif test.seconds <= seconds / 10:
            break
    return tuple(test for test in here if test.id in chosen)


def lanes(tests: Sequence[LockedTest], count: int) -> tuple[tuple[LockedTest, ...], ...]:
    """Divide ``tests`` into ``count`` lanes of about the same duration; some may be empty.

    The tests of one class (or of one file, outside of classes) stay together and in their order,
    for they may share state. The longest group goes first, always onto the least loaded lane.
    Raises UsageProblem for a count below 1.
    """
    if count < 1:
        raise UsageProblem("dividing the tests", f"{count} lanes", "ask for at least one")
    groups: dict[tuple[str, str], list[LockedTest]] = {}
    for test in tests:
        groups.setdefault(group(test.id), []).append(test)
    loads = [(0.0, lane) for lane in range(count)]
    lane_of: dict[tuple[str, str], int] = {}
    for seconds, key in sorted((-_seconds(groups[key]), key) for key in groups):
        load, lane = heapq.heappop(loads)
        lane_of[key] = lane
        heapq.heappush(loads, (load - seconds, lane))
    return tuple(
        tuple(test for test in tests if lane_of[group(test.id)] == lane) for lane in range(count)
    )


def shard(tests: Sequence[LockedTest], index: int, count: int) -> tuple[LockedTest, ...]:
    """Return part ``index`` (from 1) of ``count``; all parts together are ``tests``, once each.

    Raises UsageProblem unless 1 <= index <= count.
    """
    if not 1 <= index <= count:
        raise UsageProblem(
            "choosing the shard", f"{index}/{count}", "give it as i/n with i from 1 to n"
        )
    return lanes(tests, count)[index - 1]


def group(test_id: str) -> tuple[str, str]:
    """Return file and class (``Outer::Inner``, or "") of a pytest node id."""
    file, _, rest = test_id.partition("::")
    # Only what stands before the parameters: these may hold anything, "::" too.
    names = rest.split("[", 1)[0].split("::")
    return file, "::".join(names[:-1])


def _rank(test_id: str) -> bytes:
    return hashlib.sha256(test_id.encode("utf-8", "surrogatepass")).digest()


def _seconds(tests: Sequence[LockedTest]) -> float:
    return sum(test.seconds + _OVERHEAD_SECONDS for test in tests)
