"""What the report's script needs, packed small. Pure.

Every text (messages, tracebacks, commands, addresses) stands once in ``strings`` and is meant by
its index elsewhere, so a traceback shared by a thousand tests costs one. Lists instead of objects,
and trailing defaults left out, keep 100,000 tests in four columns at some tens of megabytes.

- ``columns``: ``{title, client, topology, control}``
- ``suites``, a row of the matrix each: ``{suite, title, not_run: {column: "not run: reason"}}``
- ``verdicts``, ``kinds``, ``outcomes``: the words that indices mean
- ``tests``: ``[suite, id, kind, [entry or 0 per column]]``
- entry: ``[verdict, reason, touched, attempts, foreign]``
- attempt: ``[outcome, seconds, message, traceback, nodes, connects, stats_reset]``
- nodes: ``[node, command, calls, command, calls, ...]`` each; connects and foreign:
  ``[address, module, file, line, reached]`` each
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from slotproof.judge.verdict import Verdict
from slotproof.model import Connect, Kind, Observation, Outcome
from slotproof.report.systems import Column, columns, in_column, titles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slotproof.judge.matrix import Judged, Matrix, Row

Json = object
_VERDICTS = list(Verdict)
_KINDS = list(Kind)
_OUTCOMES = list(Outcome)


class _Strings:
    """Gives each distinct text a number; the empty text is 0."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def __call__(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


def payload(matrix: Matrix) -> dict[str, Json]:
    """Return the data as described above, ready for ``dump``."""
    strings = _Strings()
    found = columns(matrix)
    names = titles(found)
    return {
        "columns": [
            {
                "title": names[c],
                "client": c.client,
                "topology": names[c].removeprefix(f"{c.client}, "),
                "control": any(
                    cell is not None and cell.control
                    for cell in (in_column(row, c) for row in matrix.rows)
                ),
            }
            for c in found
        ],
        "suites": [
            {"suite": r.name, "title": r.title, "not_run": _not_run(r, found)} for r in matrix.rows
        ],
        "verdicts": _VERDICTS,
        "kinds": _KINDS,
        "outcomes": _OUTCOMES,
        "tests": [
            test
            for number, row in enumerate(matrix.rows)
            for test in _tests(number, row, found, strings)
        ],
        "strings": strings.all(),
    }


def _not_run(row: Row, found: Sequence[Column]) -> dict[str, str]:
    cells = [in_column(row, column) for column in found]
    return {
        str(number): cell.status
        for number, cell in enumerate(cells)
        if cell is not None and cell.status != "run"
    }


def _tests(number: int, row: Row, found: Sequence[Column], strings: _Strings) -> list[list[Json]]:
    # A cell that was not run says so once; it has no news of any test.
    cells = [
        cell if cell is not None and cell.status == "run" else None
        for cell in (in_column(row, column) for column in found)
    ]
    # In the order of the suite's lock; the judge leaves out what a topology does not have.
    kinds: dict[str, Kind] = {test.id: test.kind for test in row.suite.tests}
    tests: list[list[Json]] = []
    for name, kind in kinds.items():
        judged = [cell.tests.get(name) if cell is not None else None for cell in cells]
        if any(judged):
            entries: list[Json] = [0 if j is None else _entry(j, strings) for j in judged]
            tests.append([number, name, _KINDS.index(kind), entries])
    return tests


def _entry(judged: Judged, strings: _Strings) -> list[Json]:
    return _trim(
        [
            _VERDICTS.index(judged.verdict),
            strings(judged.reason),
            int(judged.touched),
            [_attempt(seen, strings) for seen in judged.observations],
            _connects(judged.foreign, strings),
        ]
    )


def _attempt(seen: Observation, strings: _Strings) -> list[Json]:
    nodes: Mapping[str, Mapping[str, int]] = seen.nodes or (
        {"": seen.touches} if seen.touches else {}
    )
    return _trim(
        [
            _OUTCOMES.index(seen.outcome),
            round(seen.seconds, 3),
            strings(seen.message),
            strings(seen.traceback),
            [_calls(node, calls, strings) for node, calls in nodes.items() if calls],
            _connects(seen.connects, strings),
            int(seen.stats_reset),
        ]
    )


def _calls(node: str, calls: Mapping[str, int], strings: _Strings) -> list[int]:
    flat = [strings(node)]
    for command, number in sorted(calls.items(), key=lambda call: (-call[1], call[0])):
        flat += [strings(command), number]
    return flat


def _connects(connects: Sequence[Connect], strings: _Strings) -> list[list[int]]:
    return [
        [strings(c.address), strings(c.module), strings(c.file), c.line, int(c.reached)]
        for c in connects
    ]


def _trim(values: list[Json]) -> list[Json]:
    while len(values) > 1 and not values[-1]:
        values.pop()
    return values


def dump(data: Json) -> str:
    r"""Return ``data`` as JSON that is inert inside a ``script`` element.

    ASCII only, so no U+2028; ``<``, ``>`` and ``&`` escaped, so neither ``</script>`` nor
    ``<!--`` can appear.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
