"""``collected.lock``: the ids a suite must have, so that the denominator cannot shrink.

Text, one test a line, four fields divided by tabs: id, kind, topologies (comma), seconds. Sorted
by id, with a header of three lines. Ids are escaped so that any id is one field of one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.model import Kind, LockedTest, Topology
from slotproof.suites.kinds import CLASSIFIER_VERSION

_TITLE = "# tests of a slotproof suite, written by `slotproof lock`, format 1"
_ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class Header:
    """What the lock was made from: the suite, its version, and the classifier of its kinds."""

    suite: str
    version: str
    classifier: int


def escape(test_id: str) -> str:
    r"""Return the id without a character that could end a field or a line, or be lost on the way.

    Backslashes and everything that does not print become ``\\``, ``\xNN``, ``\uNNNN`` or
    ``\UNNNNNNNN``, and so does a leading ``#``.
    """
    text = "".join(_escape(char) for char in test_id)
    return f"\\x23{text[1:]}" if text.startswith("#") else text


def _escape(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    code = ord(char)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def unescape(text: str) -> str:
    """Inverse of ``escape``. Raises ValueError for a backslash that starts no escape."""
    if "\\" in _ESCAPED.sub("", text):
        raise ValueError(f"a lone backslash in {text!r}")
    return _ESCAPED.sub(lambda m: "\\" if m[1] == "\\" else chr(int(m[1][1:], 16)), text)


def read(path: Path) -> tuple[LockedTest, ...]:
    """Return the tests of a lock in its order. Raises UsageProblem naming file and line."""
    tests: list[LockedTest] = []
    seen: set[str] = set()
    for number, line in enumerate(_lines(path), 1):
        if line.startswith("#"):
            continue
        test = _parse(path, number, line)
        if test.id in seen:
            raise _problem(path, number, f"the test {test.id} occurs twice")
        seen.add(test.id)
        tests.append(test)
    return tuple(tests)


def header(path: Path) -> Header:
    """Return what the lock says it was made from. Raises UsageProblem naming file and line."""
    lines = _lines(path)
    suite = re.fullmatch(r"# suite (\S+) (\S+)", lines[1]) if len(lines) > 2 else None
    classifier = re.fullmatch(r"# classifier (\d+)", lines[2]) if len(lines) > 2 else None
    if suite is None or classifier is None:
        raise _problem(path, 2, "no header of suite and classifier")
    return Header(suite[1], suite[2], int(classifier[1]))


def write(path: Path, tests: Iterable[LockedTest], *, suite_version: str) -> None:
    """Write a lock, replacing the old one at once. Raises EnvironmentProblem on a full disk.

    The suite's name is that of the folder it lies in.
    """
    suite = path.absolute().parent.name
    lines = [_TITLE, f"# suite {suite} {suite_version}", f"# classifier {CLASSIFIER_VERSION}"]
    for test in sorted(tests, key=lambda test: test.id):
        topologies = ",".join(sorted(test.topologies))
        lines.append(f"{escape(test.id)}\t{test.kind}\t{topologies}\t{test.seconds:.2f}")
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise EnvironmentProblem(
            f"writing {path}", error.strerror or str(error), "free some space or fix permissions"
        ) from error


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageProblem(
            f"reading the locked tests {path}", "no such file", "make it with `slotproof lock`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(
            f"reading the locked tests {path}", str(error), "make it anew with `slotproof lock`"
        ) from error
    lines = text.split("\n")
    if lines[0] != _TITLE:
        raise _problem(path, 1, "not a lock of this format")
    if lines.pop() != "":
        raise _problem(path, len(lines) + 1, "the last line has no end: the file was cut off")
    return lines


def _parse(path: Path, number: int, line: str) -> LockedTest:
    try:
        test_id, kind, topologies, seconds = line.split("\t")
        return LockedTest(
            unescape(test_id),
            Kind(kind),
            frozenset(Topology(name) for name in topologies.split(",")),
            float(seconds),
        )
    except ValueError as error:
        raise _problem(path, number, str(error)) from error


def _problem(path: Path, number: int, found: str) -> UsageProblem:
    return UsageProblem(
        f"reading the locked tests {path}",
        f"line {number}: {found}",
        "restore the file, or make it anew with `slotproof lock`",
    )
