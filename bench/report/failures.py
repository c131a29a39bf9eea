"""What went wrong, with the lanes just before and after: the part of a report that is read first at night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from bench.report.exchanges import Exchange
from bench.report.facts import Facts, Step
from bench.report.lanes import Window
from bench.report.steps import word
from bench.report.text import e, table_of
from bench.report.times import Event
from bench.report.values import clock_time, seconds, text, wall_ns

_SHOWN: Final = 8


def failures(facts: Facts) -> str:
    """Return what went wrong, with the exchanges around; '' when nothing did."""
    shown: list[Sequence[Exchange]] = []
    steps, errors = facts.failing[:_SHOWN], facts.loose_errors
    found = [_failed_step(step, facts, shown) for step in steps]
    found += [_error(event, facts, shown) for event in errors[:_SHOWN]]
    if facts.broken:
        found.append(_broken(facts))
    left = len(facts.failing) + len(errors) - len(found) + facts.broken
    if left > 0:
        found.append(f'<p class="soft">and {left} more, in the journal</p>')
    return "".join(found)


def _failed_step(step: Step, facts: Facts, shown: list[Sequence[Exchange]]) -> str:
    error = facts.error_of(step)
    data = error["data"] if error is not None else {}
    window = facts.trace.windows.get((step.path, step.number), Window())
    at = f"after {seconds(step.elapsed)}" if step.elapsed is not None else ""
    return (
        f'<div class="failure"><p class="what">{word(step.verdict)} '
        f"{e(data.get('what') or step.message or step.name)}</p>"
        f"<p>{_where(data)}in step <b>{e(step.path.replace('/', ' / '))}</b> {at}{_moment(step.end)}</p>"
        f"{_hint(data)}{_stack(data)}{_around(window, step.ended_ns, 'the step ended', shown)}</div>"
    )


def _error(event: Event, facts: Facts, shown: list[Sequence[Exchange]]) -> str:
    data = event["data"]
    moment = wall_ns(event["wall"])
    window = facts.trace.moments.get(moment, Window()) if moment is not None else Window()
    return (
        f'<div class="failure"><p class="what"><span class="word v-error">! error</span> '
        f"{e(data.get('what') or 'an error without words')}</p>"
        f"<p>{_where(data)}at +{seconds(event['at']) or '?'}</p>{_hint(data)}{_stack(data)}"
        f"{_around(window, moment, 'the error was recorded', shown)}</div>"
    )


def _broken(facts: Facts) -> str:
    """Tell where the record of a run breaks off that nobody has ended: power cut, kill -9, a full disk."""
    step = facts.innermost
    where = f"in step <b>{e(step.path.replace('/', ' / '))}</b>" if step is not None else "outside of all steps"
    hint = (
        "host, runner and supervisor did not get to its end: a power cut, kill -9, out of memory? "
        "Outputs may be on: 'bench safe --stale' turns them off"
    )
    window = facts.trace.last
    end = facts.trace.last_ns or None
    return (
        f'<div class="failure"><p class="what"><span class="word v-bench-error">! bench-error</span> '
        f"the record breaks off</p><p>{where}{_moment(facts.duration)}</p>"
        f'<p class="hint">{e(hint)}</p>{exchange_table(window, end, "the trace ended")}</div>'
    )


def _moment(at: float | None) -> str:
    return f", at +{seconds(at)}" if at is not None else ""


def _around(window: Window, end: int | None, what: str, shown: list[Sequence[Exchange]]) -> str:
    if window.before and window.before in shown:
        return '<p class="soft">On the lanes: as above.</p>'
    shown.append(window.before)
    return exchange_table(window, end, what)


def _where(data: Mapping[str, Any]) -> str:
    return f'<span class="mono">{e(data["where"])}</span>, ' if data.get("where") else ""


def _hint(data: Mapping[str, Any]) -> str:
    return f'<p class="hint">{e(data["hint"])}</p>' if data.get("hint") else ""


def _stack(data: Mapping[str, Any]) -> str:
    stack = text(data.get("stack"), 20_000)
    return f"<details><summary>stack</summary><pre>{escape(stack)}</pre></details>" if stack else ""


def exchange_table(window: Window, end: int | None, what: str) -> str:
    """Return the last exchanges of the lanes before ``end`` (wall time in ns) and the first ones after, in order."""
    if not window.before and not window.after:
        return ""
    rows = [_exchange(exchange, end) for exchange in window.before]
    rows.append(f'<tr class="moment"><td colspan="4">✘ {escape(what)} here</td></tr>')
    rows += [_exchange(exchange, end) for exchange in window.after]
    heads = [("Host time", ""), ("Lane", ""), ("Bench →", ""), ("→ bench", "")]
    return f"<h3>On the lanes just before {escape(what)}</h3>" + table_of(
        f"Exchanges around the moment when {what}", heads, rows, kind="ex stack"
    )


def _exchange(exchange: Exchange, end: int | None) -> str:
    if end is None:
        when = clock_time(exchange.time_ns)
    else:
        apart = (exchange.time_ns - end) / 1e9
        when = f"{'−' if apart <= 0 else '+'}{seconds(abs(apart))}"
    again = f' <span class="times">×{exchange.count}</span>' if exchange.count > 1 else ""
    raw = ""
    if exchange.raw:
        lines = escape(chr(10).join(exchange.raw))
        raw = f"<details><summary>bytes</summary><pre>{lines}</pre></details>"
    return (
        f'<tr><td class="lane" title="{clock_time(exchange.time_ns)} UTC">{when}</td>'
        f'<td class="lane">{e(exchange.lane, 60)}{again}</td>'
        f"<td>{e(exchange.sent, 400)}{raw if exchange.sent else ''}</td>"
        f'<td data-h="←">{e(exchange.received, 600)}{"" if exchange.sent else raw}</td></tr>'
    )
