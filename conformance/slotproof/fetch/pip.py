"""Files of a package index, by name, version and sha256, through the user's own pip.

pip is run as ``python -m pip download``, so its configuration applies: index, proxy,
certificates, find-links. The hash is checked by pip and, because the cache outlives any one pip,
again here on every use.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.fetch import cache

ArtefactKind = Literal["sdist", "wheel"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_TIMEOUT_SECONDS = 600


def fetch(
    name: str,
    version: str,
    sha256: str,
    kind: ArtefactKind,
    *,
    filename: str | None = None,
    wheel_tags: tuple[str, ...] | None = None,
) -> Path:
    """Return the path in the cache of one verified file, downloading it when it is not there.

    ``sha256``: 64 hexadecimal digits. For a wheel that was built for another Python than this
    one, give its ``filename`` or its ``wheel_tags`` (each like
    ``cp311-cp311-manylinux_2_17_x86_64``, compressed sets allowed). An sdist's metadata is built
    by pip in an isolated environment, which takes some seconds, once.

    Raises UsageProblem for malformed arguments and EnvironmentProblem when the file cannot be had:
    wrong hash, no network, no such version, no pip, full disk. The cache then is as before.
    """
    sha256 = sha256.lower()
    _check_arguments(name, version, sha256, filename)
    tags = _tags(filename, wheel_tags) if kind == "wheel" else frozenset()
    folder = cache.cache_dir() / "files" / sha256
    found = _cached(folder, sha256)
    if found is not None:
        return found
    with cache.locked(f"file-{sha256}"):
        found = _cached(folder, sha256)
        if found is not None:
            return found
        with cache.staging() as stage:
            got = _download(stage, (name, version, sha256), kind, tags)
            _verify(got, f"{name} {version}", sha256)
            target = cache.ensure_dir(folder) / got.name
            try:
                got.replace(target)
            except OSError as error:
                raise cache.disk_problem(f"moving {got.name} into the cache", error) from error
            return target


def _check_arguments(name: str, version: str, sha256: str, filename: str | None) -> None:
    tried = f"fetching {name} {version}"
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise UsageProblem(
            tried,
            f"{name!r} {version!r} is no project name and version",
            "give a plain name such as redis and one exact version such as 8.1.0",
        )
    if not _SHA256.fullmatch(sha256):
        raise UsageProblem(
            tried,
            f"sha256 {sha256!r} is not 64 hexadecimal digits",
            "copy the file's sha256 from its page on the package index or from `pip hash FILE`",
        )
    if filename is not None and (Path(filename).name != filename or filename in {".", ".."}):
        raise UsageProblem(tried, f"{filename!r} is no plain file name", "leave out any folder")


def _tags(filename: str | None, wheel_tags: tuple[str, ...] | None) -> frozenset[Tag]:
    try:
        if wheel_tags:
            return frozenset().union(*(parse_tag(text) for text in wheel_tags))
        if filename:
            return frozenset(parse_wheel_filename(filename)[3])
    except (InvalidWheelFilename, ValueError) as error:
        raise UsageProblem(
            f"reading the wheel tags of {filename or wheel_tags}",
            str(error),
            "give a wheel's file name, or tags such as cp311-cp311-manylinux_2_17_x86_64",
        ) from error
    return frozenset()


def _cached(folder: Path, sha256: str) -> Path | None:
    """The folder's one file, when it still has the hash that it is filed under."""
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
        return next((path for path in files if cache.sha256_of(path) == sha256), None)
    except OSError:
        return None


def _download(
    stage: Path, pin: tuple[str, str, str], kind: ArtefactKind, tags: Iterable[Tag]
) -> Path:
    name, version, sha256 = pin
    requirement = stage / "requirement.txt"
    files = stage / "files"
    try:
        requirement.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
    except OSError as error:
        raise cache.disk_problem(f"preparing the download of {name}", error) from error
    # -P: nothing in the current folder stands in for pip; find-links may still be relative to it.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--no-input", "--progress-bar=off", "--dest", str(files), "-r", str(requirement)]
    # `--no-binary :all:` would build the sdist's build back end from source as well.
    command += ["--only-binary=:all:"] if kind == "wheel" else [f"--no-binary={name}"]
    command += _tag_options(tags)
    environ = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_COLOR": "1"}
    # pip unpacks and builds in the temporary folder: keep that in the stage, which is swept.
    environ["TMPDIR"] = str(stage)
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env=environ,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentProblem(
            f"downloading {name} {version} with pip",
            f"no end after {_TIMEOUT_SECONDS} s",
            "check the network and pip's index configuration (`pip config list`), then try again",
        ) from error
    except OSError as error:
        raise cache.disk_problem(f"starting pip to download {name}", error) from error
    got = sorted(files.iterdir()) if files.is_dir() else []
    if done.returncode != 0 or len(got) != 1:
        raise _explain(name, version, kind, done.stdout + "\n" + done.stderr)
    return got[0]


def _tag_options(tags: Iterable[Tag]) -> list[str]:
    """pip's options that make it accept a wheel with ``tags``, whatever Python runs pip."""
    wanted = sorted(tags, key=str)
    if not wanted:
        return []
    options = [f"--platform={text}" for text in sorted({tag.platform for tag in wanted})]
    options += [f"--abi={text}" for text in sorted({tag.abi for tag in wanted})]
    interpreter = re.fullmatch(r"([a-z]+)(\d)(\d*)", wanted[0].interpreter)
    if interpreter:
        implementation, major, minor = interpreter.groups()
        ours = platform.python_version_tuple()[1]
        options += [f"--implementation={implementation}"]
        options += [f"--python-version={major}.{minor or ours}"]
    return options


def _verify(path: Path, what: str, sha256: str) -> None:
    try:
        actual = cache.sha256_of(path)
    except OSError as error:
        raise cache.disk_problem(f"reading the downloaded {path.name}", error) from error
    if actual != sha256:
        raise _wrong_hash(what, sha256, actual)


def _wrong_hash(what: str, expected: str, actual: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"fetching {what}",
        f"sha256 {actual} instead of {expected}",
        "do not use this file: check the pinned sha256 against the package index, and the index "
        "in `pip config list`",
    )


def _explain(name: str, version: str, kind: str, output: str) -> EnvironmentProblem:
    """Turn pip's output into one of the few things that go wrong."""
    what = f"{name} {version}"
    tried = f"downloading the {kind} of {what} with pip"
    hashes = re.search(r"Expected sha256 ([0-9a-f]{64})\s+Got\s+([0-9a-f]{64})", output)
    if hashes:
        return _wrong_hash(what, hashes[1], hashes[2])
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    # pip's last error line names the consequence; the first one usually names the cause.
    found = errors[0] if errors else (lines[-1] if lines else "pip said nothing")
    unknown = "(from versions: none)" in found
    found = re.sub(r" \(from versions: .*", "", found)
    if "No module named pip" in output:
        return EnvironmentProblem(
            tried, found, f"install pip for {sys.executable} (`python -m ensurepip`)"
        )
    if re.search(r"No space left|Disk quota", output):
        return EnvironmentProblem(
            tried, "no space left on the disk", "free some space or set SLOTPROOF_CACHE elsewhere"
        )
    if re.search(r"NewConnectionError|Max retries|timed out|Temporary failure|ProxyError", output):
        return EnvironmentProblem(
            tried,
            f"the package index cannot be reached ({found})",
            "connect to the network, or set pip's index-url or proxy (`pip config list`)",
        )
    if "No matching distribution" in output:
        # pip says the same for a project that the index lacks and for an index that is down.
        lacks = "is down or knows no" if unknown else "offers no such file of"
        return EnvironmentProblem(
            tried,
            f"the package index {lacks} {name} ({found})",
            f"check name and version with `pip index versions {name}`, and `pip config list`",
        )
    return EnvironmentProblem(tried, found, "run the same download with pip by hand and see")
