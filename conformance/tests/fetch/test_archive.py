"""Hostile and broken archives: each is refused by name, and leaves nothing behind."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slotproof.errors import EnvironmentProblem
from slotproof.fetch.archive import Limits, unpack

Entry = tuple[str, bytes | tarfile.TarInfo]


def special(name: str, kind: bytes, linkname: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = linkname
    return name, info


def tar_bytes(entries: Sequence[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in entries:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                info.mode = 0o755 if name.endswith(".sh") else 0o640
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def make_tar(
    path: Path, entries: Sequence[Entry], pack: Callable[[bytes], bytes] = gzip.compress
) -> Path:
    path.write_bytes(pack(tar_bytes(entries)))
    return path


def make_zip(path: Path, entries: Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def refused(archive: Path, into: Path, match: str, **options: object) -> None:
    before = sorted(p for p in into.parent.rglob("*") if into not in p.parents and p != into)
    with pytest.raises(EnvironmentProblem, match=match):
        unpack(archive, into, **options)  # type: ignore[arg-type]
    assert not into.exists()
    assert sorted(into.parent.rglob("*")) == before


GOOD: list[Entry] = [
    ("demo-1.0/tests/test_a.py", b"a"),
    ("demo-1.0/tests/run.sh", b"run"),
    ("demo-1.0/demo/__init__.py", b"shadow"),
    ("demo-1.0/pyproject.toml", b"p"),
]


@pytest.fixture(params=["with", "without"], autouse=True)
def opinion(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the standard library's filter, which Python 3.11.4 brought."""
    if request.param == "without":
        monkeypatch.delattr("tarfile.data_filter", raising=False)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: data])
def test_a_tar_keeps_what_is_asked_for_below_its_top(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    archive = make_tar(tmp_path / "a.tar", GOOD, pack)
    unpack(archive, tmp_path / "out", keep=["tests", "pyproject.toml"])
    assert tree(tmp_path / "out") == {
        "tests/test_a.py": b"a",
        "tests/run.sh": b"run",
        "pyproject.toml": b"p",
    }
    assert (tmp_path / "out/tests/run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/tests/test_a.py").stat().st_mode & 0o777 == 0o644


def test_a_tar_without_keep_is_written_as_named(tmp_path: Path) -> None:
    unpack(make_tar(tmp_path / "a.tar.gz", GOOD), tmp_path / "out")
    assert tree(tmp_path / "out") == dict(GOOD)


def test_a_prefix_is_whole_components(tmp_path: Path) -> None:
    entries: list[Entry] = [("d/tests/a", b"1"), ("d/tests_more/b", b"2"), ("d/tests.py", b"3")]
    unpack(make_tar(tmp_path / "a.tar.gz", entries), tmp_path / "out", keep=["tests"])
    assert tree(tmp_path / "out") == {"tests/a": b"1"}


def test_a_zip_from_its_root(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.whl", [("pkg/bin/server", b"elf"), ("pkg/__init__.py", b"")])
    unpack(archive, tmp_path / "all")
    assert tree(tmp_path / "all") == {"pkg/bin/server": b"elf", "pkg/__init__.py": b""}
    unpack(archive, tmp_path / "some", keep=["pkg/bin"])
    assert tree(tmp_path / "some") == {"pkg/bin/server": b"elf"}


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        (("../evil", b"x"), r"'../evil' leaves the folder"),
        (("d/../../evil", b"x"), "leaves the folder"),
        (("/etc/evil", b"x"), "absolute"),
        (("C:/evil", b"x"), "absolute"),
        (("d/a\\..\\b", b"x"), "backslashes"),
        (("d/a\nb", b"x"), "control characters"),
        (special("d/link", tarfile.SYMTYPE, "../../evil"), "'d/link' is a link that leaves"),
        (special("d/link", tarfile.SYMTYPE, "/etc/passwd"), "'d/link' is a link that leaves"),
        (special("d/link", tarfile.LNKTYPE, "../evil"), "'d/link' is a link that leaves"),
        (special("d/link", tarfile.LNKTYPE, "/etc/passwd"), "'d/link' is a link that leaves"),
        (special("d/null", tarfile.CHRTYPE), "'d/null' is a device"),
        (special("d/disk", tarfile.BLKTYPE), "'d/disk' is a device"),
        (special("d/pipe", tarfile.FIFOTYPE), "'d/pipe' is a device, a pipe"),
        (("d/good", b"again"), "'d/good' occurs twice"),
        (("d/./good", b"again"), "occurs twice"),
        (("d", b"a file"), "'d' occurs twice"),
        (("d/good/below", b"x"), "'d/good/below' lies below 'd/good', which is a file"),
    ],
)
@pytest.mark.parametrize("keep", [(), ("good",)])
def test_hostile_tar_entries(
    tmp_path: Path, entry: Entry, match: str, keep: tuple[str, ...]
) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", [("d/good", b"good"), entry])
    refused(archive, tmp_path / "out", match, keep=keep)


def test_a_harmless_link_outside_of_keep_is_left_out(tmp_path: Path) -> None:
    entries = [("d/tests/a", b"1"), special("d/docs/link", tarfile.SYMTYPE, "other")]
    archive = make_tar(tmp_path / "a.tar.gz", entries)
    unpack(archive, tmp_path / "out", keep=["tests"])
    assert tree(tmp_path / "out") == {"tests/a": b"1"}
    refused(archive, tmp_path / "all", "'d/docs/link' is a link, which is not unpacked")


def test_writing_through_a_link_of_the_same_archive(tmp_path: Path) -> None:
    entries = [special("d/dir", tarfile.SYMTYPE, "."), ("d/dir/file", b"x")]
    refused(make_tar(tmp_path / "a.tar.gz", entries), tmp_path / "out", "is a link")
    refused(
        make_tar(tmp_path / "b.tar.gz", [("d/tests/a", b"1"), *entries]),
        tmp_path / "out",
        "lies below 'd/dir', which is a file",
        keep=["tests"],
    )


def test_two_top_folders_with_keep(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", [("d/tests/a", b"1"), ("e/tests/b", b"2")])
    refused(
        archive, tmp_path / "out", "'e/tests/b' lies outside the one top folder", keep=["tests"]
    )


def test_a_prefix_that_matches_nothing(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", GOOD)
    refused(archive, tmp_path / "out", "no entry 'test'", keep=["tests", "test"])


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../evil", "leaves the folder"),
        ("d/../../evil", "leaves the folder"),
        ("/etc/evil", "absolute"),
        ("C:/evil", "absolute"),
        ("d/..\\evil", "backslashes"),
        ("d/good/below", "which is a file"),
    ],
)
def test_hostile_zip_names(tmp_path: Path, name: str, match: str) -> None:
    archive = make_zip(tmp_path / "a.whl", [("d/good", b"good"), (name, b"x")])
    refused(archive, tmp_path / "out", match)


def test_a_name_that_occurs_twice_in_a_zip(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = make_zip(tmp_path / "a.whl", [("d/good", b"1"), ("d/good", b"2")])
    refused(archive, tmp_path / "out", "'d/good' occurs twice")


@pytest.mark.parametrize("kind", [0o120000, 0o060000, 0o010000, 0o140000])
def test_links_and_devices_in_a_zip(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("d/link")
    info.external_attr = (kind | 0o777) << 16
    archive = make_zip(tmp_path / "a.whl", [(info, b"/etc/passwd")])
    refused(archive, tmp_path / "out", "'d/link' is a link, a device")


def test_an_encrypted_zip_entry(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.whl", [("d/file", b"x")])
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    refused(archive, tmp_path / "out", "'d/file' is encrypted")


SMALL = Limits(members=10, total_bytes=1 << 20, ratio=50, ratio_free_bytes=1 << 14)


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("keep", [(), ("good",)])
def test_bombs(tmp_path: Path, kind: str, keep: tuple[str, ...]) -> None:
    def make(*entries: tuple[str, bytes]) -> Path:
        if kind == "tar":
            return make_tar(tmp_path / "a.tar.gz", [("d/good", b""), *entries])
        return make_zip(tmp_path / "a.whl", [("good", b""), *entries])

    out = tmp_path / "out"
    refused(make(("d/zeros", bytes(1 << 19))), out, "more than 50 times", keep=keep, limits=SMALL)
    noise = bytes(range(256)) * 1024
    many = [(f"d/{n}", noise) for n in range(5)]
    large = Limits(members=10, total_bytes=1 << 20, ratio=10**6)
    refused(make(*many), out, r"'d/4' brings it beyond 1048576", keep=keep, limits=large)
    empty = [(f"d/{n}", b"") for n in range(10)]
    refused(make(*empty), out, "more than 10 entries", keep=keep, limits=SMALL)


def test_a_bomb_inside_a_tar_header(tmp_path: Path) -> None:
    info = tarfile.TarInfo("d/" + "a" * (1 << 19))
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as opened:
        opened.addfile(info)
    refused(archive, tmp_path / "out", "more than 50 times", limits=SMALL)


def test_a_zip_that_lies_about_a_size(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.whl", [("d/file", bytes(100_000))])
    data = bytearray(archive.read_bytes())
    start = data.index(b"PK\x01\x02") + 24
    data[start : start + 4] = (10).to_bytes(4, "little")
    archive.write_bytes(data)
    refused(archive, tmp_path / "out", "damaged|hostile")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.whl", "a.txt"])
def test_damage(tmp_path: Path, name: str) -> None:
    archive = tmp_path / name
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(name[6:])
    if pack:
        make_tar(archive, [("d/file", bytes(range(256)) * 2000)], pack)
        archive.write_bytes(archive.read_bytes()[:-200])
    elif name.endswith("whl"):
        make_zip(archive, [("d/file", b"x" * 999)])
        archive.write_bytes(archive.read_bytes()[:-30])
    else:
        archive.write_text("not an archive at all\n" * 100)
    refused(archive, tmp_path / "out", "damaged")


def test_no_archive_at_all(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match=r"No such file.*missing\.tar\.gz"):
        unpack(tmp_path / "missing.tar.gz", tmp_path / "out")


def test_what_was_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    archive = make_tar(tmp_path / "a.tar.gz", [("d/good", b""), ("../evil", b"")])
    with pytest.raises(EnvironmentProblem):
        unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "mine"


PARTS = st.sampled_from(["..", ".", "", "a", "b", "C:", "~", "a\\b", "\x00", "ü", "-"])
NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(names=st.lists(NAMES, min_size=1, max_size=4), zipped=st.booleans())
def test_no_name_ever_writes_outside(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], zipped: bool
) -> None:
    root = tmp_path_factory.mktemp("names")
    archive = root / "archive"
    entries = [(name, b"x") for name in names]
    if zipped:
        # Duplicate names and folders with content are exactly what shall be tried.
        with zipfile.ZipFile(archive, "w") as opened:
            for name in dict.fromkeys(names):
                info = zipfile.ZipInfo("placeholder")
                info.filename = name
                opened.writestr(info, b"" if name.endswith("/") else b"x")
    else:
        make_tar(archive, entries)
    into = root / "deep" / "out"
    into.parent.mkdir()
    try:
        unpack(archive, into)
    except EnvironmentProblem:
        assert not into.exists()
    assert sorted(root.iterdir()) == [archive, root / "deep"]
    assert [path for path in (root / "deep").iterdir() if path != into] == []
    assert not any(path.is_symlink() for path in root.rglob("*"))
