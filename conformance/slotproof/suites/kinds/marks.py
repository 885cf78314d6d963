"""Small questions about syntax: marks, defaults, decorators, the names that make doubles."""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slotproof.suites.kinds.tree import Function


MOCK_MODULES = ("unittest.mock", "mock")
DOUBLES = frozenset(
    {
        "AsyncMock",
        "MagicMock",
        "Mock",
        "NonCallableMagicMock",
        "NonCallableMock",
        "PropertyMock",
        "create_autospec",
        "mock_open",
        "patch",
        "stub",
        "spy",
    }
)


def is_double_factory(path: str) -> bool:
    """True for ``unittest.mock.Mock`` and its like, ``patch`` included."""
    for module in MOCK_MODULES:
        if path.startswith(f"{module}."):
            return path.removeprefix(f"{module}.").partition(".")[0] in DOUBLES
    return False


def parametrized(decorators: list[ast.expr]) -> Iterator[tuple[list[str], ast.expr]]:
    """(argument names, listed values) of each ``pytest.mark.parametrize`` among decorators."""
    for call in decorators:
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "parametrize"
        ):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            names = call.args[0] if call.args else given.get("argnames")
            values = call.args[1] if len(call.args) > 1 else given.get("argvalues")
            if names is None or values is None:
                continue
            yield _names(names), values


def _names(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Tuple | ast.List):
        return [
            e.value for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)
        ]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [name.strip() for name in node.value.split(",") if name.strip()]
    return []


def default_of(args: ast.arguments, name: str) -> ast.expr | None:
    """The default of a parameter; None where it has none."""
    positional = [*args.posonlyargs, *args.args]
    for arg, default in zip(reversed(positional), reversed(args.defaults), strict=False):
        if arg.arg == name:
            return default
    for arg, keyword_default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if arg.arg == name:
            return keyword_default
    return None


def is_patch(decorator: ast.expr) -> bool:
    """A decorator that may inject doubles: ``@patch(…)``, ``@mock.patch.object(…)``."""
    return isinstance(decorator, ast.Call) and "patch" in ast.unparse(decorator.func).split(".")


def is_property(method: Function) -> bool:
    """True where reading the attribute runs the method."""
    return any(
        (isinstance(d, ast.Name) and d.id in ("property", "cached_property"))
        or (isinstance(d, ast.Attribute) and d.attr == "cached_property")
        for d in method.node.decorator_list
    )


def is_builtin(base: ast.expr) -> bool:
    """True for a plain builtin name such as ``object`` or ``Exception``."""
    return isinstance(base, ast.Name) and hasattr(builtins, base.id)
