"""Rates, their intervals, and the test that stops as soon as it knows, against exact figures and by simulation."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.reproduce.statistics import Sequential, needed, rate


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        # Clopper and Pearson 1934; figures as R's binom.test gives them
        (6, 20, 0.1189316, 0.5427892),
        (19, 20, 0.7512671, 0.9987349),
        (1, 10, 0.002528579, 0.4450161),
        (50, 100, 0.3983211, 0.6016789),
    ],
)
def test_intervals_are_exact(hits: int, n: int, low: float, high: float) -> None:
    found = rate(hits, n)
    assert found.low == pytest.approx(low, abs=1e-6)
    assert found.high == pytest.approx(high, abs=1e-6)


def test_zero_of_n_is_an_upper_bound_and_says_the_n_needed() -> None:
    found = rate(0, 20)
    assert found.high == pytest.approx(1 - 0.05 ** (1 / 20))
    assert "at most 13.9%" in found.text
    assert needed(0.05) == 59
    assert rate(0, needed(0.05)).high <= 0.05 < rate(0, needed(0.05) - 1).high
    assert needed(1.0) == 1
    assert rate(0, 0).text == "no run that says anything"


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_rate_lies_within_its_interval(pair: tuple[int, int]) -> None:
    hits, n = pair
    found = rate(hits, n)
    assert 0.0 <= found.low <= hits / n <= found.high <= 1.0


def test_the_sequential_test_errs_as_seldom_as_it_says() -> None:
    draw = random.Random(7)
    missed = 0
    for _ in range(400):
        test = Sequential(0.18)
        while not test.over:
            test.add(draw.random() < 0.3)
        missed += test.decision != "fails"
    assert missed <= 8  # 0.005 of 400 is 2
    for _ in range(50):
        test = Sequential(0.18)
        while not test.over:
            test.add(False)
        assert test.decision == "passes"
        assert 20 < test.n < 40


def test_what_always_fails_needs_one_run_to_be_cleared() -> None:
    test = Sequential(0.9999)
    assert test.add(False) == "passes"
    assert Sequential(0.9999).add(True) == "fails"


def test_wrong_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="p0"):
        Sequential(0.001, p0=0.5)
    with pytest.raises(ValueError, match="3 of 2"):
        rate(3, 2)
    with pytest.raises(ValueError, match="no rate"):
        needed(0.0)
