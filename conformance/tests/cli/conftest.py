"""Runs ``slotproof`` in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import Cli, Finished


@pytest.fixture
def cli(fixtures: Path, tmp_path: Path) -> Cli:
    """Run ``slotproof`` in a folder of its own."""

    def run(*args: str, **env: str) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "slotproof", *args],
            cwd=tmp_path,
            env=os.environ | {"SLOTPROOF_FIXTURES": str(fixtures)} | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run
