"""Put the shards of one run together again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from slotproof.errors import UsageProblem
from slotproof.model import CellId, CellRun, Observation, Run, SuiteRun

# What must agree for shards to be parts of one run. The platform may differ (hosted machines do)
# and is listed; so may the command line, which names the shard.
IDENTITY = ("schema", "slotproof", "python", "profile")


def merge(runs: Sequence[Run]) -> Run:
    """Return the run whose shards are ``runs``.

    Raises UsageProblem when they are not shards of one run: another identity, a shard given
    twice, a test selected by two shards, a suite or client in another version. A missing shard,
    and a cell that ran in one shard only, are problems of the merged run.
    """
    shards = _in_order(runs)
    first = shards[0][1]
    for index, run in shards[1:]:
        for key in IDENTITY:
            _same(key, first.header.get(key), run.header.get(key), index)
    total = _total(first)
    problems = [
        f"shard {i}/{total} is missing"
        for i in range(1, total + 1)
        if i not in {index for index, _ in shards}
    ]
    problems += [f"shard {i}/{total}: {p}" for i, run in shards for p in run.problems]
    suites = _suites(shards)
    cells = _cells(shards, problems)
    finished = [str(run.header["finished"]) for _, run in shards if run.header.get("finished")]
    header = {
        **first.header,
        "platform": "; ".join(_distinct(str(run.header.get("platform")) for _, run in shards)),
        "started": min(str(run.header.get("started")) for _, run in shards),
        "finished": max(finished) if len(finished) == len(shards) else None,
        "source": ", ".join(str(run.header.get("source", "")) for _, run in shards),
        "shard": None,
        "shards": tuple(index for index, _ in shards),
    }
    return Run(
        header=header,
        suites=suites,
        cells=cells,
        observations=_observations(shards),
        problems=tuple(problems),
    )


Shards = Sequence[tuple[int, Run]]


def _problem(found: str) -> UsageProblem:
    return UsageProblem(
        "merging the shards of a run", found, "give every shard of one run, each once"
    )


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))


def _same(what: str, one: object, other: object, index: int) -> None:
    if one != other:
        raise _problem(f"{what} is {one!r} in the first shard and {other!r} in shard {index}")


def _total(run: Run) -> int:
    shard = run.header.get("shard")
    return int(shard[1]) if isinstance(shard, tuple) else 1


def _in_order(runs: Sequence[Run]) -> Shards:
    if not runs:
        raise _problem("no results were given")
    by_index: dict[int, Run] = {}
    for run in runs:
        shard = run.header.get("shard")
        if not isinstance(shard, tuple):
            if len(runs) > 1:
                raise _problem(f"{run.header.get('source')} is a whole run, not a shard")
            shard = (1, 1)
        index = int(shard[0])
        if index in by_index:
            raise _problem(f"shard {index}/{shard[1]} was given twice")
        _same("the number of shards", _total(runs[0]), int(shard[1]), index)
        by_index[index] = run
    return sorted(by_index.items())


def _suites(shards: Shards) -> tuple[SuiteRun, ...]:
    merged: dict[str, SuiteRun] = {}
    owners: dict[tuple[str, str], int] = {}
    for index, run in shards:
        for suite in run.suites:
            for test in suite.tests:
                if (suite.suite, test.id) in owners:
                    earlier = owners[suite.suite, test.id]
                    raise _problem(f"{test.id!r} is in shard {earlier} and in shard {index}")
                owners[suite.suite, test.id] = index
            before = merged.get(suite.suite)
            if before is None:
                merged[suite.suite] = suite
                continue
            _same(f"suite {suite.suite}", before.version, suite.version, index)
            merged[suite.suite] = replace(before, tests=(*before.tests, *suite.tests))
    return tuple(merged.values())


def _cells(shards: Shards, problems: list[str]) -> tuple[CellRun, ...]:
    parts: dict[CellId, list[tuple[int, CellRun]]] = {}
    for index, run in shards:
        for cell in run.cells:
            parts.setdefault(cell.cell, []).append((index, cell))
    for name, found in parts.items():
        expected = {i for i, run in shards if _selects(run, name)}
        for i in sorted(expected - {index for index, _ in found}):
            problems.append(f"cell {name} is missing from shard {i}")
        if any(part.status == "run" for _, part in found):
            problems += [
                f"cell {name} was not run in shard {i}: {part.status}"
                for i, part in found
                if part.status != "run"
            ]
    return tuple(_cell(found) for found in parts.values())


def _selects(run: Run, cell: CellId) -> bool:
    return any(
        suite.suite == cell.suite and any(cell.topology in t.topologies for t in suite.tests)
        for suite in run.suites
    )


def _cell(parts: Sequence[tuple[int, CellRun]]) -> CellRun:
    ran = [(i, part) for i, part in parts if part.status == "run"]
    if not ran:
        return parts[0][1]
    first = ran[0][1]
    for index, part in ran[1:]:
        _same(f"client of {first.cell}", first.client_version, part.client_version, index)
        _same(f"server of {first.cell}", first.server_version, part.server_version, index)
        _same(f"control of {first.cell}", first.control, part.control, index)
    return replace(
        first,
        isolation="; ".join(_distinct(part.isolation for _, part in ran)),
        lanes=max(part.lanes for _, part in ran),
        seconds=sum(part.seconds for _, part in ran),
        canary=tuple(dict.fromkeys(a for _, part in ran for a in part.canary)),
        server_log="\n".join(part.server_log for _, part in ran if part.server_log),
        complete=len(ran) == len(parts) and all(part.complete for _, part in ran),
    )


def _observations(shards: Shards) -> tuple[Observation, ...]:
    return tuple(seen for _, run in shards for seen in run.observations)
