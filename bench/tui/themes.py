"""Themes, and how a state looks: a glyph, a word and a colour, never the colour alone.

``bench-cvd`` keeps states apart for colour-blind eyes (Okabe and Ito); ``bench-light`` is the same on paper white;
``bench-grey`` has no hue at all and is what NO_COLOR gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

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
BENCH_LIGHT = Theme(
    name="bench-light",
    primary="#005B8F",
    secondary="#0072B2",
    accent="#8F3A68",
    warning="#8A5A00",
    error="#A33E00",
    success="#00694C",
    foreground="#101418",
    background="#FAFAF7",
    surface="#F0F0EC",
    panel="#DFE3E6",
    dark=False,
)
BENCH_GREY = Theme(
    name="bench-grey",
    primary="#B8B8B8",
    secondary="#909090",
    accent="#D0D0D0",
    warning="#D8D8D8",
    error="#FFFFFF",
    success="#A8A8A8",
    foreground="#E0E0E0",
    background="#101010",
    surface="#181818",
    panel="#282828",
    dark=True,
)
THEMES: Final = (BENCH_CVD, BENCH_LIGHT, BENCH_GREY)

_UTF8: Final = {
    "pass": "✔",
    "ok": "✔",
    "inconclusive": "?",
    "fail": "✖",
    "aborted": "■",
    "error": "!",
    "bench-error": "!",
    "broken": "!",
    "running": "▶",
    "pending": "○",
    "on": "▶",
    "off": "■",
    "unknown": "?",
    "warning": "!",
    "cursor": "▸",
    "arrow-out": ">",
    "arrow-in": "<",
    "none": "–",
    "paused": "❚❚",
    "enter": "↵",
    "bar": "█",
    "track": "░",
    "sort": "▼",
    "dots": "…",
    "down": "▾",
}
_ASCII: Final = _UTF8 | {
    "pass": "+",
    "ok": "+",
    "fail": "x",
    "aborted": "#",
    "running": ">",
    "pending": "o",
    "on": ">",
    "off": "#",
    "cursor": ">",
    "none": "-",
    "paused": "||",
    "enter": "CR",
    "bar": "#",
    "track": ".",
    "sort": "v",
    "dots": "~",
    "down": "v",
}

_SAME_IN_ASCII: Final = str.maketrans({"↵": "CR", "…": "~", "–": "-", "→": ">", "←": "<", "·": ".", "µ": "u", "±": "~"})


@dataclass(frozen=True, slots=True)
class Look:
    """How states and lanes are drawn here."""

    ascii: bool = False
    theme: Theme = field(default_factory=lambda: BENCH_CVD)

    def glyph(self, name: str) -> str:
        """Return the glyph of a state or sign; ``?`` for one that is not known."""
        return (_ASCII if self.ascii else _UTF8).get(name, "?")

    def said(self, state: str, word: str = "") -> str:
        """Return glyph and word."""
        return f"{self.glyph(state)} {word or state}"

    def text(self, text: str) -> str:
        """Return a text for this terminal: what could move its cursor is written out, ASCII where it must be."""
        if not text.isprintable():
            text = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
        if self.ascii and not text.isascii():
            text = text.translate(_SAME_IN_ASCII).encode("ascii", "replace").decode()
        return text

    def states(self) -> tuple[str, ...]:
        """Return every state that has a colour."""
        return tuple(self._colours())

    def style(self, state: str) -> Style:
        """Return the style of a state."""
        return _style(self._colours().get(state, ""), state in _BOLD, dim=state in ("pending", "none"))

    def lane(self, lane: str) -> Style:
        """Return the style of a lane by its kind, the part before the colon."""
        kind = lane.partition(":")[0]
        names = {"apdu": "running", "at": "warning", "scpi": "inconclusive", "esipa": "error", "es9plus": "error"}
        names |= {"steps": "pass", "radio": "pass", "power": "none"}
        return _style(self._colours().get(names.get(kind, ""), ""), kind in ("es9plus", "steps"), dim=kind == "power")

    def _colours(self) -> Mapping[str, str]:
        theme = self.theme
        return {
            "pass": theme.success or "",
            "ok": theme.success or "",
            "fail": theme.error or "",
            "error": theme.accent or "",
            "bench-error": theme.accent or "",
            "broken": theme.accent or "",
            "inconclusive": theme.warning or "",
            "aborted": theme.warning or "",
            "warning": theme.warning or "",
            "unknown": theme.warning or "",
            "running": theme.primary,
            "on": theme.primary,
            "heading": theme.primary,
            "off": theme.foreground or "",
        }


_BOLD: Final = frozenset({"fail", "error", "bench-error", "broken", "running", "on", "heading", "unknown"})
_STYLES: dict[tuple[str, bool, bool], Style] = {}


def _style(colour: str, bold: bool, *, dim: bool) -> Style:
    """Return a style; the same object each time, so that lines of a million packets share a dozen."""
    key = colour, bold, dim
    if key not in _STYLES:
        _STYLES[key] = Style(color=colour or None, bold=bold or None, dim=dim or None)
    return _STYLES[key]


def theme_of(name: str) -> Theme:
    """Return a theme by its name, the colour-blind safe one when there is none of that name."""
    return next((theme for theme in THEMES if theme.name == name), BENCH_CVD)
