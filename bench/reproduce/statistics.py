"""Rates of failures with their intervals, what zero of n means, and a test that stops as soon as it knows.

Over the intervals and the sequential test of bench.report.statistics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from bench.report import statistics
from bench.report.statistics import CONFIDENCE


@dataclass(frozen=True, slots=True)
class Rate:
    """``hits`` of ``n`` runs, and where the true rate lies with ``confidence``."""

    hits: int
    n: int
    low: float
    high: float
    confidence: float = CONFIDENCE

    @property
    def text(self) -> str:
        """For people; zero of n as an upper bound."""
        if not self.n:
            return "no run that says anything"
        percent = f"{self.confidence:.0%}"
        if not self.hits:
            return f"0 of {self.n}: at most {self.high:.1%} ({percent} upper bound)"
        return (
            f"{self.hits} of {self.n}: {self.hits / self.n:.0%}, between {self.low:.1%} and {self.high:.1%} ({percent})"
        )


def rate(hits: int, n: int, confidence: float = CONFIDENCE) -> Rate:
    """Return the rate with its exact interval; for none, and for all of n, the one-sided bound."""
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n}")
    if n == 0:
        return Rate(0, 0, 0.0, 1.0, confidence)
    rest = 1.0 - confidence
    if hits == 0:
        return Rate(0, n, 0.0, 1.0 - rest ** (1.0 / n), confidence)
    if hits == n:
        return Rate(n, n, rest ** (1.0 / n), 1.0, confidence)
    exact = statistics.clopper_pearson(hits, n, confidence)
    return Rate(hits, n, exact.lower, exact.upper, confidence)


def needed(p: float, confidence: float = CONFIDENCE) -> int:
    """Return how many runs without the failure it takes to say that its rate is below ``p``."""
    if not 0.0 < p <= 1.0:
        raise ValueError(f"no rate: {p}")
    return 1 if p == 1.0 else max(1, math.ceil(math.log(1.0 - confidence) / math.log1p(-p) - 1e-9))


Decision = Literal["fails", "passes", "open"]
_DECISIONS: dict[statistics.Decision, Decision] = {
    statistics.Decision.REFUTED: "fails",
    statistics.Decision.PROVEN: "passes",
    statistics.Decision.OPEN: "open",
}


@dataclass(slots=True)
class Sequential:
    """Wald's test: does this fail at ``p1`` or more, or at no more than ``p0`` (of itself)? Asked after every run.

    ``alpha``: chance to call failing what is not, ``beta``: to miss what fails. Undecided after ``most`` runs stays
    ``open``, which is not a pass.
    """

    p1: float
    p0: float = 0.001
    alpha: float = 0.01
    beta: float = 0.005
    most: int = 200
    hits: int = 0
    n: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.p0 < self.p1 <= 1.0:
            raise ValueError(f"0 < p0 {self.p0} < p1 {self.p1} <= 1")

    def add(self, hit: bool) -> Decision:
        """Take one run; return what is known now."""
        self.n += 1
        self.hits += hit
        return self.decision

    @property
    def decision(self) -> Decision:
        """What is known by now."""
        limit = min(self.p1, 1.0 - 1e-6)  # what always fails has no likelihood of passing
        test = statistics.Sprt(self.p0, limit, alpha=self.alpha, beta=self.beta)
        return _DECISIONS[test.decide(self.hits, self.n)]

    @property
    def over(self) -> bool:
        """Whether nothing more is to be run."""
        return self.decision != "open" or self.n >= self.most
