"""Wheels of projects on this disk, by the real uv and real build back ends."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from slotproof.clients.plugin import shipped_lock
from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.fetch import cache, project
from slotproof.fetch.project import BuiltProject

LOCK = shipped_lock("glide-redis.build")

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "Demo.Project"
version = "1.2"
"""

COMPILED = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "compiled"
version = "1.0"

[tool.setuptools]
ext-modules = [{name = "compiled", sources = ["compiled.c"]}]
"""


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one package, and a fresh cache for its wheels."""
    monkeypatch.setenv("SLOTPROOF_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "demo"
    (folder / "demo_project").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "demo_project" / "__init__.py").write_text("answer = 1\n")
    return folder


def build(folder: Path) -> BuiltProject:
    return project.build(folder, build_lock=LOCK)


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-C", str(folder), "-c", "safe.directory=*", *arguments]
    subprocess.run(command, check=True, capture_output=True)


def test_it_is_built_once_and_nothing_is_written_beside_it(demo: Path) -> None:
    before = sorted(demo.rglob("*"))
    first = build(demo)
    assert (first.name, first.version) == ("demo-project", "1.2")
    assert str(first) == f"demo-project 1.2 (content {first.digest[:8]})"
    stat = first.wheel.stat()
    assert build(demo) == first
    assert first.wheel.stat() == stat
    assert sorted(demo.rglob("*")) == before


def test_a_change_is_another_wheel_and_back_is_the_first(demo: Path) -> None:
    first = build(demo)
    source = demo / "demo_project" / "__init__.py"
    source.write_text("answer = 2\n")
    second = build(demo)
    assert second.digest != first.digest
    source.write_text("answer = 1\n")
    assert build(demo) == first


def test_what_does_not_enter_the_wheel_does_not_change_what_it_installs(demo: Path) -> None:
    """An edited test is built again, but the environments of the wheel stay good."""
    (demo / "pyproject.toml").write_text(
        PYPROJECT + '[tool.hatch.build.targets.wheel]\npackages = ["demo_project"]\n'
    )
    first = build(demo)
    (demo / "notes.txt").write_text("for people\n")
    second = build(demo)
    assert second.wheel != first.wheel
    assert second.digest == first.digest


CACHES = (
    "demo_project/__pycache__/__init__.cpython-311.pyc",
    "demo_project/_native.cpython-311-x86_64-linux-gnu.so",
    ".mypy_cache/3.11/cache.db",
    "build/lib/stale.py",
    "dist/demo.whl",
    "demo_project.egg-info/PKG-INFO",
)


@pytest.mark.parametrize("under_git", [False, True])
def test_caches_and_compiled_files_do_not_count(demo: Path, under_git: bool) -> None:
    if under_git:
        git(demo, "init", "--quiet")
    first = build(demo)
    for name in CACHES:
        (demo / name).parent.mkdir(parents=True, exist_ok=True)
        (demo / name).write_text("stale")
    assert build(demo) == first


def test_what_git_ignores_does_not_count_and_what_is_untracked_does(demo: Path) -> None:
    git(demo, "init", "--quiet")
    (demo / ".gitignore").write_text("local.py\n")
    first = build(demo)
    (demo / "demo_project" / "local.py").write_text("secret = 1\n")
    assert build(demo) == first
    (demo / "demo_project" / "new.py").write_text("")
    assert build(demo).digest != first.digest
    git(demo, "add", ".")
    (demo / "demo_project" / "new.py").unlink()
    assert build(demo) == first


def test_a_folder_that_git_ignores_as_a_whole(demo: Path) -> None:
    git(demo.parent, "init", "--quiet")
    (demo.parent / ".gitignore").write_text("demo/\n")
    first = build(demo)
    (demo / "demo_project" / "__init__.py").write_text("answer = 2\n")
    assert build(demo).digest != first.digest


def test_a_removed_wheel_is_built_again(demo: Path) -> None:
    first = build(demo)
    first.wheel.unlink()
    assert build(demo) == first


def test_threads_share_one_build(demo: Path) -> None:
    built: list[BuiltProject] = []
    threads = [threading.Thread(target=lambda: built.append(build(demo))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 4
    assert len(set(built)) == 1
    assert len(list((cache.cache_dir() / "projects").rglob("*.whl"))) == 1


def test_the_compiler_has_the_last_word(demo: Path) -> None:
    shutil.rmtree(demo / "demo_project")
    (demo / "pyproject.toml").write_text(COMPILED)
    (demo / "compiled.c").write_text("int broken(void) { return nothing_of_this_name; }\n")
    with pytest.raises(EnvironmentProblem) as caught:
        build(demo)
    assert str(demo) in caught.value.tried
    assert "nothing_of_this_name" in caught.value.found
    assert len(caught.value.found.splitlines()) < 20
    assert "compiler" in caught.value.next_step
    assert list((cache.cache_dir() / "projects").rglob("*.whl")) == []


def test_a_build_back_end_that_is_not_pinned(demo: Path) -> None:
    text = PYPROJECT.replace('["hatchling"]', '["hatchling", "flit-core"]')
    (demo / "pyproject.toml").write_text(text)
    with pytest.raises(EnvironmentProblem, match="flit-core") as caught:
        build(demo)
    assert "lock" in caught.value.next_step


def test_a_project_that_is_broken_in_itself(demo: Path) -> None:
    (demo / "pyproject.toml").write_text(PYPROJECT.replace('version = "1.2"', ""))
    with pytest.raises(EnvironmentProblem, match=r"[Vv]ersion"):
        build(demo)


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"no pyproject\.toml"):
        build(tmp_path)


def test_another_compiler_is_another_wheel(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(demo)
    compiler = tmp_path / "mycc"
    compiler.symlink_to(sys.executable)
    monkeypatch.setenv("CC", f"{compiler} -m64")
    second = build(demo)
    assert second.wheel != first.wheel
    assert second.digest == first.digest
