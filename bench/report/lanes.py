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
from bench.report.exchanges import AFTER, Row, kept, rows_around
from bench.report.functions import FunctionFacts, Functions
from bench.report.radio import Radio, RadioFacts
from bench.report.traffic import LaneFacts, PhaseTraffic, Traffic
from bench.report.witnesses import Claim, Witnesses
from bench.run import folder as places
from bench.station.interfaces import measurement
from bench.trace.clocks import Clocks
from bench.trace.lane import Direction
from bench.trace.reader import Packet, TraceReader

_WINDOWS: Final = 20
_PORTION: Final = 5000
_MEASURED: Final = 64
"""Packets of radio lanes that are kept: the signal at the moment of a failure is in one of them."""
_SAMPLED: Final = ("radio", "power")
"""Kinds of lanes that hold samples: they are drawn, and are no exchanges."""
_PART: Final = re.compile(r"trace(?:\.\d{4,})?\.pcapng")
"""The trace, and the parts that it goes on in when it grows; the reader goes through them by itself."""


@dataclass(slots=True)
class Window:
    """The lanes around a failure."""

    before: list[Row] = field(default_factory=list)
    after: list[Row] = field(default_factory=list)
    signal: measurement.Measurement | None = None
    """The radio as it was measured last before that moment, at most a minute old (``radio.meas/1``)."""


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
    clocks: Clocks = field(default_factory=Clocks)
    """By which clock each lane tells time, and how sure it is."""
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
            for each in reader.section.interfaces:
                facts.clocks.described(each.name, each.description)
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


@dataclass(slots=True)
class _Opened:
    """A window whose exchanges are not made yet: the last packets of each lane, and those that came since."""

    window: Window
    before: dict[str, list[Packet]]
    after: list[Packet] = field(default_factory=list)


class _Scanner:
    def __init__(self, facts: TraceFacts, moments: list[int]) -> None:
        self._facts = facts
        self._moments = deque(moments)
        self._recent: dict[str, deque[Packet]] = {}
        self._measured: deque[bytes] = deque(maxlen=_MEASURED)
        self._ends: dict[str, int] = {}
        self._open: list[_Opened] = []
        """Windows that still take what comes after."""
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
            moment = self._moments.popleft()
            facts.moments[moment] = self._window(moment)
        self._traffic.take(packet)
        kind = packet.lane.partition(":")[0].partition(".")[0]
        if kind == "steps":
            event = self._traffic.step(packet)
            if event is not None and packet.direction is Direction.RECEIVED:
                self._step_ended(event, packet.time_ns)
            return
        if kind not in _SAMPLED:
            recent = self._recent.get(packet.lane)
            if recent is None:
                recent = self._recent[packet.lane] = deque(maxlen=kept(kind))
            recent.append(packet)
            if self._open:
                self._after(packet)
        elif kind == "radio":
            self._measured.append(packet.data)
        if packet.data[:1] == b"{":
            facts.clocks.packet(packet.data)
        self._functions.take(packet, kind)
        self._radio.take(packet, kind)
        self._card.take(packet, kind)
        self._witnesses.take(packet, kind)

    def _step_ended(self, event: dict[str, Any], time_ns: int) -> None:
        path = event["step"]
        before = self._ends.get(path, 0)
        self._ends[path] = before + 1
        if event.get("verdict") != "pass" and len(self._facts.windows) < _WINDOWS:
            self._facts.windows[path, before] = self._window(time_ns)

    def _window(self, time_ns: int) -> Window:
        """Begin a window; its exchanges are made when what follows is there, so that answers find their requests."""
        window = Window(signal=self._signal(time_ns))
        self._open.append(_Opened(window, {lane: list(packets) for lane, packets in self._recent.items()}))
        return window

    def _signal(self, time_ns: int) -> measurement.Measurement | None:
        found = [made for data in self._measured if (made := measurement.read(data)) is not None]
        return measurement.signal_at(found, time_ns)

    def _after(self, packet: Packet) -> None:
        for opened in self._open:
            opened.after.append(packet)
        if len(self._open[0].after) >= AFTER:  # the oldest has most
            self._close(self._open.pop(0), goes_on=True)

    def _close(self, opened: _Opened, *, goes_on: bool = False) -> None:
        window = opened.window
        window.before, window.after = rows_around(
            opened.before, opened.after, clocks=self._facts.clocks, goes_on=goes_on
        )

    def end(self) -> None:
        facts = self._facts
        for moment in self._moments:
            facts.moments[moment] = self._window(moment)
        for opened in self._open:
            self._close(opened)
        facts.last = Window(signal=self._signal(facts.last_ns))
        facts.last.before, _ = rows_around(self._recent, clocks=facts.clocks)
        facts.lanes, facts.phases, facts.outside = self._traffic.lanes, self._traffic.phases, self._traffic.outside
        facts.functions = self._functions.found()
        facts.radio = self._radio.found()
        facts.card = self._card.facts
        facts.claims = self._witnesses.found()
        facts.modems = self._witnesses.modems
