"""Subjects that are wrong in known ways."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from slotproof.chaos.subjects import Ready, Subject
from slotproof.clients.plugin import Client

FAKES = Path(__file__).parent / "fakes"


@pytest.fixture
def fake() -> Callable[[str], Ready]:
    """A client that is wrong in the way its name says, in this interpreter."""

    def ready(name: str) -> Ready:
        client = Client(
            name=name,
            title=name,
            lock="",
            bootstrap=name,
            bootstrap_dir=FAKES,
            connects_from=(),
        )
        return Ready(Subject(client), Path(sys.executable), "0")

    return ready
