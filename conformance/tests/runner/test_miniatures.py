"""The harness proves itself: every client that is wrong in a known way gets its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from support.miniatures import by_cell, client, run_tiny

from slotproof.judge.matrix import CellVerdicts
from slotproof.judge.verdict import Verdict
from slotproof.model import Outcome, Topology

pytestmark = pytest.mark.servers

Cells = Mapping[tuple[str, Topology], CellVerdicts]
FILE = "tests/test_tiny.py::"
OFFLINE = {f"{FILE}test_offline[{t}]" for t in ("plain", "<b>&amp;")}
TOUCHING = {
    "test_bytes_survive",
    "test_numbers_count",
    "test_lists_keep_their_order",
    "test_sets_have_members",
    "test_missing_key_is_none",
    "test_after_all_clients_were_killed",
    "test_after_the_statistics_were_reset",
    "test_in_a_forked_child",
    "test_in_a_python_of_its_own",
}
# Which tests each client gets wrong, and whose fault that is.
WRONG: dict[str, dict[str, Verdict]] = {
    "always-right": {},
    "drops-bytes": {"test_bytes_survive": Verdict.ADAPTER},
    "lies": {"test_numbers_count": Verdict.ADAPTER},
    "never-asks": dict.fromkeys(
        ("test_bytes_survive", "test_missing_key_is_none"), Verdict.BYPASSED
    ),
    "hangs": {"test_lists_keep_their_order": Verdict.LOST},
    "crashes": {"test_sets_have_members": Verdict.ADAPTER},
    "never-connects": dict.fromkeys(TOUCHING, Verdict.ADAPTER),
    "skips-everything": dict.fromkeys(TOUCHING, Verdict.LOST),
}
USES_GET = TOUCHING - {
    "test_numbers_count",
    "test_lists_keep_their_order",
    "test_sets_have_members",
}


def verdicts(cell: CellVerdicts) -> dict[str, Verdict]:
    """The verdicts that are neither pass nor upstream's own fault, without the file's name."""
    fine = {Verdict.PASS, Verdict.UPSTREAM}
    return {
        test.removeprefix(FILE): judged.verdict
        for test, judged in cell.tests.items()
        if judged.verdict not in fine
    }


@pytest.mark.parametrize("topology", Topology)
@pytest.mark.parametrize("name", WRONG)
def test_each_gets_its_verdict(miniatures: Cells, name: str, topology: Topology) -> None:
    assert verdicts(miniatures[name, topology]) == WRONG[name]


@pytest.mark.parametrize("topology", Topology)
@pytest.mark.parametrize("name", ["own-socket", "other-server"])
def test_a_connection_beside_the_client_is_named(
    miniatures: Cells, name: str, topology: Topology
) -> None:
    cell = miniatures[name, topology]
    assert verdicts(cell) == dict.fromkeys(USES_GET, Verdict.BYPASSED)
    judged = cell.tests[f"{FILE}test_missing_key_is_none"]
    assert name.replace("-", "_") in judged.reason
    assert f"{name.replace('-', '_')}.py:" in judged.reason
    reached = {c.reached for c in judged.foreign}
    assert reached == {name == "own-socket"}


@pytest.mark.parametrize("topology", Topology)
def test_what_upstream_gets_wrong_is_nobody_elses_fault(
    miniatures: Cells, topology: Topology
) -> None:
    test = f"{FILE}test_upstream_is_wrong_here"
    for name in ("control", "always-right", "drops-bytes"):
        assert miniatures[name, topology].tests[test].verdict is Verdict.UPSTREAM


@pytest.mark.parametrize("topology", Topology)
def test_every_locked_test_has_an_outcome_in_every_cell(
    miniatures: Cells, topology: Topology
) -> None:
    ids = set(miniatures["control", topology].tests)
    assert len(ids) == len(TOUCHING) + 6
    for (_, where), cell in miniatures.items():
        if where is topology:
            assert {t for t, judged in cell.tests.items() if judged.observations} == ids


@pytest.mark.parametrize("topology", Topology)
def test_touches_survive_killed_clients_resets_and_children(
    miniatures: Cells, topology: Topology
) -> None:
    cell = miniatures["control", topology]
    counted = {
        test: cell.tests[FILE + test].observations[0].touches
        for test in (
            "test_after_all_clients_were_killed",
            "test_after_the_statistics_were_reset",
            "test_in_a_forked_child",
            "test_in_a_python_of_its_own",
        )
    }
    # On the cluster a key's first command may meet the wrong node, which counts it as rejected.
    extra = 0 if topology is Topology.STANDALONE else 3
    killed = counted["test_after_all_clients_were_killed"]
    assert 1 <= killed["set"] <= 1 + extra
    assert 1 <= killed["get"] <= 1 + extra
    assert killed["client|kill"] == 1
    reset = counted["test_after_the_statistics_were_reset"]
    assert 1 <= reset["get"] <= 1 + extra
    assert cell.tests[f"{FILE}test_after_the_statistics_were_reset"].observations[0].stats_reset
    for child in ("test_in_a_forked_child", "test_in_a_python_of_its_own"):
        assert 1 <= counted[child]["set"] <= 1 + extra
        assert 1 <= counted[child]["get"] <= 1 + extra


@pytest.mark.parametrize("topology", Topology)
def test_offline_tests_touch_nothing_and_are_counted_apart(
    miniatures: Cells, topology: Topology
) -> None:
    cell = miniatures["control", topology]
    for test in OFFLINE:
        assert not cell.tests[test].touched
    assert cell.offline_total.of == 5
    assert miniatures["never-connects", topology].offline_total.passed == 5


@pytest.mark.parametrize("topology", Topology)
def test_the_headline_counts_only_what_was_proved(miniatures: Cells, topology: Topology) -> None:
    of = len(TOUCHING)
    assert miniatures["always-right", topology].proved.passed == of
    for name, wrong in WRONG.items():
        ratio = miniatures[name, topology].proved
        assert (ratio.passed, ratio.of) == (of - len(wrong), of)


@pytest.mark.parametrize("topology", Topology)
def test_a_hang_shows_where_it_hung_and_a_crash_what_of(
    miniatures: Cells, topology: Topology
) -> None:
    hung = miniatures["hangs", topology].tests[f"{FILE}test_lists_keep_their_order"].last
    assert hung is not None
    assert hung.outcome is Outcome.HUNG
    assert "hangs.py" in hung.traceback
    crashed = miniatures["crashes", topology].tests[f"{FILE}test_sets_have_members"].last
    assert crashed is not None
    assert crashed.outcome is Outcome.CRASHED
    assert "SIGABRT" in crashed.message


def test_a_native_client_has_no_connection_at_the_python_level(tmp_path: Path) -> None:
    """One that falls back on a Python client's connections does not pass for native."""
    native = replace(client("always_right", name="native"), connects_from=())
    results = run_tiny(
        tmp_path / "run",
        [client("always_right", control=True, name="control"), native],
        topologies=[Topology.STANDALONE],
        only=[f"{FILE}test_numbers_count", f"{FILE}test_offline[plain]"],
    )
    cell = by_cell(results)["native", Topology.STANDALONE]
    assert {t.removeprefix(FILE): j.verdict for t, j in cell.tests.items()} == {
        "test_numbers_count": Verdict.BYPASSED,
        "test_offline[plain]": Verdict.PASS,
    }
    judged = cell.tests[f"{FILE}test_numbers_count"]
    assert {(c.module, c.reached) for c in judged.foreign} == {("tiny_redis", True)}
    # Its commands reached the servers all the same, and were counted there.
    assert judged.touched
    assert cell.proved.passed == 0
