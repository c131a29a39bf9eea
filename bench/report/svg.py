"""Inline SVG of a run: a bar of its phases and the curve of its current, on one axis of time.

Horizontal places are percentages and text keeps its size, so that the drawings fit a telephone as well as a screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from bench.report.facts import Facts, Step
from bench.report.style import GLYPHS, verdict_class
from bench.report.values import scaled, seconds
from bench.run.samples import Samples

_WIDEST: Final = 700
"""Columns of the curve: of more samples each column shows the least and the highest."""
_GUESSED_WIDTH: Final = 900.0
"""Pixels, to decide which names have room in the bar; what is cut off is in the tooltip."""
_BAR: Final = 30
_CURRENT: Final = 130
_VOLTAGE: Final = 46


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


def _tick_text(at: float) -> str:
    if at >= 120 or (at >= 60 and at % 60 == 0):
        minutes, rest = divmod(round(at), 60)
        hours, minutes = divmod(minutes, 60)
        if hours:
            return f"{hours}:{minutes:02d} h"
        return f"{minutes}:{rest:02d} min" if rest else f"{minutes} min"
    return f"{at:.6g} s" if at >= 1 or at == 0 else seconds(at)


def _axis(duration: float, y: float, height: float) -> str:
    found = []
    for at in ticks(duration):
        x = 100 * at / duration if duration else 0.0
        anchor = "start" if x < 3 else "end" if x > 95 else "middle"
        found.append(f'<line class="grid" x1="{x:.3f}%" x2="{x:.3f}%" y1="{y:g}" y2="{y + height:g}"/>')
        found.append(f'<text x="{x:.3f}%" y="{y + height + 14:g}" text-anchor="{anchor}">{_tick_text(at)}</text>')
    return "".join(found)


def phases(facts: Facts) -> list[Step]:
    """Return the steps of the recipe itself that have a place in time."""
    return [step for step in facts.steps if step.depth == 0 and step.start is not None]


def _span(step: Step, facts: Facts) -> tuple[float, float]:
    start = step.start or 0.0
    return start, facts.duration if step.end is None else max(start, step.end)


def place(start: float, end: float, duration: float) -> tuple[float, float]:
    """Return left and width in percent of a span within the run."""
    if duration <= 0:
        return 0.0, 100.0
    left = min(100.0, max(0.0, 100 * start / duration))
    return left, max(0.0, min(100 - left, 100 * (end - start) / duration))


def time_bar(facts: Facts) -> str:
    """Return the bar of the phases, '' when there is none."""
    steps = phases(facts)
    if not steps or facts.duration <= 0:
        return ""
    parts = [_axis(facts.duration, _BAR, 6)]
    for index, step in enumerate(steps):
        start, end = _span(step, facts)
        parts.append(_phase(step, place(start, end, facts.duration), index, facts, end - start))
    start, end = max(_span(step, facts)[1] for step in steps), facts.duration
    left, width = place(start, end, facts.duration)
    if width > 0.2 and facts.ended:
        parts.append(
            f'<rect class="p-after" x="{left:.3f}%" y="0" width="{width:.3f}%" height="{_BAR}">'
            f"<title>teardown and safe, {seconds(end - start)}</title></rect>"
        )
    return f'<svg role="img" aria-label="phases of the run" height="{_BAR + 26}">{"".join(parts)}</svg>'


def _phase(step: Step, at: tuple[float, float], index: int, facts: Facts, took: float) -> str:
    left, width = at
    state = step.verdict or ("running" if facts.live else "aborted")
    kind = ("alt" if index % 2 else "phase") if state == "pass" else verdict_class(state, "p-")
    name = escape(step.name)
    label = name if width / 100 * _GUESSED_WIDTH > 7.2 * len(step.name) + 10 else ""
    glyph = "" if state == "pass" else f"{GLYPHS.get(state, '!')} "
    shown = f'<text class="{"onalt" if kind == "alt" else "on"}" x="6" y="{_BAR / 2 + 4:g}">{glyph}{label}</text>'
    return (
        f'<rect class="{kind}" x="{left:.3f}%" y="0" width="{max(width, 0.25):.3f}%" height="{_BAR}" rx="2">'
        f"<title>{name}: {escape(state)}, {seconds(took)}</title></rect>"
        + (f'<svg x="{left:.3f}%" y="0" width="{width:.3f}%" height="{_BAR}">{shown}</svg>' if label else "")
    )


def power_curve(samples: Samples, facts: Facts) -> str:
    """Return current and voltage over the time of the run, '' without samples."""
    rows = [row for row, volts in enumerate(samples.volts) if math.isfinite(volts) and math.isfinite(samples.amps[row])]
    if not rows:
        return ""
    origin, duration = facts.origin, facts.duration
    if not (origin - 1 <= samples.times[rows[0]] and samples.times[rows[-1]] <= origin + duration + 1 and duration > 0):
        origin = samples.times[rows[0]]  # not of the journal's time: the curve has an axis of its own
        duration = max(samples.times[rows[-1]] - origin, 1e-9)
    amps_top = _round_up(1.1 * max([1e-6, *(samples.amps[row] for row in rows)]))  # room for the labels
    volts_top = _round_up(1.1 * max([1e-3, *(samples.volts[row] for row in rows)]))
    lower = _CURRENT + 14
    bands = "".join(
        f'<rect class="band" x="{left:.3f}%" width="{width:.3f}%" y="0" height="{lower + _VOLTAGE}"/>'
        for index, (left, width) in enumerate(place(*_span(step, facts), duration) for step in phases(facts))
        if index % 2 == 0
    )
    curves = [
        _curve(samples, samples.amps, (origin, duration), amps_top, "amps", 0, _CURRENT, filled=True),
        _curve(samples, samples.volts, (origin, duration), volts_top, "volts", lower, _VOLTAGE),
    ]
    lines = "".join(
        f'<line class="grid" x1="0" x2="100%" y1="{y:g}" y2="{y:g}"/>'
        for y in (0, _CURRENT / 2, _CURRENT, lower, lower + _VOLTAGE)
    )
    labels = (
        f'<text x="4" y="12">{scaled(amps_top, "A")}</text>'
        f'<text x="4" y="{_CURRENT / 2 + 12:g}">{scaled(amps_top / 2, "A")}</text>'
        f'<text x="4" y="{lower + 12}">{scaled(volts_top, "V")}</text>'
    )
    return (
        f'<svg role="img" aria-label="current and voltage" height="{lower + _VOLTAGE + 22}">'
        f"{bands}{lines}{''.join(curves)}{labels}{_axis(duration, lower + _VOLTAGE, 4)}</svg>"
    )


def _curve(
    samples: Samples,
    values: Sequence[float],
    time: tuple[float, float],
    top: float,
    kind: str,
    y: float,
    height: float,
    *,
    filled: bool = False,
) -> str:
    origin, duration = time
    paths = []
    for first, last in samples.segments():
        points = _thinned(
            [
                (1000 * (samples.times[row] - origin) / duration, 100 - 100 * max(0.0, min(1.0, values[row] / top)))
                for row in range(first, last + 1)
            ]
        )
        line = "L".join(f"{x:.2f} {at:.2f}" for x, at in points)
        if len(points) == 1:
            line += "l0.5 0"
        paths.append(f'<path class="{kind}" d="M{line}"/>')
        if filled and len(points) > 1:
            paths.append(f'<path class="fill" d="M{points[0][0]:.2f} 100L{line}L{points[-1][0]:.2f} 100Z"/>')
    return (
        f'<svg x="0" y="{y:g}" width="100%" height="{height:g}" viewBox="0 0 1000 100" preserveAspectRatio="none">'
        f"{''.join(paths)}</svg>"
    )


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return first, least, highest and last point of every column where there are more points than columns can show."""
    if len(points) <= 4 * _WIDEST:
        return points
    columns: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        columns.setdefault(int(point[0] * _WIDEST / 1000), []).append(point)
    kept: list[tuple[float, float]] = []
    for column in columns.values():
        by_height = sorted(column, key=lambda point: point[1])
        kept.extend(sorted({column[0], by_height[0], by_height[-1], column[-1]}))
    return kept


def _round_up(value: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(magnitude * factor for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if magnitude * factor >= value * 0.999)
