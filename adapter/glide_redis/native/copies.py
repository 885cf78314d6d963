"""Copies of a shared library that the loader takes for another one.

The loader knows a library by its name and by its inode, so a second load of the same file is the
first one again. A copy in memory is another file: made once, its pages are shared by all processes
that inherit its descriptor. Where files in memory cannot be executed, a file on disk serves, which
is deleted as soon as it was loaded.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

_NAME: Final = "glide-redis"
# Not in Python's os module yet. Kernels before 6.3 know no MFD_EXEC, and need none.
_MFD_CLOEXEC: Final = 0x01
_MFD_EXEC: Final = 0x10


def in_memory(file: Path) -> int:
    """A copy in memory: its descriptor, or -1 where there is no such thing."""
    if not hasattr(os, "memfd_create"):
        return -1
    for flags in (_MFD_CLOEXEC | _MFD_EXEC, _MFD_CLOEXEC):
        try:
            descriptor = os.memfd_create(_NAME, flags)
        except OSError:
            continue
        try:
            _copy(file, descriptor)
        except OSError:
            os.close(descriptor)
            break
        return descriptor
    return -1


@contextmanager
def loadable(file: Path, descriptor: int, generation: int) -> Iterator[str]:
    """A path to load a copy from, inside of the ``with``.

    ``descriptor``: an inherited copy in memory, or -1; it is closed. ``generation``: a number that
    no ancestor of this process had when it loaded its copy.

    Raises ImportError when there is no place that libraries can be loaded from.
    """
    with ExitStack() as stack:
        if not _is_copy(descriptor, file):
            descriptor = in_memory(file)
        if descriptor >= 0:
            stack.callback(os.close, descriptor)
            # The dots make a name that no ancestor used for a descriptor of the same number.
            path = f"/proc/self/fd/{'./' * generation}{descriptor}"
            if _executable(path):
                yield path
                return
        yield stack.enter_context(_on_disk(file))


def _is_copy(descriptor: int, file: Path) -> bool:
    """Whether the descriptor is still the copy: programs that fork like to close them all."""
    if descriptor < 0:
        return False
    try:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        size = os.fstat(descriptor).st_size
        return name.startswith(f"memfd:{_NAME}") and size == file.stat().st_size
    except OSError:
        return False


@contextmanager
def _on_disk(file: Path) -> Iterator[str]:
    """A file in the first folder whose files may be executed."""
    problems = []
    for folder in (tempfile.gettempdir(), "/dev/shm", "/var/tmp", str(Path.home())):
        try:
            descriptor, path = tempfile.mkstemp(f"-{file.name}", f"{_NAME}-", folder)
        except OSError as error:
            problems.append(f"{folder}: {error}")
            continue
        with ExitStack() as stack:
            stack.callback(Path(path).unlink, missing_ok=True)
            try:
                with os.fdopen(descriptor, "wb"):
                    _copy(file, descriptor)
            except OSError as error:
                problems.append(f"{folder}: {error}")
                continue
            if _executable(path):
                yield path
                return
            problems.append(f"{folder}: its files may not be executed")
    raise ImportError(
        "this process was forked from one that used glide-redis, and needs a copy of GLIDE's "
        "native library, but none of these folders can hold one that may be executed: "
        + "; ".join(problems)
    )


def _copy(file: Path, descriptor: int) -> None:
    with file.open("rb") as source, os.fdopen(descriptor, "wb", closefd=False) as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _executable(path: str) -> bool:
    """Whether a page of it can be mapped as code, as the loader will."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        code = mmap.PROT_READ | mmap.PROT_EXEC
        mmap.mmap(descriptor, mmap.PAGESIZE, mmap.MAP_PRIVATE, code).close()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
