"""Where a run took place: instruments with SIMULATED or REAL each, identities, clock, host, versions, parameters."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Final

from bench.report.facts import Facts
from bench.report.steps import log
from bench.report.text import definitions, e, table_of
from bench.report.values import quantity, seconds, table, text
from bench.run import events as kinds

_JUMP: Final = 0.2
"""Seconds that the wall clock was set by, from which on it is told."""


def bench(facts: Facts) -> str:
    """Return instruments, identities, services, bearer, clocks, host and versions."""
    manifest = facts.manifest
    known = table(manifest.get("instruments"))
    rows = []
    for kind, value in list(known.items())[:100]:
        part = table(value)
        rows.append(
            f'<tr><th scope="row">{e(kind, 60)}</th><td>{_real(part.get("simulated"))}</td>'
            f"<td>{_identity(kind, part, facts)}</td><td>{e(part.get('driver'), 100)}</td>"
            f'<td class="mono">{e(part.get("at"), 200)}</td></tr>'
        )
    heads = [("Instrument", ""), ("", ""), ("Identity and firmware", ""), ("Driver", ""), ("At", "")]
    parts = [
        table_of("Instruments", heads, rows, kind="stack") if rows else '<p class="soft">No instrument was opened.</p>'
    ]
    found = {
        text(event["data"].get("name"), 100): event["data"]
        for event in facts.of(kinds.IDENTITY)
        if text(event["data"].get("name"), 100) not in known
    }
    if found:
        pairs = [(name, f"{e(data.get('value'), 300)}{_source(data)}") for name, data in list(found.items())[:100]]
        parts.append(f"<h3>Identities</h3>{definitions(pairs, wide=True)}")
    services = facts.of(kinds.SERVICE_START, kinds.SERVICE_EXTERNAL, kinds.SERVICE_STOP)
    if services:
        parts.append(f"<h3>Services</h3>{log(services)}")
    parts.append(f"<h3>Clocks</h3>{definitions(_clocks(facts), wide=True)}")
    host = table(manifest.get("host"))
    versions = ", ".join(f"{name} {text(value, 60)}" for name, value in table(manifest.get("versions")).items())
    pairs = [
        ("Data path", e(manifest.get("bearer"), 200)),
        ("If the host dies", e(manifest.get("host_death"), 200)),
        ("Host", e(", ".join(text(host[key], 100) for key in ("name", "system", "machine") if host.get(key)))),
        ("Versions", e(versions)),
    ]
    shown = definitions([(name, value) for name, value in pairs if value], wide=True)
    return "".join(parts) + (f"<h3>Host and software</h3>{shown}" if shown else "")


def _identity(kind: str, part: Mapping[str, Any], facts: Facts) -> str:
    """Return who an instrument is; of a modem that booted later, what it said on its lane."""
    told = [text(part.get("identity"), 200), text(part.get("firmware"), 100)]
    if kind == "modem" and not told[0] and len(facts.trace.modems) == 1:
        (said,) = facts.trace.modems.values()
        told = [" ".join(said[key] for key in ("manufacturer", "model") if key in said)]
        told += [f"{key} {said[key]}" for key in ("firmware", "IMEI") if key in said]
        told.append("as it says on its lane")
    return e(", ".join(part for part in told if part)) or "–"


def _clocks(facts: Facts) -> list[tuple[str, str]]:
    mode = text(facts.manifest.get("clock"), 60)
    how = {
        "real": "the host's monotonic clock",
        "instant": "of the simulated world, which jumps to its next event; not the time of this host",
    }.get(mode, "of the simulated world" if mode.startswith("scaled") else "")
    pairs = [("Station time", f"{e(mode) or 'not known'}{f': {how}' if how else ''}")]
    state = text(table(facts.manifest.get("host")).get("clock"), 100)
    pairs.append(("Wall clock of the host", f"{e(state) or 'whether it was synchronised is not recorded'}"))
    jump = facts.time.clock_jump
    set_by = f"it was set by {'+' if jump > 0 else '−'}{seconds(abs(jump))} during the run"
    pairs.append(("During the run", e(set_by) if abs(jump) >= _JUMP else "it was not set"))
    pairs.append(("Times of the trace", "wall clock of the host, when its first byte was there"))
    return pairs


def _real(simulated: object) -> str:
    if simulated is None:
        return ""
    return '<span class="bench simulated">SIMULATED</span>' if simulated else '<span class="bench real">REAL</span>'


def _source(data: Mapping[str, Any]) -> str:
    return f" <small>from {e(data['source'], 100)}</small>" if data.get("source") else ""


def parameters(facts: Facts) -> str:
    """Return the parameters with where their values came from, the seed, and the command that repeats the run."""
    order = table(facts.manifest.get("order"))
    sources = table(order.get("sources"))
    rows = [
        f'<tr><th scope="row">{e(name, 100)}</th>'
        f"<td>{e(quantity(value, digits=12), 500) or '<small>empty</small>'}</td>"
        f'<td class="soft">{e(sources.get(name), 100)}</td></tr>'
        for name, value in list(table(facts.manifest.get("parameters")).items())[:300]
    ]
    shown = table_of("Parameters", [("Parameter", ""), ("Value", ""), ("From", "")], rows)
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
