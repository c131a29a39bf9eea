"""Steps with their times, measurements and notes; of a long run a summary by name, and all of them folded away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.report.facts import Facts, Step
from bench.report.style import GLYPHS, verdict_class
from bench.report.svg import place
from bench.report.text import e, table_of
from bench.report.times import Event
from bench.report.values import quantity, seconds, table, text
from bench.run import events as kinds

_LINES: Final = 200
"""Lines of one step that are shown; the journal has all."""
_MANY: Final = 150
"""Steps from which on they are summed up by name."""
_ROOM: Final = 1_200_000
"""Characters of all rows of steps: a report of any run can be sent by mail."""
_SEEN_ELSEWHERE: Final = frozenset(
    (kinds.VERDICT, kinds.SERVICE_START, kinds.SERVICE_STOP, kinds.STATION, kinds.RESULT)
)


def word(verdict: str) -> str:
    """Return a verdict as glyph, word and colour."""
    return f'<span class="word {verdict_class(verdict)}">{GLYPHS.get(verdict, "!")} {e(verdict, 40)}</span>'


def steps_table(facts: Facts) -> str:
    """Return the steps with times, verdicts, measurements and notes."""
    if not facts.steps:
        return '<p class="soft">No step was begun.</p>'
    if len(facts.steps) <= _MANY:
        return _table(facts.steps, facts)
    bad = _with_those_around([step for step in facts.steps if step.verdict != "pass"])
    shown = [step for step in facts.steps if step.path in bad and (step.verdict != "pass" or step.depth == 0)]
    told = f"<h3>Not passed</h3>{_table(shown[:_MANY], facts)}" if shown else ""
    more = f'<p class="soft">and {len(shown) - _MANY} more, below</p>' if len(shown) > _MANY else ""
    return (
        f"{_by_name(facts)}{told}{more}<details><summary>All {len(facts.steps)} steps</summary>"
        f"{_table(facts.steps, facts)}</details>"
    )


def _with_those_around(steps: Iterable[Step]) -> set[str]:
    return {step.path[:at] for step in steps for at in range(1, len(step.path) + 1) if step.path[at : at + 1] in "/"}


@dataclass(slots=True)
class _Group:
    count: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)


def _by_name(facts: Facts) -> str:
    """Return how often each step was done, how it ended and how long it took."""
    groups: dict[str, _Group] = {}
    for step in facts.steps:
        group = groups.setdefault(step.path, _Group())
        group.count += 1
        state = _state(step, facts)
        group.verdicts[state] = group.verdicts.get(state, 0) + 1
        if step.elapsed is not None:
            group.times.append(step.elapsed)
    rows = []
    for path, group in list(groups.items())[:_MANY]:
        ended = ", ".join(f"{word(state)} {count}" for state, count in sorted(group.verdicts.items()))
        times = sorted(group.times)
        figures = (times[0], times[len(times) // 2], times[-1]) if times else (None, None, None)
        took = [
            f'<td class="n" data-h="{head}">{seconds(each)}</td>' for head, each in zip(_TIMES, figures, strict=True)
        ]
        rows.append(
            f'<tr><th scope="row">{e(path, 200)}</th><td class="n" data-h="times">{group.count}</td><td>{ended}</td>'
            f"{''.join(took)}</tr>"
        )
    heads = [("Step", ""), ("Times", "n"), ("Ended", ""), *((head.capitalize(), "n") for head in _TIMES)]
    more = f'<p class="soft">and {len(groups) - _MANY} names more</p>' if len(groups) > _MANY else ""
    return table_of("Steps by name", heads, rows, kind="stack") + more


_TIMES: Final = ("shortest", "median", "longest")


_LOG_ROOM: Final = 200_000
"""Characters of one log."""


def _table(steps: Sequence[Step], facts: Facts) -> str:
    rows: list[str] = []
    room = _ROOM
    for step in steps:
        rows.append(_step(step, facts))
        room -= len(rows[-1])
        if room < 0:
            break
    left = len(steps) - len(rows)
    more = f'<p class="soft">and {left} steps more, in the journal</p>' if left else ""
    heads = [("Step", ""), ("Began", "n began"), ("Took", "n")]
    heads += [("Host time", "n host")] if facts.simulated_time else []
    return table_of("Steps", [*heads, ("When", "bar")], rows, kind="steps") + more


def _state(step: Step, facts: Facts) -> str:
    return step.verdict or ("running" if facts.live else "aborted")


def _step(step: Step, facts: Facts) -> str:
    state = _state(step, facts)
    end = step.end if step.end is not None else facts.duration
    start = step.start if step.start is not None else end
    left, width = place(start, end, facts.duration)
    depth = min(step.depth, 8)
    began = f"+{seconds(step.start)}" if step.start is not None else ""
    took = seconds(step.elapsed) if step.elapsed is not None else "" if step.verdict else "never ended"
    limit = f"<small> of {seconds(step.timeout)}</small>" if step.timeout is not None else ""
    real = f'<td class="n host"><small>{seconds(step.real)}</small></td>' if facts.simulated_time else ""
    at = f'<rect x="{min(left, 99.4):.2f}%" width="{max(width, 0.6):.2f}%" height="10" rx="3"/>'
    rows = (
        f'<tr class="s"><td class="i{depth}">{word(state)} '
        f'<span class="name">{e(step.name, 200)}</span></td><td class="n began">{began}</td>'
        f'<td class="n">{took}{limit}</td>{real}'
        f'<td class="bar"><svg class="track {verdict_class(state)}" height="10" aria-hidden="true">{at}</svg></td></tr>'
    )
    lines = [line for event in step.events[:_LINES] if (line := _line(event))]
    if len(step.events) > _LINES:
        lines.append(f'<div class="note">and {len(step.events) - _LINES} more, in the journal</div>')
    if step.message and state != "pass":
        lines.insert(0, f'<div class="note {verdict_class(state)}">{e(step.message)}</div>')
    if lines:
        rows += (
            f'<tr><td colspan="{5 if facts.simulated_time else 4}" class="w{depth}">'
            f'<div class="within">{"".join(lines)}</div></td></tr>'
        )
    return rows


def _line(event: Event) -> str:
    """Return one thing that was recorded within a step."""
    kind, data = event["type"], event["data"]
    if kind == kinds.MEASUREMENT:
        return measurement(data)
    if kind in _SEEN_ELSEWHERE or kind == kinds.ERROR:
        return ""
    return f'<div class="note">{told(event)}</div>'


def measurement(data: Mapping[str, Any]) -> str:
    """Return a measurement: name, value, limits with their verdict, source."""
    unit = text(data.get("unit"), 40)
    bounds = [f"{sign} {quantity(data[key], unit)}" for key, sign in (("lower", "≥"), ("upper", "≤")) if key in data]
    verdict = text(data.get("verdict"), 40)
    limits = e(" and ".join(bounds))
    if bounds or verdict not in ("pass", ""):
        limits += f" {word(verdict)}" if verdict else ""
    source = f"from {e(data['source'], 100)}" if data.get("source") else ""
    return (
        f'<div class="m"><b>{e(data.get("name"), 200)}</b><span>{e(quantity(data.get("value"), unit))}</span>'
        f'<span class="limit soft">{limits}</span><span class="source soft">{source}</span></div>'
    )


def told(event: Event) -> str:
    """Return any event as one line."""
    kind, data = event["type"], event["data"]
    if kind in (kinds.NOTE, kinds.LOG):
        level = text(data.get("level"), 20)
        source = text(data.get("source"), 100)
        head = f"{level or source}: " if kind == kinds.LOG and (level or source) else ""
        return f"{e(head)}{e(data.get('text', data.get('message')))}"
    if kind == kinds.IDENTITY:
        source = f" <small>from {e(data['source'], 100)}</small>" if data.get("source") else ""
        return f"{e(data.get('name'), 100)} is {e(data.get('value'), 300)}{source}"
    if kind == kinds.ASK:
        return f"asked: {e(data.get('text'))}"
    if kind == kinds.ANSWER:
        by = f" ({e(data['by'], 100)})" if data.get("by") else ""
        return f"answered: {e(data.get('choice'))}{by}"
    if kind == kinds.CONTROL:
        by = f" by {e(data['by'], 100)}" if data.get("by") else ""
        reason = f": {e(data['reason'])}" if data.get("reason") else ""
        return f"{e(data.get('op'), 100)}{by}{reason}"
    if kind == kinds.OBSERVATION_LOSS:
        lane = text(data.get("lane", data.get("service")), 100)
        return f"{e(data.get('count'), 40)} observations of {e(lane)} were lost"
    if kind in (kinds.SERVICE_START, kinds.SERVICE_STOP):
        code = f" with exit code {e(data['exit_code'], 20)}" if data.get("exit_code") is not None else ""
        what = "started" if kind == kinds.SERVICE_START else f"ended{code}"
        return f"service {e(data.get('name'), 100)} {what}"
    if kind == kinds.SERVICE_EXTERNAL:
        at = table(data.get("announcement"))
        name = text(at.get("fqdn") or at.get("address"), 200)
        return f"{e(data.get('name'), 100)}: the lab's own, {e(name)}, by adapter {e(data.get('adapter'), 100)}"
    if kind == kinds.LANE_MISSING:
        return f"lane {e(data.get('lane'), 100)} is not recorded: {e(data.get('why'), 500)}"
    pairs = ", ".join(f"{text(key, 60)} = {text(value, 200)}" for key, value in data.items() if value not in (None, ""))
    return f"{e(kind, 60)}: {e(pairs, 1000)}"


def log(events: Iterable[Event], limit: int = 400) -> str:
    """Return events as lines with their times."""
    events = list(events)
    rows: list[str] = []
    room = _LOG_ROOM
    for event in events[:limit]:
        when = f"+{seconds(event['at'])}" if event["at"] is not None else ""
        rows.append(f'<tr><td class="n soft">{when}</td><td>{told(event)}{_in(event)}</td></tr>')
        room -= len(rows[-1])
        if room < 0:
            break
    left = len(events) - len(rows)
    more = f'<p class="soft">and {left} more, in the journal</p>' if left else ""
    return table_of("Log", [("Time", "n"), ("What", "")], rows, kind="log") + more


def _in(event: Event) -> str:
    return f" <small>in {e(event['step'], 200)}</small>" if event["step"] else ""
