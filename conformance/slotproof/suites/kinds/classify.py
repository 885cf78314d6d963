"""From pytest node ids to kinds: find each test, walk what it reaches, judge by the findings."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from slotproof.errors import UsageProblem
from slotproof.model import Kind
from slotproof.suites.kinds.fixtures import (
    SET_UP_FUNCTIONS,
    SET_UP_METHODS,
    Fixtures,
    Place,
    used_by_mark,
)
from slotproof.suites.kinds.marks import parametrized
from slotproof.suites.kinds.pieces import Finding, Piece
from slotproof.suites.kinds.rules import CLIENT_PACKAGES, Rule, ordered
from slotproof.suites.kinds.scan import Scanner
from slotproof.suites.kinds.tree import Class, Function, Module, Tree, Variable
from slotproof.suites.kinds.values import Inference, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Classification:
    """A test's kind and why: ``rule: name at file:line``, and through what it was reached."""

    kind: Kind
    reason: str


NOTHING_FOUND = Classification(Kind.BLACK_BOX, "no rule met")


@dataclass(frozen=True, slots=True)
class _Test:
    """One test function of a file, as ids name it."""

    module: Module
    cls: Class | None
    code: Function | Variable | None

    @property
    def place(self) -> Place:
        return Place(self.module, self.cls)


def classify(
    root: Path,
    ids: Iterable[str],
    *,
    extra: Sequence[Rule] = (),
    client_packages: Sequence[str] = CLIENT_PACKAGES,
) -> dict[str, Classification]:
    """The kind of each pytest node id (relative to ``root``, with slashes), in the order given.

    ``extra``: rules of the suite's own, matched before the built-in ones; one of kind black-box
    exempts names. ``client_packages``: the top-level packages that hold the client.

    Raises UsageProblem for an id that names no file, class or function below ``root``, and for a
    file that does not parse.
    """
    wanted = list(ids)
    folders = frozenset(PurePosixPath(id_.partition("::")[0]).parts[0] for id_ in wanted if id_)
    client = frozenset(client_packages)
    judge = _Judge(Tree(root, folders, client), client, ordered(extra))
    return {id_: judge.classify(id_) for id_ in wanted}


class _Judge:
    def __init__(self, tree: Tree, client: frozenset[str], rules: Sequence[Rule]) -> None:
        self._tree = tree
        self._fixtures = Fixtures(tree)
        self._scanner = Scanner(Inference(tree, self._fixtures, client), rules)
        self._tests: dict[str, _Test] = {}
        self._known: dict[tuple[str, frozenset[str]], Classification] = {}
        self._choices: dict[str, frozenset[str]] = {}

    def classify(self, id_: str) -> Classification:
        base, parameters = _split(id_)
        if base not in self._tests:
            self._tests[base] = self._find(base)
        test = self._tests[base]
        chosen: frozenset[str] = frozenset()
        if parameters:
            if base not in self._choices:
                self._choices[base] = self._fixture_choices(test)
            chosen = _chosen(self._choices[base], parameters)
        key = (base, chosen)
        if key not in self._known:
            self._known[key] = self._judge(test, chosen)
        return self._known[key]

    # -- finding -----------------------------------------------------------------------------

    def _find(self, base: str) -> _Test:
        file, *names = base.split("::")
        module = self._tree.module(file) if file.endswith(".py") else None
        if module is None:
            raise _unknown(base, f"no file {file} below {self._tree.root.name}/")
        if not names:
            raise _unknown(base, "the id names no test function")
        cls: Class | None = None
        for name in names[:-1]:
            cls = self._class(module, cls, name)
            if cls is None:
                raise _unknown(base, f"no class {name} in {file}")
        return self._function(module, cls, names[-1], base)

    def _class(self, module: Module, cls: Class | None, name: str) -> Class | None:
        if cls is not None:
            inner = (ancestor.classes.get(name) for ancestor in self._tree.ancestry(cls))
            return next((found for found in inner if found is not None), None)
        found = self._tree.resolve(module, name)
        return next((symbol for symbol in found if isinstance(symbol, Class)), None)

    def _function(self, module: Module, cls: Class | None, name: str, base: str) -> _Test:
        if cls is None:
            for symbol in self._tree.resolve(module, name):
                if isinstance(symbol, Function | Variable):
                    return _Test(module, None, symbol)
            raise _unknown(base, f"no function {name} in {module.name}")
        outside = False
        for ancestor in self._tree.ancestry(cls):
            if name in ancestor.methods:
                return _Test(module, cls, ancestor.methods[name])
            if name in ancestor.attributes:
                values = tuple(expr for expr, holder in ancestor.attributes[name] if holder is None)
                return _Test(module, cls, Variable(ancestor.module, name, values))
            _, external, unknown = self._tree.bases(ancestor)
            outside = outside or bool(external) or unknown
        if outside:  # inherited from a library's own test class: nothing of it can be read here
            return _Test(module, cls, None)
        raise _unknown(base, f"no method {name} in class {cls.node.name} of {module.name}")

    # -- judging -----------------------------------------------------------------------------

    def _start(self, test: _Test) -> Iterator[Piece]:
        """The test itself, then everything that pytest applies to it unasked."""
        place = test.place
        if test.code is not None:
            yield Piece(test.code, place)
        marks: list[ast.expr] = []
        if test.cls is not None:
            for ancestor in self._tree.ancestry(test.cls):
                yield Piece(ancestor, place, whole=False)
                marks += ancestor.node.decorator_list
                marks += [expr for expr, _ in ancestor.attributes.get("pytestmark", ())]
                for name in SET_UP_METHODS & ancestor.methods.keys():
                    yield Piece(ancestor.methods[name], place)
        marks += [b for b in test.module.symbols.get("pytestmark", ()) if isinstance(b, ast.expr)]
        for name in used_by_mark(marks):
            fixture = self._fixtures.named(place, name)
            if fixture is not None:
                yield Piece(fixture, place)
        for fixture in self._fixtures.autouse(place):
            yield Piece(fixture, place)
        for module in (test.module, *self._tree.conftests(test.module)):
            yield Piece(module, Place(module, None))
        for name in sorted(SET_UP_FUNCTIONS & test.module.symbols.keys()):
            for symbol in self._tree.resolve(test.module, name):
                if isinstance(symbol, Function):
                    yield Piece(symbol, Place(test.module, None))

    def _reached(self, test: _Test, chosen: frozenset[str]) -> Iterator[Piece]:
        """Every piece that the test reaches, nearest first."""
        queue = list(self._start(test))
        for name in sorted(chosen):
            fixture = self._fixtures.named(test.place, name)
            if fixture is not None:
                queue.append(Piece(fixture, standing(self._tree, fixture, test.place)))
        seen = set(queue)
        while queue:
            piece = queue.pop(0)
            yield piece
            for used in self._scanner.scan(piece).uses:
                if used not in seen:
                    seen.add(used)
                    queue.append(used)

    def _judge(self, test: _Test, chosen: frozenset[str]) -> Classification:
        first: dict[Kind, tuple[Finding, Piece]] = {}
        for piece in self._reached(test, chosen):
            for finding in self._scanner.scan(piece).findings:
                first.setdefault(finding.rule.kind, (finding, piece))
            if Kind.MOCK in first:
                break
        for kind in (Kind.MOCK, Kind.POKE):
            if kind in first:
                finding, piece = first[kind]
                return Classification(kind, f"{finding}{_through(piece, test)}")
        if test.code is None:
            return Classification(Kind.BLACK_BOX, "inherited from outside the suite's folder")
        return NOTHING_FOUND

    # -- parameters that name fixtures -------------------------------------------------------

    def _fixture_choices(self, test: _Test) -> frozenset[str]:
        """Fixtures that a parameter of the test or of a fixture it uses may name."""
        lists: list[ast.expr] = []
        marks: list[ast.expr] = []
        asks, lazy = False, set[str]()
        for piece in self._reached(test, frozenset()):
            scan = self._scanner.scan(piece)
            asks = asks or scan.asks
            lazy.update(scan.lazy)
            if isinstance(piece.code, Function | Class):
                marks += piece.code.node.decorator_list
        lists += [values for _, values in parametrized(marks)]
        for mark in marks:
            if isinstance(mark, ast.Call):
                lists += [keyword.value for keyword in mark.keywords if keyword.arg == "params"]
        if asks:
            lazy.update(self._strings(lists, test.module))
        return frozenset(lazy & self._fixtures.names(test.place)) if lazy else frozenset()

    def _strings(self, lists: list[ast.expr], module: Module) -> Iterator[str]:
        for listed in lists:
            for node in ast.walk(listed):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.Name):
                    for symbol in self._tree.resolve(module, node.id):
                        if isinstance(symbol, Variable) and symbol.values[0] is not listed:
                            yield from (
                                inner.value
                                for value in symbol.values
                                for inner in ast.walk(value)
                                if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
                            )


def _split(id_: str) -> tuple[str, str]:
    """``file::Class::test`` and the text between the brackets of a parametrized id."""
    file, separator, rest = id_.partition("::")
    names, _, parameters = rest.partition("[")
    return f"{file}{separator}{names}", parameters.removesuffix("]")


def _chosen(choices: frozenset[str], parameters: str) -> frozenset[str]:
    """The fixtures that this id's parameters name; all of them where the id does not tell."""
    if not choices:
        return choices
    named = frozenset(
        name for name in choices if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", parameters)
    )
    return named or choices


def _through(piece: Piece, test: _Test) -> str:
    if piece.code is test.code:
        return ""
    code = piece.code
    if isinstance(code, Function):
        return f" (through {code.name})"
    if isinstance(code, Class):
        return f" (through class {code.node.name})"
    return f" (through {code.name})"


def _unknown(id_: str, found: str) -> UsageProblem:
    return UsageProblem(
        f"classify {id_}",
        found,
        "collect the suite's ids again (slotproof lock) from the source that is being classified",
    )
