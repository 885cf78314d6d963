"""The native library: the right one is found, and anything else is said to be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from glide_redis.native import library
from glide_redis.native.values import Lost, Refused, TimedOut

Program = Callable[..., str]


def test_it_is_loaded_once() -> None:
    loaded = library.current()
    assert library.current() is loaded
    assert loaded.generation == library.generation()
    assert all(loaded.address(name) for name in library.FUNCTIONS)


def test_the_version_is_the_pinned_one() -> None:
    requirement = f"{library.DISTRIBUTION}=={library.VERSION}"
    assert requirement in (metadata.requires("glide-redis") or [])
    assert metadata.version(library.DISTRIBUTION) == library.VERSION


def test_the_file_is_that_of_the_distribution() -> None:
    files = metadata.files(library.DISTRIBUTION) or []
    assert library.find().resolve() in {Path(str(file.locate())).resolve() for file in files}


def failure(setting: str) -> str:
    """What is said when the library is loaded in such a process."""
    program = f"""
import importlib.metadata, importlib.util, os, pathlib, sys
from glide_redis.native import library
{setting}
try:
    library.current()
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_another_version_is_refused() -> None:
    said = failure("importlib.metadata.version = lambda name: '2.5.1'")
    assert "2.5.1 is installed" in said
    assert "install valkey-glide-sync==2.6.0" in said


def test_none_is_said_to_be_missing() -> None:
    said = failure(
        "def version(name): raise importlib.metadata.PackageNotFoundError(name)\n"
        "importlib.metadata.version = version"
    )
    assert "not installed" in said
    assert "install valkey-glide-sync==2.6.0" in said


def test_an_installation_without_its_library_is_said_to_be_incomplete() -> None:
    said = failure("library.find_spec = lambda name: None")
    assert "without its native library" in said


def test_a_file_that_is_no_library_is_named(tmp_path: Path) -> None:
    file = tmp_path / "libglide_ffi.so"
    file.write_text("no library")
    said = failure(f"library.find = lambda: pathlib.Path({str(file)!r})")
    assert str(file) in said
    assert "cannot be loaded" in said


def test_a_library_without_the_functions_is_named() -> None:
    found = "library.find = lambda: pathlib.Path('libm.so.6')"
    said = failure(found)
    assert "lacks create_client" in said
    assert "install valkey-glide-sync==2.6.0 again" in said


@pytest.mark.parametrize(
    ("kind", "text", "error"),
    [
        (0, "Received error for address `h:1`: timed out\n", Lost),
        (0, "Failed to create initial connections - IoError: ...", Lost),
        (0, "Failed to create initial connections - IoError: `WRONGPASS: no`", Refused),
        (0, "Unexpected EOF", Refused),
        (2, "whatever", TimedOut),
        (3, "whatever", Lost),
    ],
)
def test_an_opening_failure_is_told_by_its_text(kind: int, text: str, error: type) -> None:
    found = library.opening_failure(kind, text)
    assert type(found) is error
    assert str(found) == text


def test_glides_log_can_be_asked_for() -> None:
    program = """
from glide_redis.native.engine import choose
from glide_redis.native.request import Options
from glide_redis.native.values import NativeError
native = choose("portable")
try:
    native.open(
        Options(addresses=(("127.0.0.1", 1),), connection_timeout_ms=100, cluster=True).serialize(),
        None,
    )
except NativeError:
    print("failed")
"""

    def printed(level: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {library.LOG_VARIABLE: level},
        )
        return done.stdout + done.stderr

    assert printed("") == "failed\n"
    assert printed("off") == "failed\n"
    assert "Connection configuration" in printed("trace")


def test_an_unknown_level_of_the_log_is_refused() -> None:
    said = failure(f"os.environ[{library.LOG_VARIABLE!r}] = 'loud'")
    assert "'loud'" in said
    assert "trace" in said
