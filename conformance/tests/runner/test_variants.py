"""One suite in two variants: other arguments, the same tests, controls of their own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.miniatures import MINIATURE, client, run_tiny

from slotproof.judge.matrix import build
from slotproof.judge.verdict import Verdict
from slotproof.model import Outcome, Topology
from slotproof.suites import library

pytestmark = pytest.mark.servers

CONFTEST = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--dialect", default="plain")

@pytest.fixture(autouse=True)
def dialect(request):
    assert request.config.getoption("--dialect") == "plain", "no such dialect"
"""
TEST = "tests/test_tiny.py::test_numbers_count"


def test_each_variant_has_columns_of_its_own(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(MINIATURE / "suites" / "tiny" / "source", source)
    (source / "conftest.py").write_text(CONFTEST)
    tiny = library.load_all(MINIATURE / "suites")["tiny"]
    suite = replace(
        tiny,
        source=replace(tiny.source, path=str(source)),
        variants={"default": (), "broad": ("--dialect=broad",)},
    )
    clients = [client("always_right", control=True, name="control"), client("lies")]
    results = run_tiny(
        tmp_path / "run",
        clients,
        topologies=[Topology.STANDALONE],
        only=[TEST],
        suite=suite,
        variants=["default", "broad"],
    )
    assert [str(c.cell) for c in results.cells if not c.control] == [
        "tiny/lies/standalone/valkey-8.1",
        "tiny/lies/standalone/valkey-8.1/broad",
    ]
    plain, broad = build(results).rows
    assert (plain.title, broad.title) == ("Miniature suite", "Miniature suite, broad")
    assert [c.tests[TEST].verdict for c in plain.cells] == [Verdict.PASS, Verdict.ADAPTER]
    # In the other variant the test fails with every client, so it is nobody's fault but upstream's.
    assert [c.tests[TEST].verdict for c in broad.cells] == [Verdict.UPSTREAM, Verdict.UPSTREAM]
    assert {o.outcome for o in results.observations if o.cell.variant == "broad"} == {Outcome.ERROR}
