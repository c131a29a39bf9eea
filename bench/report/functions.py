"""The functions of ES10, ESipa, ES9+ and ES2+ in a trace: how often, how long, and what the last answer said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bench.trace.lane import Direction
from bench.trace.reader import Packet

_CLOSED_WITHIN: Final = 120_000_000_000
"""An answer that comes later than this, in ns, is not taken for that of a request."""
_STORE_DATA: Final = re.compile(r"(?:ch\d+ )?STORE DATA(?: more)?: ([A-Za-z0-9]+)")
_CONTINUED: Final = re.compile(r"(?:ch\d+ )?(?:STORE DATA|GET RESPONSE)\b")
_BODY: Final = re.compile(r"([A-Za-z][A-Za-z0-9]+) (request|answer|response)\b")
_FAILURE: Final = re.compile(r"(?: - |^)(6[2-9A-F][0-9A-F]{2}|9[1-9A-F][0-9A-F]{2})\b")
_BYTES: Final = re.compile(r"\d+ bytes")
_NO_FAILURE: Final = ("61", "91", "9F", "6C")
INTERFACES: Final = {"esipa": "ESipa", "es9plus": "ES9+", "es2plus": "ES2+"}
"""Of lanes whose packets are bodies of functions."""
_SEGMENTS: Final = ("BPP", "BoundProfilePackage", "InitialiseSecureChannel")


@dataclass(slots=True)
class FunctionFacts:
    """One function of an interface: how often, and how long from its first packet to its last, in real seconds."""

    interface: str
    """``ES10``, ``ESipa``, ``ES9+`` or ``ES2+``."""
    name: str
    lane: str = ""
    count: int = 0
    answered: int = 0
    failed: int = 0
    """ES10: answers with another status word than success."""
    last: str = ""
    """What the last answer said beyond the function's name."""
    total: float = 0.0
    least: float = 0.0
    most: float = 0.0

    def took(self, seconds: float) -> None:
        """Add one duration."""
        self.least = seconds if self.answered == 0 else min(self.least, seconds)
        self.most = max(self.most, seconds)
        self.total += seconds
        self.answered += 1


class Functions:
    """Counts functions while a trace is read."""

    def __init__(self) -> None:
        self._functions: dict[tuple[str, str], FunctionFacts] = {}
        self._open: dict[str, tuple[FunctionFacts, int, int, bool]] = {}
        """Lane to the function under way: its first and last time, and whether its last answer failed."""
        self._asked: dict[tuple[str, str], int] = {}

    def take(self, packet: Packet, kind: str) -> None:
        """Look at one packet of a lane of this kind."""
        if kind == "apdu":
            self._apdu(packet)
        elif kind in INTERFACES:
            self._body(packet, INTERFACES[kind])

    def found(self) -> list[FunctionFacts]:
        """Return what was counted, when the trace has ended."""
        for lane in tuple(self._open):
            self._close(lane)
        return _seen_once(self._functions.values())

    def _apdu(self, packet: Packet) -> None:
        """Count ES10 functions: from the first STORE DATA to the last answer before the next function."""
        under_way = self._open.get(packet.lane)
        if packet.direction is Direction.RECEIVED:
            if under_way is not None:
                found = _FAILURE.search(packet.comment)
                failed = found is not None and found[1][:2] not in _NO_FAILURE
                told = packet.comment.rpartition(" - ")[0]
                if told and _BYTES.fullmatch(told) is None and told != under_way[0].name:
                    under_way[0].last = told.removeprefix(f"{under_way[0].name}: ")[:120]
                self._open[packet.lane] = (under_way[0], under_way[1], packet.time_ns, failed)
            return
        begins = _STORE_DATA.match(packet.comment)
        if begins is None:
            if _CONTINUED.match(packet.comment) is None:
                self._close(packet.lane)
            return
        name = "LoadBoundProfilePackage" if begins[1] in _SEGMENTS else begins[1]
        if name == "LoadBoundProfilePackage" and under_way is not None and under_way[0].name == name:
            return  # the next segment of the same package
        self._close(packet.lane)
        function = self._function("ES10", name, packet.lane)
        function.count += 1
        self._open[packet.lane] = (function, packet.time_ns, 0, False)

    def _close(self, lane: str) -> None:
        under_way = self._open.pop(lane, None)
        if under_way is None:
            return
        function, first, last, failed = under_way
        function.failed += failed
        if last:
            function.took(max(0, last - first) / 1e9)

    def _body(self, packet: Packet, interface: str) -> None:
        found = _BODY.match(packet.comment)
        if found is None:
            return
        name, what = found[1], found[2]
        function = self._function(interface, name, packet.lane)
        if what == "request":
            function.count += 1
            self._asked[packet.lane, name] = packet.time_ns
            return
        function.last = packet.comment[found.end() :].lstrip(": ")[:120]
        asked = self._asked.pop((packet.lane, name), None)
        if asked is not None and 0 <= packet.time_ns - asked < _CLOSED_WITHIN:
            function.took((packet.time_ns - asked) / 1e9)

    def _function(self, interface: str, name: str, lane: str) -> FunctionFacts:
        function = self._functions.get((interface, name))
        if function is None:
            function = self._functions[interface, name] = FunctionFacts(interface, name, lane)
        return function


def _seen_once(functions: Iterable[FunctionFacts]) -> list[FunctionFacts]:
    """Drop what a second observer saw of the same exchange.

    On ES9+ the client writes function names with a small first letter and the server with a capital one; where both
    were recording, the client's view, which includes the transport, stands for the exchange.
    """
    kept: dict[tuple[str, str], FunctionFacts] = {}
    for function in functions:
        key = (function.interface, function.name.casefold())
        other = kept.get(key)
        if other is None or function.name[:1].islower():
            kept[key] = function
    return list(kept.values())
