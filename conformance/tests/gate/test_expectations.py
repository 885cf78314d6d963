"""Expectations are read strictly: each has a reason, and bad input names its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slotproof.errors import UsageProblem
from slotproof.gate.expectations import Expectation, load
from slotproof.judge.verdict import Verdict
from slotproof.model import CellId, Topology

ENTRY = """
[[expect]]
client = "some-client"
topology = "cluster"
verdict = ["adapter", "pass"]
reason = "it has no such command"
link = "https://example.org/1"
expires = 2030-01-01
tests = ["tests/test_a.py::test_one[x]", "tests/test_b.py::*"]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "expectations.toml"
    path.write_text(text, encoding="utf-8")
    return path


def entry(*tests: str) -> Expectation:
    return Expectation("f", 1, "*", None, None, frozenset({Verdict.ADAPTER}), "r", "l", None, tests)


def test_an_entry_is_read_whole(tmp_path: Path) -> None:
    (read,) = load(write(tmp_path, ENTRY))
    assert read.verdicts == {Verdict.ADAPTER, Verdict.PASS}
    assert read.topology is Topology.CLUSTER
    assert read.expires == date(2030, 1, 1)
    assert read.expired(date(2030, 1, 1))
    assert not read.expired(date(2029, 12, 31))


def test_a_missing_file_means_no_known_failure(tmp_path: Path) -> None:
    assert load(tmp_path / "expectations.toml") == ()


def test_an_entry_covers_its_cells_only() -> None:
    cell = CellId("s", "some-client", Topology.CLUSTER, "valkey-8.1")
    assert entry("t").covers_cell(cell)


def test_only_the_star_is_special() -> None:
    covering = entry("tests/test_b.py::*", "tests/test_a.py::test_one[x]")
    assert covering.pattern_for("tests/test_b.py::TestX::test_y[\n]")
    assert covering.pattern_for("tests/test_a.py::test_one[x]")
    assert covering.pattern_for("tests/test_a.py::test_onex") is None


@pytest.mark.parametrize(
    ("words", "covered"),
    [
        ("", {"default", "resp2", "resp3"}),
        ('variant = "resp2"', {"resp2"}),
        ('variant = ["default", "resp3"]', {"default", "resp3"}),
    ],
)
def test_an_entry_may_speak_of_some_variants_only(
    tmp_path: Path, words: str, covered: set[str]
) -> None:
    (read,) = load(write(tmp_path, ENTRY.replace("expires", f"{words}\nexpires")))
    cell = CellId("s", "some-client", Topology.CLUSTER, "valkey-8.1")
    variants = ("default", "resp2", "resp3")
    assert {v for v in variants if read.covers_cell(replace(cell, variant=v))} == covered


@given(st.text(max_size=30))
def test_an_exact_pattern_covers_exactly_itself(test: str) -> None:
    if "*" not in test:
        assert entry(test).pattern_for(test) == test
        assert entry(test).pattern_for(test + "x") is None


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (('reason = "it has no such command"', ""), "reason"),
        (('link = "https://example.org/1"', ""), "link"),
        (('verdict = ["adapter", "pass"]', 'verdict = "adaptor"'), "adaptor"),
        (("expires = 2030-01-01", 'expires = "2030-01-01"'), "expires"),
        (('topology = "cluster"', 'topology = "ring"'), "ring"),
        (('topology = "cluster"', 'variant = ["resp2", 3]'), "variant"),
        (('topology = "cluster"', 'variant = ""'), "variant"),
        (("[[expect]]", "[[expects]]"), "expect"),
        (('client = "some-client"', 'client = "some-client"\nclint = "x"'), "clint"),
        (("[[expect]]", "[[expect"), "line 2"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, change: tuple[str, str], names: str) -> None:
    path = write(tmp_path, ENTRY.replace(*change))
    with pytest.raises(UsageProblem) as caught:
        load(path)
    assert names in caught.value.found
    assert str(path) in caught.value.tried
