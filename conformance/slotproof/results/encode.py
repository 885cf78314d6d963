"""From values to the lines of ``results.jsonl``. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slotproof.model import CellRun, Observation, SuiteRun
    from slotproof.results.records import Bench, BenchFacts, BenchVoid, Header

Line = dict[str, object]


def header(value: Header) -> Line:
    """The first line."""
    return {
        "type": "header",
        "schema": value.schema,
        "slotproof": value.slotproof,
        "python": value.python,
        "platform": value.platform,
        "argv": list(value.argv),
        "profile": value.profile,
        "started": value.started,
        "shard": list(value.shard) if value.shard else None,
        "suites": [_suite(suite) for suite in value.suites],
    }


def _suite(suite: SuiteRun) -> Line:
    return {
        "suite": suite.suite,
        "version": suite.version,
        "title": suite.title,
        "row": suite.row,
        "licence": suite.licence,
        "tests": [[t.id, str(t.kind), sorted(t.topologies)] for t in suite.tests],
    }


def cell(value: CellRun) -> Line:
    """A cell as it starts, or the reason why it was not run."""
    return {
        "type": "cell",
        "cell": str(value.cell),
        "control": value.control,
        "client_version": value.client_version,
        "server_version": value.server_version,
        "isolation": value.isolation,
        "lanes": value.lanes,
        "status": value.status,
    }


def observation(value: Observation) -> Line:
    """One attempt at one test; fields at their default are left out."""
    line: Line = {
        "type": "test",
        "cell": str(value.cell),
        "test": value.test,
        "attempt": value.attempt,
        "outcome": str(value.outcome),
        "seconds": round(value.seconds, 6),
    }
    if value.message:
        line["message"] = value.message
    if value.traceback:
        line["traceback"] = value.traceback
    if value.touches:
        line["touches"] = dict(value.touches)
    if value.nodes:
        line["nodes"] = {node: dict(counts) for node, counts in value.nodes.items()}
    if value.connects:
        line["connects"] = [asdict(connect) for connect in value.connects]
    if value.stats_reset:
        line["stats_reset"] = True
    return line


def cell_end(value: CellRun) -> Line:
    """A cell as it ended."""
    return {
        "type": "cell-end",
        "cell": str(value.cell),
        "seconds": round(value.seconds, 3),
        "complete": value.complete,
        "canary": list(value.canary),
        "server_log": value.server_log,
    }


def bench(value: Bench) -> Line:
    """One benchmark or chaos figure."""
    line: Line = {
        "type": "bench",
        "measure": value.measure,
        "client": value.client,
        "parameters": dict(value.parameters),
        "value": value.value,
        "unit": value.unit,
    }
    if value.round is not None:
        line["round"] = value.round
    return line


def bench_facts(value: BenchFacts) -> Line:
    """What a benchmark, or one client in it, was made of."""
    return {"type": "bench-facts", "of": value.of, "facts": dict(value.facts)}


def bench_void(value: BenchVoid) -> Line:
    """Figures that do not count."""
    return {
        "type": "bench-void",
        "client": value.client,
        "measure": value.measure,
        "parameters": dict(value.parameters),
        "reason": value.reason,
    }


def resumed(at: str, dropped: int) -> Line:
    """An interrupted run goes on; ``dropped``: bytes of a half-written last line."""
    return {"type": "resumed", "at": at, "dropped": dropped}


def footer(counts: Mapping[str, int], sha256: str, finished: str, complete: bool) -> Line:
    """The last line."""
    return {
        "type": "footer",
        "counts": dict(counts),
        "sha256": sha256,
        "finished": finished,
        "complete": complete,
    }


def dump(line: Line) -> bytes:
    """One line of the file with its newline: ASCII, so nothing in it can be taken for an end."""
    return json.dumps(line, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + (
        b"\n"
    )
