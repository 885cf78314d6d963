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


def test_a_variant_with_tests_of_its_own_is_refused(cli: Cli, fixtures: Path) -> None:
    variant = '[variant.half]\nargs = ["--deselect=tests/test_steady.py::test_steady[7]"]\n'
    folder = own_suite(fixtures, ("[profile.quick]", f"{variant}\n[profile.quick]"))
    before = (folder / "collected.lock").read_bytes()
    done = cli("lock", "steady")
    assert done.code == 2, done.text
    assert "in the variant half" in done.err
    assert "1 ids differ" in done.err
    assert "test_steady[7]" in done.err
    assert (folder / "collected.lock").read_bytes() == before
    listed = cli("list", "suites", COLUMNS="200")
    assert "default, half" in listed.out
