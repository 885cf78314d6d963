"""A benchmark in words, on the terminal and as an SVG: everything is there, nothing is markup."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from slotproof.bench import bars
from slotproof.bench.cases import CASES
from slotproof.bench.performance import WHOLE, Performance, summarize
from slotproof.bench.statistics import Spread, spread
from slotproof.judge.matrix import Matrix
from slotproof.model import Run
from slotproof.report import html, terminal_performance
from slotproof.report.html import plot
from slotproof.report.html.performance import render
from slotproof.report.quantities import number, quantity, ratio
from slotproof.results.records import Bench, BenchFacts, Benchmark, BenchVoid

BARS = bars.load(Path(__file__).resolve().parents[3] / "fixtures/bench.toml")
CLIENTS = ("redis-py", "glide-redis", "glide-typed", "glide-ffi", "raw-socket")
SVG = "{http://www.w3.org/2000/svg}"


def figures(client: str, factor: float) -> list[Bench]:
    found = []
    for name in CASES:
        case = CASES[name]
        for n in range(1, 10 if case.measure == "throughput" else 4):
            noise = 1 + n * factor / 100
            found.append(Bench(case.measure, client, 1000 * factor * noise, "", case.where, n))
            if case.measure == "throughput":
                found.append(Bench("cpu", client, factor * noise, "s/command", case.where, n))
    return found


def performance(hostile: str = "") -> Performance:
    benches = [b for k, c in enumerate(CLIENTS, 1) for b in figures(c, 0.5 * k)]
    scenarios = dict.fromkeys(case.scenario for case in CASES.values())
    whole = {
        "scenarios": ", ".join(scenarios),
        "subjects": ", ".join((*CLIENTS, "gone")),
        "rounds": "9",
        "server": f"valkey 8.1.8{hostile}",
    }
    facts = [BenchFacts(WHOLE, whole)]
    facts += [BenchFacts(c, {"title": f"{c} title{hostile}", "parser": hostile}) for c in CLIENTS]
    void = BenchVoid("gone", f"gone: its worker hung{hostile}")
    found = summarize(Benchmark(tuple(benches), tuple(facts), (void,)), BARS)
    assert found is not None
    return found


def shown(what: Performance, width: int) -> str:
    out = io.StringIO()
    terminal_performance.render(what, Console(file=out, width=width, color_system=None))
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_every_case_and_bar_is_on_a_terminal_of_any_width(width: int) -> None:
    what = performance()
    text = shown(what, width)
    flat = " ".join(text.split())
    assert flat.count("not measured: gone: its worker hung") == 1
    for word in ("redis-py", "GET 10 B", "pipeline", "held", "missed", "reported"):
        assert word in flat
    counts = re.search(r"bars: .*", text)
    assert counts is not None
    assert sum(map(int, re.findall(r"\d+", counts[0]))) == len(what.judged)


def test_foreign_words_cannot_steer_the_terminal(hostile: str) -> None:
    assert "\x1b" not in shown(performance(hostile), 140)


def test_the_section_shows_every_figure_beside_its_plot() -> None:
    what = performance()
    page = str(render(what))
    for row in what.rows:
        assert page.count(f">{row.case.title}<") >= 1
        for compared in row.clients:
            if compared.ratio is not None and compared.client != "redis-py":
                assert ratio(compared.ratio) in page
    assert page.count("<svg") == 3
    for one in what.judged:
        assert str(one.verdict) in page
    assert "gone: its worker hung" in page


def test_a_report_with_a_benchmark_has_its_section_and_one_without_has_none() -> None:
    run = Run({"profile": "bench"}, (), (), ())
    without = html.render(run, Matrix(()), ())
    assert 'id="performance"' not in without
    page = html.render(run, Matrix(()), (), performance())
    assert page.count('id="performance"') == page.count('href="#performance"') == 1
    assert "style=" not in page.partition("<body")[2]  # the policy would not allow it


def test_foreign_words_stay_words_in_the_section(hostile: str) -> None:
    page = str(render(performance(hostile.replace("\ud800", ""))))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;img" in page


def svg(*lines: plot.Line, clients: int = 3) -> ET.Element:
    names = {f"c{n}": f"Client {n}" for n in range(clients)}
    drawn = plot.render(plot.Plot("p", "Title & more", "What it shows", "control", names, lines))
    root = ET.fromstring(str(drawn).replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "p-title p-desc"
    texts = {e.get("id"): e.text for e in root if e.get("id")}
    assert texts == {"p-title": "Title & more", "p-desc": "What it shows"}
    return root


def marks(root: ET.Element) -> list[ET.Element]:
    return [e for e in root.iter() if "mark-shape" in e.get("class", "")]


def test_every_client_has_a_shape_of_its_own() -> None:
    root = svg(plot.Line("a", {}), clients=6)
    shapes = {(e.tag, e.get("points", "").count(" "), e.get("class")) for e in marks(root)}
    assert len(shapes) == 6


def test_a_mark_lies_within_its_interval_and_right_of_smaller_ones() -> None:
    small, large = spread([0.4, 0.5, 0.6]), spread([4.0, 5.0, 6.0])
    root = svg(plot.Line("case", {"c0": small, "c1": large}, bars=(0.9,)), clients=2)
    first, second = (e for e in root.iter(f"{SVG}line") if "interval" in e.get("class", ""))
    (circle,) = [e for e in root if e.tag == f"{SVG}g" and e.find(f"{SVG}circle") is not None]
    mark = circle.find(f"{SVG}circle")
    assert mark is not None
    assert float(first.get("x1", "")) < float(mark.get("cx", "")) < float(first.get("x2", ""))
    bar = next(e for e in root.iter(f"{SVG}line") if e.get("class") == "bar-line")
    one = next(e for e in root.iter(f"{SVG}line") if e.get("class") == "one")
    order = [float(e.get("x2", "")) for e in (first, bar, one, second)]
    assert order == sorted(order)
    said = circle.find(f"{SVG}title")
    assert said is not None
    assert said.text == "Client 0, case: 0.50, interval 0.40 to 0.60"


def test_who_was_not_measured_has_a_word_and_who_takes_no_part_has_none() -> None:
    root = svg(plot.Line("a", {"c0": None, "c1": spread([1.0])}))
    assert [e.text for e in root.iter() if "missing" in e.get("class", "")] == ["not measured"]


RATIOS = st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=4)


@given(st.lists(RATIOS, min_size=1, max_size=3))
def test_whatever_the_ratios_everything_lies_inside(cases: list[list[float]]) -> None:
    lines = [
        plot.Line("x", {f"c{n}": Spread(v, v / 2, v * 2, v, v, 2) for n, v in enumerate(values)})
        for values in cases
    ]
    root = svg(*lines, clients=4)
    width, height = map(float, root.get("viewBox", "").split()[2:])
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.get(name, "0")) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.get(name, "0")) <= height


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (8300.4, "commands/s", "8,300/s"),
        (2_256_000, "bytes", "2.26 MB"),
        (0.000163, "s", "163 \u00b5s"),
        (0.0000004, "s/command", "0.4 \u00b5s"),
        (0.0124, "s", "12.40 ms"),
        (12.0, "connections", "12"),
        (1.5, "parsecs", "1.5 parsecs"),
    ],
)
def test_figures_are_shown_in_a_size_that_can_be_read(value: float, unit: str, words: str) -> None:
    assert quantity(value, unit) == words


def test_ratios_have_their_interval_unless_there_was_one_round() -> None:
    assert ratio(Spread(1.305, 1.22, 1.4, 1.0, 2.0, 9)) == "1.30 [1.22, 1.40]"
    assert ratio(Spread(4.0, 4.0, 4.0, 4.0, 4.0, 1)) == "4.00"
    assert [number(v) for v in (0.02, 9.994, 12.34, 123.4)] == ["0.02", "9.99", "12.3", "123"]
