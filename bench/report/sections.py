"""The sections of a report behind steps and failures: safe, power, provisioning, lanes, the bench, files."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from bench.report import svg
from bench.report.facts import Facts, Step
from bench.report.steps import e, log, told, word
from bench.report.values import number, quantity, scaled, seconds, size, table, text
from bench.run import events as kinds
from bench.run import folder as places
from bench.run.sample_statistics import Statistics
from bench.run.samples import Samples


def timeline(facts: Facts) -> str:
    """Return the bar of the phases and the power curves, on one axis."""
    bar = svg.time_bar(facts)
    if not bar and not facts.power:
        return ""
    of = "station time of the simulated world" if facts.simulated_time else "time of this host"
    parts = [f"<figure>{bar}<figcaption>Steps of the recipe; {of}</figcaption></figure>"] if bar else []
    for samples in facts.power:
        curve = svg.power_curve(samples, facts)
        if curve:
            keys = '<span class="key-amps">━ current</span> <span class="key-volts">━ voltage</span>'
            channel = f", channel {e(samples.header['channel'], 20)}" if samples.header.get("channel") else ""
            caption = f'<span class="keys">{keys}</span>{_supply_name(samples)}{channel}'
            parts.append(f"<figure>{curve}<figcaption>{caption}</figcaption></figure>")
    return "".join(parts)


# --- power --------------------------------------------------------------------------------------------------------


def power(facts: Facts) -> str:
    """Return energy, charge and currents, for the run and for each step of the recipe; '' without samples."""
    return "".join(_supply(samples, facts) for samples in facts.power if samples.times)


def _supply(samples: Samples, facts: Facts) -> str:
    whole = samples.statistics()
    numbers = [
        (f"{whole.energy:.4g} J", f"energy, {whole.energy_mwh:.4g} mWh"),
        (scaled(whole.amps_max, "A"), _when(whole, facts)),
        (scaled(whole.amps_mean, "A"), "mean current"),
        (f"{whole.charge / 3.6:.4g} mAh", "charge"),
        (_range(whole), "voltage"),
    ]
    shown = "".join(f"<div><b>{e(value)}</b><span>{e(what)}</span></div>" for value, what in numbers)
    every = f"sampled every {seconds(samples.interval)}" if samples.interval else "sampled"
    off = f", output off for {seconds(whole.off)}" if whole.off else ""
    gaps = f", {whole.gaps} measurement{'s' if whole.gaps > 1 else ''} failed" if whole.gaps else ""
    rough = f" What the current does between two samples, up to {seconds(whole.longest)} apart, is not seen."
    note = (
        f"{whole.samples} samples, {every}, over {seconds(whole.covered)} of {seconds(facts.duration)}{off}{gaps}."
        f"{rough if whole.longest else ''}"
    )
    rows = "".join(_phase(step, samples, facts) for step in svg.phases(facts))
    heads = "".join(f'<th class="n">{head}</th>' for head in ("Energy", "Mean current", "Highest sample", "Covered"))
    per_step = f"<table><thead><tr><th>Step</th>{heads}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
    return (
        f'<h3>{_supply_name(samples)}</h3><div class="numbers">{shown}</div><p class="soft">{note}</p>'
        f'<div class="scroll">{per_step}</div>'
    )


def _supply_name(samples: Samples) -> str:
    identity = text(table(samples.header.get("supply")).get("identity"), 100)
    return e(samples.name, 60) + (f" ({e(identity)})" if identity else "")


def _when(figures: Statistics, facts: Facts) -> str:
    if figures.amps_max_at is None:
        return "highest sample"
    at = figures.amps_max_at - facts.origin
    return f"highest sample, at +{seconds(at)}" if 0 <= at <= facts.duration else "highest sample"


def _range(figures: Statistics) -> str:
    if figures.volts_min is None or figures.volts_max is None:
        return "–"
    return f"{figures.volts_min:.3f} to {figures.volts_max:.3f} V"


def _phase(step: Step, samples: Samples, facts: Facts) -> str:
    if step.start is None:
        return ""
    end = facts.duration if step.end is None else step.end
    figures = samples.statistics(step.start + facts.origin, end + facts.origin)
    if not figures.covered and not figures.samples:
        return f'<tr><td>{e(step.name, 100)}</td><td class="n soft">no sample</td><td colspan="3"></td></tr>'
    cells = (scaled(figures.energy, "J"), scaled(figures.amps_mean, "A"), scaled(figures.amps_max, "A"))
    shown = "".join(f'<td class="n">{cell}</td>' for cell in (*cells, seconds(figures.covered)))
    return f"<tr><td>{e(step.name, 100)}</td>{shown}</tr>"


# --- safe ---------------------------------------------------------------------------------------------------------


def safe(facts: Facts) -> str:
    """Return what was made safe and how that was verified."""
    found = facts.of(kinds.SAFE)
    done = {text(event["data"].get("name"), 200) for event in found}
    missing = [] if facts.live else [name for name in facts.plan if name not in done]
    if not found and not missing:
        return f'<p class="soft">{"Not yet." if facts.live else "Nothing had been switched."}</p>'
    dead = _dead_voltages(facts)
    rows = "".join(_made_safe(table(event["data"]), event["at"], dead) for event in found)
    rows += "".join(
        f'<tr><td>{e(name)}</td><td><span class="word v-fail">✘ NOT VERIFIED</span></td>'
        "<td>nothing in the record: take it as still on</td><td></td><td></td></tr>"
        for name in missing
    )
    return (
        '<table class="stack"><thead><tr><th>Action</th><th></th><th>Read back</th><th>By</th>'
        f'<th class="n">At</th></tr></thead><tbody>{rows}</tbody></table>'
    )


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
        f'<tr><td>{e(name)}</td><td>{state}</td><td>{e(shown)}</td><td data-h="by">{e(data.get("by"), 60)}</td>'
        f'<td class="n" data-h="at">{when}</td></tr>'
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
    heads = "".join(f'<th class="n">{head}</th>' for head in ("Calls", "Mean", "Longest", "In all"))
    rows = []
    for interface in ("ES10", "ESipa", "ES9+", "ES2+"):
        for each in (each for each in found if each.interface == interface):
            mean = each.total / each.answered if each.answered else None
            most, total = (each.most, each.total) if each.answered else (None, None)
            failed = f' <span class="word v-fail">✘ {each.failed} failed</span>' if each.failed else ""
            rows.append(
                f'<tr><td><small>{interface}</small> {e(each.name, 80)}{failed}</td><td class="n">{each.count}</td>'
                f'<td class="n">{seconds(mean)}</td><td class="n">{seconds(most)}</td>'
                f'<td class="n">{seconds(total)}</td>'
                f'<td class="soft wide">{e(each.last, 120)}</td></tr>'
            )
    note = "Host time from the first packet of a function to its last answer"
    note += "; in a simulated world that is not station time." if facts.simulated_time else "."
    return (
        f'<div class="scroll"><table><thead><tr><th>Function</th>{heads}<th>Last answer</th></tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div><p class="soft">{note}</p>'
    )


def trace(facts: Facts) -> str:
    """Return packets and bytes of every lane, and the lanes that this set-up cannot record."""
    if not facts.trace.present:
        return f'<p class="soft">There is no trace.</p>{not_recorded(facts)}'
    rows = "".join(
        f'<tr><td class="mono">{e(lane.name, 80)}</td><td class="n">{lane.sent}</td>'
        f'<td class="n">{size(lane.bytes_sent)}</td>'
        f'<td class="n">{lane.received}</td><td class="n">{size(lane.bytes_received)}</td></tr>'
        for lane in facts.trace.lanes.values()
    )
    heads = "".join(f'<th class="n">{head}</th>' for head in ("Sent", "Bytes", "Received", "Bytes"))
    lost = "".join(f'<p class="v-fail">{told(event)}</p>' for event in facts.of(kinds.OBSERVATION_LOSS))
    lost += not_recorded(facts)
    whole = facts.trace.complaint or "whole"
    return (
        f'<div class="scroll"><table><thead><tr><th>Lane</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'{lost}<p class="soft">{facts.trace.packets} packets, {size(facts.trace.size)}: {e(whole)}. '
        "Wireshark opens trace.pcapng.</p>"
    )


def not_recorded(facts: Facts) -> str:
    """Return the lanes that the set-up could not record, and why; '' when there is none."""
    missing = {text(event["data"].get("lane"), 80): event["data"].get("why") for event in facts.of(kinds.LANE_MISSING)}
    items = "".join(f'<li><span class="mono">{e(lane)}</span> – {e(why, 500)}</li>' for lane, why in missing.items())
    return f"<p>Lanes not recorded:</p><ul>{items}</ul>" if items else ""


# --- the bench ----------------------------------------------------------------------------------------------------


def bench(facts: Facts) -> str:
    """Return instruments with SIMULATED or REAL each, identities, services, bearer, clock, host and versions."""
    manifest = facts.manifest
    rows = []
    for kind, value in table(manifest.get("instruments")).items():
        part = table(value)
        rows.append(
            f"<tr><td>{e(kind, 60)}</td><td>{_real(part.get('simulated'))}</td>"
            f"<td>{e(part.get('identity'), 200) or '–'}</td>"
            f"<td>{e(part.get('firmware'), 100)}</td><td>{e(part.get('driver'), 100)}</td>"
            f'<td class="mono">{e(part.get("at"), 200)}</td></tr>'
        )
    heads = "".join(f"<th>{head}</th>" for head in ("Instrument", "", "Identity", "Firmware", "Driver", "At"))
    parts = [
        f'<table class="stack"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        if rows
        else '<p class="soft">No instrument was opened.</p>'
    ]
    known = table(manifest.get("instruments"))
    found = {
        text(event["data"].get("name"), 100): event["data"]
        for event in facts.of(kinds.IDENTITY)
        if text(event["data"].get("name"), 100) not in known
    }
    if found:
        pairs = [(name, f"{e(data.get('value'), 300)}{_source(data)}") for name, data in found.items()]
        parts.append(f"<h3>Identities</h3>{_list(pairs, wide=True)}")
    services = facts.of(kinds.SERVICE_START, kinds.SERVICE_EXTERNAL, kinds.SERVICE_STOP)
    if services:
        parts.append(f"<h3>Services</h3>{log(services)}")
    host = table(manifest.get("host"))
    versions = ", ".join(f"{name} {text(value, 60)}" for name, value in table(manifest.get("versions")).items())
    pairs = [
        ("Data path", e(manifest.get("bearer"), 200)),
        ("Clock", e(manifest.get("clock"), 60)),
        ("If the host dies", e(manifest.get("host_death"), 200)),
        ("Host", e(", ".join(text(host[key], 100) for key in ("name", "system", "machine") if host.get(key)))),
        ("Versions", e(versions)),
    ]
    shown = _list([(name, value) for name, value in pairs if value], wide=True)
    return "".join(parts) + (f"<h3>Host and software</h3>{shown}" if shown else "")


def _real(simulated: object) -> str:
    if simulated is None:
        return ""
    return '<span class="bench simulated">SIMULATED</span>' if simulated else '<span class="bench real">REAL</span>'


def _source(data: Mapping[str, Any]) -> str:
    return f" <small>from {e(data['source'], 100)}</small>" if data.get("source") else ""


def _list(pairs: Iterable[tuple[str, str]], *, wide: bool = False) -> str:
    items = "".join(f"<div><dt>{e(name, 100)}</dt><dd>{value}</dd></div>" for name, value in pairs)
    return f'<dl class="facts{" wide" if wide else ""}">{items}</dl>' if items else ""


def parameters(facts: Facts) -> str:
    """Return the parameters with where their values came from, the seed, and the command that repeats the run."""
    order = table(facts.manifest.get("order"))
    sources = table(order.get("sources"))
    rows = "".join(
        f"<tr><td>{e(name, 100)}</td><td>{e(quantity(value, digits=12), 500) or '<small>empty</small>'}</td>"
        f'<td class="soft">{e(sources.get(name), 100)}</td></tr>'
        for name, value in table(facts.manifest.get("parameters")).items()
    )
    shown = f"<table><thead><tr><th>Parameter</th><th>Value</th><th>From</th></tr></thead><tbody>{rows}</tbody></table>"
    command = _command(facts, order, sources)
    return (shown if rows else '<p class="soft">The recipe has no parameters.</p>') + (
        f"<h3>The same again</h3><pre>{e(command)}</pre>" if command else ""
    )


def _command(facts: Facts, order: Mapping[str, Any], sources: Mapping[str, Any]) -> str:
    manifest = facts.manifest
    if not manifest.get("recipe"):
        return ""
    words = ["bench", "run", text(manifest["recipe"], 500), "--station", text(manifest.get("station"), 100)]
    if manifest.get("seed") is not None:
        words += ["--seed", text(manifest["seed"], 40)]
    for name, value in table(manifest.get("parameters")).items():
        if text(sources.get(name), 100) not in ("default", "") and not text(sources.get(name), 100).startswith("from "):
            words += ["-s", f"{name}={text(value, 500)}"]
    for key in ("clock", "eid"):
        if order.get(key):
            words += [f"--{key}", text(order[key], 100)]
    for name, value in table(order.get("world")).items():
        words += ["--world", f"{name}={text(value, 2000)}"]
    return shlex.join(words)


def files(facts: Facts, *, linked: bool) -> str:
    """Return the files of the run folder; links where the report is in it."""
    shown = [(name, count) for name, count in facts.files if count and name not in ("report.html", "run.lock")]
    pairs = [
        (name, size(count) if not linked else f'<a href="{e(name, 300)}">{size(count)}</a>') for name, count in shown
    ]
    return _list(pairs)


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
    return f"<h3>When the verdicts were decided</h3><table>{''.join(rows)}</table>" if rows else ""
