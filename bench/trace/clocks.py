"""By which clock each lane of a trace tells time, and what can be said of the order of two packets.

Every lane states the source of its times, what is to be added to its packets' times to have the host's (offset), how
that offset grows (drift) and by how much a time may be wrong (uncertainty, 95 % of the cases). A lane states it in the
description of its pcapng interface (``describe``, ``parse``), and later, when more is known, in a packet of its own
(``update``). Two events that are closer to each other than their uncertainties have no known order: nobody should read
"the modem was rejected before the supply dropped" out of 3 ms between a USB port and a SCPI socket.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

SCHEMA: Final = "trace.clock/1"
"""Of the JSON packet by which a lane tells what is known of its clock by now."""

_NS: Final = 1_000_000_000


class Order(Enum):
    """What is known of two events."""

    BEFORE = "before"
    AFTER = "after"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LaneClock:
    """The clock of one lane. Seconds, and parts per million for the drift."""

    source: str
    """Whose clock it is and where the time is taken, such as ``host, at the first byte read``."""
    offset: float = 0.0
    """Seconds to add to the lane's times to have host time."""
    drift: float = 0.0
    """How much the offset grows, in ppm (1 ppm: 1 us a second), from ``since`` on."""
    uncertainty: float = 0.001
    """Seconds by which a time of the lane, corrected, may be wrong (95 %)."""
    since_ns: int = 0
    """Time of the lane at which ``offset`` holds; 0 where there is no drift."""

    def host_ns(self, time_ns: int) -> int:
        """Return the host's wall time in ns for a time of the lane."""
        drifted = (time_ns - self.since_ns) * self.drift / 1e6 if self.drift else 0.0
        return time_ns + round(self.offset * _NS + drifted)

    def describe(self) -> str:
        """Return the text for the description of the lane's interface; ``parse`` reads it back."""
        return (
            f"clock: {self.source.replace(';', ',')}; offset {self.offset:+.6f} s; drift {self.drift:+.3f} ppm; "
            f"uncertainty {self.uncertainty:.6f} s"
        )

    def update(self, lane: str) -> dict[str, Any]:
        """Return the JSON object of a packet that states this clock for ``lane``."""
        return {
            "schema": SCHEMA,
            "lane": lane,
            "source": self.source,
            "offset_s": self.offset,
            "drift_ppm": self.drift,
            "uncertainty_s": self.uncertainty,
            "since_ns": self.since_ns,
        }


UNKNOWN_CLOCK: Final = LaneClock("not stated: host, taken as written", uncertainty=0.1)
"""Of a lane that states nothing, such as one of another program's file."""

DEFAULTS: Final[Mapping[str, LaneClock]] = {
    "steps": LaneClock("host, when the step began or ended", uncertainty=0.001),
    "at": LaneClock("host, when the line was written or read", uncertainty=0.02),
    "apdu": LaneClock("host, when the command was given or the answer read", uncertainty=0.02),
    "scpi": LaneClock("host, when the line was written or read", uncertainty=0.01),
    "console": LaneClock("host, when the line was read", uncertainty=0.05),
    "radio": LaneClock("host, at the first byte of the answer", uncertainty=0.02),
    "ip": LaneClock("host, when the link relay took or gave the bytes", uncertainty=0.005),
    "esipa": LaneClock("host, when the server had the whole message", uncertainty=0.005),
    "es9plus": LaneClock("host, when the server had the whole message", uncertainty=0.005),
    "es2plus": LaneClock("host, when the server had the whole message", uncertainty=0.005),
    "sniff": LaneClock("host, when the sniffer's datagram was read", uncertainty=0.1),
    "diag": LaneClock("host, when the modem's frame was read", uncertainty=0.05),
    "power": LaneClock("host, when the supply answered", uncertainty=0.05),
}
"""By kind of lane (its name before the colon), for lanes that state nothing else.

The uncertainties are upper bounds for ordinary set-ups, not measured: USB polls full-speed devices once a millisecond
and serial converters hold bytes up to 16 ms (FTDI's latency timer); a busy host adds a scheduler's slice.
"""

_DESCRIPTION: Final = re.compile(
    r"clock: (?P<source>[^;]+); offset (?P<offset>[+-]?\d+(?:\.\d+)?) s; drift (?P<drift>[+-]?\d+(?:\.\d+)?) ppm; "
    r"uncertainty (?P<uncertainty>\d+(?:\.\d+)?) s"
)


def default(lane: str) -> LaneClock:
    """Return the clock that is assumed for a lane by its kind."""
    return DEFAULTS.get(lane.partition(":")[0].partition(".")[0], UNKNOWN_CLOCK)


def parse(description: str) -> LaneClock | None:
    """Return the clock that an interface's description states, None where it states none. Never raises."""
    found = _DESCRIPTION.search(description)
    if found is None:
        return None
    numbers = [float(found[key]) for key in ("offset", "drift", "uncertainty")]
    if not all(math.isfinite(number) for number in numbers):
        return None
    return LaneClock(found["source"], numbers[0], numbers[1], numbers[2])


def read_update(data: bytes) -> tuple[str, LaneClock] | None:
    """Return lane and clock of a packet made of ``update``, None for every other packet. Never raises."""
    if SCHEMA.encode() not in data:
        return None
    try:
        raw = json.loads(data)
        if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
            return None
        found = LaneClock(
            str(raw["source"]),
            float(raw["offset_s"]),
            float(raw["drift_ppm"]),
            float(raw["uncertainty_s"]),
            int(raw.get("since_ns", 0)),
        )
        numbers = (found.offset, found.drift, found.uncertainty)
        lane = raw["lane"]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    good = isinstance(lane, str) and all(math.isfinite(number) for number in numbers) and found.uncertainty >= 0
    return (lane, found) if good else None


class Clocks:
    """The clocks of a trace: from the interfaces' descriptions, and from what lanes stated later."""

    def __init__(self, descriptions: Mapping[str, str] | None = None) -> None:
        """``descriptions``: text of the interface by lane."""
        self._known: dict[str, LaneClock] = {}
        for lane, text in (descriptions or {}).items():
            self.described(lane, text)

    def described(self, lane: str, text: str) -> None:
        """Take what an interface's description states, if it states anything."""
        found = parse(text)
        if found is not None:
            self._known[lane] = found

    def packet(self, data: bytes) -> bool:
        """Take a packet if it states a clock; return whether it does."""
        found = read_update(data)
        if found is None:
            return False
        self._known[found[0]] = found[1]
        return True

    def of(self, lane: str) -> LaneClock:
        """Return the clock of a lane."""
        return self._known.get(lane) or default(lane)

    def uncertainty(self, one: str, other: str) -> float:
        """Return the seconds within which the order of a packet of each of two lanes is not known.

        0 within one lane: its packets are in the order in which they came. Independent errors add as squares.
        """
        return 0.0 if one == other else math.hypot(self.of(one).uncertainty, self.of(other).uncertainty)

    def order(self, lane: str, time_ns: int, other: str, other_ns: int) -> Order:
        """Say whether the first packet came before the second: UNKNOWN where their times cannot tell."""
        first, second = self.of(lane).host_ns(time_ns), self.of(other).host_ns(other_ns)
        apart = (second - first) / _NS
        if lane == other:
            return Order.BEFORE if apart > 0 else Order.AFTER if apart < 0 else Order.UNKNOWN
        if abs(apart) <= self.uncertainty(lane, other):
            return Order.UNKNOWN
        return Order.BEFORE if apart > 0 else Order.AFTER

    def unordered(self, packets: Sequence[tuple[str, int]]) -> list[bool]:
        """Say for each packet (lane, time in ns), sorted by time, whether its order to the one before it is unknown."""
        return [
            index > 0 and self.order(*packets[index - 1], *packets[index]) is Order.UNKNOWN
            for index in range(len(packets))
        ]


class ClockFit:
    """Offset and drift of a device's clock against the host's, from pairs of times of the same events.

    The host sees each event late, never early, so that the least difference is the nearest to the truth: the line
    below all points (of their lower convex hull, over the middle of the time seen) gives offset and drift. What stays
    unknown is the least delay itself: ``least_delay`` is what a set-up cannot fall below, and counts as uncertain.
    """

    def __init__(self, source: str, *, least_delay: float = 0.005, longest: int = 4096) -> None:
        """``least_delay`` in seconds; ``longest``: pairs kept, the oldest go first."""
        self.source = source
        self.pairs = 0
        self._least_delay = least_delay
        self._longest = longest
        self._points: list[tuple[int, int]] = []
        """(device ns, host ns - device ns)."""

    def add(self, device_ns: int, host_ns: int) -> bool:
        """Take one pair; return whether the device's clock was set anew, which begins the fit again."""
        jumped = False
        if self._points:
            last_device, last_difference = self._points[-1]
            difference = host_ns - device_ns
            # A clock that is set (the modem has its time from the network) leaps; delays do not grow by a minute.
            if abs(difference - last_difference) > 60 * _NS or device_ns < last_device - 10 * _NS:
                self._points.clear()
                jumped = True
        self._points.append((device_ns, host_ns - device_ns))
        self.pairs += 1
        del self._points[: -self._longest]
        return jumped

    def clock(self) -> LaneClock:
        """Return what is known by now. Without a pair the offset is 0 and the uncertainty infinite in all but name."""
        if not self._points:
            return LaneClock(f"{self.source}, not yet compared with the host's", uncertainty=1e6)
        base = self._points[0][0]
        points = sorted((device - base, difference) for device, difference in self._points)
        hull = _lower_hull(points)
        middle = (points[0][0] + points[-1][0]) / 2
        left, right = _edge_over(hull, middle)
        slope = (right[1] - left[1]) / (right[0] - left[0]) if right[0] > left[0] else 0.0
        if abs(slope) > 200e-6 or points[-1][0] - points[0][0] < 10 * _NS:
            slope = 0.0  # no quartz is so far off, and ten seconds do not show a drift
        offset = min(difference - slope * device for device, difference in points)
        spread = sorted(difference - slope * device - offset for device, difference in points)
        typical = spread[min(len(spread) - 1, int(len(spread) * 0.95))]
        return LaneClock(
            self.source,
            offset=offset / _NS,
            drift=slope * 1e6,
            uncertainty=round(self._least_delay + (typical / _NS if len(spread) < 20 else typical / _NS / 2), 6),
            since_ns=base,
        )


def _lower_hull(points: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    hull: list[tuple[int, int]] = []
    for point in points:
        while len(hull) >= 2 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return hull


def _turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _edge_over(hull: Sequence[tuple[int, int]], middle: float) -> tuple[tuple[int, int], tuple[int, int]]:
    for left, right in itertools.pairwise(hull):
        if left[0] <= middle <= right[0]:
            return left, right
    return hull[0], hull[-1]
