"""``report.html``: one self-contained file, made from a run folder alone, at any time again.

Nothing in it runs and nothing is loaded: there is no script, no address outside, and a content security policy that
forbids both whatever a device or a server said.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.report import environment, failures, limits, power, results, sections, sources, steps
from bench.report.facts import Facts, gather
from bench.report.style import CSS, GLYPHS, verdict_class
from bench.report.text import definitions, e
from bench.report.values import number, seconds, table, text, wall
from bench.run import folder as places

REPORT: Final = "report.html"
_HASH: Final = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
"""The only thing that applies is the one style sheet: style attributes and whatever else was smuggled in do not."""


def render(facts: Facts, *, linked: bool = True) -> str:
    """Return the report as HTML text; ``linked``: it will be in the run folder, beside the files it names.

    Never raises: a section that cannot be made of what is in the folder says so in its place.
    """
    title = text(table(facts.manifest.get("order")).get("title") or facts.result.get("recipe"), 200) or "Run"
    parts = [
        _part("Checks", lambda: results.section(facts, judged=True)),
        _part("What went wrong", lambda: failures.failures(facts), mark="alarm bad"),
        _part("Result", lambda: results.section(facts, judged=False)),
        _part("Course", lambda: sections.timeline(facts)),
        _part("Measurements against limits", lambda: limits.limits(facts)),
        _part("Profiles", lambda: sources.profiles(facts)),
        _part("Steps", lambda: steps.steps_table(facts)),
        _part("Energy and bytes", lambda: power.power(facts) + power.by_phase(facts)),
        _part("Who says so", lambda: sources.sources(facts)),
        _part("Made safe", lambda: sections.safe(facts)),
        _part("Provisioning", lambda: sections.functions(facts)),
        _part("Lanes", lambda: sections.trace(facts)),
        _part("Bench", lambda: environment.bench(facts)),
        _part("Parameters", lambda: environment.parameters(facts) + sections.verdict_events(facts)),
        _part("Log", lambda: sections.lines(facts)),
        _part("Files", lambda: sections.files(facts, linked=linked)),
    ]
    links = "".join(f'<li><a href="#{_id(name)}">{name}</a></li>' for name, content in parts if content)
    body = "".join(content for _, content in parts)
    top = _bare(lambda: _header(facts, title)) + _bare(lambda: _complaints(facts))
    state = _state(facts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{e(GLYPHS.get(state, '!'))} {e(state, 40)}: {e(title)}</title>"
        f"<style>{CSS}</style></head>\n<body>{top}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n<main>{body}</main>'
        f"<footer>Made from the run folder {e(facts.folder.name, 200)}; 'bench report' makes it again.</footer>"
        "</body></html>\n"
    )


def _id(title: str) -> str:
    return title.lower().replace(" ", "-")


def _part(title: str, content: Callable[[], str], *, mark: str = "") -> tuple[str, str]:
    try:
        inner = content()
    except Exception as error:  # what a crash left must never cost the rest of the report
        inner = _given_up(error)
    if not inner:
        return title, ""
    of = f' class="{mark}"' if mark else ""
    made = f'<section{of} id="{_id(title)}" aria-label="{title}"><h2>{title}</h2>{inner}</section>\n'
    return title, made


def _bare(content: Callable[[], str]) -> str:
    try:
        return content()
    except Exception as error:
        return f"<section>{_given_up(error)}</section>"


def _given_up(error: Exception) -> str:
    return f'<p class="v-fail">This part cannot be made: {e(type(error).__name__)}: {e(error)}</p>'


def _state(facts: Facts) -> str:
    return "running" if facts.running else text(facts.result.get("verdict"), 40) or "bench-error"


def _header(facts: Facts, title: str) -> str:
    result, manifest = facts.result, facts.manifest
    verdicts = "".join(
        _verdict(who, "running" if facts.running else text(result.get(key), 40) or "inconclusive", note)
        for who, key, note in (
            ("Device", "device", "the device under test"),
            ("Bench", "bench", "bench, recipe, services"),
        )
    )
    took = seconds(facts.duration)
    real = number(result.get("real"))
    times = f"{took} of station time, {seconds(real)} of real time" if facts.simulated_time else f"{took}"
    pairs = [
        ("Recipe", e(result.get("recipe") or manifest.get("recipe"), 300)),
        ("Station", e(result.get("station") or manifest.get("station"), 100)),
        ("Started", e(wall(result.get("started") or manifest.get("started")))),
        ("Took", e(times)),
        ("Seed", e(manifest.get("seed"), 40)),
        ("Exit code", e(result.get("exit_code"), 20)),
        ("By", e(table(manifest.get("order")).get("by"), 100)),
        ("Label", e(manifest.get("label"), 300)),
        ("Run", f'<span class="mono">{e(manifest.get("run") or facts.folder.name, 200)}</span>'),
    ]
    return (
        f'<header><div class="top"><h1>{e(title)}</h1>{_badge(facts)}</div><div class="verdicts">{verdicts}</div>'
        f"{_reason(facts)}{definitions([(name, value) for name, value in pairs if value])}</header>\n"
    )


def _reason(facts: Facts) -> str:
    """Return why the verdicts are what they are, and what to do; of a run that passed, nothing."""
    reason = text(facts.result.get("summary"))
    if not reason:
        return ""
    hint = ""
    for event in facts.errors:
        what = text(event["data"].get("what"))
        if what and what in reason and event["data"].get("hint"):
            hint = f'<p class="hint">{e(event["data"]["hint"])}</p>'
            break
    return f'<p class="reason">{e(reason)}</p>{hint}'


def _verdict(who: str, verdict: str, note: str) -> str:
    return (
        f'<div class="verdict {verdict_class(verdict)}" title="{note}"><span>{who}</span> '
        f"<b>{GLYPHS.get(verdict, '!')} {e(verdict, 40)}</b></div>"
    )


def _badge(facts: Facts) -> str:
    """Return SIMULATED or REAL for the whole run: simulated and real results are never taken for one another."""
    parts = [table(part).get("simulated") for part in table(facts.manifest.get("instruments")).values()]
    if facts.manifest.get("simulated") is None and not parts:
        return '<span class="bench mixed">SIMULATED OR REAL: NOT KNOWN</span>'
    if any(parts) and not all(parts):
        return '<span class="bench mixed">PARTLY SIMULATED</span>'
    if facts.manifest.get("simulated") or any(parts):
        return '<span class="bench simulated">SIMULATED</span>'
    return '<span class="bench real">REAL HARDWARE</span>'


def _complaints(facts: Facts) -> str:
    found = list(facts.complaints)
    if facts.running:
        found.insert(0, "the run is still going on: this is what has been recorded so far")
    if not found:
        return ""
    items = "".join(f"<li>{e(complaint)}</li>" for complaint in found[:50])
    return f'<section class="alarm"><h2>This record is not whole</h2><ul>{items}</ul></section>\n'


def write(folder: Path, path: Path | None = None) -> Path:
    """Write the report of a run folder into it, or to ``path``; return where it is.

    Raises BenchError when the folder is no run folder or the file cannot be written.
    """
    target = path if path is not None else folder / REPORT
    facts = gather(folder)
    page = render(facts, linked=target.absolute().parent == folder.absolute())
    try:
        places.write_atomic(target, page.encode("utf-8", "replace"))
    except OSError as error:
        raise BenchError(
            f"the report cannot be written: {error.strerror}", where=str(target), hint="--html PATH puts it elsewhere"
        ) from error
    return target
