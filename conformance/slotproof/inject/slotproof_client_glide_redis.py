"""Makes ``import redis`` give glide-redis, in every process of a cell whose client is glide-redis.

Done at the first import of ``redis``, so that programs without it pay nothing. redis-py is imported
as it is, then the adapter on top of it. From then on every module of redis-py, also one imported
later, holds the adapter's subclass wherever it held one of redis-py's classes that the adapter's
table ``glide_redis.REPLACEMENTS`` names; so do the default values of functions' arguments. Bases of
redis-py's own subclasses stay what they are: the adapter replaces those classes as well, or leaves
them.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from types import FunctionType, ModuleType

TYPE_CHECKING = False  # Every process of the tree pays for an import of typing.
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from typing import Any

    Table = Mapping[type, type]
else:
    Loader = object

REDIS, ADAPTER = "redis", "glide_redis"

_done: set[str] = set()
"""Which of the two has been imported to its end."""


class Finder:
    """Finds ``redis``, all below it, and the adapter, so as to be told when one is imported."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Answer the import system for these with what is on the path anyway, watched."""
        if name not in (REDIS, ADAPTER) and not name.startswith(f"{REDIS}."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Watched(spec.loader)
        return spec


class _Watched(Loader):
    """A loader that leaves its place to the real one and acts when the module is complete."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Let the real loader do it."""
        module: ModuleType | None = self._real.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run the module as ever, then swap what it holds."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        module.__loader__ = self._real
        self._real.exec_module(module)
        _imported(module)


def _imported(module: ModuleType) -> None:
    """Act on a module that has just run to its end.

    Until both packages have, nothing is swapped: the adapter's classes derive from redis-py's own.
    Whichever of the two is imported first is the last to be complete.
    """
    name = module.__name__
    if name in (REDIS, ADAPTER):
        _done.add(name)
        if ADAPTER not in sys.modules:
            __import__(ADAPTER)
            return
        changed = _modules_of_redis()
    else:
        changed = [module]
    if _done == {REDIS, ADAPTER}:
        table = _table()
        for each in changed:
            swap(each, table)


def _table() -> Table:
    """Return the adapter's table. Raises ImportError when it has none, or one that is wrong."""
    table = getattr(sys.modules[ADAPTER], "REPLACEMENTS", None)
    if table is None:
        raise ImportError(f"{ADAPTER} has no table REPLACEMENTS", name=ADAPTER)
    for old, new in table.items():
        if not (isinstance(old, type) and isinstance(new, type)):
            raise ImportError(f"{ADAPTER}.REPLACEMENTS: {old!r} or {new!r} is no class")
    found: Table = table
    return found


def _modules_of_redis() -> list[ModuleType]:
    return [m for n, m in list(sys.modules.items()) if n == REDIS or n.startswith(f"{REDIS}.")]


def swap(module: ModuleType, table: Table) -> None:
    """Put the adapter's classes where a module holds redis-py's: names and default arguments."""
    for function in list(_functions(module)):
        defaults = function.__defaults__
        if defaults:
            function.__defaults__ = tuple(_new(value, table) for value in defaults)
        named = function.__kwdefaults__ or {}
        named.update({name: _new(value, table) for name, value in named.items()})
    for name, value in list(vars(module).items()):
        new = _new(value, table)
        if new is not value:
            setattr(module, name, new)


def _new(value: Any, table: Table) -> Any:
    return table.get(value, value) if isinstance(value, type) else value


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Yield the functions that a module defines, at its top and in its classes."""
    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            for member in list(vars(value).values()):
                yield from _wrapped(member)
        elif getattr(value, "__module__", None) == module.__name__:
            yield from _wrapped(value)


def _wrapped(value: Any) -> Iterator[FunctionType]:
    """Yield the functions in a function, method or property, those under decorators included."""
    if isinstance(value, (classmethod, staticmethod)):
        value = value.__func__
    if isinstance(value, property):
        for part in (value.fget, value.fset, value.fdel):
            yield from _wrapped(part)
    while isinstance(value, FunctionType):
        yield value
        value = getattr(value, "__wrapped__", None)


sys.meta_path.insert(0, Finder())
