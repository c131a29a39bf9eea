"""Rates with intervals, sequential tests, differences and trends: how sure the morning report may be.

Pure functions of numbers. Rates are fractions (0 to 1), ``confidence`` is two-sided (0.95).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95
POWER: Final = 0.80
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure between two bounds."""

    lower: float
    upper: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.lower <= value <= self.upper


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    return _NORMAL.inv_cdf(0.5 + confidence / 2)


def _counts(successes: int, total: int) -> None:
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total}")


def wilson(successes: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the score interval of a rate (Wilson 1927, without continuity correction); 0 to 1 of no trials."""
    _counts(successes, total)
    if not total:
        return Interval(0.0, 1.0)
    z = _z(confidence)
    rate = successes / total
    centre = rate + z * z / (2 * total)
    half = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    lower = 0.0 if successes == 0 else max(0.0, (centre - half) / scale)
    upper = 1.0 if successes == total else min(1.0, (centre + half) / scale)
    return Interval(lower, upper)


def clopper_pearson(successes: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the exact interval of a rate (Clopper and Pearson 1934): never covers less than it promises."""
    _counts(successes, total)
    if not total:
        return Interval(0.0, 1.0)
    tail = (1 - confidence) / 2
    _z(confidence)
    lower = 0.0 if successes == 0 else _beta_quantile(tail, successes, total - successes + 1)
    upper = 1.0 if successes == total else _beta_quantile(1 - tail, successes + 1, total - successes)
    return Interval(lower, upper)


def _beta_quantile(probability: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if incomplete_beta(a, b, middle) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) by its continued fraction (Lentz)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    result = d
    for m in range(1, 10_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + numerator / c
            c = c if abs(c) > tiny else tiny
            result *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return result


# --- differences ------------------------------------------------------------------------------------------------------


def difference(failed_a: int, total_a: int, failed_b: int, total_b: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of rate B minus rate A of independent samples (Newcombe 1998, method 10)."""
    a, b = wilson(failed_a, total_a, confidence), wilson(failed_b, total_b, confidence)
    if not total_a or not total_b:
        return Interval(-1.0, 1.0)
    rate_a, rate_b = failed_a / total_a, failed_b / total_b
    middle = rate_b - rate_a
    lower = middle - math.hypot(rate_b - b.lower, a.upper - rate_a)
    upper = middle + math.hypot(b.upper - rate_b, rate_a - a.lower)
    return Interval(max(-1.0, lower), min(1.0, upper))


def detectable_difference(
    rate: float, total_a: int, total_b: int, *, confidence: float = CONFIDENCE, power: float = POWER
) -> float | None:
    """Return the smallest rise above ``rate`` that two samples of this size would show with ``power``.

    By the normal approximation of the two-sided test of two proportions. None: not even a rise to 1 would be seen, so
    there are not enough runs.
    """
    if not total_a or not total_b:
        return None
    z_test, z_power = _z(confidence), _NORMAL.inv_cdf(power)

    def seen(delta: float) -> bool:
        other = rate + delta
        pooled = (rate * total_a + other * total_b) / (total_a + total_b)
        null = math.sqrt(pooled * (1 - pooled) * (1 / total_a + 1 / total_b))
        alternative = math.sqrt(rate * (1 - rate) / total_a + other * (1 - other) / total_b)
        return delta >= z_test * null + z_power * alternative

    largest = 1 - rate
    if largest <= 0 or not seen(largest):
        return None
    low, high = 0.0, largest
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def mean_difference(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Return the interval of mean B minus mean A (Welch, normal quantile); None below ten values a side."""
    if min(len(a), len(b)) < 10:
        return None
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    spread = math.fsum((x - mean_a) ** 2 for x in a) / (len(a) - 1) / len(a)
    spread += math.fsum((x - mean_b) ** 2 for x in b) / (len(b) - 1) / len(b)
    half = _z(confidence) * math.sqrt(spread)
    return Interval(mean_b - mean_a - half, mean_b - mean_a + half)


# --- the sequential test ----------------------------------------------------------------------------------------------


class Decision(StrEnum):
    """What a sequential test says so far."""

    PROVEN = "proven"
    """The failure rate is at most the target."""
    REFUTED = "refuted"
    """The failure rate is the limit or more."""
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Sprt:
    """Wald's sequential probability ratio test of a failure rate: ``target`` (good) against ``limit`` (bad).

    ``alpha``: how often a device at the target is refuted at most; ``beta``: how often one at the limit is proven.
    Raises ValueError for figures that make no test.
    """

    target: float
    limit: float
    alpha: float = 0.05
    beta: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.target < self.limit < 1:
            raise ValueError("0 < target < limit < 1 must hold")
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5):
            raise ValueError("alpha and beta must lie between 0 and 0.5")

    def ratio(self, failures: int, total: int) -> float:
        """Return the log likelihood ratio of limit to target."""
        passes = total - failures
        return failures * math.log(self.limit / self.target) + passes * math.log((1 - self.limit) / (1 - self.target))

    def decide(self, failures: int, total: int) -> Decision:
        """Return the decision after ``failures`` in ``total`` independent trials; ask after every trial."""
        ratio = self.ratio(failures, total)
        if ratio >= math.log((1 - self.beta) / self.alpha):
            return Decision.REFUTED
        if ratio <= math.log(self.beta / (1 - self.alpha)):
            return Decision.PROVEN
        return Decision.OPEN

    def fewest(self) -> int:
        """Return after how many cycles without a failure the target is proven at the earliest."""
        return math.ceil(math.log(self.beta / (1 - self.alpha)) / math.log((1 - self.limit) / (1 - self.target)))


class Occurrences:
    """Counts failures, and the events they come from: a run of equal failures is one event of one cause.

    A fault that sticks fails every cycle after it; as independent trials these would prove anything. ``trials`` and
    ``events`` count such a run once, ``cycles`` and ``failures`` count everything. For independent failures at rate p
    the events' rate is at least p / (1 + p). ``key``: what makes cycles follow each other, such as the station.
    """

    def __init__(self) -> None:
        self.cycles = 0
        self.failures = 0
        self.trials = 0
        self.events = 0
        self.longest = 0
        """Failures in the longest run."""
        self._last: dict[Hashable, tuple[str, int]] = {}

    def add(self, key: Hashable, signature: str) -> bool:
        """Take one cycle, ``signature`` empty for a pass; return whether it began a new trial."""
        last, length = self._last.get(key, ("", 0))
        self.cycles += 1
        again = bool(signature) and signature == last
        self.trials += not again
        if signature:
            self.failures += 1
            self.events += not again
            length = length + 1 if last else 1
            self.longest = max(self.longest, length)
        self._last[key] = (signature, length if signature else 0)
        return not again

    def consecutive(self, key: Hashable) -> int:
        """Return how many failures, of whatever kind, stand at the end of one sequence."""
        return self._last.get(key, ("", 0))[1]


# --- times ------------------------------------------------------------------------------------------------------------


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """Return a percentile of sorted values, interpolated linearly (Hyndman and Fan type 7). Raises ValueError."""
    if not ordered:
        raise ValueError("no values")
    position = fraction * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


@dataclass(frozen=True, slots=True)
class Times:
    """What is said of a series of figures, in its unit."""

    count: int
    p50: float
    p95: float
    maximum: float
    trend: float | None = None
    """Change over the whole series, by least squares; None below ten values."""
    trend_error: float = 0.0
    """Half of the 95 % interval of ``trend``."""

    @property
    def drifts(self) -> bool:
        """Whether the trend is more than chance."""
        return self.trend is not None and abs(self.trend) > self.trend_error


def times(values: Iterable[float]) -> Times | None:
    """Return the figures of a series in its order; None of an empty one."""
    series = [value for value in values if math.isfinite(value)]
    if not series:
        return None
    ordered = sorted(series)
    slope = slope_of(series)
    trend, error = (slope[0] * (len(series) - 1), slope[1] * (len(series) - 1)) if slope else (None, 0.0)
    return Times(len(series), percentile(ordered, 0.5), percentile(ordered, 0.95), ordered[-1], trend, error)


def slope_of(series: Sequence[float]) -> tuple[float, float] | None:
    """Return change a step and half of its 95 % interval (least squares); None below ten values."""
    count = len(series)
    if count < 10:
        return None
    mean_x, mean_y = (count - 1) / 2, math.fsum(series) / count
    spread = count * (count * count - 1) / 12
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in enumerate(series)) / spread
    rest = math.fsum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in enumerate(series))
    return slope, _z(0.95) * math.sqrt(rest / (count - 2) / spread)
