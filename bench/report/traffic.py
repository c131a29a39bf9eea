"""Packets and bytes of each lane, for the run and for each phase (a step of the recipe itself)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from bench.trace.lane import Direction
from bench.trace.reader import Packet

_MOST_PHASES: Final = 5000
_SEEN_TWICE: Final = 1_000_000_000
"""The same message within this many ns is a second observer's."""


@dataclass(slots=True)
class LaneFacts:
    """Counts of one lane; directions are seen from the bench."""

    name: str
    sent: int = 0
    received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def add(self, packet: Packet) -> None:
        """Count one packet."""
        if packet.direction is Direction.RECEIVED:
            self.received += 1
            self.bytes_received += len(packet.data)
        else:
            self.sent += 1
            self.bytes_sent += len(packet.data)

    @property
    def octets(self) -> int:
        """Bytes of both directions."""
        return self.bytes_sent + self.bytes_received


@dataclass(slots=True)
class PhaseTraffic:
    """What went over the lanes during one phase."""

    path: str
    lanes: dict[str, LaneFacts] = field(default_factory=dict)

    def of(self, *kinds: str) -> LaneFacts:
        """Return the sum over the lanes of some kinds (the part of the name before the colon)."""
        total = LaneFacts("/".join(kinds))
        for name, lane in self.lanes.items():
            if name.partition(":")[0] in kinds:
                total.sent += lane.sent
                total.received += lane.received
                total.bytes_sent += lane.bytes_sent
                total.bytes_received += lane.bytes_received
        return total


class Traffic:
    """Counts while a trace is read. On the ``steps`` lane phases begin and end."""

    def __init__(self) -> None:
        self.lanes: dict[str, LaneFacts] = {}
        self.phases: list[PhaseTraffic] = []
        """In the order in which they began."""
        self.outside = PhaseTraffic("")
        """Before, between and after phases."""
        self._open: list[PhaseTraffic] = []
        self._last: dict[str, tuple[Direction | None, bytes, int]] = {}

    def step(self, packet: Packet) -> dict[str, Any] | None:
        """Take a packet of the steps lane; return its event with the step's path as ``step``.

        None for what is neither a beginning nor an end, such as a measurement.
        """
        try:
            event: Any = json.loads(packet.data)
        except (ValueError, RecursionError):
            return None
        if not isinstance(event, dict) or not isinstance(event.get("step"), str) or "measure" in event:
            return None
        path = event["step"]
        if "/" not in path:
            if packet.direction is not Direction.RECEIVED:
                phase = PhaseTraffic(path)
                if len(self.phases) < _MOST_PHASES:
                    self.phases.append(phase)
                self._open.append(phase)
                self._last.clear()
            else:
                last = next((n for n in reversed(range(len(self._open))) if self._open[n].path == path), None)
                if last is not None:
                    del self._open[last]
        return event

    def take(self, packet: Packet) -> None:
        """Count one packet for its lane, and for the phase that began last of those that have not ended."""
        lane = self.lanes.get(packet.lane)
        if lane is None:
            lane = self.lanes[packet.lane] = LaneFacts(packet.lane)
        lane.add(packet)
        if packet.lane.startswith("es9plus"):
            direction, data, at = self._last.get(packet.lane, (None, b"", 0))
            if (direction, data) == (packet.direction, packet.data) and abs(packet.time_ns - at) < _SEEN_TWICE:
                return  # client and server both record on this lane: what phases are charged with is sent once
            self._last[packet.lane] = (packet.direction, packet.data, packet.time_ns)
        phase = self._open[-1] if self._open else self.outside
        within = phase.lanes.get(packet.lane)
        if within is None:
            within = phase.lanes[packet.lane] = LaneFacts(packet.lane)
        within.add(packet)
