"""Which containers are leftovers, and what an image is made of; no engine needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slotproof.errors import EnvironmentProblem
from slotproof.servers import containers, image

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")

_PLACE = containers.this_process().place


def _marks(owner: containers.Owner) -> dict[str, str]:
    return containers.labels("run", owner)


def _leftover(marks: dict[str, str], *, later: float = 0.0) -> bool:
    now = int(marks["org.slotproof.since"]) + later
    return containers.is_leftover(marks, now=now, place=_PLACE, max_age=3600)


def test_containers_of_a_living_owner_are_in_use_however_old() -> None:
    assert not _leftover(_marks(containers.this_process()), later=1e9)


def test_containers_of_a_dead_owner_are_leftovers_at_once() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert _leftover(_marks(containers.Owner(child.pid, "1", _PLACE)))


def test_a_process_that_took_over_the_pid_is_not_the_owner() -> None:
    assert _leftover(_marks(containers.Owner(os.getpid(), "1", _PLACE)))


def test_a_zombie_owns_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    marks = _marks(containers.Owner(child.pid, born, _PLACE))
    assert not _leftover(marks)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped
    assert _leftover(marks)
    child.communicate()


def test_owners_of_another_place_are_judged_by_age() -> None:
    marks = _marks(containers.Owner(os.getpid(), "1", "another boot"))
    assert not _leftover(marks, later=3599)
    assert _leftover(marks, later=3601)


@pytest.mark.parametrize("missing", ["owner.pid", "owner.born", "since"])
def test_incomplete_labels_make_a_leftover(missing: str) -> None:
    place = "another boot" if missing == "since" else _PLACE
    own = containers.this_process()
    marks = _marks(containers.Owner(own.pid, own.born, place))
    assert not _leftover(marks)
    now = int(marks["org.slotproof.since"])
    del marks[f"org.slotproof.{missing}"]
    assert containers.is_leftover(marks, now=now, place=_PLACE, max_age=3600)


def test_parse_ldd() -> None:
    libraries, loader = image.parse_ldd(
        "\tlinux-vdso.so.1 (0x00007ffd)\n"
        "\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f1)\n"
        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n"
    )
    assert libraries == {"libm.so.6": Path("/lib/x86_64-linux-gnu/libm.so.6")}
    assert loader == Path("/lib64/ld-linux-x86-64.so.2")
    assert image.parse_ldd("\tnot a dynamic executable\n") == ({}, None)
    with pytest.raises(ValueError, match=r"libssl\.so\.3 is not on this machine"):
        image.parse_ldd("\tlibssl.so.3 => not found\n")


def test_layout_holds_the_binary_its_libraries_and_its_loader() -> None:
    binary = Path("/bin/sh").resolve()
    files = image.layout(binary)
    assert files["usr/bin/server"] == binary
    assert any(name.startswith("lib/slotproof/libc.") for name in files)
    assert all(path.is_file() for path in files.values())


def test_layout_needs_ldd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="ldd"):
        image.layout(Path("/bin/sh"))


def test_the_tag_changes_with_every_part(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    tags = {
        image.tag_of("a", {"x": one}),
        image.tag_of("a", {"x": two}),
        image.tag_of("a", {"y": one}),
        image.tag_of("b", {"x": one}),
    }
    assert len(tags) == 4
    assert image.tag_of("a", {"x": one}) in tags
