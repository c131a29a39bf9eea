"""A trace of any length under a scroll bar: an index in memory, packets read again when they become visible.

Ten bytes a packet are kept (time and lane), and every 512 packets the place in the file.
"""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.client.growing import Growing, Rows
from bench.errors import BenchError
from bench.trace.reader import Packet, TraceReader

if TYPE_CHECKING:
    from bench.trace.calls import Exchange

_EVERY: Final = 512
"""Packets between two places that are remembered."""
_KEPT: Final = 8
"""Blocks of so many packets that stay in memory."""
_BEFORE: Final = 4096
"""Packets before a packet in which the beginning of its exchange is looked for."""
_AFTER: Final = 4096


@dataclass(frozen=True, slots=True)
class _Place:
    reader: TraceReader


class TraceIndex:
    """The packets of a trace, numbered from 0; ``grow`` in one thread, everything else in any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lanes: list[str] = []
        """Names in the order of their first packets."""
        self.times: Growing[int] = Growing("q")
        """Wall clock in ns since 1970 of every packet."""
        self.trouble = ""
        self._lane_of: Growing[int] = Growing("H")
        self._number: dict[str, int] = {}
        self._reader = TraceReader(path)
        self._places: list[_Place] = [_Place(_clone(self._reader))]
        self._lock = threading.Lock()
        self._read: OrderedDict[int, list[Packet]] = OrderedDict()
        """Whole blocks by their numbers, the one used last at the end."""
        self._growing: tuple[int, list[Packet]] = (0, [])
        """The block that still grows: number, packets so far. What was read once is not read again to be shown."""

    def __len__(self) -> int:
        return len(self._lane_of)

    def grow(self, limit: int = 5000) -> int:
        """Take up to ``limit`` packets that came since; return how many. Raises nothing: ``trouble`` says it."""
        taken = 0
        try:
            for packet in islice(self._reader.packets_now(), limit):
                number = self._number.get(packet.lane)
                if number is None:
                    number = self._number[packet.lane] = len(self.lanes)
                    self.lanes.append(packet.lane)
                block, packets = self._growing
                packets.append(packet)
                self.times.append(packet.time_ns)
                self._lane_of.append(number)
                taken += 1
                if len(packets) == _EVERY:
                    self._places.append(_Place(_clone(self._reader)))
                    with self._lock:
                        self._keep(block, packets)
                    self._growing = block + 1, []
        except BenchError as error:
            self.trouble = str(error)
        if self._reader.damage:
            self.trouble = self._reader.damage
        return taken

    def lane(self, index: int) -> str:
        """Return the lane of a packet."""
        return self.lanes[self._lane_of[index]]

    def chosen(self, wanted: Callable[[str], bool], since: int, until: int) -> Iterator[int]:
        """Yield the numbers of the packets, ``since`` to ``until`` (not included), whose lane is wanted."""
        numbers = {number for number, lane in enumerate(self.lanes) if wanted(lane)}
        of = self._lane_of
        return (index for index in range(since, until) if of[index] in numbers)

    def at(self, index: int) -> Packet:
        """Return one packet. Raises IndexError for one that is not there, or no longer."""
        if not 0 <= index < len(self._lane_of):
            raise IndexError(index)
        block = self._block(index // _EVERY)
        return block[index % _EVERY]

    def _block(self, number: int) -> list[Packet]:
        growing, packets = self._growing
        if number == growing:
            return packets
        with self._lock:
            found = self._read.get(number)
            if found is None:
                reader = _clone(self._places[number].reader)
                found = list(islice(reader.packets_now(), _EVERY))
            self._keep(number, found)
            return found

    def _keep(self, number: int, packets: list[Packet]) -> None:
        self._read[number] = packets
        self._read.move_to_end(number)
        if len(self._read) > _KEPT:
            self._read.popitem(last=False)

    def span(self, start: int, end: int) -> Iterator[tuple[int, Packet]]:
        """Yield number and packet of ``start`` to ``end`` (not included)."""
        index, end = max(0, start), min(end, len(self))
        while index < end:
            block = self._block(index // _EVERY)
            for packet in block[index % _EVERY :]:
                if index >= end:
                    return
                yield index, packet
                index += 1
            if index % _EVERY and index < end:  # the file is shorter than it was
                return

    def nearest(self, time_ns: int) -> int:
        """Return the number of the last packet at or before a moment, 0 where there is none."""
        return max(0, bisect.bisect_right(self.times, time_ns) - 1)

    def find(self, text: str, start: int, *, step: int = 1, wanted: Callable[[str], bool] | None = None) -> int | None:
        """Return the next packet whose line has ``text`` (any case), from ``start`` on; None when there is none."""
        sought = text.casefold()
        numbers = range(start, len(self)) if step > 0 else range(start, -1, -1)
        for index in numbers:
            if wanted is not None and not wanted(self.lane(index)):
                continue
            packet = self.at(index)
            if sought in packet.comment.casefold() or sought in packet.lane.casefold():
                return index
        return None

    def exchange(self, index: int) -> Exchange | None:
        """Return the exchange that a packet is part of, put together from its neighbours; None when there is none."""
        from bench.trace.calls import Exchanges

        wanted = self.at(index)
        tracked = Exchanges()
        found: list[Exchange] = []

        def fits(made: Exchange) -> bool:
            return made.lane == wanted.lane and made.first <= wanted.number <= made.last and not made.relayed

        for number, packet in self.span(index - _BEFORE, index + _AFTER):
            if packet.lane != wanted.lane or packet.part != wanted.part:
                continue
            tracked.function(packet)
            found += [made for made in tracked.take() if fits(made)]
            if number > index and found:
                break
        if not found:
            found = [made for made in tracked.close() if fits(made)]
        return min(found, key=lambda made: made.packets) if found else None


class Chosen(Rows[int]):
    """Numbers of the packets of wanted lanes, of all without ``wanted``.

    How many there are is kept by block, which they are is found again.
    """

    def __init__(self, index: TraceIndex, wanted: Callable[[str], bool] | None = None) -> None:
        self.trace, self._wanted = index, wanted
        self.seen = 0
        """Packets of the trace that were looked at."""
        self._count = 0
        self._starts: list[int] = []
        """How many were chosen before each block."""
        self._found: tuple[int, list[int]] = (-1, [])
        """The block that was asked for last: number, what is chosen of it."""

    def grow(self, until: int) -> None:
        """Look at the packets up to ``until`` (not included)."""
        if self._wanted is None:
            self.seen = self._count = max(self.seen, until)
            return
        while self.seen < until:
            if self.seen % _EVERY == 0:
                self._starts.append(self._count)
            end = min(until, self.seen - self.seen % _EVERY + _EVERY)
            self._count += sum(1 for _ in self.trace.chosen(self._wanted, self.seen, end))
            self.seen = end

    def __len__(self) -> int:
        return self._count

    def row(self, at: int) -> int:
        """Return the number of the packet of a row."""
        if self._wanted is None:
            return at
        block = bisect.bisect_right(self._starts, at) - 1
        known, numbers = self._found
        if known != block or at - self._starts[block] >= len(numbers):
            end = min(self.seen, (block + 1) * _EVERY)
            numbers = list(self.trace.chosen(self._wanted, block * _EVERY, end))
            self._found = block, numbers
        return numbers[at - self._starts[block]]


def _clone(reader: TraceReader) -> TraceReader:
    made = copy(reader)
    made.section = copy(reader.section)
    made.section.interfaces = list(reader.section.interfaces)
    return made
