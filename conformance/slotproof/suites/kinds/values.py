"""Where an expression's value comes from: the client, a test double, the suite, or elsewhere.

A small flow-insensitive inference: a name is whatever any of its assignments makes it.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slotproof.suites.kinds.fixtures import Fixtures, Place, fixture_of
from slotproof.suites.kinds.marks import (
    default_of,
    is_builtin,
    is_double_factory,
    is_patch,
    is_property,
    parametrized,
)
from slotproof.suites.kinds.origin import (
    DOUBLE,
    PLAIN,
    UNKNOWN,
    Origin,
    Value,
    essence,
    join,
    merge,
)
from slotproof.suites.kinds.tree import (
    Class,
    External,
    Function,
    FunctionNode,
    Imported,
    Module,
    Symbol,
    Tree,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CARRIERS = frozenset({"connection_pool", "nodes_manager", "redis_connection"})
"""Attributes that hold a client object, whoever they are attributes of."""

_PASS_THROUGH = frozenset(
    {
        f"builtins.{name}"
        for name in (
            *("aiter", "anext", "dict", "enumerate", "filter", "iter", "list", "map", "max", "min"),
            *("next", "reversed", "set", "sorted", "tuple", "type", "zip"),
        )
    }
    | {"copy.copy", "copy.deepcopy", "contextlib.closing", "contextlib.aclosing", "typing.cast"}
    | {"functools.partial", "itertools.chain", "weakref.ref", "weakref.proxy"}
    | {"builtins.object.__new__"}
)
_PYTEST_GIVES = {
    "mocker": "unittest.mock",
    "class_mocker": "unittest.mock",
    "module_mocker": "unittest.mock",
    "session_mocker": "unittest.mock",
    "monkeypatch": "pytest.MonkeyPatch()",
    "request": "pytest.FixtureRequest()",
}
_MAX_PATH = 120


@dataclass(frozen=True, slots=True)
class Frame:
    """Where an expression stands: in which function (None: outside one), read at which place."""

    module: Module
    function: Function | None
    place: Place


class Inference:
    """Values of expressions, functions and fixtures; every answer is remembered."""

    def __init__(self, tree: Tree, fixtures: Fixtures, client: frozenset[str]) -> None:
        self.tree = tree
        self.fixtures = fixtures
        self._client = client
        self._known: dict[tuple[int, Place], Value] = {}
        self._results: dict[tuple[int, Place], Value] = {}
        self._lineage: dict[int, Value | None] = {}

    def is_client(self, path: str) -> bool:
        """True for a dotted path inside a client package."""
        return path.partition(".")[0] in self._client

    def value(self, expr: ast.expr | None, frame: Frame) -> Value:
        """The value of an expression."""
        if expr is None or isinstance(expr, ast.Constant | ast.JoinedStr | ast.Compare):
            return PLAIN
        key = (id(expr), frame.place)
        if key not in self._known:
            self._known[key] = PLAIN  # what a circular definition adds to itself
            self._known[key] = self._value(expr, frame)
        return self._known[key]

    def _value(  # noqa: PLR0911, PLR0912 - one case for each kind of node
        self, expr: ast.expr, frame: Frame
    ) -> Value:
        match expr:
            case ast.Name():
                return self._name(expr.id, frame)
            case ast.Attribute():
                return self.attribute(self.value(expr.value, frame), expr.attr, frame.place)
            case ast.Call():
                return self._call(expr, frame)
            case ast.Subscript():
                return self._element(self.value(expr.value, frame), expr.slice)
            case ast.Starred():
                value = self.value(expr.value, frame)
                return join(value.elements) if value.elements else value
            case ast.Await() | ast.NamedExpr() | ast.YieldFrom():
                return self.value(expr.value, frame)
            case ast.IfExp():
                return join((self.value(expr.body, frame), self.value(expr.orelse, frame)))
            case ast.BoolOp():
                return join(self.value(value, frame) for value in expr.values)
            case ast.BinOp():
                return join((self.value(expr.left, frame), self.value(expr.right, frame)))
            case ast.Tuple() | ast.List() | ast.Set():
                elements = tuple(self.value(element, frame) for element in expr.elts)
                return Value(join(elements).origin, elements=elements)
            case ast.Dict():
                return join(self.value(value, frame) for value in expr.values)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return join((self.value(expr.elt, frame),))
            case ast.DictComp():
                return self.value(expr.value, frame)
            case ast.Lambda():
                return Value(Origin.SUITE)
        return PLAIN

    def _element(self, value: Value, index: ast.expr) -> Value:
        if isinstance(index, ast.Constant) and isinstance(index.value, int):
            if 0 <= index.value < len(value.elements):
                return value.elements[index.value]
            return value
        return join(value.elements) if value.elements else value

    def _name(self, name: str, frame: Frame) -> Value:
        function = frame.function
        while function is not None:
            if name == function.self_name:
                return self._self(function, frame.place)
            found = list(self._local(function, name, frame))
            if found:
                return join(found)
            function = function.parent
        symbols = self.tree.resolve(frame.module, name)
        if symbols:
            return join(self.symbol(symbol) for symbol in symbols)
        if hasattr(builtins, name):
            return Value(Origin.OTHER, f"builtins.{name}")
        return UNKNOWN

    def _local(self, function: Function, name: str, frame: Frame) -> Iterator[Value]:
        here = Frame(function.module, function, frame.place)
        for argument in function.parameters:
            if argument.arg == name:
                yield self._argument(function, argument, here)
        for binding in function.scope.bindings.get(name, ()):
            if binding is None:
                yield UNKNOWN
            elif isinstance(binding, Imported):
                followed = self.tree.follow(function.module, binding)
                yield join(self.symbol(symbol) for symbol in followed) if followed else UNKNOWN
            elif isinstance(binding, FunctionNode):
                yield Value(
                    Origin.SUITE, definition=Function(function.module, binding, None, function)
                )
            elif isinstance(binding, ast.ClassDef):
                yield self.symbol(function.scope.classes[id(binding)])
            else:
                yield self.value(binding, here)

    def _argument(self, function: Function, argument: ast.arg, frame: Frame) -> Value:
        """What a parameter holds: a fixture, a listed value, its default or its annotation."""
        name, found = argument.arg, []
        for bound, value in frame.place.bound:
            if bound == name:
                return value
        if injected(function):
            fixture = self.fixtures.named(frame.place, name, function)
            if fixture is not None:
                found.append(self.result(fixture, frame.place.bare))
            elif name in _PYTEST_GIVES:
                return Value(Origin.OTHER, _PYTEST_GIVES[name])
            found.extend(self._listed(function, name, frame))
        default = default_of(function.node.args, name)
        if default is not None:
            found.append(self.value(default, frame))
        if argument.annotation is not None:
            annotated = self._annotated(argument.annotation, frame)
            if annotated.origin in (Origin.CLIENT, Origin.SUITE, Origin.OTHER):
                found.append(annotated)
        if not found and any(is_patch(d) for d in function.node.decorator_list):
            return DOUBLE
        return join(found) if any(v.origin is not Origin.PLAIN for v in found) else UNKNOWN

    def _annotated(self, annotation: ast.expr, frame: Frame) -> Value:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return UNKNOWN
        outer = Frame(frame.module, None, frame.place)
        if isinstance(annotation, ast.BinOp | ast.Subscript):
            return UNKNOWN
        value = self.value(annotation, outer)
        if value.path.startswith(("builtins.", "typing.")):
            return UNKNOWN
        return self.called(value, frame.place)

    def _listed(self, function: Function, name: str, frame: Frame) -> Iterator[Value]:
        """The values that a parametrize mark lists for a parameter."""
        outer = Frame(function.module, None, frame.place)
        marks = list(function.node.decorator_list)
        if function.owner is not None:
            marks += function.owner.node.decorator_list
        for names, listed in parametrized(marks):
            if name in names:
                value = self.value(listed, outer)
                rows = value.elements or (value,)
                if len(names) == 1:
                    yield join(rows)
                    continue
                index = names.index(name)
                for row in rows:
                    yield row.elements[index] if index < len(row.elements) else row

    def _self(self, function: Function, place: Place) -> Value:
        owner = function.owner
        if owner is None:
            return UNKNOWN
        concrete = owner
        if place.cls is not None and any(
            c.node is owner.node for c in self.tree.ancestry(place.cls)
        ):
            concrete = place.cls
        lineage = self.lineage(concrete)
        if lineage is not None and lineage.origin is Origin.CLIENT:
            return Value(Origin.CLIENT, f"{lineage.path}()", concrete)
        return Value(Origin.SUITE, definition=concrete)

    def lineage(self, cls: Class) -> Value | None:
        """The strongest external base of a class of the suite; None where it has none."""
        key = id(cls.node)
        if key not in self._lineage:
            found: list[Value] = []
            for ancestor in self.tree.ancestry(cls):
                _, external, unknown = self.tree.bases(ancestor)
                found += [self.symbol(base) for base in external]
                if unknown and any(not is_builtin(base) for base in ancestor.node.bases):
                    found.append(Value(Origin.OTHER))
            self._lineage[key] = join(found) if found else None
        return self._lineage[key]

    def symbol(self, symbol: Symbol) -> Value:
        """The value of a resolved symbol itself (not of a call of it)."""
        if isinstance(symbol, External):
            origin = Origin.CLIENT if self.is_client(symbol.path) else Origin.OTHER
            return Value(origin, symbol.path)
        if isinstance(symbol, Variable):
            place = Place(symbol.module, None)
            frame = Frame(symbol.module, None, place)
            return join(self.value(value, frame) for value in symbol.values)
        if isinstance(symbol, Class):
            lineage = self.lineage(symbol)
            if lineage is not None and lineage.origin is Origin.CLIENT:
                return Value(Origin.CLIENT, lineage.path, symbol)
        return Value(Origin.SUITE, definition=symbol)

    def attribute(self, base: Value, name: str, place: Place) -> Value:
        """The value of ``base.name``."""
        if base.origin in (Origin.DOUBLE, Origin.PLAIN):
            return Value(base.origin)
        if isinstance(base.definition, Module):
            symbols = self.tree.resolve(base.definition, name)
            return join(self.symbol(symbol) for symbol in symbols) if symbols else UNKNOWN
        if isinstance(base.definition, Class):
            own = self._member(base.definition, name, place)
            if own is not None:
                return own
            if base.origin is Origin.SUITE:
                return Value(Origin.OTHER) if self.lineage(base.definition) else PLAIN
        if name in CARRIERS and base.origin is not Origin.SUITE:
            return Value(Origin.CLIENT, f"{base.path}.{name}()"[:_MAX_PATH])
        path = f"{base.path}.{name}" if base.path and len(base.path) < _MAX_PATH else base.path
        return Value(base.origin, path)

    def _member(self, cls: Class, name: str, place: Place) -> Value | None:
        values: list[Value] = []
        for ancestor in self.tree.ancestry(cls):
            method = ancestor.methods.get(name)
            if method is not None:
                if is_property(method):
                    values.append(self.result(method, standing(self.tree, method, place)))
                    continue
                return Value(Origin.SUITE, definition=method)
            inner = ancestor.classes.get(name)
            if inner is not None:
                return self.symbol(inner)
            for expr, holder in ancestor.attributes.get(name, ()):
                there = (
                    standing(self.tree, holder, place)
                    if holder
                    else Place(ancestor.module, ancestor)
                )
                values.append(self.value(expr, Frame(ancestor.module, holder, there)))
        return join(values) if values else None

    def _call(self, call: ast.Call, frame: Frame) -> Value:
        function = self.value(call.func, frame)
        path = function.path
        if is_double_factory(path):
            return DOUBLE
        if path in _PASS_THROUGH:
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
            return join(self.value(argument, frame) for argument in arguments)
        return self._special(path, call, frame) or self.called(
            function, frame.place, self.bound(call, function, frame)
        )

    def _special(  # noqa: PLR0911 - one exit for each known function
        self, path: str, call: ast.Call, frame: Frame
    ) -> Value | None:
        """The result of the few functions whose meaning is known; None for the others."""
        if path == "builtins.super" and frame.function is not None:
            return Value(self._self(frame.function, frame.place).origin)
        if not call.args:
            return None
        if path == "builtins.getattr" and len(call.args) > 1:
            name, base = call.args[1], self.value(call.args[0], frame)
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                return self.attribute(base, name.value, frame.place)
            return Value(base.origin)
        if path == "pytest.FixtureRequest().getfixturevalue":
            return self._requested(call.args[0], frame)
        if path == "pytest.param":
            elements = tuple(self.value(argument, frame) for argument in call.args)
            if len(elements) > 1:
                return Value(join(elements).origin, elements=elements)
            return elements[0]
        return None

    def bound(self, call: ast.Call, function: Value, frame: Frame) -> tuple[tuple[str, Value], ...]:
        """What a call of a function of the suite gives to its parameters, paths cut off."""
        definition = function.definition
        if not isinstance(definition, Function):
            return ()
        names = [argument.arg for argument in definition.parameters]
        if definition.self_name is not None:
            names = names[1:]
        given: dict[str, ast.expr] = {}
        for name, argument in zip(names, call.args, strict=False):
            if isinstance(argument, ast.Starred):
                break
            given[name] = argument
        given |= {k.arg: k.value for k in call.keywords if k.arg in names and k.arg is not None}
        spread = [argument.value for argument in call.args if isinstance(argument, ast.Starred)]
        spread += [keyword.value for keyword in call.keywords if keyword.arg is None]
        if spread:  # which parameter gets what is not shown: each gets the strongest
            rest = join(self.value(expr, frame) for expr in spread)
            if rest.origin is not Origin.PLAIN:
                known = {name: self.value(argument, frame) for name, argument in given.items()}
                return tuple((name, essence(known.get(name, rest))) for name in sorted(names))
        values = ((name, self.value(argument, frame)) for name, argument in sorted(given.items()))
        return tuple((name, essence(value)) for name, value in values)

    def _requested(self, name: ast.expr, frame: Frame) -> Value:
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            fixture = self.fixtures.named(frame.place, name.value, frame.function)
            if fixture is not None:
                return self.result(fixture, frame.place.bare)
        return UNKNOWN

    def called(
        self, function: Value, place: Place, bound: tuple[tuple[str, Value], ...] = ()
    ) -> Value:
        """The value of a call of ``function`` with ``bound`` parameters."""
        definition = function.definition
        if isinstance(definition, Function):
            return self.result(definition, standing(self.tree, definition, place, bound))
        if isinstance(definition, Class):
            path = f"{function.path}()" if function.path else ""
            return Value(function.origin, path, definition)
        path = f"{function.path}()" if 0 < len(function.path) < _MAX_PATH else function.path
        return Value(function.origin, path)

    def result(self, function: Function, place: Place) -> Value:
        """What a function of the suite returns or yields."""
        key = (id(function.node), place)
        if key not in self._results:
            self._results[key] = PLAIN
            frame = Frame(function.module, function, place)
            outer = function.parent
            results = function.scope.results
            if outer is not None and function.owner is None:
                results = outer.scope.nested.get(function.name, results)
                frame = Frame(function.module, outer, place)
            found = [self.value(result, frame) for result in results]
            self._results[key] = merge(found)
        return self._results[key]


def standing(
    tree: Tree, function: Function, place: Place, bound: tuple[tuple[str, Value], ...] = ()
) -> Place:
    """The place at which a function reached from ``place`` stands.

    Fixtures and methods of the test's own class stay at the test's place, nested functions at
    their outer function's; anything else stands where it is written, so that it is read once for
    each set of ``bound`` values.
    """
    owner = function.owner
    if owner is not None:
        cls = place.cls
        if cls is None or all(c.node is not owner.node for c in tree.ancestry(cls)):
            return Place(owner.module, owner, bound)
        return Place(place.module, cls, bound)
    if function.parent is not None:
        return place
    if fixture_of(function) is not None:
        return place.bare
    return Place(function.module, None, bound)


def injected(function: Function) -> bool:
    """True where pytest fills the parameters: tests and fixtures."""
    return function.name.startswith("test") or fixture_of(function) is not None
