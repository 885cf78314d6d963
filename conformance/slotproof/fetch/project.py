"""Wheels of projects on this disk, built once for each state of their files.

The build sees a copy of exactly the files that name the state, so that nothing stale (an extension
module that was built in place, a ``build`` folder) gets in, and nothing is written beside them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.fetch import cache, uv

# Enters every digest: raise it when wheels of an older slotproof must not be used any more.
_FORMAT = "1"
_CACHES = re.compile(
    r"(^|/)(\.[^/]+|__pycache__|build|dist|[^/]+\.egg-info)/|\.(py[cod]|so|dylib|o)$|(^|/)\.git$"
)
_COMPILER = ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "ARCHFLAGS")
_SHOWN_LINES = 12
_SHOWN_WIDTH = 200


@dataclass(frozen=True, slots=True)
class BuiltProject:
    """A project's wheel in the cache. ``digest``: of what it installs."""

    name: str
    version: str
    wheel: Path
    digest: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} (content {self.digest[:8]})"


def build(folder: Path, *, build_lock: str = "") -> BuiltProject:
    """Return the wheel of the project in ``folder`` as its files are now.

    ``build_lock``: text of a hashed lock that pins what its build back end needs; "" takes the
    newest. Files that git ignores, hidden folders, caches and compiled files do not enter. Safe
    for several processes and threads at once.

    Raises UsageProblem when the folder holds no project, and EnvironmentProblem, with the last
    lines of what the build printed, when it cannot be built.
    """
    files = _files(folder)
    state = _state(files, build_lock)
    kept = cache.ensure_dir(cache.cache_dir() / "projects") / state
    with cache.locked(f"project-{state}"):
        wheel = next(kept.glob("*.whl"), None)
        if wheel is None:
            with cache.staging() as stage:
                built = _build(folder, files, build_lock, stage)
                try:
                    kept.mkdir(exist_ok=True)
                    wheel = built.rename(kept / built.name)
                except OSError as error:
                    raise cache.disk_problem("moving a wheel into the cache", error) from error
        return _describe(wheel)


def _files(folder: Path) -> Mapping[str, tuple[bytes, bool]]:
    """The project's files by path below it: content, and whether it may be executed."""
    if not (folder / "pyproject.toml").is_file():
        raise UsageProblem(
            f"building the project in {folder}",
            "there is no pyproject.toml",
            "name the folder that holds the project's pyproject.toml",
        )
    found = {}
    try:
        for name in sorted(_names(folder)):
            path = folder / name
            if path.is_file() and not _CACHES.search(name):
                found[name] = (path.read_bytes(), os.access(path, os.X_OK))
    except OSError as error:
        raise cache.disk_problem(f"reading the project in {folder}", error) from error
    return found


def _names(folder: Path) -> list[str]:
    git = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(git, check=False, capture_output=True, stdin=subprocess.DEVNULL)
        names = os.fsdecode(done.stdout).split("\0") if done.returncode == 0 else []
    except OSError:
        names = []
    # A folder that git ignores as a whole lists nothing; then, as without git, everything counts.
    return names if "pyproject.toml" in names else list(_walk(folder))


def _walk(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        for name in names:
            yield (Path(parent) / name).relative_to(folder).as_posix()


def _state(files: Mapping[str, tuple[bytes, bool]], build_lock: str) -> str:
    python = [sys.version, sys.base_prefix, sysconfig.get_platform()]
    # A project may compile where it can: another compiler is another wheel.
    compiler = shutil.which(os.environ.get("CC", "cc").split(" ")[0]) or ""
    flags = [os.environ.get(name, "") for name in _COMPILER]
    digest = hashlib.sha256("\0".join([_FORMAT, *python, compiler, *flags, build_lock]).encode())
    for name, (content, executable) in files.items():
        digest.update(f"\0{name}\0{executable}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


def _build(
    folder: Path, files: Mapping[str, tuple[bytes, bool]], build_lock: str, stage: Path
) -> Path:
    tried = f"building the project in {folder}"
    source = stage / "project"
    try:
        for name, (content, executable) in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if executable else 0o644)
        (stage / "build.lock").write_text(build_lock, encoding="utf-8")
    except OSError as error:
        raise cache.disk_problem(tried, error) from error
    command = ["build", "--wheel", "--no-create-gitignore", "--python", sys.executable]
    if build_lock:
        command += ["--require-hashes", "--build-constraints", str(stage / "build.lock")]
    pip = uv.pip_settings()
    command += [*uv.no_index(pip), "--out-dir", str(stage / "wheel"), str(source)]
    done = uv.run(command, stage, uv.uv_settings(pip, os.environ), quiet=False)
    if done.returncode != 0:
        raise _explain(tried, done.stderr.replace(str(source), str(folder)))
    return next((stage / "wheel").glob("*.whl"))


def _explain(tried: str, output: str) -> EnvironmentProblem | UsageProblem:
    printed, failed, why = output.partition("error: Failed to build")
    if "build backend" not in why:
        # It did not come to a build: an index, a hash, a disk.
        return uv.explain(tried, failed + why if failed else output)
    lines = [line.rstrip()[:_SHOWN_WIDTH] for line in printed.splitlines() if line.strip()]
    return EnvironmentProblem(
        tried,
        "\n    ".join(["its build failed:", *lines[-_SHOWN_LINES:]]),
        "correct the project, or install what its build needs (a C compiler, Python's headers)",
    )


def _describe(wheel: Path) -> BuiltProject:
    try:
        name, version, _, _ = parse_wheel_filename(wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            # By content: wheels of two builds differ in the times of their files.
            entries = sorted((i.filename, archive.read(i)) for i in archive.infolist())
    except (OSError, InvalidWheelFilename, zipfile.BadZipFile) as error:
        raise EnvironmentProblem(
            f"reading the wheel {wheel}", str(error), f"remove {wheel.parent} and try again"
        ) from error
    digest = hashlib.sha256(wheel.name.encode())
    for path, content in entries:
        digest.update(f"\0{path}\0{len(content)}\0".encode())
        digest.update(content)
    return BuiltProject(str(name), str(version), wheel, digest.hexdigest()[:32])
