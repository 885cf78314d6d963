"""``slotproof doctor`` tries things, and names what is missing with the next step."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import Cli

from slotproof.clients.glide_redis import VARIABLE

pytestmark = pytest.mark.servers


def test_a_client_without_its_folder_is_left_out_and_nothing_else(cli: Cli, tmp_path: Path) -> None:
    done = cli("doctor", **{VARIABLE: str(tmp_path / "nowhere")})
    assert done.code == 0, done.text
    assert "clients: redis-py, glide-redis, valkey-py" in done.out
    (line,) = (line for line in done.out.splitlines() if "left out" in line)
    assert line.startswith("--")
    assert str(tmp_path / "nowhere") in line
    assert VARIABLE in line


def test_a_client_that_does_not_build_is_left_out_too(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 3\n")
    done = cli("doctor", **{VARIABLE: str(tmp_path)})
    assert done.code == 0, done.text
    assert "glide-redis is left out" in done.out
