"""Cached virtual environments made from hashed locks, and the locks themselves, both by uv.

An environment is filed under a digest of everything it depends on: the texts of its locks and
the interpreter. It is made once, under a lock between processes, and counts only once its
``.ready`` marker is there, so that an interrupted creation leaves nothing that anybody would use.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.fetch import cache

_TIMEOUT_SECONDS = 900
# Enters every digest: raise it when environments of an older slotproof must not be used any more.
_FORMAT = "1"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;\\]+)([^\\#]*)", re.M)


@dataclass(frozen=True, slots=True)
class Environment:
    """A ready environment: its interpreter, and the digest of what it was made from."""

    python: Path
    digest: str


def environment(requirements: Sequence[str], *, label: str) -> Environment:
    """Return the environment that holds exactly ``requirements``, made when it is not cached.

    ``requirements``: texts of hashed requirement files (a suite's lock, a client's lock), merged.
    ``label``: names the environment in messages. It is made for this process's Python version.

    Raises UsageProblem when two locks pin one project differently or a line lacks a pin, and
    EnvironmentProblem when it cannot be made: a hash that differs, a lock that is not complete, no
    network, no such version, a full disk.
    """
    _check_pins(requirements, label)
    digest = _digest(requirements)
    folder = cache.ensure_dir(cache.cache_dir() / "environments") / digest
    if not _ready(folder):
        with cache.locked(f"environment-{digest}") as lock:
            if not _ready(folder):
                _sweep(folder.parent, spare=folder)
                _create(folder, requirements, label, lock)
    return Environment(folder / "bin" / "python", digest)


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
        pip = _pip_settings()
        # Extra indexes and find-links often hold the wheels of one platform only, which would make
        # a lock for that platform only: they are asked when the main index does not have all.
        main = {name: pip[name] for name in pip if name not in {"extra-index-url", "find-links"}}
        for settings in (pip,) if _no_index(pip) else (main, pip):
            arguments = [*command, *_no_index(pip), str(source)]
            done = _uv(arguments, stage, uv_settings(settings, os.environ))
            if done.returncode == 0:
                break
        else:
            raise _explain("compiling a lock", done.stderr, usage=True)
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


def _digest(requirements: Sequence[str]) -> str:
    python = [sys.version, sys.base_prefix, sysconfig.get_platform()]
    parts = [_FORMAT, *python, *sorted(requirements)]
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


def _create(folder: Path, requirements: Sequence[str], label: str, lock: int) -> None:
    # Built in place: the scripts of an environment hold its path. uv inherits the lock: should
    # this process be killed, nobody builds in the folder before uv has left it.
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with cache.staging() as stage:
            command = ["pip", "install", "--require-hashes", "--strict"]
            command += ["--python", str(folder / "bin" / "python")]
            for number, text in enumerate(requirements):
                path = stage / f"lock-{number}.txt"
                _write(path, text)
                command += ["-r", str(path)]
            tried = f"making the environment for {label}"
            pip = _pip_settings()
            command += _no_index(pip)
            settings = uv_settings(pip, os.environ)
            for step in (["venv", "--python", sys.executable, str(folder)], command):
                done = _uv(step, stage, settings, keep_open=lock)
                if done.returncode != 0:
                    raise _explain(tried, done.stderr)
        _write(folder / ".ready", f"{label}\n")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise cache.disk_problem(f"writing {path.name}", error) from error


def _uv(
    arguments: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    *,
    keep_open: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run uv in ``folder``, where no project's settings lie."""
    try:
        return subprocess.run(
            [sys.executable, "-P", "-m", "uv", "--quiet", "--no-progress", *arguments],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env={**settings, "NO_COLOR": "1"},
            cwd=folder,
            pass_fds=() if keep_open is None else (keep_open,),
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentProblem(
            f"running uv {arguments[0]}",
            f"no end after {_TIMEOUT_SECONDS} s",
            "check the network and the index configuration (`pip config list`), then try again",
        ) from error
    except OSError as error:
        raise cache.disk_problem("running uv", error) from error


def _pip_settings() -> Mapping[str, str]:
    """The user's pip settings by plain name; environment over section over global."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pip", "config", "list"],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        # A pip that is told to be quiet would list nothing.
        env=os.environ | {"PIP_QUIET": "0"},
    )
    ranked: dict[str, tuple[int, str]] = {}
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        key, _, quoted = line.partition("=")
        section, _, name = key.rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section)
        if rank is not None and ranked.get(name, (-1, ""))[0] < rank:
            ranked[name] = (rank, str(ast.literal_eval(quoted)))
    return {name: value for name, (_, value) in ranked.items()}


def _no_index(pip: Mapping[str, str]) -> list[str]:
    # uv has no environment variable for this one.
    return ["--no-index"] if pip.get("no-index", "").lower() in {"1", "true", "yes", "on"} else []


def _absolute(link: str) -> str:
    # uv runs in another folder than the user.
    return link if "://" in link else str(Path(link).expanduser().absolute())


def uv_settings(pip: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` for a uv that looks where pip with the settings ``pip`` would look.

    What the user set for uv itself stays. ``pip``: names as in pip's configuration files.
    """
    result = {name: value for name, value in environ.items() if name != "VIRTUAL_ENV"}
    wanted = {
        "UV_DEFAULT_INDEX": pip.get("index-url"),
        "UV_INDEX": " ".join(pip.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(map(_absolute, pip.get("find-links", "").split())),
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "UV_HTTP_TIMEOUT": pip.get("default-timeout") or pip.get("timeout"),
        "SSL_CERT_FILE": pip.get("cert"),
        "ALL_PROXY": pip.get("proxy"),
        # pip takes the best version over all of its indexes; the hashes guard the install.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for name, value in wanted.items():
        if value:
            result.setdefault(name, value)
    return result


def _explain(tried: str, output: str, *, usage: bool = False) -> EnvironmentProblem | UsageProblem:
    """Turn uv's output into one of the few things that go wrong."""
    lines = [re.sub(r"^\W+", "", line) for line in output.splitlines()]
    lines = [line for line in lines if line and not line.startswith("warning")]
    found = "; ".join(lines[:4])[:600] or "uv said nothing"
    if usage and re.search(r"No solution found|Couldn't parse|Failed to parse", output):
        return UsageProblem(tried, found, "change the requirements so that one version fits all")
    for pattern, next_step in _NEXT_STEPS:
        if re.search(pattern, output):
            return EnvironmentProblem(tried, found, next_step)
    return EnvironmentProblem(
        tried, found, "check the index settings (`pip config list`) and the lock"
    )


_NEXT_STEPS = (
    ("No module named uv", "install uv for this Python (`pip install uv`)"),
    ("No space left|Disk quota", "free some space, or set SLOTPROOF_CACHE to another disk"),
    ("Hash mismatch", "do not use this package; check the lock against the package index"),
    (
        "--require-hashes|no trusted hash",
        "the lock is not complete; make it anew with `slotproof lock`",
    ),
    (
        "[Ff]ailed to fetch|error sending request|[Cc]onnect|dns error|timed out",
        "connect to the network, or set pip's index-url or proxy (`pip config list`)",
    ),
    ("No solution found|no version", "check the lock's versions against the package index"),
)
