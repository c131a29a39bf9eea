"""The morning report: one line, HTML, JUnit XML and JSON, derived from book and runs; can always be made again."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from bench.report.style import CSS
from bench.run import folder as places
from bench.run.junit import junit
from bench.soak.findings import findings

REPORT: Final = "report.html"
JUNIT: Final = "junit.xml"
SUMMARY: Final = "summary.json"
_MORE: Final = (
    "body{max-width:76rem;margin:2rem auto;padding:0 1rem;font:15px/1.45 system-ui,sans-serif}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .7rem;text-align:left;"
    "border-bottom:1px solid #8884}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
)
STYLE: Final = CSS + _MORE
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
"""Whatever a device or a server said: only the one style sheet applies, nothing is loaded, nothing runs."""


def write(folder: Path) -> dict[str, Any]:
    """Write report.html, junit.xml and summary.json of a soak; return the findings. Raises BenchError, OSError."""
    found = findings(folder)
    places.write_json(folder / SUMMARY, found)
    places.write_atomic(folder / JUNIT, junit_of(found).encode("utf-8", "replace"))
    places.write_atomic(folder / REPORT, html_of(found).encode("utf-8", "replace"))
    return found


def line_of(found: Mapping[str, Any]) -> str:
    """Return the answer in one line."""
    low, high = found["interval"]
    rate = "-" if found["rate"] is None else f"{found['rate']:.2%}"
    kind = " (SIMULATED)" if found["simulated"] else ""
    counts = {**found, "set_aside": len(found["set_aside"])}
    aside = [f"{counts[key]} {text}" for key, text in _ASIDE if counts[key]]
    worst = f"; most often: {found['clusters'][0]['signature']}" if found["clusters"] else ""
    return (
        f"{found['title']}{kind}: {_verdict(found)}: {found['failures']} of {found['counted']} cycles failed ({rate}; "
        f"{found['failure_events']} events, 95 % interval {low:.2%} to {high:.2%})"
        f"{''.join(f', {text}' for text in aside)}{worst}"
    )


def _verdict(found: Mapping[str, Any]) -> str:
    return str(found["verdict"]) if found["stopped"] else f"still running, so far {found['verdict']}"


_RATE: Final = ("by", "value", "cycles", "failures", "trials", "events")
_ASIDE: Final = (
    ("off_baseline", "not from the baseline"),
    ("bench_errors", "bench errors"),
    ("interrupted", "interrupted"),
    ("set_aside", "failed right after it and begun again"),
    ("resumes", "resumes"),
)


def junit_of(found: Mapping[str, Any]) -> str:
    """Return it as JUnit XML: a case a station and recipe, a case a cluster of failures, one for the whole."""
    steps: list[dict[str, Any]] = []
    for rate in found["rates"]:
        verdict = "fail" if rate["failures"] else "pass"
        told = f"{rate['failures']} of {rate['cycles']} cycles failed ({rate['lower']:.2%} to {rate['upper']:.2%})"
        measured = [{"name": key, "value": rate[key]} for key in ("cycles", "failures", "trials", "events")]
        steps.append(_step(f"{rate['by']}: {rate['value']}", verdict, told if rate["failures"] else "", measured))
    for cluster in found["clusters"]:
        conditions = "; ".join(item["text"] for item in cluster["conditions"]) or "no condition in common"
        told = f"{cluster['failures']} failures in {cluster['events']} events; {conditions}; first {cluster['first']}"
        steps.append(_step(f"cluster: {cluster['signature']}", "fail", told, []))
    return junit(
        {
            "recipe": f"soak {found['title']}",
            "station": ", ".join(found["stations"]),
            "run": found["soak"],
            "device": "fail" if found["failures"] else found["verdict"],
            "bench": "bench-error" if found["verdict"] == "bench-error" else "pass",
            "verdict": found["verdict"],
            "simulated": found["simulated"],
            "steps": steps,
            "errors": [],
            "summary": found["why"],
            "real": found["active"],
            "duration": found["active"],
            "started": found["started"],
            "exit_code": None,
        }
    )


def _step(path: str, verdict: str, message: str, measured: list[dict[str, Any]]) -> dict[str, Any]:
    return {"path": path, "verdict": verdict, "elapsed": None, "message": message, "measurements": measured}


# --- HTML -------------------------------------------------------------------------------------------------------------


def html_of(found: Mapping[str, Any]) -> str:
    """Return the report as one self-contained page."""
    parts = [
        f"<h1>{escape(found['title'])}: {escape(_verdict(found))}</h1>",
        f"<p><strong>{escape(line_of(found))}</strong></p>",
        f"<p>{escape(found['stopped'] or 'still running')}. Seed {found['seed']}, {found['started']} to "
        f"{found['ended'] or 'now'}, {found['active'] / 3600:.2f} h of work, {found['cycles']} cycles in all, "
        f"{found['rollbacks']} rollbacks, {found['fallbacks']} fallbacks"
        f"{', ' + _n(found['energy_J'], 'g') + ' J' if found['energy_J'] else ''}.</p>",
        _clusters(found["clusters"]),
        _set_aside(found["set_aside"]),
        "<h2>Failure rates</h2><p>An event is a run of equal failures in a row, and one trial; the interval is exact "
        "(Clopper and Pearson, 95 %), of events in trials.</p>",
        _table(
            ("by", "value", "cycles", "failed", "trials", "events", "interval"),
            (
                (*(r[name] for name in _RATE), f"{r['lower']:.2%} - {r['upper']:.2%}")
                for r in found["rates"]
            ),
        ),
        "<h2>Stations</h2>",
        _table(
            ("station", "cycles", "verdicts", "not from baseline", "bench errors", "interrupted", "used", "ended"),
            (
                (
                    name, s["cycles"], _pairs(s["verdicts"]), s["off_baseline"], s["bench_errors"], s["interrupted"],
                    _pairs(s["used"]), s["ended"],
                )
                for name, s in found["stations"].items()
            ),
        ),
        "<h2>Times</h2><p>Passed cycles, station time in seconds; the trend is over the whole soak, bold where it is "
        "more than chance.</p>",
        _table(("recipe", "phase", "n", "p50", "p95", "max", "trend"), map(_time, found["times"])),
        "<h2>Registration against RSRP</h2>" if found["registration"] else "",
        _table(
            ("RSRP dBm", "n", "p50 s", "p95 s", "max s"),
            (
                (f"{r['rsrp_from']:g} to {r['rsrp_to']:g}", r["count"], _n(r["p50"]), _n(r["p95"]), _n(r["max"]))
                for r in found["registration"]
            ),
        ),
        "<h2>Figures</h2>",
        _table(("figure", "n", "p50", "p95", "max", "trend"), (_time(f)[1:] for f in _named(found["figures"]))),
        "<h2>What happened</h2>",
        _table(
            ("when", "what", "station", ""),
            ((t["wall"], t["type"], t["station"], t["told"]) for t in found["troubles"]),
        ),
    ]  # fmt: skip
    head = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(found['title'])}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    )
    return f"{head}<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"


def _clusters(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return "<p>No cycle that counts has failed.</p>"
    rows = (
        (
            c["signature"], c["context"], c["failures"], c["events"],
            "; ".join(f"{i['text']} ({i['share']:.0%} of these, {i['passed']:.0%} of passed)" for i in c["conditions"])
            or "nothing that passed cycles have not",
            c["first"], c["nearest"] or "none",
        )
        for c in found
    )  # fmt: skip
    headers = ("signature", "decoded", "failed", "events", "in common", "first", "nearest that passed")
    return "<h2>Failures</h2>" + _table(headers, rows)


def _set_aside(found: Sequence[Mapping[str, Any]]) -> str:
    rows = ((item["cycle"], item["verdict"], item["signature"], item["reason"], item["then"]) for item in found)
    table = _table(("cycle", "verdict", "signature", "reason", "begun again"), rows)
    told = "<p>Led back after an interruption, a cycle failed before it had got on. It was begun again from the "
    return f"<h2>Set aside</h2>{told}baseline, and counts in the rates by that alone.</p>{table}" if table else ""


def _named(figures: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    return ({**figure, "recipe": "", "phase": figure["name"]} for figure in figures)


def _time(item: Mapping[str, Any]) -> tuple[object, ...]:
    trend = "" if item["trend"] is None else _n(item["trend"], "+.3g")
    return (
        item["recipe"], item["phase"], item["count"], _n(item["p50"]), _n(item["p95"]), _n(item["max"]),
        _Bold(trend) if item["drifts"] else trend,
    )  # fmt: skip


class _Bold(str):
    """Text that stands out."""


def _n(value: float, form: str = ".4g") -> str:
    """Return a number as people write it: never with an exponent."""
    text = f"{value:{form}}"
    if "e" not in text:
        return text
    sign = "+" if "+" in form else ""
    if abs(value) >= 1:
        return f"{value:{sign}.0f}"
    return f"{value:{sign}.4f}" if abs(value) >= 0.00005 else f"{sign}0"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_n(value, 'g')} {name.replace('_', ' ')}" for name, value in values.items())


def _table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a column of numbers alone stands at its right edge."""
    cells = [[*map(_cell, row)] for row in rows]
    if not cells:
        return ""
    right = [all(number or not text for text, number in column) for column in zip(*cells, strict=True)]
    kinds = [" class=n" if is_right and any(row[at][1] for row in cells) else "" for at, is_right in enumerate(right)]
    head = "".join(f"<th{kind}>{escape(header)}</th>" for header, kind in zip(headers, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{text}</td>" for (text, _), kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in cells
    )
    return f"<table><thead><tr>{head}</tr></thead>{body}</table>"


def _cell(value: object) -> tuple[str, bool]:
    """Return a cell's content, and whether it is a number."""
    text = str(value)
    try:
        number = math.isfinite(float(text))
    except ValueError:
        number = False
    return f"<strong>{escape(text)}</strong>" if isinstance(value, _Bold) else escape(text), number
