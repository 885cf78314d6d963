"""A cluster and a standalone server for all tests of the benchmark, and subjects to measure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.benching import TINY, Kept, Servers

from slotproof.bench.measure import Measurement, Participant, Plan
from slotproof.bench.scenarios import Family, choose
from slotproof.bench.subjects import Subject
from slotproof.model import Topology
from slotproof.servers import embedded, spec


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Started once for all tests: nobody writes anything but the benchmark's own keys."""
    binary = embedded.binary(spec.find(spec.DEFAULT))
    folder = tmp_path_factory.mktemp("bench-servers")
    with (
        embedded.start(binary, Topology.CLUSTER, workdir=folder / "c", replicas=1) as cluster,
        embedded.start(binary, Topology.STANDALONE, workdir=folder / "s") as standalone,
    ):
        yield Servers(cluster, standalone)


@pytest.fixture
def measured(servers: Servers, tmp_path: Path) -> Callable[..., Kept]:
    """Measure subjects, the first being the control, in scenarios named as on the command line."""

    def measure(*subjects: Subject, scenarios: list[str], plan: Plan = TINY) -> Kept:
        kept = Kept()
        chosen = choose(scenarios)
        standalone = any(s.family is Family.MEMORY for s in chosen)
        Measurement(
            [Participant(s, Path(sys.executable)) for s in subjects],
            chosen,
            plan,
            servers.cluster,
            servers.standalone if standalone else None,
            kept,
            kept,
            tmp_path,
        ).run()
        return kept

    return measure
