"""Copies of a library: in memory where that works, on disk where it does not."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from glide_redis.native import copies


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Something to copy."""
    path = tmp_path / "lib.so"
    path.write_bytes(os.urandom(3_000_000))
    return path


def descriptors() -> set[str]:
    # The descriptor of the folder itself is gone when it is asked for.
    return {path.name for path in list(Path("/proc/self/fd").iterdir()) if path.is_symlink()}


def test_a_copy_in_memory_has_the_content_and_is_not_inherited_by_programs(file: Path) -> None:
    descriptor = copies.in_memory(file)
    try:
        assert os.pread(descriptor, 4_000_000, 0) == file.read_bytes()
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_an_inherited_copy_is_used_and_closed(file: Path) -> None:
    before = descriptors()
    descriptor = copies.in_memory(file)
    with copies.loadable(file, descriptor, 1) as path:
        assert path.endswith(f"/{descriptor}")
        assert Path(path).read_bytes() == file.read_bytes()
    assert descriptors() == before


def test_names_differ_from_generation_to_generation(file: Path) -> None:
    names = []
    for generation in range(1, 4):
        with copies.loadable(file, copies.in_memory(file), generation) as path:
            names.append(path)
    assert len(set(names)) == 3


@pytest.mark.parametrize("other", ["nothing", "closed", "/dev/null", "another file in memory"])
def test_a_descriptor_that_is_no_copy_any_more_is_let_alone(file: Path, other: str) -> None:
    before = descriptors()
    descriptor = -1
    if other == "closed":
        descriptor = os.open("/dev/null", os.O_RDONLY)
        os.close(descriptor)
    elif other == "/dev/null":
        descriptor = os.open("/dev/null", os.O_RDONLY)
    elif other == "another file in memory":
        descriptor = os.memfd_create("other")
    with copies.loadable(file, descriptor, 1) as path:
        assert Path(path).read_bytes() == file.read_bytes()
    left = descriptors() - before
    assert left == ({str(descriptor)} if other.startswith(("/dev", "another")) else set())
    for number in left:
        os.close(int(number))


def test_without_files_in_memory_there_is_one_on_disk_for_a_moment(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    before = descriptors()
    with copies.loadable(file, -1, 1) as path:
        assert Path(path).parent == tmp_path / "temporary"
        assert Path(path).read_bytes() == file.read_bytes()
        assert descriptors() == before
    assert list((tmp_path / "temporary").iterdir()) == []


def test_where_nothing_can_be_executed_the_folders_are_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(copies, "_executable", lambda _: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with (
        pytest.raises(ImportError, match=r"nowhere.*may not be executed"),
        copies.loadable(file, -1, 1),
    ):
        pass


def test_an_error_while_loading_is_not_swallowed(file: Path) -> None:
    before = descriptors()
    with pytest.raises(OSError, match="mine"), copies.loadable(file, copies.in_memory(file), 1):
        raise OSError("mine")
    assert descriptors() == before
