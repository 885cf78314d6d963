"""Read ``results.jsonl`` and say exactly what of it is missing or broken."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.model import CellId, CellRun, Observation, Outcome, Run, SuiteRun
from slotproof.results import decode
from slotproof.results.decode import Fields, Malformed
from slotproof.results.merge import merge
from slotproof.results.records import Benchmark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from slotproof.results.records import Bench, BenchFacts, BenchVoid, Header

__all__ = ["merge", "read", "read_benches", "read_benchmark"]


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    path: Path
    header: Header | None = None
    cells: dict[CellId, CellRun] = field(default_factory=dict)
    ended: set[CellId] = field(default_factory=set)
    observations: dict[tuple[CellId, str, int], Observation] = field(default_factory=dict)
    benches: list[Bench] = field(default_factory=list)
    facts: list[BenchFacts] = field(default_factory=list)
    voids: list[BenchVoid] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    finished: str | None = None
    resumed: int = 0


def read(path: Path, *, strict: bool = False) -> Run:
    """Return the run in ``path``.

    What is missing or broken (a cut last line, no footer, a wrong checksum, an unreadable line)
    is in ``Run.problems``, each with ``file:line``; what can be read is read. With ``strict`` the
    first of them is raised as UsageProblem instead. A file without a readable header (none at all,
    or of an unknown schema version) holds no run and always raises UsageProblem; a file that
    cannot be opened raises UsageProblem or EnvironmentProblem.

    ``Run.header`` holds the header's fields but the suites, and ``finished``.
    """
    reading = _read(path)
    if strict and reading.problems:
        raise UsageProblem(
            f"reading the results in {path}",
            reading.problems[0] + _and_more(len(reading.problems) - 1),
            "continue the run with --resume, or run it again",
        )
    return _run(reading)


def read_benches(path: Path) -> tuple[Bench, ...]:
    """Return the benchmark and chaos figures in ``path`` that count. Raises as ``read`` does."""
    return read_benchmark(path).benches


def read_benchmark(path: Path) -> Benchmark:
    """Return everything that ``path`` says of benchmarks. Raises as ``read`` does."""
    reading = _read(path)
    return Benchmark(
        benches=tuple(b for b in reading.benches if not any(v.covers(b) for v in reading.voids)),
        facts=tuple(reading.facts),
        voids=tuple(reading.voids),
    )


def _and_more(count: int) -> str:
    return f" (and {count} more)" if count else ""


def _read(path: Path) -> _Reading:
    reading = _Reading(path)
    try:
        with path.open("rb") as lines:
            _read_lines(reading, lines)
    except FileNotFoundError as error:
        raise UsageProblem(
            f"reading the results in {path}", "there is no such file", "check the path"
        ) from error
    except OSError as error:
        raise EnvironmentProblem(
            f"reading the results in {path}", str(error.strerror or error), "check the file"
        ) from error
    if reading.header is None:
        raise _no_header(path, "the file is empty")
    _check_whole(reading, reading.header)
    return reading


def _no_header(path: Path, found: str) -> UsageProblem:
    return UsageProblem(
        f"reading the results in {path}",
        found,
        "give a results.jsonl written by this version of slotproof",
    )


def _read_lines(reading: _Reading, lines: Iterable[bytes]) -> None:
    sha256 = hashlib.sha256()
    number = 0
    for number, line in enumerate(lines, 1):
        where = f"{reading.path}:{number}"
        try:
            if not line.endswith(b"\n"):
                raise Malformed("the line is cut: the run was interrupted while writing it")
            if reading.finished is not None:
                raise Malformed("a line after the footer")
            _read_line(reading, decode.load(line), sha256.hexdigest)
        except Malformed as error:
            if reading.header is None:
                raise _no_header(reading.path, f"{where}: {error}") from error
            reading.problems.append(f"{where}: {error}")
        sha256.update(line)
    if reading.finished is None and number:
        reading.problems.append(f"{reading.path}:{number}: no footer: the run did not finish")


def _read_line(reading: _Reading, line: Fields, checksum: Callable[[], str]) -> None:
    kind = line.text("type")
    if (reading.header is None) != (kind == "header"):
        raise Malformed(
            f"expected the header, found a line of type {kind!r}"
            if reading.header is None
            else "a second header"
        )
    match kind:
        case "header":
            reading.header = decode.header(line)
        case "cell":
            _start(reading, decode.cell(line))
        case "test":
            _observe(reading, decode.observation(line))
        case "cell-end":
            cell = decode.cell_end(line, reading.cells)
            reading.cells[cell.cell] = cell
            reading.ended.add(cell.cell)
        case "bench":
            reading.benches.append(decode.bench(line))
        case "bench-facts":
            reading.facts.append(decode.bench_facts(line))
        case "bench-void":
            reading.voids.append(decode.bench_void(line))
        case "resumed":
            reading.resumed += line.whole("dropped") + 1
        case "footer":
            _finish(reading, line, checksum())
            return
        case _:
            raise Malformed(f"unknown type of line {kind!r}")
    reading.counts[kind] += 1


def _start(reading: _Reading, cell: CellRun) -> None:
    before = reading.cells.get(cell.cell)
    if before is not None and not reading.resumed:
        raise Malformed(f"cell {cell.cell} starts a second time")
    if before is not None and before.status == "run":
        # Resumed: what the first part measured stays, the end is still to come.
        cell = replace(
            cell, seconds=before.seconds, canary=before.canary, server_log=before.server_log
        )
    reading.cells[cell.cell] = cell
    reading.ended.discard(cell.cell)


def _observe(reading: _Reading, seen: Observation) -> None:
    if seen.cell not in reading.cells:
        raise Malformed(f"a test of cell {seen.cell}, which never started")
    key = (seen.cell, seen.test, seen.attempt)
    before = reading.observations.get(key)
    # An interrupted run names what it did not get to; the resumed run then runs it.
    if before is not None and not (reading.resumed and before.outcome is Outcome.NOT_RUN):
        raise Malformed(f"a second record of attempt {seen.attempt} at {seen.test!r}")
    reading.observations[key] = seen


def _finish(reading: _Reading, line: Fields, checksum: str) -> None:
    reading.finished = line.text("finished")
    if line.text("sha256") != checksum:
        raise Malformed("the checksum in the footer does not fit: the file was changed")
    counts = line.counts("counts")
    if counts != dict(reading.counts):
        raise Malformed(f"the footer counts {counts}, the file has {dict(reading.counts)}")
    if not line.flag("complete"):
        raise Malformed("the run was ended before it was complete")


def _check_whole(reading: _Reading, header: Header) -> None:
    suites = {suite.suite: suite for suite in header.suites}
    recorded: dict[CellId, set[str]] = {name: set() for name in reading.cells}
    for name, test, _ in reading.observations:
        recorded[name].add(test)
    for name, cell in reading.cells.items():
        if name.suite not in suites:
            reading.problems.append(f"{reading.path}: cell {name}: the header has no such suite")
        elif cell.status == "run":
            if name not in reading.ended:
                reading.problems.append(f"{reading.path}: cell {name} never ended")
            elif not cell.complete:
                reading.problems.append(f"{reading.path}: cell {name} did not reach its own end")
            else:
                _check_ids(reading, suites[name.suite], name, recorded[name])


def _check_ids(reading: _Reading, suite: SuiteRun, cell: CellId, recorded: set[str]) -> None:
    selected = {t.id for t in suite.tests if cell.topology in t.topologies}
    missing = sorted(selected - recorded)
    if missing:
        reading.problems.append(
            f"{reading.path}: cell {cell}: {len(missing)} of {len(selected)} selected tests have"
            f" no record, the first is {missing[0]!r}"
        )


def _run(reading: _Reading) -> Run:
    header = reading.header
    assert header is not None
    fields: dict[str, object] = {
        name: getattr(header, name)
        for name in (
            "schema", "slotproof", "python", "platform", "argv", "profile", "started", "shard",
        )
    }  # fmt: skip
    return Run(
        header={**fields, "finished": reading.finished, "source": str(reading.path)},
        suites=header.suites,
        cells=tuple(reading.cells.values()),
        observations=tuple(reading.observations.values()),
        problems=tuple(reading.problems),
    )
