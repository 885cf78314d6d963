"""Pairing and the bootstrap: what must be true of any figures."""

from __future__ import annotations

import random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slotproof.bench.statistics import CONFIDENCE, paired, spread

FIGURES = st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=15)
ROUNDS = st.dictionaries(st.integers(1, 20), st.floats(1e-3, 1e6), min_size=1)


@given(FIGURES)
@settings(deadline=None, max_examples=40)
def test_the_interval_holds_the_median_and_lies_within_the_extremes(values: list[float]) -> None:
    found = spread(values)
    assert found.median == median(values)
    assert found.smallest == min(values) <= found.low <= found.median
    assert found.median <= found.high <= max(values) == found.largest
    assert found.count == len(values)


@given(FIGURES, st.randoms())
@settings(deadline=None, max_examples=20)
def test_the_order_of_figures_does_not_matter(values: list[float], order: random.Random) -> None:
    shuffled = list(values)
    order.shuffle(shuffled)
    assert spread(shuffled) == spread(values)


def test_the_same_figures_always_give_the_same_interval() -> None:
    values = [1.0, 1.2, 0.9, 1.4, 1.1, 0.8, 1.3, 1.05, 0.95]
    random.seed(1)
    first = spread(values)
    random.seed(2)
    assert spread(values) == first
    assert first.low < first.median < first.high


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0, 3.0]])
def test_figures_that_are_all_one_have_no_width(values: list[float]) -> None:
    found = spread(values)
    assert found.low == found.median == found.high == 3.0


def test_nothing_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no figures"):
        spread([])


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    draw = random.Random(7)
    samples = [spread([draw.lognormvariate(0, 0.3) for _ in range(9)]) for _ in range(300)]
    covered = sum(s.low <= 1.0 <= s.high for s in samples) / len(samples)
    # The percentile bootstrap of few figures is a little narrow; far from it would be a mistake.
    assert CONFIDENCE - 0.06 <= covered <= 1.0


def test_one_outlier_moves_the_interval_but_not_the_median_far() -> None:
    quiet = spread([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99])
    noisy = spread([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.1])
    assert abs(noisy.median - quiet.median) <= 0.01
    assert noisy.smallest == 0.1


@given(ROUNDS, st.floats(0.01, 100))
@settings(deadline=None)
def test_a_constant_ratio_comes_out_whatever_the_noise(noise: dict[int, float], r: float) -> None:
    ratios = paired({n: r * v for n, v in noise.items()}, noise)
    assert ratios == pytest.approx([r] * len(noise))


@given(ROUNDS, ROUNDS)
@settings(deadline=None)
def test_only_rounds_that_both_have_are_pairs(one: dict[int, float], two: dict[int, float]) -> None:
    ratios = paired(one, two)
    assert len(ratios) == len(one.keys() & two.keys())
    assert paired(two, one) == pytest.approx([1 / ratio for ratio in ratios])


def test_a_control_of_nothing_makes_no_pair() -> None:
    assert paired({1: 12.0, 2: 12.0}, {1: 0.0, 2: 3.0}) == [4.0]
