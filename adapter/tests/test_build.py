"""The project builds with a compiler and without one, and nothing is left out of the sdist."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project as it is checked out: no build writes into the original."""
    ignored = shutil.ignore_patterns(".*", "*.so", "*.egg-info", "__pycache__", "build")
    return shutil.copytree(PROJECT, tmp_path / "project", ignore=ignored)


def run(project: Path, program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


BUILD = """
import sys
sys.argv = ["setup.py", "build_ext", "--inplace"]
exec(open("setup.py").read())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the engine in C is for Linux")
def test_with_a_compiler_there_is_the_engine_in_c(project: Path) -> None:
    run(project, BUILD)
    assert len(list((project / "glide_redis/native").glob("_accelerator.*.so"))) == 1


def test_without_a_compiler_the_build_goes_on(project: Path) -> None:
    said = run(project, BUILD, CC="no-such-compiler", LDSHARED="no-such-compiler")
    assert "no-such-compiler" in said
    assert list((project / "glide_redis/native").glob("_accelerator.*.so")) == []


def test_a_compiler_that_fails_does_not_fail_the_build(project: Path) -> None:
    (project / "glide_redis/native/csrc/glide.h").write_text("#error of a test\n")
    run(project, BUILD)
    assert list((project / "glide_redis/native").glob("_accelerator.*.so")) == []


def test_the_sdist_has_the_sources_and_the_tests_and_nothing_built(project: Path) -> None:
    (project / "glide_redis/native/_accelerator.old.so").write_text("built")
    run(project, "from setuptools import build_meta; build_meta.build_sdist('dist')")
    (archive,) = (project / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        packed = {name.partition("/")[2] for name in tar.getnames()}
    for top in ("glide_redis", "tests"):
        for path in (project / top).rglob("*"):
            name = path.relative_to(project).as_posix()
            if path.is_file() and path.suffix not in {".so", ".pyc"}:
                assert name in packed
    assert {"LICENSE", "README.md", "pyproject.toml", "setup.py", "MANIFEST.in"} <= packed
    assert not any(name.endswith((".so", ".pyc")) for name in packed)


def test_the_wheel_has_the_types_and_no_sources_in_c(project: Path) -> None:
    run(project, "from setuptools import build_meta; build_meta.build_wheel('dist')")
    (wheel,) = (project / "dist").glob("*.whl")
    shutil.unpack_archive(wheel, project / "unpacked", "zip")
    unpacked = project / "unpacked" / "glide_redis"
    expected = {
        path.relative_to(project / "glide_redis").as_posix()
        for path in (project / "glide_redis").rglob("*")
        if path.suffix in {".py", ".pyi"} or path.name == "py.typed"
    }
    found = {
        path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()
    }
    assert {name for name in found if not name.endswith(".so")} == expected
