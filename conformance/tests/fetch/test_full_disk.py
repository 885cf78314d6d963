"""A disk that is really full: a small tmpfs in a mount namespace of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from slotproof.fetch.cache import sha256_of

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="mounts a file system: Linux, root"
    ),
]

REPORT = """
from slotproof.errors import EnvironmentProblem
import sys
from pathlib import Path
small = Path(sys.argv[1])
try:
    {statement}
except EnvironmentProblem as problem:
    print(problem.found, "|", problem.next_step)
print(sorted(str(p.relative_to(small)) for p in small.rglob("*") if p.is_file()))
"""


def on_full_disk(small: Path, statement: str, **environ: str) -> list[str]:
    """Run ``statement`` with a disk of 256 KiB at ``small``; return what it reported."""
    small.mkdir()
    code = REPORT.format(statement=statement)
    command = shlex.join([sys.executable, "-c", code, str(small)])
    mount = f"mount -t tmpfs -o size=256k tmpfs {shlex.quote(str(small))}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{mount} && exec {command}"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
    )
    return done.stdout.splitlines()


def wheel(folder: Path) -> Path:
    path = folder / "demo-1.0-py3-none-any.whl"
    info = "demo-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo.py", os.urandom(1 << 19).hex())
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_unpacking(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(1 << 20))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "large", "demo/large")
    statement = f"from slotproof.fetch.archive import unpack; unpack(Path({str(tmp_path)!r})"
    statement += " / 'a.tar.gz', small / 'out')"
    problem, left = on_full_disk(tmp_path / "small", statement)
    assert "No space left" in problem
    assert "free some space" in problem
    assert left == "[]"


def test_fetching(tmp_path: Path) -> None:
    source = wheel(tmp_path)
    statement = "from slotproof.fetch import pip; "
    statement += f"pip.fetch('demo', '1.0', {sha256_of(source)!r}, 'wheel')"
    problem, left = on_full_disk(
        tmp_path / "small",
        statement,
        SLOTPROOF_CACHE=str(tmp_path / "small"),
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(tmp_path),
        PIP_CONFIG_FILE="/dev/null",
    )
    assert "o space left" in problem
    assert "free some space" in problem
    assert "demo" not in left


def test_making_an_environment(tmp_path: Path) -> None:
    source = wheel(tmp_path)
    lock = f"demo==1.0 --hash=sha256:{sha256_of(source)}\n"
    statement = "from slotproof.environments import environment; "
    statement += f"environment([{lock!r}], label='x')"
    problem, left = on_full_disk(
        tmp_path / "small",
        statement,
        SLOTPROOF_CACHE=str(tmp_path / "small"),
        UV_CACHE_DIR=str(tmp_path / "uv"),
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(tmp_path),
        PIP_CONFIG_FILE="/dev/null",
    )
    assert "o space left" in problem
    assert "free some space" in problem
    assert "demo" not in left
    assert "pyvenv" not in left
