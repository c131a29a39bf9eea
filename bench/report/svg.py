"""Inline SVG of a run: everything that has a time, on one axis.

Horizontal places are percentages and text keeps its size, so that the drawing fits a telephone as well as a screen.
Curves of more samples than can be seen keep first, least, highest and last of every column: no peak gets lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Final

from bench.report.values import seconds

COLUMNS: Final = 700
"""Of a curve, as many as a wide screen shows."""


def ticks(duration: float, most: int = 6) -> list[float]:
    """Return round times from 0 to ``duration`` seconds, at most about ``most``."""
    if not 0 < duration < 1e15:
        return [0.0]
    raw = duration / most
    steps = [step for step in (60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400) if step >= raw]
    if raw <= 30 or not steps:
        magnitude = 10.0 ** math.floor(math.log10(raw))
        step: float = next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor >= raw * 0.999999)
    else:
        step = steps[0]
    return [step * index for index in range(int(duration / step * 1.000001) + 1)]


def tick_text(at: float) -> str:
    """Return a time of the axis."""
    if at >= 120 or (at >= 60 and at % 60 == 0):
        minutes, rest = divmod(round(at), 60)
        hours, minutes = divmod(minutes, 60)
        if hours:
            return f"{hours}:{minutes:02d} h"
        return f"{minutes}:{rest:02d} min" if rest else f"{minutes} min"
    return f"{at:.6g} s" if at >= 1 or at == 0 else seconds(at)


def axis(duration: float, top: float, bottom: float) -> str:
    """Return vertical lines at round times from ``top`` to ``bottom`` (pixels), with their times below."""
    found = []
    for at in ticks(duration):
        x = 100 * at / duration if duration else 0.0
        anchor = "start" if x < 3 else "end" if x > 95 else "middle"
        found.append(f'<line class="grid" x1="{x:.2f}%" x2="{x:.2f}%" y1="{top:g}" y2="{bottom + 4:g}"/>')
        found.append(f'<text x="{x:.2f}%" y="{bottom + 17:g}" text-anchor="{anchor}">{tick_text(at)}</text>')
    return "".join(found)


def place(start: float, end: float, duration: float) -> tuple[float, float]:
    """Return left and width in percent of a span within the run."""
    if duration <= 0:
        return 0.0, 100.0
    left = min(100.0, max(0.0, 100 * start / duration))
    return left, max(0.0, min(100 - left, 100 * (end - start) / duration))


def box(kind: str, at: tuple[float, float], y: float, height: float, *, title: str, label: str = "") -> str:
    """Return a rectangle with a tooltip and, where there is room for it, a label.

    ``at``: left and width in percent. A label that only a wide screen has room for is of class ``wide-only``.
    """
    left, width = at
    shown = ""
    if label:
        needed = 7.2 * len(label) + 12
        fits = "" if width * 3.4 > needed else " wide-only" if width * 10.4 > needed else None
        if fits is not None:
            text = f'<text class="on-{kind}" x="6" y="{height / 2 + 4:g}">{escape(label)}</text>'
            where = f'x="{left:.3f}%" y="{y:g}" width="{width:.3f}%" height="{height:g}"'
            shown = f'<svg class="clip{fits}" {where}>{text}</svg>'
    return (
        f'<rect class="{kind}" x="{left:.3f}%" y="{y:g}" width="{max(width, 0.15):.3f}%" height="{height:g}">'
        f"<title>{escape(title)}</title></rect>{shown}"
    )


def curve(points: Iterable[tuple[float, float]], kind: str, *, filled: bool = False) -> str:
    """Return a line through points of x 0 to 1000 and y 0 to 100 (downwards), for use within ``plot``."""
    found = list(points)
    if not found:
        return ""
    line = "L".join(f"{x:.4g} {y:.4g}" if x < 100 else f"{x:.5g} {y:.4g}" for x, y in found)
    if len(found) == 1:
        return f'<path class="{kind} dot" d="M{line}h0"/>'
    path = f'<path class="{kind}" d="M{line}"/>'
    if filled:
        path = f'<path class="fill" d="M{found[0][0]:.5g} 100L{line}L{found[-1][0]:.5g} 100Z"/>{path}'
    return path


def plot(paths: str, y: float, height: float) -> str:
    """Return a place of the whole width for curves; nothing is drawn when there are none."""
    if not paths:
        return ""
    return (
        f'<svg y="{y:g}" width="100%" height="{height:g}" viewBox="0 0 1000 100" preserveAspectRatio="none">'
        f"{paths}</svg>"
    )


def thinned(points: Iterable[tuple[float, float]], count: int, columns: int = COLUMNS) -> Iterator[tuple[float, float]]:
    """Yield points, or of ``count`` points that are more than can be seen only the telling ones of every column.

    Those are the first, the least, the highest and the last. x is 0 to 1000 and never goes back.
    """
    if count <= 4 * columns:
        yield from points
        return
    column = -1
    first = low = high = last = (0.0, 0.0)
    for point in points:
        now = int(point[0] * columns / 1000)
        if now != column:
            if column >= 0:
                yield from sorted({first, low, high, last})
            column = now
            first = low = high = last = point
            continue
        last = point
        if point[1] < low[1]:
            low = point
        elif point[1] > high[1]:
            high = point
    if column >= 0:
        yield from sorted({first, low, high, last})


def stretches(
    found: Sequence[tuple[int, int]], point: Callable[[int], tuple[float, float]], kind: str, *, filled: bool = False
) -> str:
    """Return the curves of stretches, each given by its first and last row; of very many, a stroke for each column.

    ``point`` returns the place of a row.
    """
    rows = sum(last - first + 1 for first, last in found)
    if len(found) <= COLUMNS:
        return "".join(
            curve(thinned(map(point, range(first, last + 1)), rows), kind, filled=filled) for first, last in found
        )
    lows: dict[int, float] = {}
    highs: dict[int, float] = {}
    for first, last in found:
        for row in range(first, last + 1):
            x, y = point(row)
            column = int(x * COLUMNS / 1000)
            lows[column] = min(lows.get(column, y), y)
            highs[column] = max(highs.get(column, y), y)
    strokes = "".join(f"M{1000 * at / COLUMNS:.5g} {lows[at]:.4g}V{highs[at]:.4g}" for at in sorted(lows))
    return f'<path class="{kind} dot" d="{strokes}"/>'


def round_up(value: float) -> float:
    """Return the next round number."""
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(magnitude * factor for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if magnitude * factor >= value * 0.999)
