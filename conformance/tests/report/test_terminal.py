"""The matrix on terminals of several widths."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from slotproof.judge.matrix import Matrix
from slotproof.report import terminal


def shown(matrix: Matrix, width: int, **options: Any) -> str:
    out = io.StringIO()
    terminal.render(matrix, Console(file=out, width=width, color_system=None), **options)
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 220])
def test_every_figure_is_there_at_any_width(judged: Any, width: int) -> None:
    text = shown(judged.matrix, width, worst=0)
    assert all(len(line) <= width for line in text.splitlines())
    assert "redis-py core" in text
    for figure in (
        "25.0 % 1/4",
        "100.0 % 4/4",
        "offline 100.0 % 1/1",
        "1 gain",
        "2 adapter faults",
    ):
        assert figure in text
    assert "1 bypassed" in text
    assert "1 server broken" in text
    assert text.count("control") == 2


def test_wide_is_a_table_and_narrow_a_list(judged: Any) -> None:
    wide, narrow = shown(judged.matrix, 140, worst=0), shown(judged.matrix, 60, worst=0)
    assert any("80.0 %" in line and "25.0 %" in line for line in wide.splitlines())
    assert not any("80.0 %" in line and "25.0 %" in line for line in narrow.splitlines())


def test_the_worst_come_first_and_the_path_last(judged: Any) -> None:
    path = Path("reports") / ("deep" * 30) / "report.html"
    lines = shown(judged.matrix, 80, report=path, worst=2).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("Not passed: "))
    assert lines[start].startswith("Not passed: 1 bypassed, 2 adapter")
    assert "bypassed" in lines[start + 1]
    assert "adapter" in lines[start + 2]
    assert "more, all of them in the report" in lines[start + 3]
    assert lines[-1] == f"Report: {path}"


def test_foreign_text_cannot_steer_the_terminal(judged: Any, torso: Any) -> None:
    for sample in (judged, torso):
        text = shown(sample.matrix, 140, worst=50)
        assert "\x1b" not in text
        assert "\u2028" not in text
        assert "<script>" in text


def test_markup_of_the_console_is_not_interpreted(judged: Any) -> None:
    text = shown(judged.matrix, 140, worst=50)
    assert "[valkey-py, cluster]" in text


def test_a_cell_that_was_not_run_says_why(torso: Any) -> None:
    assert "not run: " in shown(torso.matrix, 60, worst=0)


def test_no_color_is_honoured(judged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def escapes() -> bool:
        out = io.StringIO()
        console = Console(file=out, width=100, force_terminal=True, color_system="standard")
        terminal.render(judged.matrix, console, worst=0)
        return "\x1b[3" in out.getvalue() or "\x1b[1;3" in out.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert escapes()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not escapes()


def test_nothing_run_is_said() -> None:
    assert shown(Matrix(()), 80) == "No cell was run.\n"


@pytest.mark.parametrize("width", [60, 220])
def test_a_variant_is_a_row_of_its_own(twice: Any, width: int) -> None:
    text = shown(twice.matrix, width, worst=100)
    assert text.count("redis-py core, resp2") == 1
    worst = [line for line in text.splitlines() if "test_commands.py::adapter" in line]
    assert len(worst) == 2
    assert sum("resp2" in line for line in worst) == 1
