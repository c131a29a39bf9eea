"""Intervals against published tables, the sequential test by simulation, runs of failures."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.statistics import (
    Decision,
    Occurrences,
    Sprt,
    clopper_pearson,
    detectable_difference,
    difference,
    incomplete_beta,
    slope_of,
    times,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "total", "lower", "upper"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I, methods 3 (score) and 5 (exact) below.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_as_published(successes: int, total: int, lower: float, upper: float) -> None:
    found = wilson(successes, total)
    assert (round(found.lower, 4), round(found.upper, 4)) == (lower, upper)


@pytest.mark.parametrize(
    ("successes", "total", "lower", "upper"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0000, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_pearson_is_as_published(successes: int, total: int, lower: float, upper: float) -> None:
    found = clopper_pearson(successes, total)
    assert (round(found.lower, 4), round(found.upper, 4)) == (lower, upper)


def test_newcombe_difference_is_as_published() -> None:
    """Newcombe 1998, Statistics in Medicine 17:873, table II, method 10."""
    for a, m, b, n, lower, upper in (
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 10, 0.6075, 1.0000),
    ):
        found = difference(b, n, a, m)
        assert (round(found.lower, 4), round(found.upper, 4)) == (lower, upper)


@given(st.integers(1, 400), st.data())
def test_intervals_hold_the_rate_and_mirror(total: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, total))
    for method in (wilson, clopper_pearson):
        found, mirrored = method(successes, total), method(total - successes, total)
        assert 0 <= found.lower <= successes / total <= found.upper <= 1
        assert found.lower == pytest.approx(1 - mirrored.upper, abs=1e-9)


@given(st.integers(1, 60), st.data())
def test_the_incomplete_beta_is_the_binomial_tail(total: int, data: st.DataObject) -> None:
    from math import comb

    least = data.draw(st.integers(1, total))
    rate = data.draw(st.floats(0.01, 0.99))
    tail = sum(comb(total, k) * rate**k * (1 - rate) ** (total - k) for k in range(least, total + 1))
    assert incomplete_beta(least, total - least + 1, rate) == pytest.approx(tail, abs=1e-10)


def _simulated(test: Sprt, rate: float, draw: random.Random) -> tuple[Decision, int]:
    failures = total = 0
    while True:
        total += 1
        failures += draw.random() < rate
        decision = test.decide(failures, total)
        if decision is not Decision.OPEN:
            return decision, total


@pytest.mark.parametrize(("alpha", "beta"), [(0.05, 0.05), (0.10, 0.02)])
def test_the_sequential_test_errs_as_seldom_as_it_promises(alpha: float, beta: float) -> None:
    test = Sprt(0.01, 0.05, alpha, beta)
    draw = random.Random(20)
    good = [_simulated(test, test.target, draw) for _ in range(300)]
    bad = [_simulated(test, test.limit, draw) for _ in range(300)]
    refuted = sum(decision is Decision.REFUTED for decision, _ in good)
    proven = sum(decision is Decision.PROVEN for decision, _ in bad)
    # Wald's bounds hold for alpha + beta together and a little more singly: 300 trials may differ by three sigma.
    assert refuted / 300 <= alpha + 3 * (alpha * (1 - alpha) / 300) ** 0.5
    assert proven / 300 <= beta + 3 * (beta * (1 - beta) / 300) ** 0.5
    assert wilson(refuted, 300).lower <= alpha
    assert wilson(proven, 300).lower <= beta
    assert sum(total for _, total in good) / 300 < 300  # a fixed sample of the same errors needs about 266


def test_no_failure_proves_the_target_at_the_fewest_cycles() -> None:
    test = Sprt(0.01, 0.05)
    fewest = test.fewest()
    assert test.decide(0, fewest) is Decision.PROVEN
    assert test.decide(0, fewest - 1) is Decision.OPEN


def test_the_interval_covers_a_planted_rate_as_often_as_it_promises() -> None:
    draw = random.Random(7)
    covered = sum(0.02 in clopper_pearson(sum(draw.random() < 0.02 for _ in range(400)), 400) for _ in range(400))
    assert covered / 400 >= 0.94


def test_a_sticky_fault_is_one_event() -> None:
    seen = Occurrences()
    for index in range(500):
        seen.add("sim", "mute" if index >= 100 else "")
    assert (seen.cycles, seen.failures, seen.trials, seen.events, seen.longest) == (500, 400, 101, 1, 400)
    assert seen.consecutive("sim") == 400


def test_other_stations_and_other_signatures_are_events_of_their_own() -> None:
    seen = Occurrences()
    for key, signature in (("a", "x"), ("b", "x"), ("a", "x"), ("a", "y"), ("b", ""), ("b", "x")):
        seen.add(key, signature)
    assert (seen.failures, seen.events) == (5, 4)
    assert seen.consecutive("a") == 3
    assert seen.consecutive("b") == 1


def test_the_sequential_test_is_not_fooled_by_a_sticky_fault() -> None:
    test, seen = Sprt(0.01, 0.05), Occurrences()
    for _ in range(30):
        seen.add("sim", "mute")
    assert test.decide(seen.failures, seen.cycles) is Decision.REFUTED
    assert test.decide(seen.events, seen.trials) is Decision.OPEN


def test_detectable_difference() -> None:
    # Fleiss, uncorrected, two-sided 5 %, power 80 %: 0.1 against 0.2 needs 199 a side.
    found = detectable_difference(0.1, 199, 199)
    assert found is not None
    assert found == pytest.approx(0.1, abs=0.001)
    assert detectable_difference(0.3, 2, 2) is None
    assert detectable_difference(0.5, 0, 9) is None


def test_times_tell_a_trend_from_chance() -> None:
    draw = random.Random(1)
    flat = times([draw.gauss(10, 1) for _ in range(200)])
    rising = times([10 + index / 100 + draw.gauss(0, 0.1) for index in range(200)])
    assert flat is not None
    assert rising is not None
    assert not flat.drifts
    assert rising.drifts
    assert rising.trend == pytest.approx(1.99, abs=0.1)
    assert slope_of([1.0] * 9) is None
    assert times([]) is None


@pytest.mark.parametrize("wrong", [(0.05, 0.01), (0.0, 0.1), (0.1, 1.0)])
def test_figures_that_make_no_test_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must hold"):
        Sprt(*wrong)
