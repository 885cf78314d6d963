"""GLIDE's native library: found, checked, loaded once a process, and once more after a fork.

The library is the one of valkey-glide-sync, whose version is pinned: this module and the engines
are the only ones that know its private interface. The declarations below hold for 2.6.0.

**Log.** GLIDE writes warnings to stderr unless told otherwise. Here it is silent, unless the
environment variable ``GLIDE_REDIS_LOG`` says ``error``, ``warn``, ``info``, ``debug`` or ``trace``.

**Fork.** GLIDE's threads do not exist in a forked child, and its locks may be held by them for
ever. So a child whose ancestors have used the library loads a copy of its own, which has never run
before. The loader takes a file with another inode for another library: the parent makes a memory
file before its first fork, whose pages all its children share. Where memory files cannot be
executed, the child uses a temporary file that is deleted at once.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cffi

from glide_redis.native.values import Lost, NativeError, Refused, TimedOut

DISTRIBUTION: Final = "valkey-glide-sync"
VERSION: Final = "2.6.0"
LOG_VARIABLE: Final = "GLIDE_REDIS_LOG"

_LEVELS: Final = {"error": 0, "warn": 1, "info": 2, "debug": 3, "trace": 4, "off": 5}
_TURNED_AWAY: Final = ("WRONGPASS", "NOAUTH", "NOPERM")
_UNREACHABLE: Final = ("timed out", "IoError", "Failed to create initial connections")
_MFD_CLOEXEC: Final = 1
_MFD_EXEC: Final = 0x10

# What is used of GLIDE's interface, and no more. The last field of a reply is its owner.
_DECLARATIONS: Final = """
typedef struct Reply {
    int kind;
    long number;
    double real;
    bool truth;
    char *text;
    long text_len;
    struct Reply *items;
    long items_len;
    struct Reply *key;
    struct Reply *value;
    struct Reply *members;
    long members_len;
    void *arena;
} Reply;
typedef struct { const char *text; int kind; } Failure;
typedef struct { Reply *reply; Failure *failure; void *arena; } Outcome;
typedef struct {
    const void *conn_ptr;
    const char *connection_error_message;
    int connection_error_type;
} Opened;

typedef void (*Succeeded)(uintptr_t, const Reply *);
typedef void (*Failed)(uintptr_t, const char *, int);
typedef void (*Pushed)(
    uintptr_t, int, const uint8_t *, int64_t, const uint8_t *, int64_t, const uint8_t *, int64_t);
typedef struct { int kind; Succeeded succeeded; Failed failed; bool on_stack; } ClientKind;

const Opened *create_client(
    const uint8_t *, size_t, const ClientKind *, Pushed, void *resolver, uintptr_t id);
void free_connection_response(const Opened *);
void close_client(const void *);

typedef struct {
    int type;
    const uint8_t **args;
    size_t count;
    const size_t *lengths;
} Command;
typedef struct { size_t count; const Command **commands; bool atomic; } Batch;

Outcome *command(
    const void *, uintptr_t id, int type, unsigned long count, const size_t *args,
    const unsigned long *lengths, const uint8_t *route, size_t, uint64_t span);
Outcome *batch(
    const void *, uintptr_t id, const Batch *, bool raise, const void *options, uint64_t span);
void free_command_result(Outcome *);
void free_command_response(Reply *);
void free_response_arena(void *);
void free_c_string(char *);

Outcome *glide_scope_acquire_blocking(
    uint64_t client, const uint8_t *, size_t, bool has_slot, uint16_t slot, uint64_t timeout_ms);
int32_t glide_scope_execute_async(
    uint64_t scope, const uint8_t *, size_t, uintptr_t id, Succeeded, Failed);
int32_t glide_scope_release(uint64_t scope, uint64_t client);

typedef void (*MonitorCallback)(
    uintptr_t, double, int64_t, const uint8_t *, int64_t, const uint8_t *, int64_t,
    const uint8_t *, int64_t);
const Opened *create_monitor_client(const uint8_t *, size_t, MonitorCallback);
void close_monitor_client(const void *);

typedef struct { char *text; int level; } Logging;
Logging *init(const int *level, const char *file);
void free_log_result(Logging *);
"""

FUNCTIONS: Final = (
    "create_client",
    "free_connection_response",
    "close_client",
    "command",
    "batch",
    "free_command_result",
    "free_command_response",
    "free_response_arena",
    "free_c_string",
    "glide_scope_acquire_blocking",
    "glide_scope_execute_async",
    "glide_scope_release",
    "create_monitor_client",
    "close_monitor_client",
    "init",
    "free_log_result",
)


@dataclass(frozen=True)
class Library:
    """A loaded library.

    Attributes:
        ffi: the cffi instance with the declarations.
        lib: the functions, all of them resolved.
        generation: 0 in the first process that loaded it, one more in each forked child that
            loaded a copy of its own. Handles belong to one generation.
    """

    ffi: Any
    lib: Any
    generation: int

    def address(self, name: str) -> int:
        """Where a function is, for code that calls it by pointer."""
        return int(self.ffi.cast("uintptr_t", getattr(self.lib, name)))


class _State:
    """What this process has loaded. Replaced as a whole in a forked child."""

    def __init__(self, generation: int = 0, image: int = -1) -> None:
        self.generation = generation
        self.library: Library | None = None
        self.image = image  # the memory file to load from, when a parent used the library
        self.child_image = -1  # the one that this process made for its children


_lock = threading.RLock()
_state = _State()
_ffi: Any = None


def opening_failure(kind: int, text: str) -> NativeError:
    """Why a client could not be opened. GLIDE 2.6.0 says it by the text alone; its kind is 0."""
    if kind == 2:
        return TimedOut(text)
    refused = any(sign in text for sign in _TURNED_AWAY)
    if kind == 3 or (not refused and any(sign in text for sign in _UNREACHABLE)):
        return Lost(text)
    return Refused(text)


def current() -> Library:
    """The library of this process, loaded and checked at the first call.

    Raises ImportError with what was found, what is needed and what to do.
    """
    library = _state.library
    return library if library is not None else _load()


def generation() -> int:
    """How many forks of processes that had loaded the library lie behind this process.

    What was opened in another generation belongs to another process: it is never used, closed or
    freed in this one.
    """
    return _state.generation


def find() -> Path:
    """The library's file, as installed.

    Raises ImportError when the distribution is missing, of another version, or incomplete.
    """
    advice = f"install {DISTRIBUTION}=={VERSION}"
    try:
        version = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        raise ImportError(
            f"glide-redis needs {DISTRIBUTION} {VERSION}, which is not installed: {advice}"
        ) from None
    if version != VERSION:
        raise ImportError(
            f"glide-redis uses the private interface of {DISTRIBUTION} {VERSION}, "
            f"but {version} is installed: {advice}"
        )
    # The package is not imported: that would load a library too.
    spec = find_spec("glide_sync")
    name = "libglide_ffi.dylib" if sys.platform == "darwin" else "libglide_ffi.so"
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        file = Path(folder) / name
        if file.is_file():
            return file
    raise ImportError(
        f"{DISTRIBUTION} {VERSION} is installed without its native library {name} "
        f"(is there a wheel of it for this platform?): {advice} again"
    )


def _load() -> Library:
    global _ffi  # noqa: PLW0603
    with _lock:
        if _state.library is not None:
            return _state.library
        file = find()
        if _ffi is None:
            _ffi = cffi.FFI()
            _ffi.cdef(_DECLARATIONS)
        with _loadable(file) as path:
            lib = _open(_ffi, path, file)
        _silence(_ffi, lib)
        _check(_ffi, lib, file)
        _state.library = Library(_ffi, lib, _state.generation)
        return _state.library


def _open(ffi: Any, path: str, file: Path) -> Any:
    try:
        lib = ffi.dlopen(path)
    except OSError as error:
        raise ImportError(
            f"the native library of {DISTRIBUTION} {VERSION} cannot be loaded from {file}: {error}"
        ) from None
    missing = []
    for name in FUNCTIONS:
        try:
            getattr(lib, name)
        except AttributeError:
            missing.append(name)
    if missing:
        raise ImportError(
            f"{file} is not the native library of {DISTRIBUTION} {VERSION}: "
            f"it lacks {', '.join(missing)}; install {DISTRIBUTION}=={VERSION} again"
        )
    return lib


def _silence(ffi: Any, lib: Any) -> None:
    wanted = os.environ.get(LOG_VARIABLE, "off").strip().lower() or "off"
    if wanted not in _LEVELS:
        raise ImportError(f"{LOG_VARIABLE}={wanted!r}: choose one of {', '.join(_LEVELS)}")
    result = lib.init(ffi.new("int *", _LEVELS[wanted]), ffi.NULL)
    lib.free_log_result(result)


def _check(ffi: Any, lib: Any, file: Path) -> None:
    """One harmless call: bytes that are no request give an error text, and start no thread."""
    kind = ffi.new("ClientKind *")
    opened = lib.create_client(b"\xff", 1, kind, ffi.NULL, ffi.NULL, 0)
    try:
        sane = opened.conn_ptr == ffi.NULL and opened.connection_error_message != ffi.NULL
    finally:
        lib.free_connection_response(opened)
    if not sane:
        raise ImportError(
            f"{file} does not behave as the native library of {DISTRIBUTION} {VERSION}: "
            f"a malformed request was not refused; install {DISTRIBUTION}=={VERSION} again"
        )


@contextmanager
def _loadable(file: Path) -> Iterator[str]:
    """A path from which the loader takes the library anew."""
    if _state.generation == 0:
        yield str(file)
        return
    image = _state.image if _is_image(_state.image, file) else _memory_file(file)
    if image >= 0:
        # The loader compares names first: the dots make one that no ancestor used.
        path = f"/proc/self/fd/{'./' * _state.generation}{image}"
        usable = True
        try:
            _probe(path)
        except OSError:
            usable = False
        try:
            if usable:
                yield path
                return
        finally:
            os.close(image)
            _state.image = -1
    with _temporary_file(file) as path:
        yield path


def _probe(path: str) -> None:
    # Whether memory files may be mapped as code here, asked before the loader is.
    import mmap

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mmap.mmap(
            descriptor, mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC
        ).close()
    finally:
        os.close(descriptor)


def _is_image(descriptor: int, file: Path) -> bool:
    """Whether the descriptor is still the memory file: programs that fork like to close all."""
    if descriptor < 0:
        return False
    try:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        return name.startswith("memfd:glide-redis") and (
            os.fstat(descriptor).st_size == file.stat().st_size
        )
    except OSError:
        return False


def _memory_file(file: Path) -> int:
    """A copy of the library in memory, or -1 where there is no such thing."""
    if not hasattr(os, "memfd_create"):
        return -1
    for flags in (_MFD_CLOEXEC | _MFD_EXEC, _MFD_CLOEXEC):
        try:
            image = os.memfd_create("glide-redis", flags)
        except OSError:
            continue
        try:
            _copy(file, image)
        except OSError:
            os.close(image)
            return -1
        return image
    return -1


def _copy(file: Path, target: int) -> None:
    with file.open("rb") as source:
        left = os.fstat(source.fileno()).st_size
        while left:
            sent = (
                os.sendfile(target, source.fileno(), None, left) if sys.platform == "linux" else 0
            )
            if not sent:
                os.write(target, source.read())
                return
            left -= sent


@contextmanager
def _temporary_file(file: Path) -> Iterator[str]:
    """A copy on disk, in the first folder whose files may be executed; deleted once loaded."""
    folders = [tempfile.gettempdir(), "/dev/shm", "/var/tmp", str(Path.home())]
    problems = []
    for folder in folders:
        try:
            descriptor, path = tempfile.mkstemp(f"-{file.name}", "glide-redis-", folder)
        except OSError as error:
            problems.append(f"{folder}: {error}")
            continue
        try:
            try:
                _copy(file, descriptor)
                _probe(path)
            except OSError as error:
                problems.append(f"{folder}: {error}")
                continue
            finally:
                os.close(descriptor)
            yield path
            return
        finally:
            with suppress(OSError):
                Path(path).unlink()
    raise ImportError(
        "this process was forked from one that used glide-redis and needs a copy of GLIDE's "
        f"native library, but nowhere can one be loaded from: {'; '.join(problems)}"
    )


def _before_fork() -> None:
    # Held over the fork, so that no thread is inside of a load, or of cffi, when it happens.
    _lock.acquire()
    if _state.library is not None and _state.child_image < 0:
        with suppress(ImportError):
            _state.child_image = _memory_file(find())


def _in_parent() -> None:
    _lock.release()


def _in_child() -> None:
    global _lock, _state  # noqa: PLW0603
    _lock = threading.RLock()
    if _state.library is not None:
        _state = _State(_state.generation + 1, _state.child_image)


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
