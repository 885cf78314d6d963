"""One run of all miniature clients, for all tests that look at it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from support.miniatures import WRONG, by_cell, client, run_tiny

from slotproof.judge.matrix import CellVerdicts
from slotproof.model import Topology


@pytest.fixture(scope="session")
def miniatures(
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[tuple[str, Topology], CellVerdicts]:
    """All miniature clients on both topologies, in one run."""
    clients = [
        client("always_right", control=True, name="control"),
        client("always_right"),
        *map(client, WRONG),
    ]
    return by_cell(run_tiny(tmp_path_factory.mktemp("run"), clients))
