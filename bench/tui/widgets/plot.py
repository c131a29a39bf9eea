"""A curve in braille dots (or block characters, or #): least and greatest of each column, so that short peaks stay."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_AXIS = 8
"""Cells for the scale at the left."""


def braille(
    times: Sequence[float],
    values: Sequence[float],
    since: float,
    until: float,
    low: float,
    high: float,
    width: int,
    height: int,
) -> list[str]:
    """Return ``height`` lines of ``width`` braille characters; NaN breaks the curve."""
    columns, rows = width * 2, height * 4
    cells = [[0] * width for _ in range(height)]
    span, reach = (until - since) or 1.0, (high - low) or 1.0
    index = bisect.bisect_left(times, since)
    end = bisect.bisect_right(times, until)
    stride = max(1, (end - index) // (columns * 64))  # a night has a million readings: 64 a column are looked at
    last: tuple[int, int] | None = None
    column, least, greatest = -1, math.inf, -math.inf

    def flush() -> None:
        nonlocal last
        if column < 0 or least > greatest:
            return
        top = round((high - greatest) / reach * (rows - 1))
        bottom = round((high - least) / reach * (rows - 1))
        if last is not None:  # held until the next reading, then joined to it
            held = min(max(0, last[1]), rows - 1)
            for between in range(last[0] + 1, column):
                cells[held // 4][between // 2] |= _DOTS[held % 4][between % 2]
            top, bottom = min(top, held), max(bottom, held)
        for row in range(max(0, top), min(rows - 1, bottom) + 1):
            cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
        last = column, round((high - final) / reach * (rows - 1))

    final = 0.0
    while index < end:
        value = values[index]
        here = min(columns - 1, max(0, int((times[index] - since) / span * columns)))
        if here != column:
            flush()
            column, least, greatest = here, math.inf, -math.inf
        if math.isnan(value):
            last = None
        else:
            least, greatest, final = min(least, value), max(greatest, value), value
        index += stride
    flush()
    return ["".join(chr(0x2800 + cell) if cell else " " for cell in line) for line in cells]


class Plot(Widget):
    """One quantity over time, with scale, unit, the latest value and a mark at a moment."""

    DEFAULT_CSS = "Plot { height: 1fr; background: $background; }"

    def __init__(self, name: str, unit: str, *, id: str | None = None, colour: str = "running") -> None:
        super().__init__(id=id)
        self.title = name
        self.unit = unit
        self.colour = colour
        self.note = ""
        self._times: Sequence[float] = ()
        self._values: Sequence[float] = ()
        self._window = (0.0, 1.0)
        self._mark: float | None = None
        self._drawn: list[str] | None = None
        self._fitted = (0, 0)
        self._scale = (0.0, 1.0)

    def show(
        self, times: Sequence[float], values: Sequence[float], window: tuple[float, float], mark: float | None = None
    ) -> None:
        """Show values over times (s, never going back) within a window; ``mark``: a moment to point at."""
        state = (len(times), window, mark)
        if state == (len(self._times), self._window, self._mark) and self._drawn is not None:
            return
        self._times, self._values, self._window, self._mark = times, values, window, mark
        self._drawn = None
        self.refresh()

    def value_at(self, moment: float) -> float | None:
        """Return the value at a moment, None where there is none."""
        index = bisect.bisect_right(self._times, moment) - 1
        if index < 0 or math.isnan(self._values[index]):
            return None
        return self._values[index]

    def _draw(self, width: int, height: int) -> list[str]:
        since, until = self._window
        begin, end = bisect.bisect_left(self._times, since), bisect.bisect_right(self._times, until)
        seen = [value for value in self._values[begin:end] if not math.isnan(value)]
        if not seen:
            self._scale = (0.0, 1.0)
            return []
        low, high = min(0.0, *seen), max(seen)
        if high - low < 1e-9:
            high = low + 1.0
        self._scale = (low, high)
        drawn = braille(self._times, self._values, since, until, low, high, width, height)
        look = getattr(self.app, "look", None)
        if look is not None and look.ascii:
            drawn = ["".join(" " if cell == " " else "#" for cell in line) for line in drawn]
        return drawn

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        width, height = self.size.width, self.size.height
        base = self.rich_style
        look = getattr(self.app, "look", None)
        colour = look.style(self.colour) if look is not None else Style()
        if y == 0:
            moment = self._mark if self._mark is not None else math.inf
            value = self.value_at(moment)
            now = "no reading" if value is None else f"{_figure(value)} {self.unit}"
            when = "at the mark" if self._mark is not None else "now"
            text = f"{self.title}  {now} {when if value is not None else ''}  {self.note}"
            return Strip([Segment(text, base)]).adjust_cell_length(width, base)
        plot_height, plot_width = height - 1, max(4, width - _AXIS)
        if plot_height < 1:
            return Strip.blank(width, base)
        if self._drawn is None or self._fitted != (width, height):
            self._fitted = width, height
            self._drawn = self._draw(plot_width, plot_height)
        row = y - 1
        if not self._drawn:
            text = "no readings yet" if row == plot_height // 2 else ""
            return Strip([Segment(" " * _AXIS + text, base)]).adjust_cell_length(width, base)
        low, high = self._scale
        label = _figure(high) if row == 0 else _figure(low) if row == plot_height - 1 else ""
        bar = "|" if look is not None and look.ascii else "┤" if label else "│"
        line = self._drawn[row]
        segments = [Segment(f"{label:>{_AXIS - 1}}{bar}", base)]
        since, until = self._window
        if self._mark is not None and since <= self._mark <= until:
            at = min(plot_width - 1, int((self._mark - since) / ((until - since) or 1) * plot_width))
            pointer = "|" if look is not None and look.ascii else "┃"
            segments += [
                Segment(line[:at], base + colour),
                Segment(pointer, base),
                Segment(line[at + 1 :], base + colour),
            ]
        else:
            segments.append(Segment(line, base + colour))
        return Strip(segments).adjust_cell_length(width, base)


def _figure(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
