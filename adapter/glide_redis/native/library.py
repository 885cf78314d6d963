"""GLIDE's native library: found, checked, loaded once a process, and once more after a fork.

The library is the one of valkey-glide-sync, whose version is pinned: this module and the engines
are the only ones that know its private interface. The declarations below hold for 2.6.0.

**Log.** GLIDE prints warnings unless told otherwise. Here it is silent, unless the
environment variable ``GLIDE_REDIS_LOG`` says ``error``, ``warn``, ``info``, ``debug`` or ``trace``.

**Fork.** GLIDE's threads do not exist in a forked child, and its locks may be held by them for
ever. So a child of a process that had loaded the library loads a copy of its own, which has never
run before (see ``copies``). The parent makes that copy before its first fork, for all its children.
What was opened before the fork stays the parent's: the child neither uses nor frees it.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cffi

from glide_redis.native import copies
from glide_redis.native.values import Lost, NativeError, Refused, TimedOut

DISTRIBUTION: Final = "valkey-glide-sync"
VERSION: Final = "2.6.0"
LOG_VARIABLE: Final = "GLIDE_REDIS_LOG"

_LEVELS: Final = {"error": 0, "warn": 1, "info": 2, "debug": 3, "trace": 4, "off": 5}
_TURNED_AWAY: Final = ("WRONGPASS", "NOAUTH", "NOPERM")
_UNREACHABLE: Final = ("timed out", "IoError", "Failed to create initial connections")

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

    def __init__(self, generation: int = 0, inherited: int = -1) -> None:
        self.generation = generation
        self.library: Library | None = None
        self.file: Path | None = None
        self.inherited = inherited  # the copy that a parent made, to be loaded here
        self.copy: int | None = None  # the one that this process made for its children


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
        if _state.generation:
            inherited, _state.inherited = _state.inherited, -1
            with copies.loadable(file, inherited, _state.generation) as path:
                lib = _open(_ffi, path, file)
        else:
            lib = _open(_ffi, str(file), file)
        _silence(_ffi, lib)
        _check(_ffi, lib, file)
        _state.file = file
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


def _before_fork() -> None:
    # Held over the fork, so that no thread is inside of a load, or of cffi, when it happens.
    _lock.acquire()
    if _state.file is not None and _state.copy is None:
        _state.copy = copies.in_memory(_state.file)


def _in_parent() -> None:
    _lock.release()


def _in_child() -> None:
    global _lock, _state  # noqa: PLW0603
    _lock = threading.RLock()
    if _state.library is not None:
        inherited = -1 if _state.copy is None else _state.copy
        _state = _State(_state.generation + 1, inherited)


os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
