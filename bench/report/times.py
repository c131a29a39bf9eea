"""The time of a run: one axis in seconds for what the journal, the trace and the samples recorded.

The journal has station time and wall time of every event, packets of the trace have wall time alone. In a simulated
world that jumps the two go at very different rates, and the wall clock of a host may be set during a long run: so a
packet's place is found between the two events around it, not by an offset.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.report.values import number, wall_ns

Event = dict[str, Any]


@dataclass(slots=True)
class RunTime:
    """Where things are in the run's time, from 0 to ``duration`` seconds."""

    origin: float = 0.0
    """Run time 0 as the record's station time, seconds."""
    duration: float = 0.0
    simulated: bool = False
    """The run's time is not the host's: a simulated world gives it."""
    walls: list[int] = field(default_factory=list)
    """Wall times of events in ns since 1970, rising; ``places`` has their run times."""
    places: list[float] = field(default_factory=list)
    clock_jump: float = 0.0
    """Seconds by which the host's wall clock was set, at most, between two neighbouring events; + is forwards."""

    def of_wall(self, nanoseconds: int) -> float | None:
        """Return the run time of a wall time in ns, None when the journal has no times.

        Between two events it is in proportion; before the first and after the last it goes as the host's clock does,
        or, in a simulated world, stands still.
        """
        walls, places = self.walls, self.places
        if not walls:
            return None
        after = bisect_right(walls, nanoseconds)
        if 0 < after < len(walls):
            low, high = walls[after - 1], walls[after]
            return places[after - 1] + (places[after] - places[after - 1]) * (nanoseconds - low) / (high - low)
        end = 0 if after == 0 else -1
        return places[end] + (0.0 if self.simulated else (nanoseconds - walls[end]) / 1e9)


def run_time(events: Sequence[Event], mode: str) -> RunTime:
    """Give every event its run time as ``at`` (None where it cannot be known) and return how times are converted.

    ``mode``: the station's clock as the record has it. Time is station time where there is any, else the host's
    monotonic clock.
    """
    found = RunTime()
    station = any(number(event["t"]) is not None for event in events)
    found.simulated = station and mode not in ("real", "")
    stamps = _stamps(events, station, follows_host=not found.simulated)
    known = [stamp for stamp in stamps if stamp is not None]
    if known:
        found.origin = min(known)
        found.duration = max(known) - found.origin
    for event, stamp in zip(events, stamps, strict=True):
        event["at"] = None if stamp is None else stamp - found.origin
    _wall(events, found)
    return found


def _wall(events: Sequence[Event], found: RunTime) -> None:
    """Collect the pairs of wall and run time, and see whether the wall clock was set."""
    last_drift: float | None = None
    last_boot = ""
    for event in events:
        wall, at, mono = wall_ns(event["wall"]), event["at"], mono_seconds(event)
        if wall is None:
            continue
        if mono is not None:
            drift = wall / 1e9 - mono
            if last_drift is not None and event["boot"] == last_boot:
                found.clock_jump = max(found.clock_jump, drift - last_drift, key=abs)
            last_drift, last_boot = drift, event["boot"]
        if at is not None and (not found.walls or (wall > found.walls[-1] and at >= found.places[-1])):
            found.walls.append(wall)
            found.places.append(at)


def _stamps(events: Sequence[Event], station: bool, *, follows_host: bool) -> list[float | None]:
    """Return the time of every event. Who ends a run in the runner's place has no station clock, but the host's."""
    found: list[float | None] = []
    last: float | None = None
    last_mono: float | None = None
    last_boot = ""
    for event in events:
        mono = mono_seconds(event)
        stamp = number(event["t"]) if station else mono
        if stamp is None and last is not None:
            comparable = follows_host and mono is not None and last_mono is not None and event["boot"] == last_boot
            found.append(last + max(0.0, (mono or 0.0) - (last_mono or 0.0)) if comparable else last)
            continue
        found.append(stamp)
        last, last_mono, last_boot = stamp, mono, event["boot"]
    return found


def mono_seconds(event: Event) -> float | None:
    """Return the host's monotonic time of an event in seconds, None where it has none."""
    nanoseconds = number(event["mono_ns"])
    return nanoseconds / 1e9 if nanoseconds else None
