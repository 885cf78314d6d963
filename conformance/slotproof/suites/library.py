"""The suites there are: one folder each below ``fixtures/suites``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slotproof.data import fixtures_dir
from slotproof.gate import expectations as known_failures
from slotproof.gate.expectations import Expectation
from slotproof.suites import manifest
from slotproof.suites.manifest import Suite


def load_all(folder: Path | None = None) -> Mapping[str, Suite]:
    """Return every suite by name. Raises UsageProblem for a manifest that cannot be read."""
    root = folder or fixtures_dir() / "suites"
    paths = sorted(root.glob("*/suite.toml"))
    return {suite.name: suite for suite in map(manifest.load, paths)}


def expectations(suites: Mapping[str, Suite]) -> Mapping[str, Sequence[Expectation]]:
    """Return the known failures of each suite."""
    return {
        name: known_failures.load(suite.folder / "expectations.toml")
        for name, suite in suites.items()
    }
