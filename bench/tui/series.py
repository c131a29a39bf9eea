"""Runs of the same recipe on the same station taken together; simulated and real ones are never mixed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.report.statistics import Interval, wilson
from bench.run.index import RunInfo
from bench.tui.feed import wall_ns

_JUDGED = ("pass", "fail")


@dataclass(slots=True)
class Series:
    """Runs of one recipe on one station, oldest first."""

    recipe: str
    station: str
    simulated: bool
    runs: list[RunInfo] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Names it."""
        return f"{self.recipe}/{self.station}/{self.simulated}"

    def count(self, *states: str) -> int:
        """Return how many have one of these results."""
        return sum(run.state in states for run in self.runs)

    @property
    def judged(self) -> int:
        """How many judge the device at all."""
        return self.count(*_JUDGED)

    def interval(self) -> Interval | None:
        """Return the share that passed with 95 % confidence (Wilson), among those that judge the device at all."""
        return wilson(self.count("pass"), self.judged) if self.judged else None

    def median(self) -> float | None:
        """Return the median duration by the wall clock of those that passed, in seconds."""
        spans = [
            (wall_ns(run.ended) - wall_ns(run.started)) / 1e9 for run in self.runs if run.state == "pass" and run.ended
        ]
        return statistics.median(spans) if spans else None


def series(runs: Iterable[RunInfo]) -> list[Series]:
    """Return the runs (newest first) by recipe, station and kind; the series with the latest run first."""
    found: dict[tuple[str, str, bool], Series] = {}
    for run in runs:
        key = run.recipe, run.station, run.simulated
        found.setdefault(key, Series(*key)).runs.insert(0, run)
    return list(found.values())
