"""The scripts that show what GLIDE does by itself: an upgrade that changes it must be noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPROS = Path(__file__).parents[1] / "repros"


@pytest.mark.parametrize("name", sorted(path.name for path in REPROS.glob("*.py")))
def test_glide_still_does_this(name: str, server: Any, cluster: Any) -> None:
    node = cluster if name == "cluster_start.py" else server
    done = subprocess.run(
        [sys.executable, str(REPROS / name), node.host, str(node.port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
