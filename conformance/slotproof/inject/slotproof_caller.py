"""Which module opens a connection: the first frame that is not the standard library's.

Coroutines await one another on one stack, so that usually the caller is found by walking outwards
from ``connect``. Where the standard library puts a task in between (``asyncio.wait_for`` before
Python 3.12, ``gather``), the stack ends at that task; the search goes on in the coroutine of the
task that awaits it, which is found through the callbacks by which it will be woken.
"""

from __future__ import annotations

import functools
import os
import sys
from types import BuiltinMethodType, FrameType, FunctionType, MethodType

TYPE_CHECKING = False  # Every process of the tree pays for an import of typing or dataclasses.
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
_STDLIB = os.path.dirname(os.path.realpath(os.__file__)) + os.sep  # noqa: PTH120
_SITE = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_PLUMBING = frozenset({"gevent", "eventlet", "anyio", "trio", "async_timeout", "uvloop"})
"""Packages that only carry a connect on behalf of whoever called them, as asyncio does."""

_MAX_AWAITERS = 200


class Caller:
    """The module that connects. ``recorder``: it is slotproof's own recorder."""

    __slots__ = ("file", "line", "module", "recorder")

    def __init__(self, module: str, file: str, line: int, *, recorder: bool = False) -> None:
        self.module = module
        self.file = file
        self.line = line
        self.recorder = recorder

    def within(self, packages: tuple[str, ...]) -> bool:
        """Whether the module belongs to one of the packages."""
        return any(self.module == name or self.module.startswith(f"{name}.") for name in packages)


def find(frame: FrameType | None) -> Caller:
    """Return who called the standard library at ``frame``.

    When no frame outside the standard library is on the stack or awaits it, the innermost frame
    itself is the answer: a thread or task that runs nothing but the standard library.
    """
    for candidate in _candidates(frame):
        return _caller(candidate)
    return _caller(frame) if frame is not None else Caller("?", "?", 0)


def _candidates(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        if not _transparent(frame):
            yield frame
        elif _is_loop_step(frame):
            # Further out stands whoever runs the loop, who did not cause this step of it.
            yield from (waiting for waiting in _awaiting_frames() if not _transparent(waiting))
        frame = frame.f_back


def _is_loop_step(frame: FrameType) -> bool:
    return frame.f_code.co_name == "_run" and frame.f_globals.get("__name__") == "asyncio.events"


def _is_recorder(frame: FrameType | None) -> bool:
    """Whether the frame is slotproof's RESP client at work for the recorder.

    Others may import that client as well; it is the recorder behind it that is let pass.
    """
    while frame is not None:
        folder, _, name = frame.f_code.co_filename.rpartition(os.sep)
        if folder != _HERE:
            return False
        if name == "slotproof_recorder.py":
            return True
        frame = frame.f_back
    return False


def _caller(frame: FrameType) -> Caller:
    file = frame.f_code.co_filename
    for mark in _SITE:
        _, found, tail = file.rpartition(mark)
        if found:
            file = tail
            break
    module = str(frame.f_globals.get("__name__", "?"))
    return Caller(module, file, frame.f_lineno, recorder=_is_recorder(frame))


@functools.cache
def _stdlib(file: str) -> bool:
    if file.startswith("<frozen "):
        return True
    path = os.path.realpath(file)
    return path.startswith(_STDLIB) and not any(mark in path for mark in _SITE)


def _transparent(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    if isinstance(name, str) and name.partition(".")[0] in _PLUMBING:
        return True
    return _stdlib(frame.f_code.co_filename)


def _awaiting_frames() -> Iterator[FrameType]:
    """Yield the frames of the tasks that await the current one, innermost first, nearest first."""
    # Never imported here: a process without asyncio has no task.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return
    try:
        current = asyncio.current_task()
    except RuntimeError:
        return
    if current is None:
        return
    queue: list[Any] = [current]
    seen = {id(current)}
    while queue and len(seen) < _MAX_AWAITERS:
        thing = queue.pop(0)
        if thing is not current and isinstance(thing, asyncio.Task):
            yield from reversed(list(_coroutine_frames(thing.get_coro())))
        for following in _wakes(thing, asyncio.Future):
            if id(following) not in seen:
                seen.add(id(following))
                queue.append(following)


def _coroutine_frames(coroutine: Any) -> Iterator[FrameType]:
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None:
            yield frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def _wakes(thing: Any, future: type) -> list[Any]:
    """Return what a future, or a callback of one, holds and will wake."""
    if isinstance(thing, future):
        return [entry[0] for entry in getattr(thing, "_callbacks", None) or ()]
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, MethodType | BuiltinMethodType):
        return [thing.__self__]
    if isinstance(thing, FunctionType):
        cells = thing.__closure__ or ()
        return [cell.cell_contents for cell in cells if _filled(cell)]
    # The C implementation's wake-up of a task is no method, yet names its task.
    owner = getattr(type(thing), "__self__", None)
    return [thing.__self__] if owner is not None else []


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
