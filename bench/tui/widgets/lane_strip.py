"""Every lane as a row over the time of the run: where there was traffic, and where the selected moment is."""

from __future__ import annotations

import array

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from bench.client.packets import TraceIndex

_BARS = " ▁▂▃▄▅▆▇█"
_ASCII_BARS = " .:-=+*##"
_NAME = 8
_LOOKED_AT = 20_000
"""Packets counted at most at a time: of more that have come at once a sample is."""
_BINS = 1024
"""Pieces of time in which packets are counted; when they are full, every two become one."""
_FINEST = 1_000_000
"""ns of a piece at first."""


class LaneStrip(Widget):
    """Traffic by lane and time."""

    DEFAULT_CSS = "LaneStrip { height: auto; min-height: 3; background: $background; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._index: TraceIndex | None = None
        self._known = (-1, 0)
        self._counted = 0
        self._counts: dict[str, array.array[int]] = {}
        self._piece = _FINEST
        self._rows: list[tuple[str, str]] = []
        self._mark: int | None = None
        self._span = (0, 1)

    def show(self, index: TraceIndex | None, mark: int | None) -> None:
        """Show a trace, with a mark at a moment (ns since 1970)."""
        known = (len(index) if index is not None else -1, self.size.width)
        if known == self._known and mark == self._mark and index is self._index:
            return
        if index is not self._index:
            self._counted, self._piece = 0, _FINEST
            self._counts.clear()
        self._index, self._mark = index, mark
        rows = len(self._rows)
        if known != self._known:
            self._known = known
            self._count()
        self.refresh(layout=len(self._rows) != rows)

    def _count(self) -> None:
        """Count what has come since, and spread all that was counted over the columns."""
        index, width = self._index, max(4, self.size.width - _NAME - 1)
        self._rows = []
        total = len(index) if index is not None else 0
        if index is None or not total:
            return
        times = index.times
        since, until = times[0], max(times[total - 1], times[0] + 1)
        self._span = since, until
        stride = max(1, (total - self._counted) // _LOOKED_AT)
        for number in range(self._counted, total, stride):
            kind = index.lane(number).partition(":")[0]
            at = max(0, times[number] - since) // self._piece
            while at >= _BINS:
                self._coarser()
                at //= 2
            self._counts.setdefault(kind, array.array("L", bytes(8 * _BINS)))[at] += stride
        self._counted = total
        look = getattr(self.app, "look", None)
        bars = _ASCII_BARS if look is not None and look.ascii else _BARS
        span = until - since + 1
        columns = [min(width - 1, at * self._piece * width // span) for at in range(_BINS)]
        for kind, counts in self._counts.items():
            row = [0] * width
            for at, count in enumerate(counts):
                row[columns[at]] += count
            most = max(row)
            drawn = "".join(bars[0 if not n else max(1, n * 8 // most)] for n in row)
            self._rows.append((kind, drawn))

    def _coarser(self) -> None:
        self._piece *= 2
        for kind, counts in self._counts.items():
            halved = [counts[at] + counts[at + 1] for at in range(0, _BINS, 2)]
            self._counts[kind] = array.array("L", halved + [0] * (_BINS // 2))

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """As many rows as lanes."""
        return max(3, min(9, len(self._rows) + 1))

    def render_line(self, y: int) -> Strip:
        """Return one lane."""
        width, base = self.size.width, self.rich_style
        if y == 0:
            span = (self._span[1] - self._span[0]) / 1e9
            text = (
                f"{'lanes':<{_NAME}} 0 s{f'{span:.1f} s':>{max(1, width - _NAME - 5)}}"
                if self._rows
                else "no packets yet"
            )
            return Strip([Segment(text, base)]).adjust_cell_length(width, base)
        if y - 1 >= len(self._rows):
            return Strip.blank(width, base)
        kind, drawn = self._rows[y - 1]
        look = getattr(self.app, "look", None)
        style = base + look.lane(kind) if look is not None else base
        segments = [Segment(f"{kind[:_NAME]:<{_NAME}} ", base)]
        since, until = self._span
        if self._mark is not None and since <= self._mark <= until:
            at = min(len(drawn) - 1, (self._mark - since) * len(drawn) // (until - since + 1))
            pointer = "|" if look is not None and look.ascii else "┃"
            segments += [Segment(drawn[:at], style), Segment(pointer, base), Segment(drawn[at + 1 :], style)]
        else:
            segments.append(Segment(drawn, style))
        return Strip(segments).adjust_cell_length(width, base)
