"""uv in the folder and with the settings that pip would have: index, proxy, certificates."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.fetch import cache

_TIMEOUT_SECONDS = 900


def run(
    arguments: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    *,
    keep_open: int | None = None,
    quiet: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run uv in ``folder``, where no project's settings lie.

    ``keep_open``: a descriptor that uv inherits. ``quiet``: only problems are printed, and of a
    build back end nothing.
    """
    less = ["--quiet"] if quiet else []
    try:
        return subprocess.run(
            [sys.executable, "-P", "-m", "uv", *less, "--no-progress", *arguments],
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


def pip_settings() -> Mapping[str, str]:
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


def no_index(pip: Mapping[str, str]) -> list[str]:
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


def explain(tried: str, output: str, *, usage: bool = False) -> EnvironmentProblem | UsageProblem:
    """Turn uv's output into one of the few things that go wrong."""
    lines = [re.sub(r"^\W+", "", line) for line in output.splitlines()]
    lines = [line for line in lines if line and not line.startswith("warning")]
    found = "; ".join(lines[:6])[:600] or "uv said nothing"
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
