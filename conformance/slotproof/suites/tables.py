"""Reading a TOML file so that whatever is wrong with it is told with file, key and line."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from slotproof.errors import UsageProblem


def read_toml(path: Path, what: str) -> Table:
    """Return the top table of the file. Raises UsageProblem when it cannot be read or parsed.

    ``what`` the file is, for messages, such as ``suite manifest``.
    """
    tried = f"reading the {what} {path}"
    try:
        text = path.read_text(encoding="utf-8")
        return Table(path, what, text, (), tomllib.loads(text))
    except OSError as error:
        raise UsageProblem(tried, error.strerror or str(error), "check the path") from error
    except UnicodeDecodeError as error:
        raise UsageProblem(tried, f"not UTF-8 ({error.reason})", "save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(tried, f"not TOML: {error}", "correct that line") from error


class Table:
    """A table of the file: typed access to its keys, each at most once asked for by one name.

    Every accessor raises UsageProblem for a missing key or a value of the wrong type; ``close``
    raises it for keys that nobody asked for, which most often are misspelt.
    """

    def __init__(
        self,
        path: Path,
        what: str,
        text: str,
        where: tuple[str | int, ...],
        data: Mapping[str, object],
    ) -> None:
        self.path = path
        self._what = what
        self._text = text
        self._where = where
        self._data = data
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def problem(self, key: str, found: str, next_step: str) -> UsageProblem:
        """Describe what is wrong with the value of ``key``."""
        names = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in self._where]
        dotted = "".join([*names, f".{key}"]).lstrip(".")
        line = line_of(self._text, self._where, key)
        return UsageProblem(
            f"reading the {self._what} {self.path}", f"line {line}, {dotted}: {found}", next_step
        )

    def text(self, key: str, default: str | None = None) -> str:
        """A non-empty string."""
        value = self._get(key, default)
        if not isinstance(value, str) or (not value.strip() and value != default):
            raise self.problem(key, f"{value!r} is not a text", f'write {key} = "..."')
        return value

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """One of the strings ``allowed``."""
        value = self.text(key)
        if value not in allowed:
            raise self.problem(key, f"{value!r} is not known", f"use one of {', '.join(allowed)}")
        return value

    def matching(self, key: str, pattern: str, meaning: str) -> str:
        """A string that matches ``pattern`` completely."""
        value = self.text(key)
        if not re.fullmatch(pattern, value):
            raise self.problem(key, f"{value!r} is not {meaning}", f"give {meaning}")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._get(key, None)
        if not isinstance(value, bool):
            raise self.problem(key, f"{value!r} is not true or false", f"write {key} = true")
        return value

    def number(self, key: str, default: float | None = None, *, above: float = 0) -> float:
        """A number greater than ``above``."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > above:
            found = f"{value!r} is not a number above {above:g}"
            raise self.problem(key, found, f"write {key} = 60")
        return float(value)

    def count(self, key: str, default: int) -> int:
        """A whole number, 0 or more."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.problem(key, f"{value!r} is no count", f"write {key} = {default}")
        return value

    def texts(self, key: str, *, needed: bool = True) -> tuple[str, ...]:
        """A list of strings, not empty when ``needed``."""
        values = self._list(key, needed)
        if not all(isinstance(value, str) and value for value in values):
            raise self.problem(key, f"{values!r} is no list of texts", f'write {key} = ["..."]')
        return tuple(str(value) for value in values)

    def counts(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers, empty when the key is missing."""
        values = self._list(key, needed=False)
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
            raise self.problem(key, f"{values!r} is no list of numbers", f"write {key} = [6379]")
        return tuple(int(str(value)) for value in values)

    def mapping(self, key: str) -> Mapping[str, str]:
        """A table of strings, empty when the key is missing."""
        if key not in self._data:
            return {}
        table = self.table(key)
        return {name: table.text(name) for name in table._data}

    def table(self, key: str) -> Table:
        """A table below this one."""
        value = self._get(key, None)
        if not isinstance(value, dict):
            raise self.problem(key, f"{value!r} is no table", f"write it as a table [{key}]")
        return self._below(key, value)

    def tables(self, key: str) -> Iterator[Table]:
        """The tables of an array of tables, none when the key is missing."""
        values = self._list(key, needed=False)
        for number, value in enumerate(values):
            if not isinstance(value, dict):
                raise self.problem(key, f"{value!r} is no table", f"write it as [[{key}]]")
            yield Table(self.path, self._what, self._text, (*self._where, key, number), value)

    def close(self) -> None:
        """Raise UsageProblem for the first key that nobody asked for."""
        for key in self._data:
            if key not in self._read:
                near = difflib.get_close_matches(key, self._read, n=1)
                hint = f"did you mean {near[0]!r}?" if near else "remove it"
                raise self.problem(key, "no such key is known", hint)

    def _below(self, key: str, value: Mapping[str, object]) -> Table:
        return Table(self.path, self._what, self._text, (*self._where, key), value)

    def _list(self, key: str, needed: bool) -> list[object]:
        value = self._get(key, None if needed else [])
        if not isinstance(value, list) or (needed and not value):
            raise self.problem(key, f"{value!r} is no filled list", f'write {key} = ["..."]')
        return value

    def _get(self, key: str, default: object) -> object:
        self._read.add(key)
        value = self._data.get(key, default)
        if value is None:
            raise self.problem(key, "missing", f"add {key}")
        return value


def line_of(text: str, where: Sequence[str | int], key: str) -> int:
    """Return the line (from 1) of ``key`` in the table ``where`` of a valid TOML text.

    The line of the table's header when the key is not there, else that of the nearest table
    around it, else 1. ``where``: keys, and for an array of tables its index after its key.
    """
    places = list(_places(text))
    wanted = (*where, key)
    for length in range(len(wanted), 0, -1):
        # The exact place comes first in the file, or else something that stands below it.
        for path, number in places:
            if path[:length] == wanted[:length]:
                return number
    return 1


def _places(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Yield the path of each header and each key at a line's start, with the line's number."""
    table: tuple[str | int, ...] = ()
    seen: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]", line):
            names = _names(header[2])
            if header[1] == "[[":
                seen[names] = seen.get(names, -1) + 1
                table = (*names, seen[names])
            else:
                table = names
            yield table, number
        elif entry := re.match(r"\s*([A-Za-z0-9_.\"'\- ]+?)\s*=", line):
            yield (*table, *_names(entry[1])), number


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
