"""What the gate found, for people."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.text import Text

from slotproof.errors import Exit
from slotproof.gate.gate import Fault, GateResult, Problem

SHOWN = 50


def render(result: GateResult, out: Console) -> None:
    """Print every problem by fault, worst first, then whether the gate holds."""
    order = list(Fault)
    ordered = sorted(
        result.problems, key=lambda p: (order.index(p.fault), str(p.cell), p.test or "")
    )
    for fault, group in groupby(ordered, key=lambda p: p.fault):
        problems = list(group)
        out.print(Text(f"\n{fault} ({len(problems)})", "bold red"))
        for problem in problems[:SHOWN]:
            out.print(_line(problem), soft_wrap=True)
        if len(problems) > SHOWN:
            out.print(Text(f"  … and {len(problems) - SHOWN} more, see the report"))
    known = sum(result.expected.values())
    if result.exit_code is Exit.HELD:
        out.print(Text(f"gate: held ({known} known failures, each with its reason)", "bold green"))
    else:
        words = "not held" if result.exit_code is Exit.REGRESSION else "cannot be judged"
        out.print(Text(f"gate: {words} ({len(result.problems)} problems)", "bold red"))


def _line(problem: Problem) -> Text:
    where = " ".join(str(part) for part in (problem.cell, problem.test) if part)
    return Text(f"  {where + ': ' if where else ''}{problem.text}")
