"""The report is one inert, self-contained file whose data parses back."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slotproof import criteria
from slotproof.judge.matrix import Matrix
from slotproof.judge.verdict import Verdict
from slotproof.model import Run
from slotproof.report import html
from slotproof.report.html import page
from slotproof.report.html.payload import dump, payload

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = criteria.load(Path(__file__).resolve().parents[3] / "fixtures/criteria.toml")
NOT_MEASURED = criteria.evaluate(ALL, Matrix(()), ())
VOID = {"meta", "link", "input", "br", "rect"}


class Page(HTMLParser):
    """Elements with their attributes, the text of the visible part, and of each script."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        match self.open[-1] if self.open else "":
            case "script":
                self.scripts.append(data)
            case "style":
                self.styles.append(data)
            case _:
                self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found


def render(sample: Any) -> Page:
    return Page(html.render(sample.run, sample.matrix, NOT_MEASURED))


@pytest.fixture(params=["judged", "torso"])
def report(request: pytest.FixtureRequest) -> Page:
    return render(request.getfixturevalue(request.param))


def test_it_makes_no_request(report: Page) -> None:
    urls = [
        value
        for _, attributes in report.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster", "xlink:href"} and value
    ]
    assert urls
    assert all(url.startswith("#") or url == "data:," for url in urls)
    (style,) = report.styles
    assert "url(" not in style
    assert "@import" not in style
    script = report.scripts[1]
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|https?:|innerHTML|eval\(", script)


def test_the_policy_allows_just_the_style_and_script_inside(report: Page) -> None:
    policy = next(m["content"] for m in report.all("meta") if m.get("http-equiv"))
    assert policy
    assert policy.startswith("default-src 'none'; ")
    for name, text in (("style", report.styles[0]), ("script", report.scripts[1])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    # Such a policy blocks style attributes and handlers, so none may be relied upon.
    assert not [a for _, a in report.elements if any(k == "style" or k[:2] == "on" for k in a)]


def test_hostile_words_are_text_everywhere(report: Page, hostile: str) -> None:
    tags = [tag for tag, _ in report.elements]
    assert tags.count("script") == 2
    assert "img" not in tags
    assert "<img src=x onerror=alert(2)>" in report.text
    assert "<" not in report.scripts[0]
    assert "\u2028" not in report.scripts[0]
    assert any(hostile in test[1] for test in report.data["tests"])


def test_the_page_can_be_written(judged: Any, tmp_path: Path) -> None:
    text = html.render(judged.run, judged.matrix, NOT_MEASURED)
    (tmp_path / "report.html").write_text(text, encoding="utf-8")


def test_data_parses_back_to_the_matrix(judged: Any) -> None:
    data = render(judged).data
    (row,) = judged.matrix.rows
    assert [c["title"] for c in data["columns"]] == [
        f"{c.cell.client}, {c.cell.topology}" for c in row.cells
    ]
    strings = data["strings"]
    for suite, name, kind, entries in data["tests"]:
        assert data["suites"][suite]["suite"] == "redis-py"
        for cell, entry in zip(row.cells, entries, strict=True):
            judged_test = cell.tests[name]
            verdict, reason, touched, attempts, foreign = [
                *entry,
                *[0, 0, [], []][len(entry) - 1 :],
            ]
            assert data["verdicts"][verdict] == judged_test.verdict
            assert data["kinds"][kind] == judged_test.kind
            assert strings[reason] == judged_test.reason
            assert bool(touched) == judged_test.touched
            assert len(foreign) == len(judged_test.foreign)
            assert len(attempts) == len(judged_test.observations)
            for packed, seen in zip(attempts, judged_test.observations, strict=True):
                attempt = [*packed, *[0, 0, 0, 0, [], [], 0][len(packed) :]]
                assert data["outcomes"][attempt[0]] == seen.outcome
                assert strings[attempt[2]] == seen.message
                assert strings[attempt[3]] == seen.traceback
                nodes = {
                    strings[n]: dict(
                        zip((strings[c] for c in calls[::2]), calls[1::2], strict=True)
                    )
                    for n, *calls in attempt[4]
                }
                assert nodes == seen.nodes


def test_a_cell_that_was_not_run_has_a_reason_and_no_entries(torso: Any) -> None:
    data = render(torso).data
    assert list(data["suites"][0]["not_run"]) == ["3"]
    assert data["suites"][0]["not_run"]["3"].startswith("not run: ")
    assert {test[3][3] for test in data["tests"]} == {0}


def test_each_text_stands_once(judged: Any) -> None:
    data = payload(judged.matrix)
    strings = data["strings"]
    assert isinstance(strings, list)
    assert len(strings) == len(set(strings))
    assert sum("Traceback" in s for s in strings) == 1


def test_json_is_inert() -> None:
    text = dump({"</script>": "<!-- ]]> & \u2028\u2029 \ud800"})
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"</script>": "<!-- ]]> & \u2028\u2029 \ud800"}


def test_matrix_and_criteria_are_there_without_script(judged: Any) -> None:
    report = render(judged)
    assert "100.0 %" in report.text
    assert "every primary executes scripts" in report.text
    assert "broken on 127.0.0.1:7002" in report.text
    for criterion in ALL:
        assert criterion.title in report.text
    assert any(a.get("id") == "explorer" and "hidden" in a for a in report.all("div"))
    assert any(a.get("scope") == "row" for a in report.all("th"))
    assert any(a.get("scope") == "col" for a in report.all("th"))


def test_every_link_leads_somewhere(report: Page) -> None:
    ids = [a["id"] for _, a in report.elements if a.get("id")]
    assert len(ids) == len(set(ids))
    for link in report.all("a"):
        target = (link["href"] or "")[1:]
        assert target in ids or re.match(r"suite=[\w-]+&column=\d&verdict=[a-z]+$", target)


def test_a_torso_says_so(torso: Any, judged: Any) -> None:
    assert "This run is incomplete" in render(torso).text
    assert "not run: " in render(torso).text
    assert "This run is incomplete" not in render(judged).text


def test_nothing_run_is_a_report_too() -> None:
    report = Page(html.render(Run({}, (), (), ()), Matrix(()), ()))
    assert "No suite was run." in report.text
    assert report.data["tests"] == []


def test_every_verdict_has_its_own_symbol_and_colour() -> None:
    assert set(page.SYMBOLS) == set(Verdict)
    assert len(set(page.SYMBOLS.values())) == len(Verdict)
    style = page._asset("report.css")
    for verdict in Verdict:
        assert style.count(f"--{verdict}:") == 2
        assert f".v-{verdict} " in style


def test_the_script_keeps_to_its_budget() -> None:
    assert len(page._asset("report.js").splitlines()) <= 300


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.85, "850 ms"),
        (12.54, "12.5 s"),
        (200, "3 min 20 s"),
        (59.99, "60.0 s"),
        (60, "1 min 0 s"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert page.duration(seconds) == words


def test_a_variant_is_a_row_of_its_own(twice: Any) -> None:
    report = render(twice)
    assert [s["suite"] for s in report.data["suites"]] == ["redis-py", "redis-py/resp2"]
    assert "redis-py core, resp2" in report.text
    anchors = [a["id"] for a in report.all("article")]
    assert len(anchors) == len(set(anchors)) == 8
    links = {str(a.get("href")) for a in report.all("a")}
    assert {f"#{anchor}" for anchor in anchors} <= links
    assert len(report.data["tests"]) == 2 * len(twice.run.suites[0].tests)
    # The suite and its locked tests are one, in however many variants they ran.
    assert f"{len(twice.run.suites[0].tests)} tests" in report.text
    assert report.text.count(f"8.1.0, {len(twice.run.suites[0].tests)} tests") == 1
