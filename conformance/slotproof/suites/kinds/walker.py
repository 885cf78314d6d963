"""Visits the syntax tree of one piece of code: the rules it meets, the pieces it uses."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from slotproof.model import Kind
from slotproof.suites.kinds.fixtures import Place
from slotproof.suites.kinds.marks import MOCK_MODULES, is_double_factory
from slotproof.suites.kinds.origin import Origin, Value
from slotproof.suites.kinds.pieces import Finding, Piece, Scan
from slotproof.suites.kinds.rules import CLIENT_CLASSES, CONFIGURATION, Receiver, Rule, Trigger
from slotproof.suites.kinds.tree import (
    Class,
    External,
    Function,
    FunctionNode,
    Module,
    Symbol,
    Variable,
    assignments,
)
from slotproof.suites.kinds.values import Frame, Inference, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Context:
    """What all walks over one suite share: the inference and the rules by trigger."""

    def __init__(self, inference: Inference, rules: Sequence[Rule]) -> None:
        self.inference = inference
        self._rules: dict[Trigger, list[Rule]] = {trigger: [] for trigger in Trigger}
        for rule in rules:
            self._rules[rule.trigger].append(rule)
        self._private: dict[str, frozenset[str]] = {}

    def met(
        self,
        trigger: Trigger,
        detail: str,
        file: str,
        line: int,
        matches: Callable[[Rule], bool],
    ) -> list[Finding]:
        """The finding of the first rule of ``trigger`` that matches; empty for an exemption."""
        for rule in self._rules[trigger]:
            if matches(rule):
                return [] if rule.kind is Kind.BLACK_BOX else [Finding(rule, detail, file, line)]
        return []

    def own_private(self, module: Module) -> frozenset[str]:
        """Private names that classes of this module define themselves."""
        if module.name not in self._private:
            found: set[str] = set()
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef):
                    cls = Class(module, node)
                    found.update(n for n in (*cls.methods, *cls.attributes) if is_private(n))
            self._private[module.name] = frozenset(found)
        return self._private[module.name]


def is_private(name: str) -> bool:
    """A leading underscore, but neither ``_`` nor a dunder name."""
    return (
        name.startswith("_") and name != "_" and not (name.startswith("__") and name.endswith("__"))
    )


class Walker(ast.NodeVisitor):
    """Visits the nodes of one piece."""

    def __init__(self, context: Context, frame: Frame, scan: Scan) -> None:
        self._context = context
        self._inference = context.inference
        self._tree = context.inference.tree
        self._frame = frame
        self._scan = scan

    def _value(self, expr: ast.expr | None) -> Value:
        return self._inference.value(expr, self._frame)

    def _find(
        self, trigger: Trigger, node: ast.AST, detail: str, matches: Callable[[Rule], bool]
    ) -> None:
        line = getattr(node, "lineno", 0)
        self._scan.findings += self._context.met(
            trigger, detail, self._frame.module.name, line, matches
        )

    # -- what is used ------------------------------------------------------------------------

    def _use(
        self, symbol: Symbol, node: ast.AST, *, whole: bool = True, call: ast.Call | None = None
    ) -> None:
        if isinstance(symbol, External):
            if self._inference.is_client(symbol.path):
                self._imported(symbol.path, node)
        elif isinstance(symbol, Function):
            given = Value(Origin.SUITE, definition=symbol)
            bound = self._inference.bound(call, given, self._frame) if call else ()
            place = standing(self._tree, symbol, self._frame.place, bound)
            if symbol.parent is None or symbol.owner is not None:
                self._scan.uses[Piece(symbol, place)] = None
        elif isinstance(symbol, Class):
            own = self._frame.place.cls
            mine = own is not None and any(c.node is symbol.node for c in self._tree.ancestry(own))
            self._scan.uses[Piece(symbol, Place(symbol.module, symbol), whole and not mine)] = None
        elif isinstance(symbol, Variable):
            self._scan.uses[Piece(symbol, Place(symbol.module, None))] = None

    def _imported(self, path: str, node: ast.AST) -> None:
        inside = path.partition(".")[2]

        def matches(rule: Rule) -> bool:
            if not rule.names:
                return any(is_private(part) for part in inside.split("."))
            return any(f"{inside}.".startswith(f"{name}.") for name in rule.names)

        self._find(Trigger.IMPORT, node, path, matches)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            for symbol in self._tree.lookup(self._frame.module, self._frame.function, node):
                self._use(symbol, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._attribute(node)

    def _attribute(self, node: ast.Attribute, call: ast.Call | None = None) -> None:
        base = self._value(node.value)
        self._member(base, node.attr, node, call)
        held = node.value
        if self._configuration(node) and isinstance(held, ast.Attribute):
            self.visit(held.value)
            return
        symbols = self._tree.lookup(self._frame.module, self._frame.function, held)
        if any(isinstance(symbol, Class) for symbol in symbols):
            for symbol in symbols:  # Class.attribute is not a use of the whole class
                if isinstance(symbol, Class):
                    self._use(symbol, node, whole=False)
            return
        self.visit(held)

    def _configuration(self, node: ast.Attribute) -> bool:
        return node.attr in CONFIGURATION

    def _member(self, base: Value, name: str, node: ast.AST, call: ast.Call | None = None) -> None:
        """One attribute of one value: the rules about names, and the methods it uses."""
        if base.origin is Origin.CLIENT and base.named and is_private(name):
            self._find(Trigger.IMPORT, node, f"{base.path}.{name}", lambda rule: not rule.names)
            return
        if is_private(name):
            self._find(
                Trigger.PRIVATE_NAME, node, name, lambda rule: self._private(rule, base, name)
            )
        self._find(
            Trigger.ATTRIBUTE,
            node,
            name,
            lambda rule: name in rule.names and _received(rule.receiver, base),
        )
        definition = base.definition
        if isinstance(definition, Class):
            for ancestor in self._tree.ancestry(definition):
                if name in ancestor.methods:
                    self._use(ancestor.methods[name], node, call=call)
                    return
        elif isinstance(definition, Module):
            for symbol in self._tree.resolve(definition, name):
                self._use(symbol, node, call=call)

    def _private(self, rule: Rule, base: Value, name: str) -> bool:
        if rule.names and name not in rule.names:
            return False
        if rule.receiver is Receiver.ANY:
            return True
        if base.origin is Origin.UNKNOWN and name in self._context.own_private(self._frame.module):
            return False
        if isinstance(base.definition, Class) and any(
            name in ancestor.methods or name in ancestor.attributes
            for ancestor in self._tree.ancestry(base.definition)
        ):
            return False
        return _received(rule.receiver, base)

    # -- definitions and assignments ---------------------------------------------------------

    def signature(self, node: FunctionNode) -> None:
        """Decorators and defaults; annotations are no use of what they name."""
        for expr in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if expr is not None:
                self.visit(expr)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._nested(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._nested(node)

    def _nested(self, node: FunctionNode) -> None:
        self.signature(node)
        for statement in node.body:
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        function = self._frame.function
        if function is not None and id(node) in function.scope.classes:
            self._use(function.scope.classes[id(node)], node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._assigned(node)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._assigned(node)
        self.generic_visit(node)

    def _assigned(self, node: ast.AST) -> None:
        for target, value in assignments(node):
            if isinstance(target, ast.Attribute):
                self._replaced(self._value(target.value), target.attr, self._value(value), target)

    def _replaced(self, base: Value, name: str, value: Value, node: ast.AST) -> None:
        certain = base.origin is Origin.CLIENT and value.origin in (Origin.DOUBLE, Origin.SUITE)
        likely = base.origin is Origin.UNKNOWN and value.origin is Origin.DOUBLE
        if isinstance(base.definition, Class) and base.origin is not Origin.CLIENT:
            return
        if certain or likely:
            self._find(
                Trigger.ASSIGN_DOUBLE, node, name, lambda rule: not rule.names or name in rule.names
            )

    # -- calls -------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        function = self._value(node.func)
        path = function.path
        mocked = next((m for m in MOCK_MODULES if path.startswith(f"{m}.")), None)
        if mocked is not None:
            self._mock_call(node, path.removeprefix(f"{mocked}."))
        elif path.startswith("pytest.MonkeyPatch()."):
            if path.rpartition(".")[2] in ("setattr", "delattr", "setitem", "delitem"):
                self._patched(node)
        elif path in (
            "builtins.getattr",
            "builtins.hasattr",
            "builtins.setattr",
            "builtins.delattr",
        ):
            self._by_name(node)
        elif path.rpartition(".")[2] == "getfixturevalue":
            self._getfixturevalue(node)
        elif path.rpartition(".")[2] in ("lazy_fixture", "lf"):
            self._scan.lazy += [text for argument in node.args for text in self._texts(argument)]
        elif function.origin is Origin.CLIENT:
            self._client_call(node, function)
        self._stand_ins(node, function)
        self._callee(node)
        for argument in node.args:
            self.visit(argument)
        for keyword in node.keywords:
            self.visit(keyword.value)

    def _callee(self, node: ast.Call) -> None:
        """Use what is called, with the values that the call gives."""
        callee = node.func
        if isinstance(callee, ast.Name):
            for symbol in self._tree.lookup(self._frame.module, self._frame.function, callee):
                self._use(symbol, node, call=node)
        elif isinstance(callee, ast.Attribute):
            self._attribute(callee, call=node)
        else:
            self.visit(callee)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                self._stand_in(key.value, value, node, certain=key.value.endswith("_class"))
        self.generic_visit(node)

    def _mock_call(self, node: ast.Call, name: str) -> None:
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if name.startswith("patch") or name == "spy":
            if name != "patch.stopall":
                self._patched(node)
            return
        spec = keywords.get("spec") or keywords.get("spec_set") or keywords.get("wraps")
        if spec is None and node.args and name != "call":
            spec = node.args[0] if is_double_factory(f"unittest.mock.{name}") else None
        value = self._value(spec)
        if value.origin is Origin.CLIENT:
            last = value.last.removesuffix("()")
            self._find(
                Trigger.SPEC_DOUBLE,
                node,
                last or "client",
                lambda r: not r.names or last in r.names,
            )

    def _patched(self, node: ast.Call) -> None:
        """``patch("a.b")``, ``patch.object(x, "b")``, ``setattr("a.b", …)`` and their like."""
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        target = node.args[0] if node.args else keywords.get("target", keywords.get("in_dict"))
        if target is None:
            return
        texts = list(self._texts(target))
        if texts:
            for text in texts:
                self._patched_path(text, node)
            return
        value = self._value(target)
        name = (
            node.args[1] if len(node.args) > 1 else keywords.get("attribute", keywords.get("name"))
        )
        attribute = ""
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            attribute = name.value
        if value.origin is Origin.OTHER and value.named:
            self._patched_path(f"{value.path}.{attribute}", node)
        elif value.origin in (Origin.CLIENT, Origin.UNKNOWN):
            shown = f"{ast.unparse(target)[:60]}.{attribute}".removesuffix(".")
            self._find(Trigger.PATCH_CLIENT, node, shown, _below(shown))
        elif isinstance(value.definition, Module):
            self._patched_symbol(value.definition, attribute, node)

    def _patched_path(self, path: str, node: ast.AST) -> None:
        last = path.rpartition(".")[2]
        if self._inference.is_client(path) or last in CLIENT_CLASSES:
            self._find(Trigger.PATCH_CLIENT, node, path, _below(path))
            return
        self._find(Trigger.PATCH_TRANSPORT, node, path, _below(path))

    def _patched_symbol(self, module: Module, name: str, node: ast.AST) -> None:
        for symbol in self._tree.resolve(module, name):
            if isinstance(symbol, External):
                self._patched_path(symbol.path, node)

    def _texts(self, expr: ast.expr) -> Iterator[str]:
        """The strings that an expression may be; ``*`` for a part that is not shown."""
        if isinstance(expr, ast.Constant):
            if isinstance(expr.value, str):
                yield expr.value
        elif isinstance(expr, ast.JoinedStr):
            parts = [
                next(self._texts(part.value), "*") if isinstance(part, ast.FormattedValue) else text
                for part in expr.values
                for text in ([part.value] if isinstance(part, ast.Constant) else [""])
            ]
            yield "".join(str(part) for part in parts)
        elif isinstance(expr, ast.BinOp):
            left, right = next(self._texts(expr.left), None), next(self._texts(expr.right), None)
            if left is not None or right is not None:
                yield f"{left or '*'}{right or '*'}"
        elif isinstance(expr, ast.Name):
            for symbol in self._tree.lookup(self._frame.module, self._frame.function, expr):
                if isinstance(symbol, Variable):
                    for value in symbol.values:
                        yield from self._texts(value)

    def _by_name(self, node: ast.Call) -> None:
        if len(node.args) < 2:
            return
        base, name = self._value(node.args[0]), node.args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self._member(base, name.value, node)
            if len(node.args) > 2:
                self._replaced(base, name.value, self._value(node.args[2]), node)

    def _getfixturevalue(self, node: ast.Call) -> None:
        name = node.args[0] if node.args else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            fixture = self._inference.fixtures.named(
                self._frame.place, name.value, self._frame.function
            )
            if fixture is not None:
                self._scan.uses[Piece(fixture, self._frame.place.bare)] = None
        else:
            self._scan.asks = True

    def _client_call(self, node: ast.Call, function: Value) -> None:
        name = function.last
        if function.named and function.definition is None:
            self._find(Trigger.CONSTRUCT, node, name, lambda rule: name in rule.names)
        if not function.named:
            return
        arguments: list[tuple[str, ast.expr]] = [("", argument) for argument in node.args]
        arguments += [(keyword.arg or "", keyword.value) for keyword in node.keywords]
        for keyword, argument in arguments:
            if self._value(argument).origin is Origin.DOUBLE:
                self._find(
                    Trigger.PASS_DOUBLE,
                    node,
                    f"{name}({keyword})" if keyword else name,
                    lambda rule, given=keyword: not rule.names or given in rule.names,  # type: ignore[misc]
                )

    def _stand_ins(self, node: ast.Call, function: Value) -> None:
        client = function.origin is Origin.CLIENT
        for keyword in node.keywords:
            if keyword.arg is not None:
                certain = client or keyword.arg.endswith("_class")
                self._stand_in(keyword.arg, keyword.value, node, certain=certain)

    def _stand_in(self, name: str, expr: ast.expr, node: ast.AST, *, certain: bool) -> None:
        value = self._value(expr)
        if certain and value.origin in (Origin.SUITE, Origin.DOUBLE):
            self._find(Trigger.STAND_IN, node, name, lambda rule: name in rule.names)


def _received(receiver: Receiver, base: Value) -> bool:
    if receiver is Receiver.ANY:
        return True
    if receiver is Receiver.CLIENT:
        return base.origin is Origin.CLIENT
    return base.origin in (Origin.CLIENT, Origin.UNKNOWN)


def _below(path: str) -> Callable[[Rule], bool]:
    """A rule that lists no names, or lists this dotted path or one above it."""
    return lambda rule: (
        not rule.names or any(f"{path}.".startswith(f"{name}.") for name in rule.names)
    )
