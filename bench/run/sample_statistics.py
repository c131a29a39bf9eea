"""Figures of sampled volts and amperes: energy and charge by the trapezoidal rule, mean, least and highest."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

JOULES_PER_MWH: Final = 3.6


@dataclass(frozen=True, slots=True)
class Statistics:
    """What some samples come to. Energy and charge by the trapezoidal rule, over the covered time only."""

    samples: int
    gaps: int
    """Measurements that failed."""
    covered: float
    """Seconds between neighbouring samples, added up: what energy and charge are of."""
    off: float
    """Seconds with the output switched off; they count as no current."""
    longest: float
    """Longest time between two neighbouring samples in seconds."""
    energy: float
    """Joules."""
    charge: float
    """Coulombs."""
    volts_min: float | None
    volts_mean: float | None
    """Over the covered time, not over the samples; so amps_mean."""
    volts_max: float | None
    amps_min: float | None
    amps_mean: float | None
    amps_max: float | None
    amps_max_at: float | None
    """Station time in seconds of the highest sample."""

    @property
    def energy_mwh(self) -> float:
        """Energy in milliwatt hours."""
        return self.energy / JOULES_PER_MWH

    def as_dict(self) -> dict[str, Any]:
        """Return everything for JSON, units in the names."""
        return {
            "samples": self.samples,
            "gaps": self.gaps,
            "covered_s": _rounded(self.covered),
            "off_s": _rounded(self.off),
            "longest_interval_s": _rounded(self.longest),
            "energy_J": _rounded(self.energy),
            "energy_mWh": _rounded(self.energy_mwh),
            "charge_C": _rounded(self.charge),
            "volts": {
                "min": _rounded(self.volts_min),
                "mean": _rounded(self.volts_mean),
                "max": _rounded(self.volts_max),
            },
            "amps": {"min": _rounded(self.amps_min), "mean": _rounded(self.amps_mean), "max": _rounded(self.amps_max)},
        }


def statistics(
    times: Sequence[float], volts: Sequence[float], amps: Sequence[float], since: float, until: float
) -> Statistics:
    """Return the figures of a span of station time; the curve is cut at its ends.

    ``times`` in seconds never go back; a row whose volts or amperes are not finite breaks the curve, and the output is
    off from there to the next row when its amperes are 0.
    """
    tally = _Tally(since, until)
    before: int | None = None  # the row before, when the curve is not broken there
    off_since: float | None = None
    # One row more at both ends: the curve is cut there.
    for row in range(max(0, bisect_left(times, since) - 1), min(len(times), bisect_right(times, until) + 1)):
        t, v, a = times[row], volts[row], amps[row]
        if off_since is not None:
            tally.off += max(0.0, min(t, until) - max(off_since, since))
            off_since = None
        if math.isfinite(v) and math.isfinite(a):
            if since <= t <= until:
                tally.sample(t, v, a)
            if before is not None:
                tally.stretch(times[before], t, (volts[before], amps[before]), (v, a))
            before = row
            continue
        if a == 0.0:
            off_since = t
        elif since <= t <= until:
            tally.gaps += 1
        before = None
    if off_since is not None and math.isfinite(until):
        tally.off += max(0.0, until - max(off_since, since))
    return tally.result()


class _Tally:
    """What is added up while going through samples."""

    def __init__(self, since: float, until: float) -> None:
        self.gaps = 0
        self.off = 0.0
        self._since = since
        self._until = until
        self._count = 0
        self._covered = self._longest = self._energy = self._charge = self._volt_seconds = 0.0
        self._volts = [math.inf, -math.inf]
        self._amps = [math.inf, -math.inf]
        self._peak_at: float | None = None

    def sample(self, t: float, v: float, a: float) -> None:
        self._count += 1
        if a > self._amps[1]:
            self._peak_at = t
        self._volts = [min(self._volts[0], v), max(self._volts[1], v)]
        self._amps = [min(self._amps[0], a), max(self._amps[1], a)]

    def stretch(self, start: float, end: float, first: tuple[float, float], last: tuple[float, float]) -> None:
        """Add the part of a stretch between two samples that is within the span."""
        low, high = max(start, self._since), min(end, self._until)
        if high <= low:
            return
        span, width = end - start, high - low

        def mean(at_start: float, at_end: float) -> float:
            """Mean over the part: straight between the samples, so that parts add up to the whole."""
            return at_start + (at_end - at_start) * ((low + high) / 2 - start) / span

        self._covered += width
        self._longest = max(self._longest, span)
        self._energy += mean(first[0] * first[1], last[0] * last[1]) * width
        self._charge += mean(first[1], last[1]) * width
        self._volt_seconds += mean(first[0], last[0]) * width

    def result(self) -> Statistics:
        one = self._count == 1
        return Statistics(
            samples=self._count,
            gaps=self.gaps,
            covered=self._covered,
            off=self.off,
            longest=self._longest,
            energy=self._energy,
            charge=self._charge,
            volts_min=self._volts[0] if self._count else None,
            volts_mean=self._volt_seconds / self._covered if self._covered else self._volts[0] if one else None,
            volts_max=self._volts[1] if self._count else None,
            amps_min=self._amps[0] if self._count else None,
            amps_mean=self._charge / self._covered if self._covered else self._amps[0] if one else None,
            amps_max=self._amps[1] if self._count else None,
            amps_max_at=self._peak_at,
        )


def _rounded(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.9g}")
