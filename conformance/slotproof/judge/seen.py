"""Sum up all attempts at one test in one column."""

from __future__ import annotations

from collections.abc import Sequence

from slotproof.judge.verdict import Seen
from slotproof.model import Observation, Outcome

# An expected failure is still a failure: upstream only says that it knows. Counted so, a client
# that passes it shows as a gain, and one that fails where the control passes is not excused.
_SEEN: dict[Outcome, Seen] = {
    Outcome.PASSED: Seen.PASS,
    Outcome.XPASSED: Seen.PASS,
    Outcome.FAILED: Seen.FAIL,
    Outcome.ERROR: Seen.FAIL,
    Outcome.XFAILED: Seen.FAIL,
    Outcome.CRASHED: Seen.FAIL,
    Outcome.SKIPPED: Seen.SKIP,
    Outcome.HUNG: Seen.HUNG,
    Outcome.NOT_COLLECTED: Seen.LOST,
    Outcome.NOT_RUN: Seen.ENVIRONMENT,
    Outcome.SERVER_LOST: Seen.ENVIRONMENT,
}


def seen(attempts: Sequence[Observation]) -> Seen:
    """Return what the attempts, in order, amount to.

    A server that dies once is the environment's fault; one that dies in every attempt, and in at
    least two, was brought down by the test, which counts as a failure.
    """
    states = [_SEEN[a.outcome] for a in attempts]
    lost_servers = [a for a in attempts if a.outcome is Outcome.SERVER_LOST]
    if len(lost_servers) > 1 and len(lost_servers) == len(attempts):
        return Seen.FAIL
    telling = [s for s in states if s is not Seen.ENVIRONMENT]
    if not telling:
        return Seen.ENVIRONMENT if states else Seen.NONE
    distinct = set(telling)
    if len(distinct) == 1:
        return telling[0]
    if Seen.PASS in distinct:
        return Seen.FLAKY
    return Seen.FAIL if Seen.FAIL in distinct else telling[0]
