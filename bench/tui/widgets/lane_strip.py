"""Every lane as a row over the time of the run: where there was traffic, and where the selected moment is."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from bench.client.packets import TraceIndex

_BARS = " ▁▂▃▄▅▆▇█"
_ASCII_BARS = " .:-=+*##"
_NAME = 8
_LOOKED_AT = 20_000
"""Packets counted at most: a longer trace is sampled."""


class LaneStrip(Widget):
    """Traffic by lane and time."""

    DEFAULT_CSS = "LaneStrip { height: auto; min-height: 3; background: $background; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._index: TraceIndex | None = None
        self._known = (-1, 0, "")
        self._rows: list[tuple[str, str]] = []
        self._mark: int | None = None
        self._span = (0, 1)

    def show(self, index: TraceIndex | None, mark: int | None) -> None:
        """Show a trace, with a mark at a moment (ns since 1970)."""
        known = (len(index) if index is not None else -1, self.size.width, str(index.path) if index else "")
        if known == self._known and mark == self._mark:
            return
        self._index, self._mark = index, mark
        rows = len(self._rows)
        if known != self._known:
            self._known = known
            self._count()
        self.refresh(layout=len(self._rows) != rows)

    def _count(self) -> None:
        index, width = self._index, max(4, self.size.width - _NAME - 1)
        self._rows = []
        if index is None or not len(index):
            return
        times = index.times
        total = len(index)
        since, until = times[0], max(times[total - 1], times[0] + 1)
        self._span = since, until
        counts: dict[str, list[int]] = {}
        stride = max(1, total // _LOOKED_AT)
        for number in range(0, total, stride):
            kind = index.lane(number).partition(":")[0]
            row = counts.setdefault(kind, [0] * width)
            row[min(width - 1, max(0, (times[number] - since) * width // (until - since + 1)))] += 1
        look = getattr(self.app, "look", None)
        bars = _ASCII_BARS if look is not None and look.ascii else _BARS
        for kind, row in counts.items():
            most = max(row)
            drawn = "".join(bars[0 if not n else max(1, n * 8 // most)] for n in row)
            self._rows.append((kind, drawn))

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
