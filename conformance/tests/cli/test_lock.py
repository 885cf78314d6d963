"""``slotproof lock`` against the miniature suite, collected by its own pytest."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import Cli
from support.miniatures import own_suite

pytestmark = pytest.mark.servers


def test_a_lock_that_is_up_to_date_holds(cli: Cli) -> None:
    done = cli("lock", "steady", "--check")
    assert done.code == 0, done.text
    assert "0 added" in done.out


def test_a_test_that_is_not_locked_is_named_and_the_lock_left_alone(
    cli: Cli, fixtures: Path
) -> None:
    lock = own_suite(fixtures) / "collected.lock"
    whole = lock.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    lock.write_text("".join(lines[:-1]), encoding="utf-8")
    done = cli("lock", "steady", "--check")
    assert done.code == 1, done.text
    assert lines[-1].split("\t")[0] in done.out
    assert lock.read_text(encoding="utf-8") == "".join(lines[:-1])
    assert cli("lock", "steady").code == 0
    assert lock.read_text(encoding="utf-8") == whole
