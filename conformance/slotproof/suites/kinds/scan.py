"""What one piece of a suite's code does by itself, and which other pieces it uses."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from slotproof.suites.kinds.fixtures import Place, used_by_mark
from slotproof.suites.kinds.origin import Origin
from slotproof.suites.kinds.pieces import Piece, Scan
from slotproof.suites.kinds.rules import CLIENT_CLASSES, Rule, Trigger
from slotproof.suites.kinds.tree import Class, Function, FunctionNode, Variable
from slotproof.suites.kinds.values import Frame, Inference, injected
from slotproof.suites.kinds.walker import Context, Walker, is_private

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Scanner:
    """Scans pieces by a list of rules, exemptions first."""

    def __init__(self, inference: Inference, rules: Sequence[Rule]) -> None:
        self.inference = inference
        self.tree = inference.tree
        self._context = Context(inference, rules)
        self._known: dict[Piece, Scan] = {}

    def scan(self, piece: Piece) -> Scan:
        """Read one piece; the answer is remembered."""
        if piece not in self._known:
            scan = Scan()
            code = piece.code
            if isinstance(code, Function):
                self._function(code, piece.place, scan)
            elif isinstance(code, Class):
                self._class(code, piece, scan)
            elif isinstance(code, Variable):
                walker = Walker(self._context, Frame(code.module, None, piece.place), scan)
                for value in code.values:
                    walker.visit(value)
            else:
                walker = Walker(self._context, Frame(code, None, piece.place), scan)
                for effect in code.effects:
                    walker.visit(effect)
            self._known[piece] = scan
        return self._known[piece]

    def _function(self, function: Function, place: Place, scan: Scan) -> None:
        walker = Walker(self._context, Frame(function.module, function, place), scan)
        walker.signature(function.node)
        for statement in function.node.body:
            walker.visit(statement)
        if injected(function):
            self.ask(function, place, scan)

    def ask(self, function: Function, place: Place, scan: Scan) -> None:
        """Use the fixtures that a test's or fixture's parameters and marks name."""
        names = [argument.arg for argument in function.parameters]
        names += used_by_mark(function.node.decorator_list)
        for name in names:
            fixture = self.inference.fixtures.named(place, name, function)
            if fixture is not None:
                scan.uses[Piece(fixture, place.bare)] = None

    def _class(self, cls: Class, piece: Piece, scan: Scan) -> None:
        walker = Walker(self._context, Frame(cls.module, cls.parent, piece.place), scan)
        for decorator in cls.node.decorator_list:
            walker.visit(decorator)
        for statement in cls.node.body:
            if not isinstance(statement, FunctionNode | ast.ClassDef):
                walker.visit(statement)
        if not piece.whole:
            return
        self._overrides(cls, scan)
        for base in self.tree.bases(cls)[0]:
            scan.uses[Piece(base, Place(base.module, base))] = None
        for method in cls.methods.values():
            if not method.name.startswith("test"):
                scan.uses[Piece(method, Place(cls.module, cls))] = None

    def _overrides(self, cls: Class, scan: Scan) -> None:
        """Does a subclass of a class of the client replace a part of it?"""
        lineage = self.inference.lineage(cls)
        if lineage is None or lineage.origin is not Origin.CLIENT:
            return
        base = lineage.last
        engine = "BaseParser" if base.startswith("_") and base.endswith("Parser") else base
        file, line = cls.module.name, cls.node.lineno
        for name in (*cls.methods, *cls.attributes):
            detail = f"{cls.node.name}.{name} over {base}"
            scan.findings += self._context.met(
                Trigger.OVERRIDE_CLASS, detail, file, line, lambda rule: engine in rule.names
            )
            if base in CLIENT_CLASSES and name in cls.methods:
                scan.findings += self._context.met(
                    Trigger.OVERRIDE_METHOD, detail, file, line, _overridden(name)
                )


def _overridden(name: str) -> Callable[[Rule], bool]:
    return lambda rule: name in rule.names or is_private(name)
