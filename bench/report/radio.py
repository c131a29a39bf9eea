"""What a trace tells of the radio: received power over time, and the registration states that the modem reported."""

from __future__ import annotations

import json
import re
from array import array
from dataclasses import dataclass, field
from typing import Any, Final

from bench.report.values import number, text
from bench.trace.lane import Direction
from bench.trace.reader import Packet

_CESQ: Final = re.compile(rb"\+CESQ: *\d+,\d+,\d+,\d+,\d+,(\d+)")
_REGISTRATION: Final = re.compile(rb"\+(C|CG|CE|C5G)REG: *(?:[0-5],)?(\d+)(?=[,\r\n ]|$)")
_WORDS: Final = {0: "not registered", 1: "home", 2: "searching", 3: "denied", 4: "unknown", 5: "roaming"}
"""3GPP TS 27.007 section 7.2, <stat>; a modem's further values are shown as numbers."""
_ORDER: Final = (1, 5, 3, 2)
"""Of the states of several domains, the first of these is the device's."""
_MOST: Final = 5000
"""Changes of registration that are kept."""


@dataclass(slots=True)
class RadioFacts:
    """Samples and changes, by wall time in ns."""

    times: array[int] = field(default_factory=lambda: array("q"))
    rsrp: array[float] = field(default_factory=lambda: array("f"))
    """dBm; NaN where a report had none."""
    source: str = ""
    """Lane, and for AT the command, from which the samples are."""
    registrations: list[tuple[int, str]] = field(default_factory=list)
    """Each change: wall time in ns and the state in words."""
    left_out: int = 0
    """Changes of registration beyond those that are kept."""

    def say(self, time_ns: int, state: str, cause: str = "") -> None:
        """Add a state of registration, when it is another one than the last."""
        shown = f"{state} ({cause})" if cause else state
        if self.registrations and self.registrations[-1][1] == shown:
            return
        if len(self.registrations) < _MOST:
            self.registrations.append((time_ns, shown))
        else:
            self.left_out += 1


class Radio:
    """Collects radio facts while a trace is read: from a lane ``radio`` where there is one, else from AT answers."""

    def __init__(self) -> None:
        self._lane = RadioFacts()
        self._at = RadioFacts()
        self._states: dict[bytes, int] = {}

    def take(self, packet: Packet, kind: str) -> None:
        """Look at one packet of a lane of this kind."""
        if kind == "at":
            if packet.direction is Direction.RECEIVED and (b"+CESQ" in packet.data or b"REG:" in packet.data):
                self._answer(packet)
        elif kind == "radio":
            self._record(packet)

    def _record(self, packet: Packet) -> None:
        """Take a record ``radio.meas/1``: power, and registration where it has one."""
        try:
            record: Any = json.loads(packet.data)
        except (ValueError, RecursionError):
            return
        if not isinstance(record, dict):
            return
        if "rsrp_dbm" in record and not (record["rsrp_dbm"] is None and str(record.get("src")).startswith("urc")):
            value = number(record["rsrp_dbm"])
            self._lane.times.append(_signed(packet.time_ns))
            self._lane.rsrp.append(float("nan") if value is None or abs(value) > 1000 else value)
            self._lane.source = packet.lane
        stat = record.get("reg")
        if isinstance(stat, int) and not isinstance(stat, bool):
            name = text(record.get("cause_name"), 60)
            self._lane.say(packet.time_ns, _WORDS.get(stat, f"stat {stat}"), name)

    def _answer(self, packet: Packet) -> None:
        for found in _CESQ.finditer(packet.data):
            index = int(found[1][:6])
            self._at.times.append(_signed(packet.time_ns))
            # As the drivers give it: the upper edge of the index's interval (3GPP TS 36.133 section 9.1.4).
            self._at.rsrp.append(index - 140.0 if index <= 97 else float("nan"))
            self._at.source = f"{packet.lane} +CESQ"
        for found in _REGISTRATION.finditer(packet.data):
            self._registered(found[1], int(found[2][:6]), packet.time_ns)

    def _registered(self, domain: bytes, stat: int, time_ns: int) -> None:
        self._states[domain] = stat
        states = self._states.values()
        now = next((each for each in _ORDER if each in states), stat)
        self._at.say(time_ns, _WORDS.get(now, f"stat {now}"))

    def found(self) -> RadioFacts:
        """Return what was collected."""
        facts = self._lane if self._lane.times else self._at
        told = self._lane if self._lane.registrations else self._at
        facts.registrations, facts.left_out = told.registrations, told.left_out
        return facts


def _signed(time_ns: int) -> int:
    """Return a time that an array of 64 bits holds: a foreign trace may have any."""
    return min(time_ns, (1 << 63) - 1)
