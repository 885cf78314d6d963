"""What README.md and CONTRIBUTING.md tell people to type exists, and is what CI runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from slotproof.cli import group

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """Every line of the sh blocks, without its comment."""
    blocks = [part.split("```", 1)[0] for part in text.split("```sh\n")[1:]]
    lines = [
        line.split("  #")[0].split(" # ")[0].strip() for b in blocks for line in b.splitlines()
    ]
    return [line for line in lines if line]


ONE_LINERS = [line for line in commands(README) if "&&" in line]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/suites.md")
SLOTPROOF = [
    line.rpartition("&& ")[2]
    for name in DOCUMENTS
    for line in commands((ROOT / name).read_text(encoding="utf-8"))
    if line.rpartition("&& ")[2].startswith("slotproof ")
]


def test_there_are_two_commands_of_one_line() -> None:
    matrix, tests = ONE_LINERS
    assert matrix.endswith("slotproof run --profile quick")
    assert tests.endswith("python -m pytest")


@pytest.mark.parametrize("command", ONE_LINERS)
@pytest.mark.parametrize("place", [".ci/run", ".github/workflows/tests.yml"])
def test_ci_runs_the_commands_of_the_readme(command: str, place: str) -> None:
    assert command in (ROOT / place).read_text(encoding="utf-8")


@pytest.mark.parametrize("line", SLOTPROOF)
def test_a_documented_command_line_is_understood(line: str, tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").touch()
    line = line.replace("reports/<run>/results.jsonl", str(tmp_path / "results.jsonl"))
    _, name, *arguments = shlex.split(line)
    # Parses and checks options and choices; runs nothing.
    group.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [part.split(")", 1)[0] for part in text.split("](")[1:]]
    local = [target for target in targets if "://" not in target]
    assert local
    assert [target for target in local if not (ROOT / target).exists()] == []
