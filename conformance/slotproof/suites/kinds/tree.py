"""The parsed modules of a suite's test folder, their names and what each name resolves to.

Reads files and builds syntax trees; never imports or runs anything of the suite.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from slotproof.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class External:
    """A dotted path outside the suite's folder: ``redis.client.Redis``, ``json``."""

    path: str


@dataclass(frozen=True, slots=True)
class Imported:
    """An import statement's promise, not yet followed. ``name`` None: the module itself."""

    module: str
    name: str | None


@dataclass(eq=False)
class Function:
    """A function or method of the suite, nested functions included in its body.

    ``owner``: the class it is a method of. ``parent``: the function around it, if any.
    """

    module: Module
    node: FunctionNode
    owner: Class | None = None
    parent: Function | None = None

    @property
    def name(self) -> str:
        return self.node.name

    @cached_property
    def parameters(self) -> tuple[ast.arg, ...]:
        args = self.node.args
        return (*args.posonlyargs, *args.args, *args.kwonlyargs)

    @cached_property
    def scope(self) -> Scope:
        return read_scope(self)

    @cached_property
    def self_name(self) -> str | None:
        """The name of ``self`` or ``cls``; None for plain functions and static methods."""
        if self.owner is None or not self.parameters:
            return None
        static = any(
            isinstance(d, ast.Name) and d.id == "staticmethod" for d in self.node.decorator_list
        )
        return None if static else self.parameters[0].arg


@dataclass(eq=False)
class Class:
    """A class of the suite."""

    module: Module
    node: ast.ClassDef
    parent: Function | None = None

    @cached_property
    def methods(self) -> Mapping[str, Function]:
        return {
            node.name: Function(self.module, node, self, self.parent)
            for node in statements(self.node.body)
            if isinstance(node, FunctionNode)
        }

    @cached_property
    def classes(self) -> Mapping[str, Class]:
        return {
            node.name: Class(self.module, node, self.parent)
            for node in statements(self.node.body)
            if isinstance(node, ast.ClassDef)
        }

    @cached_property
    def attributes(self) -> Mapping[str, list[tuple[ast.expr, Function | None]]]:
        """Expressions bound to class attributes, and to ``self.name`` in any method."""
        found: dict[str, list[tuple[ast.expr, Function | None]]] = {}
        for statement in statements(self.node.body):
            for target, value in assignments(statement):
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append((value, None))
        for method in self.methods.values():
            for name, value in method.scope.self_attributes:
                found.setdefault(name, []).append((value, method))
        return found


@dataclass(frozen=True, slots=True)
class Variable:
    """A module-level name bound by assignment to one or several expressions."""

    module: Module
    name: str
    values: tuple[ast.expr, ...]


Binding = ast.expr | Imported | FunctionNode | ast.ClassDef | None
"""What one statement binds a name to; None: something the tree does not show."""


@dataclass
class Scope:
    """The local names of a function, its nested functions' flattened in."""

    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    results: list[ast.expr] = field(default_factory=list)
    self_attributes: list[tuple[str, ast.expr]] = field(default_factory=list)
    classes: dict[int, Class] = field(default_factory=dict)
    nested: dict[str, list[ast.expr]] = field(default_factory=dict)

    def bind(self, name: str, binding: Binding) -> None:
        self.bindings.setdefault(name, []).append(binding)


class Module:
    """One parsed file. ``name``: its path relative to the suite's root, with slashes."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.package = PurePosixPath(name).parent
        self.folder = str(self.package)
        try:
            self.tree = ast.parse(path.read_bytes(), filename=name)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            raise UsageProblem(
                f"read the syntax tree of {name}",
                f"{error} (line {line})" if line else str(error),
                "check that the suite's source is complete and fits this Python version",
            ) from error
        self.symbols: dict[str, list[Binding]] = {}
        self.stars: list[str] = []
        self.effects: list[ast.stmt] = []
        self._definitions: dict[int, Function | Class] = {}
        for statement in statements(self.tree.body):
            self._read(statement)

    def _read(self, statement: ast.stmt) -> None:
        if isinstance(statement, FunctionNode | ast.ClassDef):
            self.symbols.setdefault(statement.name, []).append(statement)
            return
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for name, imported in imports(statement):
                if name == "*":
                    self.stars.append(imported.module)
                else:
                    self.symbols.setdefault(name, []).append(imported)
            return
        plain = True
        for target, value in assignments(statement):
            if isinstance(target, ast.Name):
                self.symbols.setdefault(target.id, []).append(value)
            else:
                plain = False
        if not plain or isinstance(statement, ast.Expr | ast.With | ast.For | ast.Delete):
            self.effects.append(statement)

    def definition(self, node: FunctionNode | ast.ClassDef) -> Function | Class:
        """The one ``Function`` or ``Class`` of a top-level definition."""
        known = self._definitions.get(id(node))
        if known is None:
            known = Class(self, node) if isinstance(node, ast.ClassDef) else Function(self, node)
            self._definitions[id(node)] = known
        return known


Symbol = Function | Class | Variable | External | Module


class Tree:
    """The modules of one suite below ``root``; parses each file at most once.

    ``folders``: first path components in which imports are followed; a module outside them is
    external even where it lies below ``root`` (a library's own source beside its tests).
    """

    def __init__(self, root: Path, folders: frozenset[str], foreign: frozenset[str]) -> None:
        self.root = root
        self._folders = folders
        self._foreign = foreign
        self._modules: dict[str, Module | None] = {}
        self._conftests: dict[str, tuple[Module, ...]] = {}
        self._found: dict[tuple[str, str], list[Module]] = {}

    def module(self, name: str) -> Module | None:
        """The module of the file ``name`` (relative, with slashes); None where there is none."""
        if name not in self._modules:
            path = self.root / name
            self._modules[name] = Module(name, path) if path.is_file() else None
        return self._modules[name]

    def conftests(self, module: Module) -> tuple[Module, ...]:
        """The ``conftest.py`` files that pytest applies to ``module``, nearest first."""
        if module.folder not in self._conftests:
            names = (f / "conftest.py" for f in (module.package, *module.package.parents))
            found = (self.module(str(name)) for name in names)
            self._conftests[module.folder] = tuple(m for m in found if m is not None)
        return self._conftests[module.folder]

    def resolve(
        self, module: Module, name: str, _seen: frozenset[tuple[str, str]] = frozenset()
    ) -> list[Symbol]:
        """Everything that the module-level ``name`` may be; empty where the module lacks it."""
        if (module.name, name) in _seen:
            return []
        seen = _seen | {(module.name, name)}
        found: list[Symbol] = []
        values: list[ast.expr] = []
        for binding in module.symbols.get(name, ()):
            if isinstance(binding, Imported):
                found.extend(self.follow(module, binding, seen))
            elif isinstance(binding, FunctionNode | ast.ClassDef):
                found.append(module.definition(binding))
            elif binding is not None:
                values.append(binding)
        if values:
            found.append(Variable(module, name, tuple(values)))
        if found:
            return found
        for star in module.stars:
            for target in self.files(module, star):
                found.extend(self.resolve(target, name, seen))
        return found

    def follow(
        self, module: Module, imported: Imported, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> list[Symbol]:
        """What an import statement in ``module`` brings in."""
        if imported.name is None:
            files = self.files(module, imported.module)
            return list(files) or [External(imported.module)]
        for target in self.files(module, imported.module):
            symbols = self.resolve(target, imported.name, seen)
            if symbols:
                return symbols
        inner = self.files(module, _join(imported.module, imported.name))
        if inner:
            return list(inner)
        if imported.module.startswith("."):
            return []
        return [External(_join(imported.module, imported.name))]

    def files(self, module: Module, dotted: str) -> list[Module]:
        """The suite's module of a dotted (or relative) name; at most one, empty if external."""
        key = (module.folder, dotted)
        if key not in self._found:
            self._found[key] = self._search(module, dotted)
        return self._found[key]

    def _search(self, module: Module, dotted: str) -> list[Module]:
        level = len(dotted) - len(dotted.lstrip("."))
        parts = [part for part in dotted[level:].split(".") if part]
        if level:
            base = module.package
            for _ in range(level - 1):
                base = base.parent
            bases = [base]
        else:
            if parts and parts[0] in self._foreign:
                return []
            bases = [PurePosixPath(), module.package, *module.package.parents]
        for base in bases:
            stem = base.joinpath(*parts)
            if (
                stem.parts
                and stem.parts[0] not in self._folders
                and f"{stem.parts[0]}.py" not in self._folders
            ):
                continue
            candidates = [f"{stem}/__init__.py"]
            if parts:
                candidates.append(f"{stem}.py")
            for candidate in candidates:
                found = self.module(candidate)
                if found is not None:
                    return [found]
        return []

    def bases(self, cls: Class) -> tuple[list[Class], list[External], bool]:
        """A class's direct bases: the suite's, external ones, and whether one stays unknown."""
        own: list[Class] = []
        external: list[External] = []
        unknown = False
        for base in cls.node.bases:
            symbols = self.lookup(cls.module, cls.parent, base)
            own += [s for s in symbols if isinstance(s, Class) and s is not cls]
            external += [s for s in symbols if isinstance(s, External)]
            unknown = unknown or not symbols
        return own, external, unknown

    def ancestry(self, cls: Class) -> Iterator[Class]:
        """``cls`` and its bases inside the suite, nearest first, each once."""
        seen: list[Class] = []
        queue = [cls]
        while queue:
            current = queue.pop(0)
            if any(current.node is other.node for other in seen):
                continue
            seen.append(current)
            yield current
            queue.extend(self.bases(current)[0])

    def lookup(self, module: Module, function: Function | None, expr: ast.expr) -> list[Symbol]:
        """Resolve a name or a dotted name to symbols; empty for anything else."""
        if isinstance(expr, ast.Subscript):
            return self.lookup(module, function, expr.value)
        if isinstance(expr, ast.Attribute):
            found: list[Symbol] = []
            for base in self.lookup(module, function, expr.value):
                if isinstance(base, External):
                    found.append(External(f"{base.path}.{expr.attr}"))
                elif isinstance(base, Module):
                    found.extend(self.resolve(base, expr.attr))
                elif isinstance(base, Class) and expr.attr in base.classes:
                    found.append(base.classes[expr.attr])
            return found
        if not isinstance(expr, ast.Name):
            return []
        current = function
        while current is not None:
            bindings = current.scope.bindings.get(expr.id)
            if bindings:
                return self._local(current, bindings)
            current = current.parent
        return self.resolve(module, expr.id)

    def _local(self, function: Function, bindings: list[Binding]) -> list[Symbol]:
        found: list[Symbol] = []
        for binding in bindings:
            if isinstance(binding, Imported):
                found.extend(self.follow(function.module, binding))
            elif isinstance(binding, ast.ClassDef):
                found.append(function.scope.classes[id(binding)])
            elif isinstance(binding, ast.Name | ast.Attribute):
                outer = function.parent
                found.extend(self.lookup(function.module, outer, binding))
        return found


def _join(module: str, name: str) -> str:
    return f"{module}{name}" if module.endswith(".") else f"{module}.{name}"


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, those inside ``if``, ``try`` and plain ``with`` included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            yield from statements(statement.body + statement.orelse)
        elif isinstance(statement, ast.Try):
            yield from statements(statement.body + statement.orelse + statement.finalbody)
            for handler in statement.handlers:
                yield from statements(handler.body)


def imports(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Imported]]:
    """The names that an import statement binds; ``*`` for a star import."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if alias.asname:
                yield alias.asname, Imported(alias.name, None)
            else:
                top = alias.name.partition(".")[0]
                yield top, Imported(top, None)
        return
    module = "." * statement.level + (statement.module or "")
    for alias in statement.names:
        if alias.name == "*":
            yield "*", Imported(module, None)
        else:
            yield alias.asname or alias.name, Imported(module, alias.name)


def assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """(target, value) pairs that one node binds, tuples taken apart.

    A loop variable is bound to ``Starred(iterated)``, read as "one element of". An element of an
    unpacked value that is not itself written as a tuple is bound to a subscript of it.
    """
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _pairs(target, node.value)
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
        if node.value is not None:
            yield from _pairs(node.target, node.value)
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield from _pairs(node.target, ast.Starred(node.iter, ast.Load()))
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _pairs(node.optional_vars, node.context_expr)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Starred):
        yield from _pairs(target.value, value)
    elif isinstance(target, ast.Tuple | ast.List):
        written = value.elts if isinstance(value, ast.Tuple | ast.List) else []
        for index, element in enumerate(target.elts):
            if len(written) == len(target.elts):
                yield from _pairs(element, written[index])
            else:
                yield from _pairs(element, ast.Subscript(value, ast.Constant(index), ast.Load()))
    else:
        yield target, value


def read_scope(function: Function) -> Scope:
    """Walk a function once for its local names, results and ``self`` attributes."""
    scope = Scope()
    stack: list[tuple[ast.AST, list[ast.expr]]] = [
        (statement, scope.results) for statement in function.node.body
    ]
    _bind_rest(scope, function.node.args)
    while stack:
        node, results = stack.pop()
        if isinstance(node, FunctionNode):
            scope.bind(node.name, node)
            _bind_arguments(scope, node.args)
            inner = scope.nested.setdefault(node.name, [])
            stack.extend((statement, inner) for statement in node.body)
            continue
        if isinstance(node, ast.ClassDef):
            scope.bind(node.name, node)
            scope.classes[id(node)] = Class(function.module, node, function)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, imported in imports(node):
                scope.bind(name, imported)
            continue
        if isinstance(node, ast.Lambda):
            _bind_arguments(scope, node.args)
        elif isinstance(node, ast.Return | ast.Yield | ast.YieldFrom):
            if node.value is not None:
                results.append(node.value)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            scope.bind(node.name, node.type)
        for target, value in assignments(node):
            if isinstance(target, ast.Name):
                scope.bind(target.id, value)
            elif (
                isinstance(target, ast.Attribute)
                and isinstance(target.value, ast.Name)
                and target.value.id == function.self_name
            ):
                scope.self_attributes.append((target.attr, value))
        stack.extend((child, results) for child in ast.iter_child_nodes(node))
    return scope


def _bind_arguments(scope: Scope, args: ast.arguments) -> None:
    for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs):
        scope.bind(arg.arg, None)
    _bind_rest(scope, args)


def _bind_rest(scope: Scope, args: ast.arguments) -> None:
    for rest in (args.vararg, args.kwarg):
        if rest is not None:
            scope.bind(rest.arg, None)
