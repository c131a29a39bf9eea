"""A theme whose states stay apart for colour-blind eyes (Okabe-Ito); glyph and word always stand beside the colour."""

from __future__ import annotations

from rich.style import Style
from textual.theme import Theme

BENCH_CVD = Theme(
    name="bench-cvd",
    primary="#56B4E9",
    secondary="#0072B2",
    accent="#CC79A7",
    warning="#E69F00",
    error="#D55E00",
    success="#009E73",
    foreground="#E0E0E0",
    background="#101418",
    surface="#161B20",
    panel="#20272E",
    dark=True,
)

STATE_STYLE = {
    "pass": Style(color="#009E73"),
    "fail": Style(color="#D55E00", bold=True),
    "error": Style(color="#CC79A7", bold=True),
    "bench-error": Style(color="#CC79A7", bold=True),
    "inconclusive": Style(color="#E69F00"),
    "aborted": Style(color="#E69F00"),
    "running": Style(color="#56B4E9", bold=True),
    "pending": Style(dim=True),
}

LANE_STYLE = {
    "apdu": Style(color="#56B4E9"),
    "at": Style(color="#F0E442"),
    "scpi": Style(color="#E69F00"),
    "esipa": Style(color="#CC79A7"),
    "es9plus": Style(color="#CC79A7", bold=True),
    "steps": Style(color="#009E73"),
}


def lane_style(lane: str) -> Style:
    """Return the style of a lane by its kind, the part before the colon."""
    return LANE_STYLE.get(lane.partition(":")[0], Style())
