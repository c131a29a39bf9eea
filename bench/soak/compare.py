"""Two sets of cycles compared: rates, times, what could have been seen at all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.report.statistics import (
    Interval,
    Occurrences,
    clopper_pearson,
    detectable_difference,
    difference,
    mean_difference,
    percentile,
)
from bench.soak.index import Cycle

_FEWEST: Final = 10


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    name: str
    cycles: int
    failures: int
    trials: int
    events: int
    interval: Interval
    """Of the rate of failure events."""


@dataclass(frozen=True, slots=True)
class Timing:
    """A phase on both sides, in seconds (p50) with the interval of the difference of means."""

    name: str
    a: float
    b: float
    difference: Interval

    @property
    def differs(self) -> bool:
        """Whether the interval leaves zero out."""
        return 0.0 not in self.difference


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A."""

    a: Side
    b: Side
    difference: Interval
    """Of the rates of failure events, B minus A."""
    detectable: float | None
    """The smallest rise above A's rate that so many cycles would have shown in four of five cases."""
    said: str
    """One sentence."""
    timings: list[Timing] = field(default_factory=list)


def compare(name_a: str, a: Sequence[Cycle], name_b: str, b: Sequence[Cycle]) -> Comparison:
    """Compare B with A; only cycles that count for rates."""
    kept_a, kept_b = [item for item in a if item.counts], [item for item in b if item.counts]
    one, two = _side(name_a, kept_a), _side(name_b, kept_b)
    found = difference(one.events, one.trials, two.events, two.trials)
    rate = one.events / one.trials if one.trials else 0.0
    detectable = detectable_difference(rate, one.trials, two.trials)
    return Comparison(one, two, found, detectable, _said(one, two, found, detectable), _timings(kept_a, kept_b))


def _side(name: str, cycles: Sequence[Cycle]) -> Side:
    seen = Occurrences()
    for cycle in cycles:
        # Interleaved versions follow each other on one station: a run of failures is looked for within a side.
        seen.add((cycle.soak, cycle.station), (cycle.signature or "?") if cycle.failed else "")
    interval = clopper_pearson(seen.events, seen.trials)
    return Side(name, seen.cycles, seen.failures, seen.trials, seen.events, interval)


def _said(a: Side, b: Side, found: Interval, detectable: float | None) -> str:
    if min(a.cycles, b.cycles) < _FEWEST or detectable is None:
        return f"not enough runs: {a.cycles} of {a.name}, {b.cycles} of {b.name}"
    if found.lower > 0:
        return f"{b.name} fails more often than {a.name}, by {found.lower:.2%} to {found.upper:.2%}"
    if found.upper < 0:
        return f"{b.name} fails less often than {a.name}, by {-found.upper:.2%} to {-found.lower:.2%}"
    return (
        f"no difference is shown between {a.name} and {b.name} ({found.lower:+.2%} to {found.upper:+.2%}); "
        f"a rise by less than {detectable:.2%} could not have been seen with so many runs"
    )


def _timings(a: Sequence[Cycle], b: Sequence[Cycle]) -> list[Timing]:
    found = []
    for name in ("cycle", *sorted({phase for cycle in (*a, *b) for phase in cycle.data.get("phases", {})})):
        one, two = _values(a, name), _values(b, name)
        interval = mean_difference(one, two)
        if interval is not None:
            found.append(Timing(name, percentile(sorted(one), 0.5), percentile(sorted(two), 0.5), interval))
    return found


def _values(cycles: Sequence[Cycle], name: str) -> list[float]:
    if name == "cycle":
        return [cycle.elapsed for cycle in cycles if not cycle.failed]
    return [float(cycle.data["phases"][name]) for cycle in cycles if not cycle.failed and name in cycle.data["phases"]]
