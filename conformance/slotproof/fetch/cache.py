"""The cache folder: content by hash, locks between processes, staging that cleans up after itself.

Layout below ``cache_dir()``: ``files/<sha256>/<file name>``, ``environments/<digest>``,
``locks/<name>``, ``staging/``. Every entry can be deleted at any time; it is made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slotproof.errors import EnvironmentProblem


def cache_dir() -> Path:
    """Return the root of the cache, absolute, created when missing.

    ``$SLOTPROOF_CACHE``, else ``$XDG_CACHE_HOME/slotproof``, else ``~/.cache/slotproof``. Raises
    EnvironmentProblem when it cannot be created.
    """
    own = os.environ.get("SLOTPROOF_CACHE")
    shared = os.environ.get("XDG_CACHE_HOME")
    try:
        if own:
            root = Path(own)
        else:
            root = (Path(shared) if shared else Path.home() / ".cache") / "slotproof"
        root = root.absolute()
        return ensure_dir(root)
    except RuntimeError as error:
        raise EnvironmentProblem(
            "finding a folder for the cache",
            f"no home folder ({error})",
            "set SLOTPROOF_CACHE to a folder that you can write to",
        ) from error


def ensure_dir(path: Path) -> Path:
    """Create ``path`` with its parents and return it. Raises EnvironmentProblem on failure."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_problem(f"creating the folder {path}", error) from error
    return path


def disk_problem(tried: str, error: OSError) -> EnvironmentProblem:
    """Describe a failed file operation: a full disk, a missing permission, a file in the way."""
    return EnvironmentProblem(
        tried,
        f"{error.strerror or error} ({error.filename or 'no file named'})",
        "free some space or fix the permissions there, or set SLOTPROOF_CACHE to another folder",
    )


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content in lower-case hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(name: str) -> Iterator[int]:
    """Hold the cache-wide lock ``name`` (a plain file name) against every other process.

    Waits without a limit: the holder's death frees it. Threads of one process exclude each other
    too, because each call opens the file anew. Yields the file descriptor: a child process that
    inherits it (``pass_fds``) keeps the lock when its parent dies first.
    """
    with _open_lock(ensure_dir(cache_dir() / "locks") / name, wait=True) as handle:
        yield handle


@contextmanager
def locked_if_free(name: str) -> Iterator[bool]:
    """Like ``locked`` without waiting: yields whether the lock was free (and is now held)."""
    try:
        with _open_lock(ensure_dir(cache_dir() / "locks") / name, wait=False):
            yield True
    except BlockingIOError:
        yield False


@contextmanager
def staging() -> Iterator[Path]:
    """Yield a fresh folder on the cache's file system, removed at the end.

    A file in it can be moved into the cache by one atomic rename. What a killed process left is
    removed by the next call: each folder's lock file tells whether its owner still lives.
    """
    root = ensure_dir(cache_dir() / "staging")
    _sweep(root)
    folder = root / secrets.token_hex(8)
    lock = folder.with_suffix(".lock")
    with _open_lock(lock, wait=True):
        try:
            yield ensure_dir(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _sweep(root: Path) -> None:
    for lock in root.glob("*.lock"):
        with suppress(BlockingIOError, FileNotFoundError), _open_lock(lock, wait=False):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


@contextmanager
def _open_lock(path: Path, *, wait: bool) -> Iterator[int]:
    flags = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise disk_problem(f"opening the lock file {path}", error) from error
        try:
            fcntl.flock(handle, flags)
            # A sweeper may have removed the file between the open and the lock: then this lock
            # guards nothing that anybody else can see.
            if _still_there(handle, path):
                yield handle
                return
        finally:
            os.close(handle)


def _still_there(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
