"""The cache folder: where it lies, its locks, its staging."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from slotproof.errors import EnvironmentProblem
from slotproof.fetch import cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTPROOF_CACHE", str(tmp_path / "cache"))


def test_cache_dir_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("SLOTPROOF_CACHE")
    assert cache.cache_dir() == tmp_path / "xdg" / "slotproof"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_dir() == tmp_path / "home" / ".cache" / "slotproof"
    assert cache.cache_dir().is_dir()


def test_a_file_in_the_way_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLOTPROOF_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentProblem, match="creating the folder") as caught:
        cache.cache_dir()
    assert "SLOTPROOF_CACHE" in caught.value.next_step


def test_a_lock_excludes_threads_and_is_free_afterwards() -> None:
    inside: list[str] = []

    def second() -> None:
        with cache.locked("name"):
            inside.append("second")

    thread = threading.Thread(target=second)
    with cache.locked("name"):
        thread.start()
        with cache.locked_if_free("name") as free:
            assert not free
        inside.append("first")
    thread.join(10)
    assert inside == ["first", "second"]
    with cache.locked_if_free("name") as free:
        assert free


def test_staging_is_removed_after_success_and_failure() -> None:
    with cache.staging() as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()
    with pytest.raises(ValueError, match="mine"), cache.staging() as folder:
        raise ValueError("mine")
    assert not folder.exists()
    assert list((cache.cache_dir() / "staging").iterdir()) == []


def test_staging_of_a_killed_process_is_swept_and_a_living_one_is_not() -> None:
    script = (
        "import sys\nfrom slotproof.fetch import cache\n"
        "with cache.staging() as folder:\n"
        "    (folder / 'half').write_text('x')\n"
        "    print(folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with cache.staging() as other:
            assert other.is_dir()
            assert (left / "half").is_file()
        process.kill()
        process.wait()
    assert left.is_dir()
    with cache.staging():
        assert not left.exists()
    assert list((cache.cache_dir() / "staging").iterdir()) == []
