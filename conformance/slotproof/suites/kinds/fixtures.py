"""Which pytest fixtures a test reaches: by parameter, by mark, by autouse and by name."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slotproof.suites.kinds.tree import Class, Function, Module, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slotproof.suites.kinds.origin import Value

SET_UP_METHODS = frozenset(
    {
        "setup",
        "teardown",
        "setup_method",
        "teardown_method",
        "setup_class",
        "teardown_class",
        "setUp",
        "tearDown",
        "setUpClass",
        "tearDownClass",
        "asyncSetUp",
        "asyncTearDown",
        "runTest",
        "__init__",
    }
)
SET_UP_FUNCTIONS = frozenset(
    {"setup_module", "teardown_module", "setup_function", "teardown_function", "setUpModule"}
    | {"tearDownModule"}
)


@dataclass(frozen=True, slots=True)
class Fixture:
    """A fixture and the name by which tests ask for it."""

    name: str
    function: Function
    autouse: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where code is read: what decides which fixture a name means, and what parameters hold.

    ``module``, ``cls``: the test's. ``bound``: values that a call gives to parameters.
    """

    module: Module
    cls: Class | None
    bound: tuple[tuple[str, Value], ...] = ()

    @property
    def bare(self) -> Place:
        """The same place without a call's values."""
        return Place(self.module, self.cls) if self.bound else self


class Fixtures:
    """Fixture look-up over the modules of one suite."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._of_module: dict[str, tuple[Fixture, ...]] = {}
        self._of_class: dict[int, tuple[Fixture, ...]] = {}

    def _layers(self, place: Place) -> Iterator[tuple[Fixture, ...]]:
        """The fixtures visible at ``place``, nearest scope first."""
        if place.cls is not None:
            for cls in self._tree.ancestry(place.cls):
                yield self._class(cls)
        yield self._module(place.module)
        for conftest in self._tree.conftests(place.module):
            if conftest is not place.module:
                yield self._module(conftest)
            for plugin in self._plugins(conftest):
                yield self._module(plugin)

    def named(self, place: Place, name: str, asker: Function | None = None) -> Function | None:
        """The fixture that ``name`` means at ``place``.

        ``asker``: the fixture that asks. One that asks for its own name gets the one that it
        overrides, as in pytest.
        """
        asking = fixture_of(asker) if asker is not None else None
        passed = asking is None or asking.name != name
        for layer in self._layers(place):
            for fixture in layer:
                if fixture.name != name:
                    continue
                if asker is not None and fixture.function.node is asker.node:
                    passed = True
                elif passed:
                    return fixture.function
        return None

    def autouse(self, place: Place) -> Iterator[Function]:
        """Fixtures that pytest applies to every test at ``place`` unasked."""
        for layer in self._layers(place):
            for fixture in layer:
                if fixture.autouse:
                    yield fixture.function

    def names(self, place: Place) -> frozenset[str]:
        """Every fixture name visible at ``place``."""
        return frozenset(fixture.name for layer in self._layers(place) for fixture in layer)

    def _class(self, cls: Class) -> tuple[Fixture, ...]:
        key = id(cls.node)
        if key not in self._of_class:
            found = (fixture_of(method) for method in cls.methods.values())
            self._of_class[key] = tuple(f for f in found if f is not None)
        return self._of_class[key]

    def _module(self, module: Module) -> tuple[Fixture, ...]:
        if module.name not in self._of_module:
            self._of_module[module.name] = ()
            found: list[Fixture] = []
            for name in module.symbols:
                for symbol in self._tree.resolve(module, name):
                    if isinstance(symbol, Function):
                        fixture = fixture_of(symbol, bound_as=name)
                        if fixture is not None:
                            found.append(fixture)
            for star in module.stars:
                for target in self._tree.files(module, star):
                    found.extend(self._module(target))
            self._of_module[module.name] = tuple(found)
        return self._of_module[module.name]

    def _plugins(self, module: Module) -> Iterator[Module]:
        for binding in module.symbols.get("pytest_plugins", ()):
            if isinstance(binding, ast.expr):
                for node in ast.walk(binding):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str):
                        yield from self._tree.files(module, node.value)


def fixture_of(function: Function, bound_as: str | None = None) -> Fixture | None:
    """The fixture that a function is declared as; None for an ordinary function."""
    for decorator in function.node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        target = call.func if call else decorator
        name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
        if name not in ("fixture", "async_fixture", "yield_fixture"):
            continue
        given, autouse = bound_as or function.name, False
        for keyword in call.keywords if call else ():
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                given = str(keyword.value.value)
            elif keyword.arg == "autouse" and isinstance(keyword.value, ast.Constant):
                autouse = bool(keyword.value.value)
        return Fixture(given, function, autouse)
    return None


def used_by_mark(nodes: list[ast.expr]) -> Iterator[str]:
    """The names in ``usefixtures`` marks among decorators or ``pytestmark`` values."""
    for node in nodes:
        for call in ast.walk(node):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr == "usefixtures"
            ):
                for arg in call.args:
                    if isinstance(arg, ast.Constant) and isinstance(arg.value, str):
                        yield arg.value
