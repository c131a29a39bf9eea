"""What a supply says of itself and what can be asked of it beyond volts and amperes: abilities, protections, waveforms.

Values are SI units in floats. A recipe reads ``station.power.abilities`` before it asks; a driver refuses what it did
not declare, before anything is sent.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.errors import Refused

TripCause = Literal["over-voltage", "over-current", "over-temperature", "over-power", "watchdog", "other"]
"""Why a protection has switched an output off."""


@dataclass(frozen=True, slots=True)
class Span:
    """What may be programmed, both ends included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class FastLogAbility:
    """Volts and amperes sampled by the supply itself.

    ``intervals``: seconds between two samples that it can do, shortest first; with ``any_interval`` everything from
    the shortest to the longest of them. ``longest``: samples of one record.
    """

    intervals: tuple[float, ...]
    longest: int
    any_interval: bool = False

    def interval_for(self, wanted: float) -> float:
        """Return the interval nearest to ``wanted`` that is not longer; the shortest one there is when none is."""
        if self.any_interval:
            return min(max(wanted, self.intervals[0]), self.intervals[-1])
        return max((it for it in self.intervals if it <= wanted * (1 + 1e-9)), default=self.intervals[0])


@dataclass(frozen=True, slots=True)
class WaveformAbility:
    """List or arbitrary waveform of one output.

    ``resolution``: seconds of the shortest point, and the step of its time; ``longest``: seconds of one point;
    ``points`` at most in one waveform; ``ramps``: the voltage can run straight from one point to the next; ``repeats``
    at most.
    """

    resolution: float
    longest: float
    points: int
    repeats: int
    ramps: bool = False


@dataclass(frozen=True, slots=True)
class PowerAbilities:
    """What a supply channel can do; what is None or False it cannot.

    ``watchdog``: seconds without any command after which the supply switches off by itself. ``power_on_state``: it can
    be told to come back from a mains failure with the output off. ``sessions``: clients it serves at once.
    ``latching``: an output that a protection switched off stays off until the trip is cleared. ``over_voltage`` in
    volts, ``over_current`` in amperes; with ``over_current_at_limit`` the over-current protection trips at the current
    limit and has no level of its own. ``measures``: it measures volts and amperes (a USB switch does not).
    """

    watchdog: Span | None = None
    power_on_state: bool = False
    sessions: int = 1
    latching: bool = True
    fast_log: FastLogAbility | None = None
    waveform: WaveformAbility | None = None
    over_voltage: Span | None = None
    over_current: Span | None = None
    over_current_at_limit: bool = False
    over_current_delay: Span | None = None
    measures: bool = True

    def host_death(self, watchdog: float | None = None) -> str:
        """Return, in words for report and doctor, what happens to the output when the host dies.

        ``watchdog``: seconds for which it is armed; None: for which it could be.
        """
        if self.watchdog is None:
            return "host death leaves the output on"
        if watchdog == 0:
            return "host death leaves the output on: the watchdog is switched off in bench.toml"
        if watchdog is None:
            return "the output goes off by the supply's own watchdog"
        return f"the output goes off by the supply's own watchdog after {watchdog:g} s"


@dataclass(frozen=True, slots=True)
class Protection:
    """The protections of an output as programmed; None where one is switched off (or not there).

    ``over_voltage`` in volts, ``over_current`` in amperes, ``over_current_delay`` in seconds.
    """

    over_voltage: float | None = None
    over_current: float | None = None
    over_current_delay: float | None = None


@dataclass(frozen=True, slots=True)
class WavePoint:
    """One point of a waveform: ``voltage`` volts for ``seconds``; ``ramp``: straight to the next point's voltage."""

    voltage: float
    seconds: float
    ramp: bool = False


@dataclass(frozen=True, slots=True)
class PowerRecord:
    """A fast log: ``voltage`` (V) and ``current`` (A), float32, one sample every ``interval`` seconds."""

    interval: float
    voltage: array[float] = field(repr=False)
    current: array[float] = field(repr=False)

    def peak(self) -> float:
        """Return the highest current in amperes; NaN for an empty record."""
        return max(self.current, default=math.nan)


def dip(voltage: float, depth: float, width: float, *, before: float, after: float) -> tuple[WavePoint, ...]:
    """Return a brown-out: from ``voltage`` down by ``depth`` volts for ``width`` seconds and back."""
    return WavePoint(voltage, before), WavePoint(voltage - depth, width), WavePoint(voltage, after)


def check_waveform(
    points: Sequence[WavePoint],
    repeat: int,
    ability: WaveformAbility | None,
    *,
    voltage_max: float,
    where: str,
    could: str,
) -> None:
    """Check a waveform against station and supply before anything is sent.

    ``voltage_max`` in volts; ``could`` names supplies with a finer resolution, for the hint. Raises Refused.
    """

    def refuse(what: str, hint: str) -> Refused:
        return Refused(what, where=where, hint=f"{hint}; nothing was sent")

    if not points:
        raise refuse("a waveform without points", "give at least one")
    for number, point in enumerate(points, 1):
        if not 0 <= point.voltage <= voltage_max:
            raise refuse(
                f"point {number}: {point.voltage:g} V is outside of 0 to {voltage_max:g} V",
                "voltage_max of the station in bench.toml is the limit",
            )
        if not 0 < point.seconds < math.inf:
            raise refuse(f"point {number}: {point.seconds:g} s is no length", "give seconds above 0")
    if ability is None:
        raise refuse("this supply has no list or waveform", could)
    step = f"{ability.resolution * 1000:g} ms"
    shortest = min(points, key=lambda point: point.seconds)
    if shortest.seconds < ability.resolution * (1 - 1e-9):
        raise refuse(f"{shortest.seconds * 1000:g} ms is finer than the {step} that this supply can do", could)
    for number, point in enumerate(points, 1):
        steps = point.seconds / ability.resolution
        if abs(steps - round(steps)) > 1e-3 * max(1.0, steps * 1e-3):
            raise refuse(f"point {number}: {point.seconds:g} s is no multiple of the {step} of this supply", could)
        if point.seconds > ability.longest:
            raise refuse(f"point {number} of {point.seconds:g} s is longer than {ability.longest:g} s", "split it")
        if point.ramp and not ability.ramps:
            raise refuse(f"point {number} is a ramp, and this supply makes steps only", could)
    if len(points) > ability.points:
        raise refuse(f"{len(points)} points are more than the {ability.points} of this supply", could)
    if not 1 <= repeat <= ability.repeats:
        raise refuse(f"{repeat} repetitions are not 1 to {ability.repeats}", "repeat in the recipe instead")
