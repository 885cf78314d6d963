"""The generated pages say what the code does, and are up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from slotproof import docs
from slotproof.cli import group
from slotproof.errors import Exit
from slotproof.gate import expectations
from slotproof.gate.gate import Fault
from slotproof.inject.slotproof_stats import EXCLUDED
from slotproof.judge.verdict import Verdict
from slotproof.model import Topology
from slotproof.servers import spec
from slotproof.suites import library, manifest


@pytest.mark.parametrize("name", docs.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    text = (docs.docs_dir() / name).read_text(encoding="utf-8")
    assert text == docs.PAGES[name](), "run: tox -e docs"


def test_the_verdict_page_names_every_verdict() -> None:
    assert [v for v in Verdict if f"`{v}`" not in docs.verdicts()] == []


def test_the_touch_page_names_every_excluded_command() -> None:
    page = docs.touch()
    assert [n for n in EXCLUDED if f"| `{n.replace('|', ' ').upper()}` |" not in page] == []


def test_the_licence_page_names_every_suite_and_every_server_with_a_wheel() -> None:
    page = docs.licences()
    names = [*library.load_all(), *(s.name for s in spec.load_all().values() if s.wheel)]
    assert names
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_the_server_page_shows_known_faults() -> None:
    page = docs.server_page()
    bugs = [bug for s in spec.load_all().values() for bug in s.bugs]
    assert bugs
    assert [bug for bug in bugs if bug.reproduce.strip() not in page] == []


def test_the_command_line_page_names_every_command_and_option() -> None:
    page = docs.cli_page()
    assert [n for n in group.commands if f"## slotproof {n}\n" not in page] == []
    options = {o for c in group.commands.values() for p in c.params for o in p.opts if o[0] == "-"}
    assert "--profile" in options
    assert [option for option in options if option not in page] == []


def test_writing_changes_only_what_is_behind(tmp_path: Path) -> None:
    assert docs.write(tmp_path) == tuple(docs.PAGES)
    assert docs.outdated(tmp_path) == ()
    (tmp_path / "touch.md").write_text("old\n", encoding="utf-8")
    assert docs.outdated(tmp_path) == ("touch.md",)
    assert docs.write(tmp_path) == ("touch.md",)
    assert docs.write(tmp_path) == ()


def test_check_writes_nothing_and_fails_when_a_page_is_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docs, "docs_dir", lambda: tmp_path)
    assert docs.main(["--check"]) == Exit.REGRESSION
    assert list(tmp_path.iterdir()) == []
    assert "docs/touch.md: is behind" in capsys.readouterr().out
    assert docs.main([]) == Exit.HELD
    assert docs.main(["--check"]) == Exit.HELD


def test_pages_link_to_pages_that_exist() -> None:
    folder = docs.docs_dir()
    broken = [
        f"{page.name}: {target}"
        for page in folder.glob("*.md")
        for target in _links(page.read_text(encoding="utf-8"))
        if not (folder / target).exists()
    ]
    assert broken == []


def _links(text: str) -> list[str]:
    targets = [part.split(")", 1)[0] for part in text.split("](")[1:]]
    return [t.split("#")[0] for t in targets if "://" not in t and t.split("#")[0]]


def _examples() -> dict[str, str]:
    """The TOML examples of the hand-written pages by their first word."""
    pages = ("suites.md", "expectations.md")
    text = "".join((docs.docs_dir() / name).read_text(encoding="utf-8") for name in pages)
    blocks = [part.split("```", 1)[0] for part in text.split("```toml\n")[1:]]
    return {block.split(maxsplit=1)[0]: block for block in blocks}


def test_the_example_of_a_suite_is_a_valid_manifest(tmp_path: Path) -> None:
    path = tmp_path / "example" / "suite.toml"
    path.parent.mkdir()
    path.write_text(_examples()["name"], encoding="utf-8")
    suite = manifest.load(path)
    assert suite.source.version == "1.2.3"
    assert set(suite.topologies) == set(Topology)
    assert suite.deviations


def test_the_example_of_an_expectation_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "example" / "expectations.toml"
    path.parent.mkdir()
    path.write_text(_examples()["[[expect]]"], encoding="utf-8")
    (entry,) = expectations.load(path)
    assert entry.pattern_for("tests/test_worker.py::test_x[1]") == "tests/test_worker.py::*"


def test_the_page_on_expectations_explains_every_fault_of_the_gate() -> None:
    page = (docs.docs_dir() / "expectations.md").read_text(encoding="utf-8")
    # The part after a colon is advice.
    assert [f for f in Fault if f"| {f.partition(':')[0]} |" not in page] == []


def test_the_example_of_a_server_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "example.toml"
    path.write_text(_examples()["title"], encoding="utf-8")
    server = spec.load(path)
    assert server.file_for("linux", "x86_64") is not None
    assert server.bugs
