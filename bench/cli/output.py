"""What the commands share for printing: JSON for scripts, plain lines for people, no colour where none is wanted."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from bench.errors import BenchError

GLYPHS = {
    "pass": ("✔", "green"),
    "inconclusive": ("?", "yellow"),
    "fail": ("✘", "red"),
    "aborted": ("■", "yellow"),
    "error": ("!", "magenta"),
    "bench-error": ("!", "magenta"),
    "running": ("▶", "cyan"),
    "skipped": ("–", "white"),
}
ASCII = {"✔": "+", "✘": "x", "■": "#", "▶": ">", "–": "-"}


def coloured() -> bool:
    """Whether standard output takes colour: a terminal, and NO_COLOR not set."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def mark(state: str) -> str:
    """Return the mark of a verdict or state without colour."""
    found, _ = GLYPHS.get(state, ("·", "white"))
    return found if "utf" in (sys.stdout.encoding or "").lower() else ASCII.get(found, found)


def glyph(state: str) -> str:
    """Return the mark of a verdict or state; the word always stands beside it, colour is never alone."""
    _, colour = GLYPHS.get(state, ("·", "white"))
    return click.style(mark(state), fg=colour) if coloured() else mark(state)


def print_json(value: Any) -> None:
    """Print one JSON object on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; an empty table prints only its headers."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(headers), *lines]) for i in range(len(headers))]
    for line in [list(headers), *lines]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def seconds(value: float | None) -> str:
    """Return seconds as people read them: 0.123 s, 12.3 s, 4 min 05 s."""
    if value is None:
        return "-"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def measure(data: Mapping[str, Any]) -> str:
    """Return a measurement as one line: name, value, unit, limits."""
    value = data.get("value")
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    unit = data.get("unit") or ""
    limits = [
        f"{sign} {_limit(data[key])}" for key, sign in (("lower", "≥"), ("upper", "≤")) if data.get(key) is not None
    ]
    return f"{data.get('name')} = {text} {unit}".rstrip() + (f"  ({', '.join(limits)})" if limits else "")


def _limit(value: object) -> str:
    """Return a limit; a recipe may have given what is no number."""
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def report_error(error: BenchError) -> None:
    """Print what happened, where, and what to do, on standard error."""
    click.echo(f"bench: {error.where + ': ' if error.where else ''}{error.what}", err=True)
    if error.hint:
        click.echo(f"       {error.hint}", err=True)
