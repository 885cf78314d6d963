"""STATUS.md has every system, every criterion, and no foreign markup."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slotproof import criteria
from slotproof.judge.matrix import Matrix
from slotproof.model import Run
from slotproof.report import status
from slotproof.report.systems import SYSTEMS


@dataclass(frozen=True)
class Known:
    """An expectation, as far as it is shown."""

    client: str
    tests: tuple[str, ...]
    reason: str
    link: str


FILE = Path(__file__).resolve().parents[3] / "fixtures/criteria.toml"
ALL = criteria.load(FILE)
NOTHING = criteria.evaluate(ALL, Matrix(()), ())


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, split at bars that are not escaped."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_system_has_a_row_even_without_a_suite() -> None:
    text = status.render(Run({}, (), (), ()), Matrix(()), NOTHING)
    for system in SYSTEMS:
        name = f"| **{system.name}** | {system.here} |"
        assert f"{name} not run: no suite of it in this run |" in text


def test_the_systems_are_those_the_criteria_ask_for() -> None:
    asked = {r for c in ALL if isinstance(c.formula, criteria.Proved) for r in c.formula.rows}
    assert asked == {system.name for system in SYSTEMS}


def test_a_variant_is_a_row_of_its_own(twice: Any) -> None:
    table = rows(status.render(twice.run, twice.matrix, NOTHING))
    plain, other = table[2], table[3]
    assert [plain[2], other[2]] == ["redis-py 8.1.0", "redis-py 8.1.0, resp2"]
    assert plain[3:] == other[3:]
    assert len(table[0]) == 7


def test_a_row_has_its_figures_per_column(judged: Any) -> None:
    text = status.render(judged.run, judged.matrix, NOTHING)
    head = rows(text)[0]
    assert head == [
        "System",
        "here",
        "suite",
        "redis-py, standalone (control)",
        "redis-py, cluster (control)",
        "valkey-py, standalone",
        "valkey-py, cluster",
    ]
    core = rows(text)[2]
    assert core[:3] == ["**ioredis core**", "redis-py core and cluster", "redis-py 8.1.0"]
    assert core[6].startswith("**25.0 %** (1/4)<br>*offline* 100.0 % (1/1)<br>gains 1")
    assert "gains" not in core[3]


def test_the_head_names_version_date_server_and_profile(judged: Any) -> None:
    text = status.render(judged.run, judged.matrix, NOTHING)
    line = text.splitlines()[2]
    for fact in ("slotproof 0.1.0", "2026-01-01T00:09:00Z", "Valkey 8.1.8", "profile full"):
        assert fact in line
    assert "incomplete" not in text.split("##")[0]


def test_an_incomplete_run_says_so_at_the_top(torso: Any) -> None:
    head = status.render(torso.run, torso.matrix, NOTHING).split("##")[0]
    assert "This run is incomplete" in head
    assert "results.jsonl:7" in head


def test_all_thirteen_criteria_are_listed_by_group() -> None:
    text = status.render(Run({}, (), (), ()), Matrix(()), NOTHING)
    sections = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    assert [s.split("\n")[0] for s in sections] == ["Functional", "Performance", "Reliability"]
    assert [len(rows(s)) - 2 for s in sections] == [5, 4, 4]
    assert "0 of 13 held, 13 not measured." in text


def test_foreign_text_stays_text(judged: Any, torso: Any, hostile: str) -> None:
    known = [
        Known("*", (f"t::{hostile}`|",), f"{hostile}|[x](y)", "javascript:alert(1)"),
        Known("*", (hostile,), "z", f"https://example.org/{hostile})"),
    ]
    for sample in (judged, torso):
        text = status.render(sample.run, sample.matrix, NOTHING, known)
        without_code = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
        assert not re.search(r"<(?!br>)", without_code)
        assert len({len(row) for row in rows(text.split("## Success")[0])}) == 1
        assert not re.search(r"(?<!\\)\]\(", text)
        assert text.replace("\n", "").isprintable()


def test_known_failures_are_grouped_by_reason() -> None:
    known = [
        Known("valkey-py", ("a",), "needs TLS", "https://example.org/1"),
        Known("*", ("b",), "slow", ""),
        Known("glide-redis", ("c",), "needs TLS", "https://example.org/1"),
    ]
    run = Run({}, (), (), ())
    text = status.render(run, Matrix(()), NOTHING, known).split("## Known failures")[1]
    assert text.strip().splitlines() == [
        "- needs TLS ([link](https://example.org/1)): 2",
        "  - valkey-py: `a`",
        "  - glide-redis: `c`",
        "- slow: 1",
        "  - \\*: `b`",
    ]
    assert "None." in status.render(run, Matrix(()), NOTHING, [])
    assert "Known failures" not in status.render(run, Matrix(()), NOTHING)
