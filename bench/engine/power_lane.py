"""The supply on the time line of the trace: lane ``power``, one JSON packet for the readings of a second.

Every single reading is in the run folder's ``power-NAME.f32``; the trace says what the rail did beside everything else.
In Wireshark each member is a field: ``json.path_with_value == "/output:off"``, and ``-z io,stat`` has the interface.
"""

from __future__ import annotations

import json
import time
from typing import Final

from bench.station.interfaces import Reading
from bench.trace.lane import Direction, Lane

PERIOD: Final = 1.0
"""Seconds of station time that one packet tells of."""


class PowerLane:
    """Gathers the readings of a second; what is switched has a packet of its own, behind the readings before it."""

    def __init__(self, lane: Lane, supply: str) -> None:
        self._lane = lane
        self._supply = supply
        self._volts: list[float] = []
        self._amps: list[float] = []
        self._since = 0.0
        self._until = 0.0
        self._first_ns = 0

    def took(self, at: float, reading: Reading) -> None:
        """Take a reading of station time ``at`` (s)."""
        if self._volts and at - self._since >= PERIOD:
            self.flush()
        if not self._volts:
            self._since, self._first_ns = at, time.time_ns()
        self._until = at
        self._volts.append(reading.voltage)
        self._amps.append(reading.current)

    def switched(self, at: float, on: bool | None) -> None:
        """The output was switched at station time ``at`` (s); None: it is not known how it is."""
        self.flush()
        state = "unknown" if on is None else "on" if on else "off"
        self._tell({"supply": self._supply, "t": round(at, 6), "output": state}, None)

    def flush(self) -> None:
        """Tell the readings that are gathered."""
        if not self._volts:
            return
        volts, amps, self._volts, self._amps = self._volts, self._amps, [], []
        told: dict[str, object] = {
            "supply": self._supply,
            "t": round(self._since, 6),
            "volts": round(sum(volts) / len(volts), 6),
            "amps": round(sum(amps) / len(amps), 9),
        }
        if len(volts) > 1:
            told |= {
                "seconds": round(self._until - self._since, 6),
                "readings": len(volts),
                "volts_min": round(min(volts), 6),
                "amps_max": round(max(amps), 9),
            }
        self._tell(told, self._first_ns)

    def _tell(self, told: dict[str, object], time_ns: int | None) -> None:
        data = json.dumps(told, separators=(",", ":")).encode("ascii", "replace")
        comment = f"{self._supply} output {told['output']}" if "output" in told else _line(told)
        self._lane.record(Direction.RECEIVED, data, time_ns=time_ns, comment=comment)


def _line(told: dict[str, object]) -> str:
    text = f"{told['supply']} {told['volts']:.3f} V {told['amps']:.4f} A"
    return f"{text}, up to {told['amps_max']:.4f} A in {told['seconds']:g} s" if "readings" in told else text
