"""Fixtures for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.miniatures import MINIATURE

from slotproof.data import fixtures_dir


@pytest.fixture
def fixtures(tmp_path: Path) -> Path:
    """A folder of data files of the test's own: the real ones, with a miniature suite."""
    folder = tmp_path / "fixtures"
    (folder / "suites").mkdir(parents=True)
    for entry in fixtures_dir().iterdir():
        if entry.name != "suites":
            (folder / entry.name).symlink_to(entry)
    (folder / "suites" / "steady").symlink_to(MINIATURE / "suites" / "steady")
    return folder
