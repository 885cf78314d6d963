"""``collected.lock``: any id survives, anything wrong is named by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slotproof.errors import EnvironmentProblem, UsageProblem
from slotproof.model import Kind, LockedTest, Topology
from slotproof.suites import collected
from slotproof.suites.kinds import CLASSIFIER_VERSION

IDS = st.one_of(
    st.text(min_size=1),
    st.lists(
        st.sampled_from(["\\", "\t", "\n", "\r", "#", "x41", "\x85", "\u2028", "é", " ", "::"]),
        min_size=1,
    ).map("".join),
)
TESTS = st.lists(
    st.builds(
        LockedTest,
        id=IDS,
        kind=st.sampled_from(Kind),
        topologies=st.frozensets(st.sampled_from(Topology), min_size=1),
        seconds=st.integers(0, 10**6).map(lambda hundredths: hundredths / 100),
    ),
    unique_by=lambda test: test.id,
)


@given(IDS)
def test_an_id_is_one_printable_field(test_id: str) -> None:
    text = collected.escape(test_id)
    assert text.isprintable()
    assert not text.startswith("#")
    assert collected.unescape(text) == test_id


@given(TESTS)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, tests: list[LockedTest]
) -> None:
    path = tmp_path_factory.mktemp("demo") / "collected.lock"
    collected.write(path, tests, suite_version="1.0")
    assert collected.read(path) == tuple(sorted(tests, key=lambda test: test.id))
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3 + len(tests)
    assert [entry.name for entry in path.parent.iterdir()] == ["collected.lock"]


def make(tmp_path: Path, *lines: str, head: tuple[str, ...] | None = None) -> Path:
    path = tmp_path / "demo" / "collected.lock"
    path.parent.mkdir(exist_ok=True)
    if head is None:
        collected.write(path, [], suite_version="1.0")
        head = tuple(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in (*head, *lines)))
    return path


LINE = "tests/a.py::test[x]\tmock\tcluster,standalone\t0.25"


def test_the_form_of_a_line(tmp_path: Path) -> None:
    path = make(tmp_path, LINE)
    both = frozenset(Topology)
    expected = LockedTest("tests/a.py::test[x]", Kind.MOCK, both, 0.25)
    assert collected.read(path) == (expected,)
    before = path.read_text()
    collected.write(path, [expected], suite_version="1.0")
    assert path.read_text() == before


def test_the_header(tmp_path: Path) -> None:
    path = make(tmp_path, LINE)
    assert collected.header(path) == collected.Header("demo", "1.0", CLASSIFIER_VERSION)
    title = path.read_text().splitlines()[0]
    with pytest.raises(UsageProblem, match="line 2: no header"):
        collected.header(make(tmp_path, LINE, head=(title,)))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("tests/a.py::test\tmock\tcluster", "line 4: not enough values"),
        ("tests/a.py::test\tgrey\tcluster\t1", "line 4: 'grey' is not a valid Kind"),
        ("tests/a.py::test\tmock\tring\t1", "line 4: 'ring' is not a valid Topology"),
        ("tests/a.py::test\tmock\t\t1", "line 4: '' is not a valid Topology"),
        ("tests/a.py::test\tmock\tcluster\tlong", "line 4: could not convert"),
        ("tests/a.py::test\\n\tmock\tcluster\t1", "line 4: a lone backslash"),
        (f"{LINE}\n{LINE}", r"line 5: the test tests/a\.py::test\[x\] occurs twice"),
        ("", "line 4: not enough values"),
    ],
)
def test_bad_lines(tmp_path: Path, line: str, found: str) -> None:
    with pytest.raises(UsageProblem, match=found) as caught:
        collected.read(make(tmp_path, line))
    assert "collected.lock" in caught.value.tried


def test_bad_files(tmp_path: Path) -> None:
    path = make(tmp_path, LINE)
    path.write_text(path.read_text()[:-3])
    with pytest.raises(UsageProblem, match="cut off"):
        collected.read(path)
    with pytest.raises(UsageProblem, match="line 1: not a lock of this format"):
        collected.read(make(tmp_path, LINE, head=("# something else",)))
    path.write_bytes(b"\xff")
    with pytest.raises(UsageProblem, match="locked tests"):
        collected.read(path)
    path.unlink()
    with pytest.raises(UsageProblem, match="no such file"):
        collected.read(path)


def test_a_lock_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = make(tmp_path, LINE)
    before = path.read_text()
    path.with_name("collected.lock.new").mkdir()
    with pytest.raises(EnvironmentProblem, match="writing"):
        collected.write(path, [], suite_version="2.0")
    assert path.read_text() == before
