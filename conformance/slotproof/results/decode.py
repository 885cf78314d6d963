"""From the lines of ``results.jsonl`` back to values. Pure; every error says which field."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, TypeVar

from slotproof.model import (
    CellId,
    CellRun,
    Connect,
    Kind,
    LockedTest,
    Observation,
    Outcome,
    SuiteRun,
    Topology,
)
from slotproof.results.records import READABLE, Bench, BenchFacts, BenchVoid, Header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


class Malformed(ValueError):
    """A line that is no line of ``results.jsonl``; the message names the field."""


class Fields:
    """A JSON object whose fields are taken out by type. Raises Malformed on any other type."""

    def __init__(self, value: object, what: str = "line") -> None:
        if not isinstance(value, dict):
            raise Malformed(f"{what}: expected an object, found {_name(value)}")
        self._fields = value
        self._what = what

    def __contains__(self, key: str) -> bool:
        return key in self._fields

    def _take(self, key: str, default: object) -> object:
        if key in self._fields:
            return self._fields[key]
        if default is None:
            raise Malformed(f"{self._what}: no field {key!r}")
        return default

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = self._take(key, default)
        return value if isinstance(value, str) else self._wrong(key, "a string", value)

    def whole(self, key: str, minimum: int = 0) -> int:
        """A whole number, not below ``minimum``."""
        value = self._take(key, None)
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            self._wrong(key, f"a whole number from {minimum}", value)
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._take(key, None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(key, "a number", value)
        if not math.isfinite(value):
            self._wrong(key, "a finite number", value)
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._take(key, default)
        return value if isinstance(value, bool) else self._wrong(key, "true or false", value)

    def items(self, key: str, optional: bool = False) -> list[object]:
        """A list of anything; null and absent are empty if ``optional``."""
        value = self._take(key, [] if optional else None)
        if optional and value is None:
            return []
        return value if isinstance(value, list) else self._wrong(key, "a list", value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(
            item if isinstance(item, str) else self._wrong(key, "a list of strings", item)
            for item in self.items(key)
        )

    def mapping(self, key: str, optional: bool = False) -> dict[str, object]:
        """An object of anything."""
        value = self._take(key, {} if optional else None)
        return value if isinstance(value, dict) else self._wrong(key, "an object", value)

    def counts(self, key: str) -> dict[str, int]:
        """An object of whole numbers; absent means empty."""
        found = Fields(self.mapping(key, optional=True), f"{self._what}: {key}")
        return {name: found.whole(name) for name in found._fields}

    def parsed(self, key: str, parse: Callable[[str], T], expected: str) -> T:
        """A string that ``parse`` accepts (ValueError means no)."""
        value = self.text(key)
        try:
            return parse(value)
        except ValueError:
            self._wrong(key, expected, value)

    def _wrong(self, key: str, expected: str, value: object) -> NoReturn:
        raise Malformed(f"{self._what}: field {key!r}: expected {expected}, found {_name(value)}")


def _name(value: object) -> str:
    shown = json.dumps(value, default=str)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def load(line: bytes) -> Fields:
    """Parse one line. Raises Malformed when it is not one JSON object."""
    try:
        return Fields(json.loads(line, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(f"not JSON: {error}") from error


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"not JSON: {name}")


def header(line: Fields) -> Header:
    """Raises Malformed, also for a schema version that is not ``READABLE``, which it names."""
    schema = line.whole("schema", minimum=1)
    if schema not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise Malformed(
            f"schema version {schema} is unknown to this slotproof, which reads {known}"
        )
    return Header(
        slotproof=line.text("slotproof"),
        python=line.text("python"),
        platform=line.text("platform"),
        argv=line.texts("argv"),
        profile=line.text("profile"),
        started=line.text("started"),
        suites=tuple(_suite(Fields(suite, "suite")) for suite in line.items("suites")),
        shard=_shard(line.items("shard", optional=True)),
        schema=schema,
    )


def _shard(pair: list[object]) -> tuple[int, int] | None:
    match pair:
        case []:
            return None
        case [int(i), int(n)] if 1 <= i <= n:
            return i, n
    raise Malformed(f"line: field 'shard': expected [i, n] or null, found {_name(pair)}")


def _suite(fields: Fields) -> SuiteRun:
    return SuiteRun(
        suite=fields.text("suite"),
        version=fields.text("version"),
        title=fields.text("title"),
        row=fields.text("row"),
        licence=fields.text("licence"),
        tests=tuple(_selected(item) for item in fields.items("tests")),
    )


def _selected(item: object) -> LockedTest:
    match item:
        case [str(name), str(kind), [*topologies]]:
            try:
                places = frozenset(Topology(str(t)) for t in topologies)
                return LockedTest(name, Kind(kind), places, seconds=0.0)
            except ValueError as error:
                raise Malformed(f"test {name!r}: {error}") from error
    raise Malformed(f"expected [id, kind, [topologies]], found {_name(item)}")


def _cell_id(line: Fields) -> CellId:
    return line.parsed("cell", CellId.parse, "suite/client/topology/server[/variant]")


def _status(text: str) -> str:
    if text == "run" or text.startswith("not run: "):
        return text
    raise ValueError(text)


def cell(line: Fields) -> CellRun:
    """A cell as it started. Raises Malformed."""
    return CellRun(
        cell=_cell_id(line),
        control=line.flag("control"),
        client_version=line.text("client_version"),
        server_version=line.text("server_version"),
        isolation=line.text("isolation"),
        lanes=line.whole("lanes", minimum=1),
        status=line.parsed("status", _status, "'run' or 'not run: <reason>'"),
    )


def cell_end(line: Fields, cells: Mapping[CellId, CellRun]) -> CellRun:
    """The started cell, ended. A resumed cell adds up. Raises Malformed for one not started."""
    name = _cell_id(line)
    if name not in cells:
        raise Malformed(f"the end of cell {name}, which never started")
    started = cells[name]
    return replace(
        started,
        seconds=started.seconds + line.number("seconds"),
        complete=line.flag("complete"),
        canary=tuple(dict.fromkeys((*started.canary, *line.texts("canary")))),
        server_log=started.server_log + line.text("server_log"),
    )


def observation(line: Fields) -> Observation:
    """One attempt at one test. Raises Malformed."""
    nodes = Fields(line.mapping("nodes", optional=True), "nodes")
    return Observation(
        cell=_cell_id(line),
        test=line.text("test"),
        attempt=line.whole("attempt"),
        outcome=line.parsed("outcome", Outcome, "an outcome"),
        seconds=line.number("seconds"),
        message=line.text("message", ""),
        traceback=line.text("traceback", ""),
        touches=line.counts("touches"),
        nodes={node: nodes.counts(node) for node in nodes._fields},
        connects=tuple(
            _connect(Fields(item, "connect")) for item in line.items("connects", optional=True)
        ),
        stats_reset=line.flag("stats_reset", False),
    )


def _connect(fields: Fields) -> Connect:
    return Connect(
        address=fields.text("address"),
        module=fields.text("module"),
        file=fields.text("file"),
        line=fields.whole("line"),
        reached=fields.flag("reached"),
    )


def bench(line: Fields) -> Bench:
    """One benchmark or chaos figure. Raises Malformed."""
    return Bench(
        measure=line.text("measure"),
        client=line.text("client"),
        value=line.number("value"),
        unit=line.text("unit"),
        parameters=_parameters(line),
        round=line.whole("round", minimum=1) if "round" in line else None,
    )


def bench_facts(line: Fields) -> BenchFacts:
    """What a benchmark was made of. Raises Malformed."""
    facts = Fields(line.mapping("facts"), "facts")
    return BenchFacts(line.text("of"), {name: facts.text(name) for name in facts._fields})


def bench_void(line: Fields) -> BenchVoid:
    """Figures that do not count. Raises Malformed."""
    return BenchVoid(
        client=line.text("client"),
        reason=line.text("reason"),
        measure=line.text("measure"),
        parameters=_parameters(line),
    )


def _parameters(line: Fields) -> dict[str, str | int | float | bool]:
    parameters: dict[str, str | int | float | bool] = {}
    for name, value in line.mapping("parameters").items():
        if not isinstance(value, str | int | float):
            raise Malformed(f"parameter {name!r}: expected text, number or flag")
        parameters[name] = value
    return parameters
