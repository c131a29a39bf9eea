"""Steps, measurements, and what went wrong: the part of a report that is read first at night."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from bench.report.facts import Event, Facts, Step
from bench.report.lanes import Exchange
from bench.report.style import GLYPHS, verdict_class
from bench.report.svg import place
from bench.report.values import clock_time, number, quantity, seconds, table, text, wall_ns
from bench.run import events as kinds

_SHOWN_FAILURES: Final = 8
_LINES: Final = 200
"""Lines of one step that are shown; the journal has all."""
_SEEN_ELSEWHERE: Final = frozenset(
    (kinds.VERDICT, kinds.SERVICE_START, kinds.SERVICE_STOP, kinds.STATION, kinds.RESULT)
)


def e(value: object, limit: int = 4000) -> str:
    """Return a value as text that HTML takes as text, in elements and in quoted attributes."""
    return escape(text(value, limit))


def word(verdict: str) -> str:
    """Return a verdict as glyph, word and colour."""
    return f'<span class="word {verdict_class(verdict)}">{GLYPHS.get(verdict, "!")} {e(verdict, 40)}</span>'


def steps_table(facts: Facts) -> str:
    """Return the steps with times, verdicts, measurements and notes."""
    if not facts.steps:
        return '<p class="soft">No step was begun.</p>'
    rows = "".join(_step(step, facts) for step in facts.steps)
    real = '<th class="n host">Host time</th>' if facts.simulated_time else ""
    return (
        '<table class="steps"><thead><tr><th>Step</th><th class="n began">Began</th><th class="n">Took</th>'
        f'{real}<th class="bar"></th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _state(step: Step, facts: Facts) -> str:
    return step.verdict or ("running" if facts.live else "aborted")


def _step(step: Step, facts: Facts) -> str:
    state = _state(step, facts)
    end = step.end if step.end is not None else facts.duration
    start = step.start if step.start is not None else end
    left, width = place(start, end, facts.duration)
    indent = f' style="padding-left:{min(step.depth, 8) * 22}px"'
    began = f"+{seconds(step.start)}" if step.start is not None else ""
    took = seconds(step.elapsed) if step.elapsed is not None else "" if step.verdict else "never ended"
    limit = f"<small> of {seconds(step.timeout)}</small>" if step.timeout is not None else ""
    real = f'<td class="n host"><small>{seconds(step.real)}</small></td>' if facts.simulated_time else ""
    rows = (
        f'<tr class="s d{min(step.depth, 8)}"><td{indent}>{word(state)} '
        f'<span class="name">{e(step.name, 200)}</span></td><td class="n began">{began}</td>'
        f'<td class="n">{took}{limit}</td>{real}'
        f'<td class="bar"><span class="track {verdict_class(state)}">'
        f'<i style="left:{left:.3f}%;width:{width:.3f}%"></i></span></td></tr>'
    )
    lines = [line for event in step.events[:_LINES] if (line := _line(event))]
    if len(step.events) > _LINES:
        lines.append(f'<div class="note">and {len(step.events) - _LINES} more, in the journal</div>')
    if step.message and state != "pass":
        lines.insert(0, f'<div class="{verdict_class(state)}">{e(step.message)}</div>')
    if lines:
        padding = f"{min(step.depth, 8) * 22 + 20}px"
        rows += (
            f'<tr><td colspan="5" style="padding-left:{padding}"><div class="within">{"".join(lines)}</div></td></tr>'
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


# --- what went wrong ----------------------------------------------------------------------------------------------


def failures(facts: Facts) -> str:
    """Return what went wrong, with the exchanges just before; '' when nothing did."""
    shown: list[Sequence[Exchange]] = []
    steps, errors = facts.failing[:_SHOWN_FAILURES], facts.loose_errors
    found = [_failed_step(step, facts, shown) for step in steps]
    found += [_error(event, facts, shown) for event in errors[:_SHOWN_FAILURES]]
    left = len(facts.failing) + len(errors) - len(found)
    if left > 0:
        found.append(f'<p class="soft">and {left} more, in the journal</p>')
    return "".join(found)


def _failed_step(step: Step, facts: Facts, shown: list[Sequence[Exchange]]) -> str:
    error = facts.error_of(step)
    data = error["data"] if error is not None else {}
    exchanges = facts.trace.windows.get((step.path, step.number), [])
    at = f"after {seconds(step.elapsed)}" if step.elapsed is not None else ""
    return (
        f'<div class="failure"><p class="what">{word(step.verdict)} '
        f"{e(data.get('what') or step.message or step.name)}</p>"
        f"<p>{_where(data)}in step <b>{e(step.path.replace('/', ' / '))}</b> {at}</p>{_hint(data)}{_stack(data)}"
        f"{_before(exchanges, step.ended_ns, 'the step ended', shown)}</div>"
    )


def _error(event: Event, facts: Facts, shown: list[Sequence[Exchange]]) -> str:
    data = event["data"]
    moment = wall_ns(event["wall"])
    exchanges = facts.trace.moments.get(moment, []) if moment is not None else []
    return (
        f'<div class="failure"><p class="what">{e(data.get("what") or "an error without words")}</p>'
        f"<p>{_where(data)}at +{seconds(event['at']) or '?'}</p>{_hint(data)}{_stack(data)}"
        f"{_before(exchanges, moment, 'the error was recorded', shown)}</div>"
    )


def _before(exchanges: Sequence[Exchange], end: int | None, what: str, shown: list[Sequence[Exchange]]) -> str:
    if exchanges and exchanges in shown:
        return '<p class="soft">On the lanes: as above.</p>'
    shown.append(exchanges)
    return exchange_table(exchanges, end, what)


def _where(data: Mapping[str, Any]) -> str:
    return f'<span class="mono">{e(data["where"])}</span>, ' if data.get("where") else ""


def _hint(data: Mapping[str, Any]) -> str:
    return f'<p class="hint">{e(data["hint"])}</p>' if data.get("hint") else ""


def _stack(data: Mapping[str, Any]) -> str:
    stack = text(data.get("stack"), 20_000)
    return f"<details><summary>stack</summary><pre>{escape(stack)}</pre></details>" if stack else ""


def exchange_table(exchanges: Sequence[Exchange], end: int | None, what: str) -> str:
    """Return the last exchanges of the lanes before ``end`` (wall time in ns), newest last."""
    if not exchanges:
        return ""
    rows = "".join(_exchange(exchange, end) for exchange in exchanges)
    return (
        f"<h3>On the lanes just before {what}</h3>"
        '<table class="ex stack"><thead><tr><th>Host time</th><th>Lane</th><th>Bench →</th><th>→ bench</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _exchange(exchange: Exchange, end: int | None) -> str:
    when = f"−{seconds(max(0, end - exchange.time_ns) / 1e9)}" if end is not None else clock_time(exchange.time_ns)
    again = f' <span class="times">×{exchange.count}</span>' if exchange.count > 1 else ""
    return (
        f'<tr><td class="lane" title="{clock_time(exchange.time_ns)} UTC">{when}</td>'
        f'<td class="lane">{e(exchange.lane, 60)}{again}</td><td>{e(exchange.sent, 400)}</td>'
        f'<td data-h="←">{e(exchange.received, 600)}</td></tr>'
    )


def log(events: Iterable[Event], limit: int = 400) -> str:
    """Return events as lines with their times."""
    events = list(events)
    rows = "".join(
        f'<tr><td class="n soft">{"+" + seconds(event["at"]) if event["at"] is not None else ""}</td>'
        f"<td>{told(event)}{_in(event)}</td></tr>"
        for event in events[:limit]
    )
    more = f'<p class="soft">and {len(events) - limit} more, in the journal</p>' if len(events) > limit else ""
    return f'<table class="log">{rows}</table>{more}'


def _in(event: Event) -> str:
    return f" <small>in {e(event['step'], 200)}</small>" if event["step"] else ""


def seconds_of(value: object) -> str:
    """Return a duration of the record."""
    return seconds(number(value))
