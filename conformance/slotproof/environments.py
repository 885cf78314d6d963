"""Cached virtual environments made from hashed locks, and the locks themselves, both by uv.

An environment is filed under a digest of everything it depends on: the texts of its locks, the
wheels of local projects and the interpreter. It is made once, under a lock between processes, and
counts only once its ``.ready`` marker is there, so that an interrupted creation leaves nothing that
anybody would use.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slotproof.errors import UsageProblem
from slotproof.fetch import cache, project, uv
from slotproof.fetch.project import BuiltProject

# Enters every digest: raise it when environments of an older slotproof must not be used any more.
_FORMAT = "1"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;\\]+)([^\\#]*)", re.M)


@dataclass(frozen=True, slots=True)
class Environment:
    """A ready environment: its interpreter, and the digest of what it was made from.

    ``projects``: name, version and content of each local project in it, for people.
    """

    python: Path
    digest: str
    projects: tuple[str, ...] = ()


def environment(
    requirements: Sequence[str],
    *,
    label: str,
    projects: Sequence[Path] = (),
    build_lock: str = "",
) -> Environment:
    """Return the environment that holds exactly ``requirements``, made when it is not cached.

    ``requirements``: texts of hashed requirement files (a suite's lock, a client's lock), merged.
    ``label``: names the environment in messages. It is made for this process's Python version.
    ``projects``: folders of projects on this disk, built as they are now and installed beside the
    locks, which must pin all that they need; ``build_lock``: text of a hashed lock of what their
    build back ends need, "" to take these unpinned.

    Raises UsageProblem when two locks pin one project differently or a line lacks a pin, and
    EnvironmentProblem when it cannot be made: a hash that differs, a lock that is not complete, no
    network, no such version, a full disk, a project that cannot be built.
    """
    _check_pins(requirements, label)
    built = tuple(project.build(folder, build_lock=build_lock) for folder in projects)
    digest = _digest(requirements, built)
    folder = cache.ensure_dir(cache.cache_dir() / "environments") / digest
    if not _ready(folder):
        with cache.locked(f"environment-{digest}") as lock:
            if not _ready(folder):
                _sweep(folder.parent, spare=folder)
                _create(folder, requirements, built, label, lock)
    return Environment(folder / "bin" / "python", digest, tuple(str(b) for b in built))


def compile_lock(requirements_in: Sequence[str], *, without: Sequence[str] = ()) -> str:
    """Return a hashed lock of everything that ``requirements_in`` (PEP 508 lines) need.

    Valid for every platform and every Python from 3.11 on (markers where they differ), sorted,
    without an address. ``without``: projects left out, such as a client that a plug-in's own lock
    brings. Raises UsageProblem for lines that no set of versions satisfies, and
    EnvironmentProblem when the index cannot be reached.
    """
    command = ["pip", "compile", "--universal", "--python-version=3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command += [f"--no-emit-package={name}" for name in without]
    with cache.staging() as stage:
        source = stage / "requirements.in"
        _write(source, "\n".join(requirements_in) + "\n")
        pip = uv.pip_settings()
        # Extra indexes and find-links often hold the wheels of one platform only, which would make
        # a lock for that platform only: they are asked when the main index does not have all.
        main = {name: pip[name] for name in pip if name not in {"extra-index-url", "find-links"}}
        for settings in (pip,) if uv.no_index(pip) else (main, pip):
            arguments = [*command, *uv.no_index(pip), str(source)]
            done = uv.run(arguments, stage, uv.uv_settings(settings, os.environ))
            if done.returncode == 0:
                break
        else:
            raise uv.explain("compiling a lock", done.stderr, usage=True)
    if "://" in done.stdout:
        raise UsageProblem(
            "compiling a lock",
            "a requirement that is an address, which a lock must not name",
            "require projects by name and version",
        )
    return done.stdout


def pins(requirements: str) -> Mapping[str, frozenset[str]]:
    """Return each project of a lock's text (normalised name) with the versions it is pinned to.

    More than one version where environment markers divide them.
    """
    found: dict[str, set[str]] = {}
    for name, version, _ in _PIN.findall(requirements):
        found.setdefault(_normalised(name), set()).add(version)
    return {name: frozenset(versions) for name, versions in found.items()}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _check_pins(requirements: Sequence[str], label: str) -> None:
    """Refuse locks that contradict each other, before uv says so in a way nobody can act on."""
    tried = f"merging the locks of {label}"
    seen: dict[str, frozenset[str]] = {}
    for text in requirements:
        for line in text.splitlines():
            if line[:1].isalnum() and not _PIN.match(line):
                raise UsageProblem(
                    tried,
                    f"the line {line.strip()!r} does not pin a version",
                    "make the lock with `slotproof lock`",
                )
        for name, versions in pins(text).items():
            if seen.setdefault(name, versions) != versions:
                both = " and ".join(sorted(seen[name] | versions))
                raise UsageProblem(
                    tried,
                    f"{name} is pinned to {both} in two locks",
                    "lock the suite and the client to the same versions (`slotproof lock`)",
                )


def _digest(requirements: Sequence[str], built: Sequence[BuiltProject]) -> str:
    python = [sys.version, sys.base_prefix, sysconfig.get_platform()]
    parts = [_FORMAT, *python, *sorted(requirements), *sorted(b.digest for b in built)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _ready(folder: Path) -> bool:
    # `exists` follows the link: an interpreter that was removed since makes it stale.
    return (folder / ".ready").is_file() and (folder / "bin" / "python").exists()


def _sweep(root: Path, *, spare: Path) -> None:
    """Remove half-built environments whose builder is gone."""
    for folder in root.iterdir():
        if folder != spare and not (folder / ".ready").is_file():
            with cache.locked_if_free(f"environment-{folder.name}") as free:
                if free and not (folder / ".ready").is_file():
                    shutil.rmtree(folder, ignore_errors=True)


def _create(
    folder: Path,
    requirements: Sequence[str],
    built: Sequence[BuiltProject],
    label: str,
    lock: int,
) -> None:
    # Built in place: the scripts of an environment hold its path. uv inherits the lock: should
    # this process be killed, nobody builds in the folder before uv has left it.
    shutil.rmtree(folder, ignore_errors=True)
    python = f"--python={folder / 'bin' / 'python'}"
    try:
        with cache.staging() as stage:
            locked = ["pip", "install", "--require-hashes", "--strict", python]
            for number, text in enumerate(requirements):
                path = stage / f"lock-{number}.txt"
                _write(path, text)
                locked += ["-r", str(path)]
            pip = uv.pip_settings()
            steps = [["venv", "--python", sys.executable, str(folder)], locked]
            if built:
                # uv refuses what has no hash beside what has one: two steps, then a look at both.
                beside = ["pip", "install", "--no-deps", python, *(str(b.wheel) for b in built)]
                steps += [beside, ["pip", "check", python]]
            settings = uv.uv_settings(pip, os.environ)
            for step in steps:
                offline = uv.no_index(pip) if step[1] == "install" else []
                done = uv.run([*step, *offline], stage, settings, keep_open=lock)
                if done.returncode != 0:
                    raise uv.explain(f"making the environment for {label}", done.stderr)
        _write(folder / ".ready", f"{label}\n")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise cache.disk_problem(f"writing {path.name}", error) from error
