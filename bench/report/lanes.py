"""What the trace of a run tells a report: lanes, functions with their durations, the exchanges before a failure."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.trace.lane import Direction
from bench.trace.reader import Packet, TraceReader

SHOWN: Final = 20
"""Exchanges shown before a failure."""
_KEPT: Final = 200
"""Packets of each lane from which they are made: repeated ones are counted, and no lane crowds out another."""
_WINDOWS: Final = 20
_PORTION: Final = 5000
_CLOSED_WITHIN: Final = 120_000_000_000
"""An answer that comes later than this, in ns, is not taken for that of a request."""

_STORE_DATA: Final = re.compile(r"(?:ch\d+ )?STORE DATA(?: more)?: ([A-Za-z0-9]+)")
_CONTINUED: Final = re.compile(r"(?:ch\d+ )?(?:STORE DATA|GET RESPONSE)\b")
_BODY: Final = re.compile(r"([A-Za-z][A-Za-z0-9]+) (request|answer|response)\b")
_FAILURE: Final = re.compile(r"(?: - |^)(6[2-9A-F][0-9A-F]{2}|9[1-9A-F][0-9A-F]{2})\b")
_BYTES: Final = re.compile(r"\d+ bytes")
_NO_FAILURE: Final = ("61", "91", "9F", "6C")
_RELAYED: Final = re.compile(r"^(?:AT)?\+(?:CGLA|CSIM)\b")
_INTERFACES: Final = {"esipa": "ESipa", "es9plus": "ES9+", "es2plus": "ES2+"}
"""Of lanes whose packets are bodies of functions."""
_SEGMENTS: Final = ("BPP", "BoundProfilePackage", "InitialiseSecureChannel")


@dataclass(slots=True)
class LaneFacts:
    """Counts of one lane; directions are seen from the bench."""

    name: str
    sent: int = 0
    received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


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


@dataclass(slots=True)
class Exchange:
    """A request and its answer on one lane, or one of them; ``count`` times the same request in a row."""

    lane: str
    time_ns: int
    sent: str = ""
    received: str = ""
    count: int = 1


@dataclass(slots=True)
class TraceFacts:
    """What is known of a trace."""

    present: bool = False
    size: int = 0
    packets: int = 0
    lanes: dict[str, LaneFacts] = field(default_factory=dict)
    functions: list[FunctionFacts] = field(default_factory=list)
    windows: dict[tuple[str, int], list[Exchange]] = field(default_factory=dict)
    """Before the end of a step that did not pass: (path, how many ends of that path came before) to exchanges."""
    moments: dict[int, list[Exchange]] = field(default_factory=dict)
    """Before the moments that were asked for, wall time in ns."""
    complaint: str = ""
    """What is wrong with the file, empty while it is whole."""


def scan(path: Path, moments: Iterable[int] = ()) -> TraceFacts:
    """Read a trace once. Never raises: a trace that is torn, foreign or missing is told in the facts.

    ``moments``: wall times in ns before which exchanges are wanted.
    """
    facts = TraceFacts()
    try:
        facts.size = path.stat().st_size
    except OSError:
        return facts
    facts.present = True
    reader = TraceReader(path)
    scanner = _Scanner(facts, sorted(set(moments))[:_WINDOWS])
    try:
        while packets := reader.poll(limit=_PORTION):
            for packet in packets:
                scanner.take(packet)
    except (BenchError, OSError, ValueError, ArithmeticError) as error:
        facts.complaint = f"it cannot be read to the end: {error}"
    scanner.end()
    if reader.damage is not None:
        facts.complaint = f"damaged {reader.damage}; what is behind that is not read ({reader.torn} bytes)"
    elif reader.torn:
        facts.complaint = f"its last record is torn ({reader.torn} bytes), as after a crash; all before it is whole"
    return facts


class _Scanner:
    def __init__(self, facts: TraceFacts, moments: list[int]) -> None:
        self._facts = facts
        self._moments = deque(moments)
        self._recent: dict[str, deque[Packet]] = {}
        self._ends: dict[str, int] = {}
        self._functions: dict[tuple[str, str], FunctionFacts] = {}
        self._open: dict[str, tuple[FunctionFacts, int, int, bool]] = {}
        """Lane to the function under way: its first and last time, and whether its last answer failed."""
        self._asked: dict[tuple[str, str], int] = {}

    def take(self, packet: Packet) -> None:
        facts = self._facts
        facts.packets += 1
        while self._moments and packet.time_ns > self._moments[0]:
            facts.moments[self._moments.popleft()] = exchanges(self._recent.values())
        lane = facts.lanes.get(packet.lane)
        if lane is None:
            lane = facts.lanes[packet.lane] = LaneFacts(packet.lane)
        if packet.direction is Direction.RECEIVED:
            lane.received += 1
            lane.bytes_received += len(packet.data)
        else:
            lane.sent += 1
            lane.bytes_sent += len(packet.data)
        kind = packet.lane.partition(":")[0]
        if kind == "steps":
            self._step(packet)
            return
        recent = self._recent.get(packet.lane)
        if recent is None:
            recent = self._recent[packet.lane] = deque(maxlen=_KEPT)
        recent.append(packet)
        if kind == "apdu":
            self._apdu(packet)
        elif kind in _INTERFACES:
            self._body(packet, _INTERFACES[kind])

    def _step(self, packet: Packet) -> None:
        if packet.direction is not Direction.RECEIVED:
            return
        try:
            event: Any = json.loads(packet.data)
        except (ValueError, RecursionError):
            return
        if not isinstance(event, dict) or not isinstance(event.get("step"), str):
            return
        path = event["step"]
        before = self._ends.get(path, 0)
        self._ends[path] = before + 1
        if event.get("verdict") != "pass" and len(self._facts.windows) < _WINDOWS:
            self._facts.windows[path, before] = exchanges(self._recent.values())

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

    def end(self) -> None:
        for lane in tuple(self._open):
            self._close(lane)
        self._facts.functions = _seen_once(self._functions.values())
        for moment in self._moments:
            self._facts.moments[moment] = exchanges(self._recent.values())


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


def exchanges(lanes: Iterable[Iterable[Packet]], shown: int = SHOWN) -> list[Exchange]:
    """Return the last exchanges of some lanes in the order of time: answers beside their requests, polling counted.

    What an AT lane says of card commands is left out where an APDU lane says the same.
    """
    kept = [list(packets) for packets in lanes]
    decoded = any(packets and packets[0].lane.startswith("apdu") for packets in kept)
    found = [exchange for packets in kept for exchange in _rounds(_of_lane(packets, decoded))]
    found.sort(key=lambda exchange: exchange.time_ns)
    return found[-shown:]


def _of_lane(packets: Sequence[Packet], decoded: bool) -> list[Exchange]:
    found: list[Exchange] = []
    asked: Exchange | None = None
    relaying = False
    if len(packets) == _KEPT:  # what its first answers belong to is not kept any more
        packets = list(dropwhile(lambda packet: packet.direction is Direction.RECEIVED, packets)) or packets
    for packet in packets:
        comment = packet.comment.replace("\n", " | ") or f"{len(packet.data)} bytes"
        at = decoded and packet.lane.startswith("at:")
        if packet.direction is not Direction.RECEIVED:
            relaying = at and _RELAYED.match(comment) is not None
            asked = None
            if not relaying:
                asked = Exchange(packet.lane, packet.time_ns, sent=comment)
                found.append(asked)
        elif relaying and (_RELAYED.match(comment) or comment == "OK"):
            continue
        elif asked is not None and comment == asked.sent and not asked.received:
            continue  # the echo
        elif asked is not None and len(asked.received) < 240:
            asked.received = f"{asked.received} | {comment}" if asked.received else comment
        else:
            found.append(Exchange(packet.lane, packet.time_ns, received=comment))
    return found


def _rounds(found: list[Exchange], longest: int = 6) -> list[Exchange]:
    """Count rounds of polling, a few requests again and again, instead of keeping each; the last answers are kept."""
    kept: list[Exchange] = []
    for exchange in found:
        kept.append(exchange)
        for length in range(1, min(longest, len(kept) // 2) + 1):
            last, before = kept[-length:], kept[-2 * length : -length]
            if all(_again(one, other) for one, other in zip(last, before, strict=True)):
                for one, other in zip(last, before, strict=True):
                    one.count += other.count
                del kept[-2 * length : -length]
                break
    return kept


def _again(one: Exchange, other: Exchange) -> bool:
    """Whether two exchanges are the same question; of card commands and what comes unasked, the same answer too."""
    if one.sent != other.sent:
        return False
    return one.received == other.received or (bool(one.sent) and not one.lane.startswith("apdu"))
