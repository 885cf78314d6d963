"""Makes ``import redis`` give valkey-py, in every process of a cell whose client is valkey-py.

Done at the first import of ``redis``, so that programs without it pay nothing. Every module of
redis-py that valkey-py has as well *is* valkey-py's module object from then on, under both names:
what a test patches is what runs. Names that differ only by the product are aliases of each other.
Names and modules that valkey-py lacks are redis-py's own, which is installed beside it; where such
a thing opens a connection, it is foreign, and the proof of path says so.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

TYPE_CHECKING = False  # Every process of the tree pays for an import of typing.
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
else:
    Loader = object

OLD, NEW = "redis", "valkey"

RENAMED = {
    "redis._parsers.hiredis": "valkey._parsers.libvalkey",
    "redis.commands.redismodules": "valkey.commands.valkeymodules",
    "redis.commands.search.index_definition": "valkey.commands.search.indexDefinition",
}
"""Modules of redis-py that valkey-py has under another name than its product's."""

_WORDS = (
    *(("Hiredis", "Libvalkey"), ("HIREDIS", "LIBVALKEY"), ("hiredis", "libvalkey")),
    *(("Redis", "Valkey"), ("REDIS", "VALKEY"), ("redis", "valkey")),
)


def translated(name: str) -> str:
    """Return what valkey-py calls a thing that redis-py calls ``name``."""
    for old, new in _WORDS:
        name = name.replace(old, new)
    return name


class Bridge(ModuleType):
    """The class that valkey-py's modules get: redis-py's names for the same, and for the rest."""

    def __getattr__(self, name: str) -> object:
        other = _REDIS_PY.get(self.__name__)
        if other is None or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return _valkey_py_for(getattr(other, name))

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        alias = _ALIASES.get(self.__name__, {}).get(name)
        if alias is not None:
            super().__setattr__(alias, value)


_REDIS_PY: dict[str, ModuleType] = {}
"""By the name of a module of valkey-py: the module of redis-py that it stands in for."""

_ALIASES: dict[str, dict[str, str]] = {}
"""By the name of a module of valkey-py: its pairs of names for one thing, both ways."""


class Finder:
    """Finds ``redis``: as valkey-py; and below it, what only redis-py has."""

    def __init__(self) -> None:
        self._busy = False

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,  # noqa: ARG002 (the import system's protocol)
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Answer the import system for ``redis`` and its submodules, nothing else."""
        if self._busy or (name != OLD and not name.startswith(f"{OLD}.")):
            return None
        if name == OLD:
            self._busy = True
            try:
                return ModuleSpec(name, _Given(_bridge()))
            finally:
                self._busy = False
        # The parent is valkey-py's package and has its path; what is not found in redis-py's
        # place must not be found there under a second name.
        parent = name.rpartition(".")[0]
        package = _REDIS_PY.get(_counterpart(parent)) or sys.modules[parent]
        spec = PathFinder.find_spec(name, package.__path__, target)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec


class _Given(Loader):
    """A loader of a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002 (as above)
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just made it the spec of ``redis``.
        module.__spec__ = self._spec


def _bridge() -> ModuleType:
    """Import both libraries, put valkey-py's modules in redis-py's places; return its package."""
    __import__(OLD)
    __import__(NEW)
    for name in _modules_of(sys.modules[OLD]):
        counterpart = _counterpart(name)
        try:
            __import__(counterpart)
            __import__(name)
        except ImportError:
            # Either valkey-py has no such module, or an optional dependency of both is missing.
            continue
        _REDIS_PY[counterpart] = sys.modules[name]
    for counterpart, redis_py in _REDIS_PY.items():
        module = sys.modules[counterpart]
        _ALIASES[counterpart] = _aliases(module, redis_py)
        module.__class__ = Bridge
        sys.modules[redis_py.__name__] = module
    # The import system would go by a module that it finds there, rather than by our answer.
    return sys.modules.pop(OLD)


def _valkey_py_for(value: object) -> object:
    """Return what stands for a thing of redis-py's: valkey-py's from another module, or itself.

    ``redis`` offers exceptions that ``valkey`` does not, though ``valkey.exceptions`` has them.
    """
    if isinstance(value, ModuleType):
        return sys.modules.get(value.__name__, value)
    home = sys.modules.get(str(getattr(value, "__module__", None)))
    if isinstance(home, Bridge):
        name = str(getattr(value, "__name__", ""))
        own = vars(home)
        return own.get(name, own.get(translated(name), value))
    return value


def _counterpart(name: str) -> str:
    return RENAMED.get(name, NEW + name[len(OLD) :])


def _modules_of(package: ModuleType) -> list[str]:
    """Return the names of a package and of every module below it that valkey-py may have too."""
    from pkgutil import iter_modules

    names, pending = [package.__name__], [package]
    while pending:
        parent = pending.pop()
        for entry in iter_modules(parent.__path__, f"{parent.__name__}."):
            if not _exists(_counterpart(entry.name)):
                continue
            names.append(entry.name)
            if entry.ispkg:
                __import__(entry.name)
                pending.append(sys.modules[entry.name])
    return names


def _exists(name: str) -> bool:
    parent, _, _ = name.rpartition(".")
    try:
        __import__(parent)
    except ImportError:
        return False
    return PathFinder.find_spec(name, sys.modules[parent].__path__) is not None


def _aliases(module: ModuleType, redis_py: ModuleType) -> dict[str, str]:
    """Give a module redis-py's names for what it has, and return the pairs."""
    pairs: dict[str, str] = {}
    own = vars(module)
    for name in list(vars(redis_py)):
        new = translated(name)
        if new == name or new not in own:
            continue
        if own.setdefault(name, own[new]) is own[new]:
            pairs[name] = new
            pairs[new] = name
    return pairs


sys.meta_path.insert(0, Finder())
