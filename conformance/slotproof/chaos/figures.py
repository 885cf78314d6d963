"""Outages as figures for ``results.jsonl``, from which the success criteria are computed. Pure.

Times are one figure an outage, so that their median and spread can be taken; counts are one figure
for all outages of a scenario on a server, since the median of "none, none, five" would be none.
"""

from __future__ import annotations

from collections.abc import Iterator

from slotproof.chaos.summary import Block, Column, error_kinds
from slotproof.results.records import Bench

Parameters = dict[str, str | int | float | bool]
PROBE = "probe"
# Nothing answers, no connection is reset: to a client that is a partition.
PARTITIONS = frozenset({"freeze", "partition"})


def benches(block: Block, node_timeout: int) -> Iterator[Bench]:
    """Yield every figure of a block. ``node_timeout``: the servers', in milliseconds."""
    case: Parameters = {
        "topology": "cluster",
        "scenario": block.scenario,
        "server": block.server,
        "node_timeout_ms": node_timeout,
    }
    for number, one in enumerate(block.observed, 1):
        yield Bench("failover-promotion", PROBE, _ms(one.promotion), "s", case, number)
        yield Bench("failover-stall", PROBE, _ms(one.stall), "s", case, number)
        for subject, seen in one.seen.items():
            yield Bench("failover-gap", subject, _ms(seen.gap), "s", case, number)
            if seen.delay is not None:
                yield Bench("failover-delay", subject, _ms(seen.delay), "s", case, number)
            yield Bench("failover-errors", subject, len(seen.errors), "errors", case, number)
    for subject in block.subjects:
        column = block.of(subject)
        yield from _totals(column, case)
        for (name, text), count in error_kinds(column).items():
            kind = {**case, "class": name, "text": text}
            yield Bench("failover-error", subject, count, "errors", kind)


def _ms(seconds: float) -> float:
    """Return a time to a tenth of a millisecond."""
    return round(seconds, 4)


def _totals(column: Column, case: Parameters) -> Iterator[Bench]:
    outages = {**case, "outages": len(column.seen)}
    subject = column.subject
    acknowledged = sum(one.acknowledged for one in column.seen)
    yield Bench("acknowledged", subject, acknowledged, "writes", outages)
    yield Bench("acknowledged-lost", subject, column.lost, "writes", outages)
    early = sum(one.lost_early for one in column.seen)
    yield Bench("acknowledged-lost-early", subject, early, "writes", outages)
    yield Bench("applied-twice", subject, column.twice, "writes", outages)
    yield Bench("never-back", subject, column.never_back, "outages", outages)
    if case["scenario"] in PARTITIONS:
        back = 100.0 * (len(column.seen) - column.never_back) / len(column.seen)
        yield Bench("partitions-recovered", subject, back, "%", outages)
    judged = [e.proper for one in column.seen for e in one.errors if e.proper is not None]
    if judged:
        yield Bench("error-classes", subject, 100.0 * sum(judged) / len(judged), "%", outages)
