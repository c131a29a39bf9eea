"""Sections of a report: course, made safe, functions, lanes, files, log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from bench.report.course import course, of_run
from bench.report.facts import Facts
from bench.report.power import supply_name
from bench.report.steps import log, told, word
from bench.report.text import definitions, e, table_of
from bench.report.values import number, seconds, size, table, text
from bench.run import events as kinds
from bench.run import folder as places


def timeline(facts: Facts) -> str:
    """Return everything that has a time on one axis, with its legend."""
    drawn = course(facts)
    if not drawn:
        return ""
    of = "station time of the simulated world" if facts.simulated_time else "time of this host"
    keys = ['<span class="key-phase">▮ phases</span>']
    radio = facts.trace.radio
    if facts.failing or facts.loose_errors:
        keys.append('<span class="key-mark">✘ failure</span>')
    if radio.registrations:
        keys.append("<span>▮ registration, as the modem reports it</span>")
    if facts.trace.card.changes:
        keys.append("<span>● profile changed, as the card confirmed</span>")
    if radio.times:
        keys.append(f'<span class="key-radio">━ RSRP ({e(radio.source, 60)})</span>')
    supplies = [samples for samples in facts.power if of_run(samples, facts)]
    if supplies:
        names = "; ".join(supply_name(samples) for samples in supplies)
        keys.append(
            f'<span class="key-amps">━ current</span> <span class="key-volts">━ voltage</span> <span>{names}</span>'
        )
    other = [samples for samples in facts.power if samples.times and samples not in supplies]
    if other:
        names = "; ".join(supply_name(samples) for samples in other)
        keys.append(f"<span>not drawn, of another time: {names}</span>")
    return f"<figure>{drawn}<figcaption><span>{of}</span> {' '.join(keys)}</figcaption></figure>"


# --- safe ---------------------------------------------------------------------------------------------------------


def safe(facts: Facts) -> str:
    """Return what was made safe and how that was verified."""
    found = facts.of(kinds.SAFE)
    done = {text(event["data"].get("name"), 200) for event in found}
    missing = [] if facts.live else [name for name in facts.plan if name not in done]
    if not found and not missing:
        return f'<p class="soft">{"Not yet." if facts.live else "Nothing had been switched."}</p>'
    dead = _dead_voltages(facts)
    rows = "".join(_made_safe(table(event["data"]), event["at"], dead) for event in found[:500])
    rows += "".join(
        f'<tr><th scope="row">{e(name)}</th><td><span class="word v-fail">✘ NOT VERIFIED</span></td>'
        "<td>nothing in the record: take it as still on</td><td></td><td></td></tr>"
        for name in missing[:500]
    )
    heads = [("Action", ""), ("", ""), ("Read back", ""), ("By", ""), ("At", "n")]
    return table_of("What was made safe", heads, [rows], kind="stack")


def _made_safe(data: Mapping[str, Any], at: float | None, dead: Mapping[str, str]) -> str:
    name = text(data.get("name"), 200)
    verified = data.get("verified") is True
    state = (
        '<span class="word v-pass">✔ verified</span>' if verified else '<span class="word v-fail">✘ NOT VERIFIED</span>'
    )
    reading, message = data.get("reading"), text(data.get("message"))
    volts = number(reading)
    if volts is not None and name in dead:
        shown = f"rail at {volts:.3f} V, dead below {dead[name]} V"
        if message and f"{volts:.3f}" not in message:
            shown += f": {message}"
    else:
        shown = ": ".join(part for part in (message, text(reading, 300)) if part)
    when = f"+{seconds(at)}" if at is not None else ""
    return (
        f'<tr><th scope="row">{e(name)}</th><td>{state}</td><td>{e(shown)}</td>'
        f'<td data-h="by">{e(data.get("by"), 60)}</td><td class="n" data-h="at">{when}</td></tr>'
    )


def _dead_voltages(facts: Facts) -> dict[str, str]:
    actions = places.read_json(facts.folder / places.PLAN).get("actions")
    found = {}
    for action in actions if isinstance(actions, list) else ():
        limit = number(table(action).get("dead_voltage"))
        if limit is not None:
            found[text(table(action).get("name"), 200)] = f"{limit:g}"
    return found


# --- lanes and functions ------------------------------------------------------------------------------------------


def functions(facts: Facts) -> str:
    """Return the functions of ES10, ESipa, ES9+ and ES2+ with their counts and durations; '' when none was seen."""
    found = [each for each in facts.trace.functions if each.count]
    if not found:
        return ""
    rows = []
    for interface in ("ES10", "ESipa", "ES9+", "ES2+"):
        for each in (each for each in found if each.interface == interface):
            mean = each.total / each.answered if each.answered else None
            most, total = (each.most, each.total) if each.answered else (None, None)
            failed = f' <span class="word v-fail">✘ {each.failed} failed</span>' if each.failed else ""
            rows.append(
                f'<tr><th scope="row"><small>{interface}</small> {e(each.name, 80)}{failed}</th>'
                f'<td class="n" data-h="calls">{each.count}</td><td class="n" data-h="mean">{seconds(mean)}</td>'
                f'<td class="n" data-h="longest">{seconds(most)}</td>'
                f'<td class="n" data-h="in all">{seconds(total)}</td>'
                f'<td class="soft wide" data-h="last answer">{e(each.last, 120)}</td></tr>'
            )
    note = "Host time from the first packet of a function to its last answer"
    note += "; in a simulated world that is not station time." if facts.simulated_time else "."
    heads = [
        ("Function", ""),
        ("Calls", "n"),
        ("Mean", "n"),
        ("Longest", "n"),
        ("In all", "n"),
        ("Last answer", "wide"),
    ]
    return f'{table_of("Functions", heads, rows[:400], kind="stack")}<p class="soft">{note}</p>'


def trace(facts: Facts) -> str:
    """Return packets and bytes of every lane, and the lanes that this set-up cannot record."""
    if not facts.trace.present:
        return f'<p class="soft">There is no trace.</p>{not_recorded(facts)}'
    lanes = list(facts.trace.lanes.values())[:200]
    rows = [
        f'<tr><th scope="row" class="mono">{e(lane.name, 80)}{_clock_of(lane.name, facts)}</th>'
        f'<td class="n" data-h="sent">{lane.sent}</td><td class="n" data-h="bytes">{size(lane.bytes_sent)}</td>'
        f'<td class="n" data-h="received">{lane.received}</td>'
        f'<td class="n" data-h="bytes">{size(lane.bytes_received)}</td></tr>'
        for lane in lanes
    ]
    lost = "".join(f'<p class="v-fail">{told(event)}</p>' for event in facts.of(kinds.OBSERVATION_LOSS)[:50])
    lost += not_recorded(facts)
    whole = facts.trace.complaint or "whole"
    files = f" in {facts.trace.files} files" if facts.trace.files > 1 else ""
    heads = [("Lane", ""), ("Sent", "n"), ("Bytes", "n"), ("Received", "n"), ("Bytes", "n")]
    return (
        f"{table_of('Packets and bytes of each lane', heads, rows, kind='stack')}{lost}"
        f'<p class="soft">{facts.trace.packets} packets, {size(facts.trace.size)}{files}: {e(whole)}. '
        "Wireshark opens trace.pcapng.</p>"
    )


def _clock_of(lane: str, facts: Facts) -> str:
    described = facts.trace.descriptions.get(lane)
    return f"<br><small>{e(described, 300)}</small>" if described else ""


def not_recorded(facts: Facts) -> str:
    """Return the lanes that the set-up could not record, and why; '' when there is none."""
    missing = {text(event["data"].get("lane"), 80): event["data"].get("why") for event in facts.of(kinds.LANE_MISSING)}
    items = "".join(f'<li><span class="mono">{e(lane)}</span> – {e(why, 500)}</li>' for lane, why in missing.items())
    return f"<p>Lanes not recorded:</p><ul>{items}</ul>" if items else ""


# --- files and log ------------------------------------------------------------------------------------------------


def files(facts: Facts, *, linked: bool) -> str:
    """Return the files of the run folder; links where the report is in it."""
    shown = [(name, count) for name, count in facts.files if count and name not in ("report.html", "run.lock")]
    pairs = []
    for name, count in shown:
        # In front of the name, so that no name is taken for an address of its own.
        target = f"./{quote(name, errors='surrogateescape')}"
        pairs.append((name, f'<a href="{e(target, 1000)}">{size(count)}</a>' if linked else size(count)))
    return definitions(pairs)


def lines(facts: Facts) -> str:
    """Return notes, logs, questions and commands that belong to no step; '' when there are none."""
    wanted = (kinds.NOTE, kinds.LOG, kinds.HOLD, kinds.ASK, kinds.ANSWER, kinds.CONTROL)
    found = [event for event in facts.of(*wanted) if not event["step"]]
    return log(found) if found else ""


def verdict_events(facts: Facts) -> str:
    """Return when and why each verdict was decided."""
    rows = []
    for event in facts.of(kinds.VERDICT):
        for who in ("device", "bench"):
            if event["data"].get(who):
                when = f"+{seconds(event['at'])}" if event["at"] is not None else ""
                rows.append(
                    f'<tr><td>{who}</td><td>{word(text(event["data"][who], 40))}</td><td class="n">{when}</td>'
                    f"<td>{e(event['data'].get('reason'))}</td></tr>"
                )
    heads = [("Of", ""), ("Verdict", ""), ("At", "n"), ("Because", "")]
    made = table_of("When the verdicts were decided", heads, rows)
    return f"<h3>When the verdicts were decided</h3>{made}" if rows else ""
