"""The course of a run in one drawing: phases, registration, received power, volts and amperes, failures marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from bench.report import svg
from bench.report.facts import Facts, Step
from bench.report.style import GLYPHS, verdict_class
from bench.report.values import scaled, seconds, text
from bench.run.samples import Samples

_MARK: Final = 16
_BAR: Final = 28
_STRIP: Final = 18
_CURRENT: Final = 110
_VOLTAGE: Final = 46
_RADIO: Final = 64
_GAP: Final = 12
_MOST_MARKS: Final = 60
_MOST_BOXES: Final = 2500
_STATES: Final = {"home": "good", "roaming": "good", "denied": "bad", "searching": "waiting"}


def phases(facts: Facts) -> list[Step]:
    """Return the steps of the recipe itself that have a place in time."""
    return [step for step in facts.steps if step.depth == 0 and step.start is not None]


def span(step: Step, facts: Facts) -> tuple[float, float]:
    """Return begin and end of a step in run time; of one that never ended, the end of the record."""
    start = step.start or 0.0
    return start, facts.duration if step.end is None else max(start, step.end)


def of_run(samples: Samples, facts: Facts) -> bool:
    """Return whether samples have the journal's time, so that they can be shown on the run's axis."""
    times = samples.times
    return bool(times) and times[0] >= facts.origin - 1 and times[-1] <= facts.origin + facts.duration + 1


class Drawing:
    """Rows from top to bottom, all of the run's width."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.duration = facts.duration
        self.y = 0.0
        self.parts: list[str] = []
        self.said: list[str] = []
        """What is drawn, in words, for who cannot see it."""

    def row(self, height: float) -> float:
        """Take the next row; return its top."""
        top = self.y
        self.y += height + _GAP
        return top

    def label(self, y: float, words: str, kind: str = "") -> None:
        """Write at the left edge."""
        self.parts.append(f'<text class="label {kind}" x="3" y="{y:g}">{words}</text>')

    def frame(self, y: float, height: float) -> None:
        """Draw the lines of a plot: top, middle, bottom."""
        for at in (y, y + height / 2, y + height):
            self.parts.append(f'<line class="grid" x1="0" x2="100%" y1="{at:g}" y2="{at:g}"/>')


def course(facts: Facts) -> str:
    """Return the drawing, '' when nothing has a place in time."""
    if facts.duration <= 0 or not (phases(facts) or facts.power or facts.trace.radio.times):
        return ""
    drawing = Drawing(facts)
    marks = _marks(facts)
    drawing.y = _MARK + 2 if marks else 0.0
    _phases(drawing)
    _registration(drawing)
    _card(drawing)
    _received_power(drawing)
    for samples in facts.power:
        if of_run(samples, facts):
            _supply(drawing, samples)
    bottom = drawing.y - _GAP
    lines = []
    for at, what in marks:
        x = 100 * at / facts.duration
        anchor = "start" if x < 2 else "end" if x > 98 else "middle"
        lines.append(
            f'<g class="mark"><title>{escape(what)}</title>'
            f'<line x1="{x:.3f}%" x2="{x:.3f}%" y1="{_MARK}" y2="{bottom:g}"/>'
            f'<text x="{x:.3f}%" y="{_MARK - 3}" text-anchor="{anchor}">✘</text></g>'
        )
    if marks:
        drawing.said.insert(0, f"{len(marks)} failures marked")
    said = escape(f"The run on one axis of {seconds(facts.duration)}: {'; '.join(drawing.said)}")
    many = " many" if len(phases(facts)) > 80 else ""
    return (
        f'<svg class="course{many}" role="img" aria-label="{said}" height="{bottom + 24:g}">'
        f"{svg.axis(facts.duration, _MARK + 2 if marks else 0, bottom)}{''.join(drawing.parts)}{''.join(lines)}</svg>"
    )


def _marks(facts: Facts) -> list[tuple[float, str]]:
    """Return when something went wrong, and what."""
    found: list[tuple[float, str]] = []
    for step in facts.failing:
        if step.end is not None:
            found.append((step.end, f"{step.verdict} {step.path}: {step.message}"))
    for event in facts.loose_errors:
        if event["at"] is not None:
            found.append((event["at"], text(event["data"].get("what"), 300) or "an error"))
    return sorted(found)[:_MOST_MARKS]


def _phases(drawing: Drawing) -> None:
    facts, steps = drawing.facts, phases(drawing.facts)
    if not steps:
        return
    y = drawing.row(_BAR)
    for index, step in enumerate(steps):
        start, end = span(step, facts)
        at = svg.place(start, end, facts.duration)
        state = step.verdict or ("running" if facts.live else "aborted")
        if index > _MOST_BOXES and state == "pass":
            continue
        kind = ("phase", "alt")[index % 2] if state == "pass" else verdict_class(state, "p-")
        glyph = "" if state == "pass" else f"{GLYPHS.get(state, '!')} "
        title = f"{step.name}: {state}, {seconds(end - start)}"
        drawing.parts.append(svg.box(kind, at, y, _BAR, title=title, label=f"{glyph}{text(step.name, 60)}"))
    start = max(span(step, facts)[1] for step in steps)
    left, width = svg.place(start, facts.duration, facts.duration)
    if width > 0.2 and facts.ended:
        title = f"teardown and safe, {seconds(facts.duration - start)}"
        drawing.parts.append(svg.box("after", (left, width), y, _BAR, title=title))
    drawing.said.append(f"{len(steps)} phases" if len(steps) > 12 else ", ".join(text(step.name, 60) for step in steps))


def _registration(drawing: Drawing) -> None:
    facts = drawing.facts
    changes = [
        (at, state) for wall, state in facts.trace.radio.registrations if (at := facts.time.of_wall(wall)) is not None
    ]
    if not changes:
        return
    if len(facts.power) == 1 and of_run(facts.power[0], facts):  # without power nobody is registered
        changes = sorted([*changes, *((at - facts.origin, "") for at in _switched_off(facts.power[0]))])
    y = drawing.row(_STRIP)
    for (at, state), (until, _) in pairwise([*changes, (facts.duration, "")]):
        if not state:
            continue
        where = svg.place(at, until, facts.duration)
        kind = f"reg-{_STATES.get(state.partition(' (')[0], 'none')}"
        drawing.parts.append(
            svg.box(kind, where, y, _STRIP, title=f"{state} from +{seconds(at)} for {seconds(until - at)}", label=state)
        )
    drawing.said.append(f"registration {' → '.join(state or 'off' for _, state in changes[:8])}")


def _switched_off(samples: Samples) -> Iterator[float]:
    """Yield the station times at which the output was switched off."""
    for row, volts in enumerate(samples.volts):
        if math.isnan(volts) and samples.amps[row] == 0.0:
            yield samples.times[row]


def _card(drawing: Drawing) -> None:
    """Mark where the card confirmed that a profile was installed, enabled, disabled or deleted."""
    facts = drawing.facts
    changes = [(at, what) for wall, what in facts.trace.card.changes if (at := facts.time.of_wall(wall)) is not None]
    if not changes:
        return
    y = drawing.row(_STRIP)
    drawing.parts.append(f'<line class="grid" x1="0" x2="100%" y1="{y + _STRIP:g}" y2="{y + _STRIP:g}"/>')
    for at, what in changes:
        x = max(0.5, min(99.5, 100 * at / facts.duration))
        drawing.parts.append(
            f'<g class="card"><title>{escape(what)}, at +{seconds(at)}</title>'
            f'<circle cx="{x:.3f}%" cy="{y + _STRIP / 2:g}" r="5"/></g>'
        )
    drawing.label(y + 11, "card")
    drawing.said.append("card: " + ", ".join(what for _, what in changes[:8]))


def _received_power(drawing: Drawing) -> None:
    facts, radio = drawing.facts, drawing.facts.trace.radio
    points: list[tuple[float, float]] = []
    last = 0.0
    for wall, value in zip(radio.times, radio.rsrp, strict=True):
        at = facts.time.of_wall(wall)
        if at is not None and -1 <= at <= facts.duration + 1:
            last = max(last, at)
            points.append((last, value))
    if not points:
        points = sorted(_measured_rsrp(facts))
    finite = [value for _, value in points if math.isfinite(value)]
    if not finite:
        return
    low, high = 10 * math.floor(min(finite) / 10), 10 * math.ceil(max(finite) / 10)
    low, high = (low - 10, high + 10) if high - low < 20 else (low, high)
    y = drawing.row(_RADIO)
    drawing.frame(y, _RADIO)
    scale = [
        (1000 * min(max(at, 0.0), facts.duration) / facts.duration, 100 * (high - value) / (high - low))
        for at, value in points
    ]
    paths = svg.stretches(list(_stretches(scale)), scale.__getitem__, "radio")
    drawing.parts.append(svg.plot(paths, y, _RADIO))
    drawing.label(y + 12, f"{high:g} dBm RSRP", "key-radio")
    drawing.label(y + _RADIO - 3, f"{low:g} dBm")
    drawing.said.append(f"RSRP {min(finite):g} to {max(finite):g} dBm")


def _measured_rsrp(facts: Facts) -> Iterator[tuple[float, float]]:
    """Yield what the recipe measured, where no lane has it."""
    for step in facts.steps:
        for event in step.events:
            data = event["data"]
            if event["type"] == "measurement" and data.get("name") == "rsrp" and event["at"] is not None:
                value = data.get("value")
                if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1000:
                    yield event["at"], float(value)


def _stretches(points: list[tuple[float, float]]) -> Iterator[tuple[int, int]]:
    """Yield first and last index of what may be joined: no value missing, no pause much longer than the others."""
    pauses = sorted(two[0] - one[0] for one, two in pairwise(points))
    longest = max(10.0, 6 * pauses[len(pauses) // 2]) if len(pauses) > 8 else math.inf
    first: int | None = None
    for index, (at, height) in enumerate(points):
        if not math.isfinite(height):
            if first is not None:
                yield first, index - 1
            first = None
            continue
        if first is not None and at - points[index - 1][0] > longest:
            yield first, index - 1
            first = index
        first = index if first is None else first
    if first is not None:
        yield first, len(points) - 1


def _supply(drawing: Drawing, samples: Samples) -> None:
    facts = drawing.facts
    whole = facts.whole[samples.name]
    if whole.amps_max is None or whole.volts_max is None:
        return
    name = f" {escape(text(samples.name, 40))}" if len(facts.power) > 1 else ""
    for values, unit, highest, least, height, kind, what in (
        (samples.amps, "A", whole.amps_max, 1e-6, _CURRENT, "amps", "current"),
        (samples.volts, "V", whole.volts_max, 1e-3, _VOLTAGE, "volts", "voltage"),
    ):
        top = svg.round_up(1.1 * max(least, highest))  # room for the labels
        y = drawing.row(height)
        drawing.frame(y, height)
        point = _scaled_rows(samples, values, facts, top)
        paths = svg.stretches(list(samples.segments()), point, kind, filled=kind == "amps")
        drawing.parts.append(svg.plot(paths, y, height))
        drawing.label(y + 12, f"{scaled(top, unit)} {what}{name}", f"key-{kind}")
        if kind == "amps":
            drawing.label(y + height / 2 + 12, scaled(top / 2, unit))
    low = f", voltage {whole.volts_min:.3g} to {whole.volts_max:.3g} V" if whole.volts_min is not None else ""
    drawing.said.append(f"current up to {scaled(whole.amps_max, 'A')}{low}")


def _scaled_rows(
    samples: Samples, values: Sequence[float], facts: Facts, top: float
) -> Callable[[int], tuple[float, float]]:
    times, origin, duration = samples.times, facts.origin, facts.duration

    def point(row: int) -> tuple[float, float]:
        x = 1000 * min(max(times[row] - origin, 0.0), duration) / duration
        return x, 100 - 100 * max(0.0, min(1.0, values[row] / top))

    return point
