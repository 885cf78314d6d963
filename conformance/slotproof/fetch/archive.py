"""Unpacking sdists and wheels that nobody should have to trust.

Nothing is written outside the target folder, nothing but regular files and folders is created,
and a small archive cannot fill the disk or the memory: one pass over a counted stream.
Own checks come first; ``tarfile.data_filter`` (PEP 706) is a second opinion.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import posixpath
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from slotproof.errors import EnvironmentProblem
from slotproof.fetch.cache import disk_problem, ensure_dir

_CHUNK = 1 << 16
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold at most.

    ``members``: entries, kept or not. ``total_bytes``: unpacked size of all entries. ``ratio``:
    unpacked to packed size, looked at beyond ``ratio_free_bytes``, so that small files of zeros
    pass.
    """

    members: int = 50_000
    total_bytes: int = 1 << 30
    ratio: int = 200
    ratio_free_bytes: int = 16 << 20


def unpack(
    archive: Path, into: Path, *, keep: Sequence[str] = (), limits: Limits | None = None
) -> None:
    """Unpack a tar (plain, gz, bz2, xz) or zip (wheel) into the folder ``into``.

    ``into`` is created when missing. ``keep``: when given, only these files and folders are
    written. In a tar they are named below its one top folder (``tests``, ``pyproject.toml`` of
    an sdist), which is stripped; in a zip, which has none, from the root. Without ``keep``
    everything is written as it is named.

    Raises EnvironmentProblem naming the entry, kept or not, for a path that leaves ``into``
    (absolute, ``..``, a drive), a link that leaves it, a device, pipe or socket, a name that
    occurs twice, an entry below a file; and for a link inside what is kept, encryption, damage,
    an archive beyond ``limits``, a prefix of ``keep`` that matches nothing, and a full disk.
    After an error nothing is left in ``into``, provided that it was empty or missing before.
    """
    tried = f"unpacking {archive.name}"
    try:
        fresh = not into.exists() or not any(into.iterdir())
        ensure_dir(into)
        try:
            _unpack(_Unpacking(archive, into, tuple(keep), limits or Limits()))
        except BaseException:
            if fresh:
                shutil.rmtree(into, ignore_errors=True)
            raise
    except _DAMAGE as error:
        raise _refusal(archive, f"the archive is damaged ({error})") from error
    except OSError as error:
        if error.errno is None:  # gzip and bz2 report damage as an OSError without a number
            raise _refusal(archive, f"the archive is damaged ({error})") from error
        raise disk_problem(tried, error) from error


def _refusal(archive: Path, found: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"unpacking {archive.name}",
        found,
        "do not use this archive; check where it comes from and its pinned sha256",
    )


def _unpack(unpacking: _Unpacking) -> None:
    if zipfile.is_zipfile(unpacking.archive):
        _unpack_zip(unpacking)
    else:
        _unpack_tar(unpacking)
    unpacking.check_kept()


@dataclass
class _Unpacking:
    """One archive on its way into one folder: the checks, and what was seen so far."""

    archive: Path
    into: Path
    keep: tuple[str, ...]
    limits: Limits
    top: str | None = None
    members: int = 0
    size: int = 0
    files: set[PurePosixPath] = field(default_factory=set)
    folders: set[PurePosixPath] = field(default_factory=set)
    matched: set[str] = field(default_factory=set)

    def refuse(self, name: str, why: str) -> EnvironmentProblem:
        return _refusal(self.archive, f"its entry {name!r} {why}")

    def path(self, name: str) -> PurePosixPath:
        """The entry's path below ``into`` before ``keep``, once its name is found harmless."""
        if not name or re.search(r"[\x00-\x1f\x7f\\]", name):
            raise self.refuse(name, "has a name with control characters or backslashes")
        path = PurePosixPath(name)
        if path.is_absolute() or re.match(r"[A-Za-z]:", name):
            raise self.refuse(name, "has an absolute path")
        if ".." in path.parts:
            raise self.refuse(name, "leaves the folder through '..'")
        return path

    def count(self, name: str, size: int) -> None:
        self.members += 1
        if self.members > self.limits.members:
            raise _refusal(self.archive, f"it has more than {self.limits.members} entries")
        self.size += size
        self.check_size(self.size, name)

    def check_size(self, size: int, name: str) -> None:
        if size > self.limits.total_bytes:
            raise self.refuse(name, f"brings it beyond {self.limits.total_bytes} unpacked bytes")
        packed = max(1, self.archive.stat().st_size)
        if size > self.limits.ratio_free_bytes and size > self.limits.ratio * packed:
            raise self.refuse(name, f"unpacks to more than {self.limits.ratio} times its size")

    def register(self, path: PurePosixPath, *, folder: bool) -> None:
        """Remember the entry; refuse one that would overwrite or run through another."""
        parents = [parent for parent in path.parents if parent.parts]
        below = next((parent for parent in parents if parent in self.files), None)
        if below is not None:
            raise self.refuse(str(path), f"lies below {str(below)!r}, which is a file")
        self.folders.update(parents)
        if path in self.files or (not folder and path in self.folders):
            raise self.refuse(str(path), "occurs twice")
        (self.folders if folder else self.files).add(path)

    def target(self, path: PurePosixPath, *, strip: bool) -> Path | None:
        """Where the entry goes, or None when ``keep`` leaves it out."""
        if not self.keep:
            return self.into / path
        parts = path.parts
        if strip:
            top, parts = parts[0], parts[1:]
            self.top = self.top or top
            if top != self.top:
                raise self.refuse(str(path), f"lies outside the one top folder {self.top!r}")
        for prefix in self.keep:
            wanted = PurePosixPath(prefix).parts
            if parts[: len(wanted)] == wanted:
                self.matched.add(prefix)
                return self.into.joinpath(*parts)
        return None

    def check_kept(self) -> None:
        missing = [prefix for prefix in self.keep if prefix not in self.matched]
        if missing:
            raise _refusal(self.archive, f"it has no entry {', '.join(map(repr, missing))}")

    def write(self, target: Path, source: IO[bytes], *, executable: bool) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        # "x": two names that the file system takes for one (case) must not overwrite each other.
        with target.open("xb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
        target.chmod(0o755 if executable else 0o644)


def _unpack_tar(unpacking: _Unpacking) -> None:
    with (
        _decompressed(unpacking) as stream,
        # The streaming reader only ever reads ahead, which is all that the counter offers.
        tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|", errorlevel=2) as opened,
    ):
        for info in opened:
            _tar_entry(unpacking, opened, info)


def _refuse_leaving_link(unpacking: _Unpacking, info: tarfile.TarInfo) -> None:
    """Refuse a link that points out of the archive, whether it would be unpacked or not."""
    if not (info.issym() or info.islnk()):
        return
    # A symbolic link starts from its own folder, a hard link from the archive's top.
    start = posixpath.dirname(info.name) if info.issym() else ""
    end = posixpath.normpath(posixpath.join(start, info.linkname))
    if end.startswith("/") or end.split("/")[0] == "..":
        raise unpacking.refuse(info.name, "is a link that leaves the folder")


def _second_opinion(unpacking: _Unpacking, info: tarfile.TarInfo) -> None:
    """Ask the standard library as well, where it has an opinion: Python 3.11.4 and newer."""
    if not hasattr(tarfile, "data_filter"):
        return
    try:
        tarfile.data_filter(info, str(unpacking.into))
    except tarfile.FilterError as error:
        raise unpacking.refuse(info.name, str(error)) from error


def _tar_entry(unpacking: _Unpacking, opened: tarfile.TarFile, info: tarfile.TarInfo) -> None:
    path = unpacking.path(info.name)
    unpacking.count(info.name, info.size)
    if not path.parts:  # "./"
        return
    if not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
        raise unpacking.refuse(info.name, "is a device, a pipe or another special file")
    _refuse_leaving_link(unpacking, info)
    _second_opinion(unpacking, info)
    unpacking.register(path, folder=info.isdir())
    target = unpacking.target(path, strip=True)
    if target is None:
        return
    if info.isdir():
        target.mkdir(parents=True, exist_ok=True)
    elif not info.isreg():
        raise unpacking.refuse(info.name, "is a link, which is not unpacked")
    else:
        source = opened.extractfile(info)
        assert source is not None  # it is a regular file
        with source:
            unpacking.write(target, source, executable=bool(info.mode & stat.S_IXUSR))


def _unpack_zip(unpacking: _Unpacking) -> None:
    with zipfile.ZipFile(unpacking.archive) as opened:
        for info in opened.infolist():
            _zip_entry(unpacking, opened, info)


def _zip_entry(unpacking: _Unpacking, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    # `filename` has been cut at a NUL; the original tells what the archive really says.
    path = unpacking.path(info.orig_filename)
    # The reader stops at the claimed size, so that a lie about it cannot exceed the limits.
    unpacking.count(info.filename, info.file_size)
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise unpacking.refuse(info.filename, "is a link, a device or another special file")
    if info.flag_bits & 1:
        raise unpacking.refuse(info.filename, "is encrypted")
    unpacking.register(path, folder=info.is_dir())
    target = unpacking.target(path, strip=False)
    if target is None:
        return
    if info.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    try:
        with opened.open(info) as source:
            unpacking.write(target, source, executable=bool(mode & stat.S_IXUSR))
    except (NotImplementedError, RuntimeError) as error:
        raise unpacking.refuse(info.filename, f"cannot be read ({error})") from error


@contextmanager
def _decompressed(unpacking: _Unpacking) -> Iterator[_Counted]:
    with unpacking.archive.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        if magic.startswith(b"\x1f\x8b"):
            inner: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | IO[bytes]
            inner = gzip.GzipFile(fileobj=raw)
        elif magic.startswith(b"BZh"):
            inner = bz2.BZ2File(raw)
        elif magic.startswith(b"\xfd7zXZ\x00"):
            inner = lzma.LZMAFile(raw)  # noqa: SIM115 - its file is closed above
        else:
            inner = raw
        yield _Counted(cast("BinaryIO", inner), unpacking)


class _Counted:
    """The decompressed stream, which counts also what tar keeps to itself (headers, padding)."""

    def __init__(self, inner: BinaryIO, unpacking: _Unpacking) -> None:
        self._inner = inner
        self._unpacking = unpacking
        self._seen = 0

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(_CHUNK if size < 0 else size)
        self._seen += len(data)
        # Headers, and padding to blocks of 512 bytes, come on top of what the entries hold.
        overhead = 2048 * (self._unpacking.members + 16)
        self._unpacking.check_size(self._seen - overhead, "(a header)")
        return data
