"""Fetching through the real pip, from a folder instead of an index."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.fetch import cache, pip

BACKEND = """
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    import pathlib
    info = pathlib.Path(folder) / "demo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n")
    return info.name


def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise SystemExit("never built")
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "demo"
version = "1.0"
"""


def wheel(folder: Path, tag: str) -> tuple[Path, str]:
    path = folder / f"demo-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo.py", "value = 1\n")
        archive.writestr(
            "demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
        )
        archive.writestr(
            "demo-1.0.dist-info/WHEEL",
            f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
        )
        archive.writestr("demo-1.0.dist-info/RECORD", "")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def sdist(folder: Path) -> tuple[Path, str]:
    path = folder / "demo-1.0.tar.gz"
    files = {
        "backend.py": BACKEND,
        "pyproject.toml": PYPROJECT,
        "PKG-INFO": "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"demo-1.0/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the package index, and a fresh cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("SLOTPROOF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def leftovers() -> list[Path]:
    root = cache.cache_dir()
    return [p for name in ("files", "staging") for p in (root / name).rglob("*") if p.is_file()]


def test_a_wheel_is_fetched_once(index: Path) -> None:
    source, sha256 = wheel(index, "py3-none-any")
    got = pip.fetch("demo", "1.0", sha256, "wheel")
    assert got.name == source.name
    assert got.read_bytes() == source.read_bytes()
    source.unlink()
    assert pip.fetch("demo", "1.0", sha256.upper(), "wheel") == got
    assert leftovers() == [got]


@pytest.mark.parametrize(
    "tag",
    ["cp39-cp39-manylinux_2_17_x86_64", "cp313-cp313-macosx_11_0_arm64", "py3-none-win_arm64"],
)
def test_a_wheel_for_another_python_and_platform(index: Path, tag: str) -> None:
    source, sha256 = wheel(index, tag)
    wheel(index, "cp310-cp310-musllinux_1_2_s390x")
    assert pip.fetch("demo", "1.0", sha256, "wheel", filename=source.name).name == source.name


def test_compressed_tag_sets(index: Path) -> None:
    tag = "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64"
    source, sha256 = wheel(index, tag)
    assert pip.fetch("demo", "1.0", sha256, "wheel", wheel_tags=(tag,)).name == source.name


def test_an_sdist(index: Path) -> None:
    source, sha256 = sdist(index)
    wheel(index, "py3-none-any")
    got = pip.fetch("demo", "1.0", sha256, "sdist")
    assert got.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_wrong_hash_leaves_nothing(index: Path, kind: pip.ArtefactKind) -> None:
    _, sha256 = wheel(index, "py3-none-any") if kind == "wheel" else sdist(index)
    with pytest.raises(
        EnvironmentProblem, match=f"sha256 {sha256} instead of {'0' * 64}"
    ) as caught:
        pip.fetch("demo", "1.0", "0" * 64, kind)
    assert "do not use this file" in caught.value.next_step
    assert leftovers() == []


def test_no_such_version_and_no_such_kind(index: Path) -> None:
    wheel(index, "py3-none-any")
    with pytest.raises(EnvironmentProblem, match="offers no such file") as caught:
        pip.fetch("demo", "2.0", "0" * 64, "wheel")
    assert "pip index versions demo" in caught.value.next_step
    with pytest.raises(EnvironmentProblem, match=r"sdist of demo 1\.0"):
        pip.fetch("demo", "1.0", "0" * 64, "sdist")


@pytest.mark.parametrize(
    ("retries", "match"), [("0", "is down or knows no demo"), ("1", "cannot be reached")]
)
def test_no_network(index: Path, monkeypatch: pytest.MonkeyPatch, retries: str, match: str) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    # Port 9 (discard) of this machine: nobody listens there.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", retries)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(EnvironmentProblem, match=match) as caught:
        pip.fetch("demo", "1.0", "0" * 64, "wheel")
    assert "pip config list" in caught.value.next_step
    assert index.is_dir()
    assert leftovers() == []


def test_a_damaged_cache_entry_is_replaced(index: Path) -> None:
    source, sha256 = wheel(index, "py3-none-any")
    got = pip.fetch("demo", "1.0", sha256, "wheel")
    got.write_bytes(b"half")
    assert pip.fetch("demo", "1.0", sha256, "wheel") == got
    assert got.read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("name", "version", "sha256", "filename"),
    [
        ("demo", "1.0", "abc", None),
        ("demo --index-url=x", "1.0", "0" * 64, None),
        ("demo", "1.0 ; x", "0" * 64, None),
        ("demo", "1.0", "0" * 64, "../demo-1.0-py3-none-any.whl"),
        ("demo", "1.0", "0" * 64, "demo.whl"),
    ],
)
def test_malformed_pins_never_reach_pip(
    index: Path, name: str, version: str, sha256: str, filename: str | None
) -> None:
    with pytest.raises(UsageProblem):
        pip.fetch(name, version, sha256, "wheel", filename=filename)
    assert list(index.iterdir()) == []
    assert leftovers() == []


def test_parallel_processes_get_the_same_file(index: Path) -> None:
    _, sha256 = wheel(index, "py3-none-any")
    script = (
        f"from slotproof.fetch import pip; print(pip.fetch('demo', '1.0', '{sha256}', 'wheel'))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = {process.communicate()[0].strip() for process in processes}
    assert {process.returncode for process in processes} == {0}
    assert len(said) == 1
    assert leftovers() == [Path(said.pop())]
