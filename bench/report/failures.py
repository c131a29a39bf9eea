"""What went wrong, with the lanes just before and after: the part of a report that is read first at night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from bench.report.exchanges import Row
from bench.report.facts import Facts, Step
from bench.report.lanes import Window
from bench.report.steps import word
from bench.report.text import e, table_of
from bench.report.times import Event
from bench.report.values import clock_time, seconds, size, text, wall_ns
from bench.trace.clocks import Clocks

_SHOWN: Final = 8
_UNORDERED: Final = '<span class="unsure" title="order to the line above not known">≈</span> '


def failures(facts: Facts) -> str:
    """Return what went wrong, with the exchanges around; '' when nothing did."""
    shown: list[Sequence[Row]] = []
    steps, errors = facts.failing[:_SHOWN], facts.loose_errors
    found = [_failed_step(step, facts, shown) for step in steps]
    found += [_error(event, facts, shown) for event in errors[:_SHOWN]]
    if facts.broken:
        found.append(_broken(facts))
    left = len(facts.failing) + len(errors) - len(found) + facts.broken
    if left > 0:
        found.append(f'<p class="soft">and {left} more, in the journal</p>')
    return "".join(found)


def _failed_step(step: Step, facts: Facts, shown: list[Sequence[Row]]) -> str:
    error = facts.error_of(step)
    data = error["data"] if error is not None else {}
    window = facts.trace.windows.get((step.path, step.number), Window())
    at = f"after {seconds(step.elapsed)}" if step.elapsed is not None else ""
    return (
        f'<div class="failure"><p class="what">{word(step.verdict)} '
        f"{e(data.get('what') or step.message or step.name)}</p>"
        f"<p>{_where(data)}in step <b>{e(step.path.replace('/', ' / '))}</b> {at}{_moment(step.end)}</p>"
        f"{_hint(data)}{_stack(data)}"
        f"{_around(window, step.ended_ns, 'the step ended', shown, facts.trace.clocks)}</div>"
    )


def _error(event: Event, facts: Facts, shown: list[Sequence[Row]]) -> str:
    data = event["data"]
    moment = wall_ns(event["wall"])
    window = facts.trace.moments.get(moment, Window()) if moment is not None else Window()
    return (
        f'<div class="failure"><p class="what"><span class="word v-error">! error</span> '
        f"{e(data.get('what') or 'an error without words')}</p>"
        f"<p>{_where(data)}at +{seconds(event['at']) or '?'}</p>{_hint(data)}{_stack(data)}"
        f"{_around(window, moment, 'the error was recorded', shown, facts.trace.clocks)}</div>"
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
        f'<p class="hint">{e(hint)}</p>{exchange_table(window, end, "the trace ended", facts.trace.clocks)}</div>'
    )


def _moment(at: float | None) -> str:
    return f", at +{seconds(at)}" if at is not None else ""


def _around(window: Window, end: int | None, what: str, shown: list[Sequence[Row]], clocks: Clocks) -> str:
    if window.before and window.before in shown:
        return '<p class="soft">On the lanes: as above.</p>'
    shown.append(window.before)
    return exchange_table(window, end, what, clocks)


def _where(data: Mapping[str, Any]) -> str:
    return f'<span class="mono">{e(data["where"])}</span>, ' if data.get("where") else ""


def _hint(data: Mapping[str, Any]) -> str:
    return f'<p class="hint">{e(data["hint"])}</p>' if data.get("hint") else ""


def _stack(data: Mapping[str, Any]) -> str:
    stack = text(data.get("stack"), 20_000)
    return f"<details><summary>stack</summary><pre>{escape(stack)}</pre></details>" if stack else ""


def exchange_table(window: Window, end: int | None, what: str, clocks: Clocks) -> str:
    """Return the last exchanges of the lanes before ``end`` (wall time in ns) and the first ones after, in order.

    A line whose order to the one above is not known, since their clocks are not that sure, has a mark.
    """
    signal = _signal(window, end)
    if not window.before and not window.after:
        return signal
    found = [*window.before, *window.after]
    moments = [(row.lane, row.time_ns) for row in found]
    if end is not None:  # the moment itself has a clock too, that of the steps
        moments.insert(len(window.before), ("steps", end))
    unknown = clocks.unordered(moments)
    if end is None:
        unknown.insert(len(window.before), False)
    rows = [_exchange(row, end, apart) for row, apart in zip(found, _without(unknown, len(window.before)), strict=True)]
    mark = _UNORDERED if unknown[len(window.before)] else ""
    moment = f'<tr class="moment"><td colspan="6">{mark}✘ {escape(what)} here</td></tr>'
    rows.insert(len(window.before), moment)
    heads = [("Host time", ""), ("Lane", ""), ("Function", ""), ("Answer", ""), ("Took", "n"), ("Bytes → ←", "n")]
    legend = (
        '<p class="soft">≈ came before or after the line above: nearer to it than the clocks of the lanes are sure.</p>'
        if any(unknown)
        else ""
    )
    table = table_of(f"Exchanges around the moment when {what}", heads, rows, kind="ex stack")
    return f"{signal}<h3>On the lanes just before {escape(what)}</h3>{table}{legend}"


def _without(marks: list[bool], place: int) -> list[bool]:
    return marks[:place] + marks[place + 1 :]


def _signal(window: Window, end: int | None) -> str:
    signal = window.signal
    if signal is None:
        return ""
    age = f" {seconds(max(0, end - signal.t_ns) / 1e9)} before" if end is not None else ""
    return f"<p>Signal{age}: {e(signal.text(), 300)}</p>"


def _exchange(row: Row, end: int | None, unknown: bool) -> str:
    if end is None:
        when = clock_time(row.time_ns)
    else:
        apart = (row.time_ns - end) / 1e9
        when = f"{'−' if apart <= 0 else '+'}{seconds(abs(apart))}"
    again = f' <span class="times">×{row.count}</span>' if row.count > 1 else ""
    bad = ' class="bad"' if row.ok is False else ""
    took = seconds(row.seconds) if row.seconds > 0 else ""
    more = _more("fields", row.fields) + _more("bytes", row.raw)
    if row.function and (row.result or more):
        told = f"<span{bad}>{e(row.result, 600)}</span>{more}"
        said = f'<td class="f">{e(row.function, 400)}</td><td data-h="←">{told}</td>'
    else:
        arrow = "" if row.function else "← "
        said = f'<td colspan="2"{bad}>{arrow}{e(row.function or row.result, 600)}{more}</td>'
    octets = f"{size(row.sent)} · {size(row.received)}" if row.sent or row.received else ""
    return (
        f'<tr><td class="lane" title="{clock_time(row.time_ns)} UTC">{_UNORDERED if unknown else ""}{when}</td>'
        f'<td class="lane">{e(row.lane, 60)}{again}</td>'
        f"{said}"
        f'<td class="n">{took}</td><td class="n">{octets}</td></tr>'
    )


def _more(name: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"<details><summary>{name}</summary><pre>{e(chr(10).join(lines), 8000)}</pre></details>"
