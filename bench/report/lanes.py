"""Reading the trace of a run once for everything that a report tells of it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.report.card import Card, CardFacts
from bench.report.exchanges import AFTER, KEPT, Exchange, exchanges, following
from bench.report.functions import FunctionFacts, Functions
from bench.report.radio import Radio, RadioFacts
from bench.report.traffic import LaneFacts, PhaseTraffic, Traffic
from bench.report.witnesses import Claim, Witnesses
from bench.run import folder as places
from bench.trace.lane import Direction
from bench.trace.reader import Packet, TraceReader

_WINDOWS: Final = 20
_PORTION: Final = 5000
_SAMPLED: Final = ("radio", "power")
"""Kinds of lanes that hold samples: they are drawn, and are no exchanges."""
_PART: Final = re.compile(r"trace(?:\.\d{4,})?\.pcapng")
"""The trace, and the parts that it goes on in when it grows; the reader goes through them by itself."""


@dataclass(slots=True)
class Window:
    """The lanes around a failure."""

    before: list[Exchange] = field(default_factory=list)
    after: list[Exchange] = field(default_factory=list)


@dataclass(slots=True)
class TraceFacts:
    """What is known of a trace."""

    present: bool = False
    size: int = 0
    files: int = 0
    packets: int = 0
    lanes: dict[str, LaneFacts] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    """Lane to what its interface says of itself, such as its clock."""
    phases: list[PhaseTraffic] = field(default_factory=list)
    outside: PhaseTraffic = field(default_factory=lambda: PhaseTraffic(""))
    functions: list[FunctionFacts] = field(default_factory=list)
    windows: dict[tuple[str, int], Window] = field(default_factory=dict)
    """Around the end of a step that did not pass: (path, how many ends of that path came before)."""
    moments: dict[int, Window] = field(default_factory=dict)
    """Around the moments that were asked for, wall time in ns."""
    last: Window = field(default_factory=Window)
    """The lanes at the end of the trace: of a run that was killed, what it was doing."""
    last_ns: int = 0
    """Wall time of the latest packet."""
    radio: RadioFacts = field(default_factory=RadioFacts)
    card: CardFacts = field(default_factory=CardFacts)
    claims: list[Claim] = field(default_factory=list)
    modems: dict[str, dict[str, str]] = field(default_factory=dict)
    complaint: str = ""
    """What is wrong with the file, empty while it is whole."""


def scan(folder: Path, moments: Iterable[int] = ()) -> TraceFacts:
    """Read the trace of a run folder once. Never raises: what is torn, foreign or missing is told in the facts.

    ``moments``: wall times in ns around which exchanges are wanted.
    """
    facts = TraceFacts()
    scanner = _Scanner(facts, sorted(set(moments))[:_WINDOWS])
    _read(folder / places.TRACE, facts, scanner)
    scanner.end()
    return facts


def _read(path: Path, facts: TraceFacts, scanner: _Scanner) -> None:
    try:
        parts = [each for each in path.parent.iterdir() if _PART.fullmatch(each.name) and each.is_file()]
        facts.size = sum(each.stat().st_size for each in parts)
    except OSError:
        return
    if not parts:
        return
    facts.present = True
    facts.files = len(parts)
    reader = TraceReader(path)
    complaint = ""
    try:
        while packets := reader.poll(limit=_PORTION):
            for packet in packets:
                scanner.take(packet)
    except (BenchError, OSError, ValueError, ArithmeticError) as error:
        complaint = f"it cannot be read to the end: {error}"
    facts.descriptions = {each.name: each.description for each in reader.section.interfaces if each.description}
    if reader.damage is not None:
        complaint = f"damaged {reader.damage}; what is behind that is not read ({reader.torn} bytes)"
    elif reader.torn:
        complaint = f"its last record is torn ({reader.torn} bytes), as after a crash; all before it is whole"
    facts.complaint = complaint


class _Scanner:
    def __init__(self, facts: TraceFacts, moments: list[int]) -> None:
        self._facts = facts
        self._moments = deque(moments)
        self._recent: dict[str, deque[Packet]] = {}
        self._ends: dict[str, int] = {}
        self._following: list[tuple[Window, list[Packet]]] = []
        """Windows that still take what comes after."""
        self._all_following: list[tuple[Window, list[Packet]]] = []
        self._traffic = Traffic()
        self._functions = Functions()
        self._radio = Radio()
        self._card = Card()
        self._witnesses = Witnesses()

    def take(self, packet: Packet) -> None:
        facts = self._facts
        facts.packets += 1
        facts.last_ns = max(facts.last_ns, packet.time_ns)
        while self._moments and packet.time_ns > self._moments[0]:
            facts.moments[self._moments.popleft()] = self._window()
        self._traffic.take(packet)
        kind = packet.lane.partition(":")[0].partition(".")[0]
        if kind == "steps":
            event = self._traffic.step(packet)
            if event is not None and packet.direction is Direction.RECEIVED:
                self._step_ended(event)
            return
        if kind not in _SAMPLED:
            recent = self._recent.get(packet.lane)
            if recent is None:
                recent = self._recent[packet.lane] = deque(maxlen=KEPT)
            recent.append(packet)
            if self._following:
                self._after(packet)
        self._functions.take(packet, kind)
        self._radio.take(packet, kind)
        self._card.take(packet, kind)
        self._witnesses.take(packet, kind)

    def _step_ended(self, event: dict[str, Any]) -> None:
        path = event["step"]
        before = self._ends.get(path, 0)
        self._ends[path] = before + 1
        if event.get("verdict") != "pass" and len(self._facts.windows) < _WINDOWS:
            self._facts.windows[path, before] = self._window()

    def _window(self) -> Window:
        window = Window(exchanges(self._recent.values()))
        taker: tuple[Window, list[Packet]] = (window, [])
        self._following.append(taker)
        self._all_following.append(taker)
        return window

    def _after(self, packet: Packet) -> None:
        for _, packets in self._following:
            packets.append(packet)
        self._following = [taker for taker in self._following if len(taker[1]) < AFTER]

    def end(self) -> None:
        facts = self._facts
        for moment in self._moments:
            facts.moments[moment] = self._window()
        for window, packets in self._all_following:
            by_lane: dict[str, list[Packet]] = {}
            for packet in packets:
                by_lane.setdefault(packet.lane, []).append(packet)
            window.after = following(by_lane.values())
        facts.last = Window(exchanges(self._recent.values()))
        facts.lanes, facts.phases, facts.outside = self._traffic.lanes, self._traffic.phases, self._traffic.outside
        facts.functions = self._functions.found()
        facts.radio = self._radio.found()
        facts.card = self._card.facts
        facts.claims = self._witnesses.found()
        facts.modems = self._witnesses.modems
