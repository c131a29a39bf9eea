"""Values of a record as people read them. A record may hold anything: nothing here raises."""

from __future__ import annotations

import calendar
import math
import time
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

LONGEST = 4000
_MARKS: Final = 3
"""Combining characters in a row that are left to themselves; more of them paint over the lines around."""


def text(value: object, limit: int = LONGEST) -> str:
    """Return a value as text of at most ``limit`` characters, '' for None; what cannot be seen is shown as an escape.

    Line ends and tabs stay: what is shown decides about them.
    """
    if value is None:
        return ""
    try:
        shown = value if isinstance(value, str) else str(value)
    except ValueError:  # an integer of more digits than Python turns into text
        shown = "a number too long to show"
    cut = len(shown) > limit
    shown = shown[:limit]
    if not (shown.isascii() and shown.isprintable()):
        shown = visible(shown)
    return f"{shown[: limit - 1]}…" if cut or len(shown) > limit else shown


def visible(shown: str) -> str:
    """Return text whose control characters can be read and no longer act: ``\\x1b``, ``\\u202e``.

    Controls of terminals, of writing direction, of no width, lone surrogates and unassigned characters; line ends and
    tabs stay. Of more than three combining characters in a row the rest is escaped too.
    """
    found: list[str] = []
    marks = 0
    for character in shown.replace("\r\n", "\n"):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if (character.isprintable() or character in "\n\t") and marks <= _MARKS:
            found.append(character)
        else:
            code = ord(character)
            found.append(f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")
    return "".join(found)


def number(value: object) -> float | None:
    """Return a finite number, None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def table(value: object) -> Mapping[str, Any]:
    """Return a mapping with text keys, an empty one for everything else."""
    return {text(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def seconds(value: float | None) -> str:
    """Return a duration: 12 ms, 3.25 s, 4 min 05 s, 2 h 07 min; '' for None."""
    if value is None:
        return ""
    sign, value = ("−", -value) if value < 0 else ("", value)
    if value < 0.0005:
        return "0 ms" if value < 1e-9 else f"{sign}{value * 1e6:.0f} µs"
    if value < 0.9995:
        return f"{sign}{value * 1000:.3g} ms" if value < 0.0995 else f"{sign}{value * 1000:.0f} ms"
    if value < 119.95:
        return f"{sign}{value:.2f} s" if value < 9.995 else f"{sign}{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{sign}{hours // 24} d {hours % 24:02d} h"
    return f"{sign}{hours} h {minutes:02d} min" if hours else f"{sign}{minutes} min {rest:02d} s"


def quantity(value: object, unit: str = "", digits: int = 6) -> str:
    """Return a measured value with its unit."""
    if isinstance(value, float):
        shown = f"{value:.{digits}g}" if math.isfinite(value) else text(value)
    elif isinstance(value, bool):
        shown = "yes" if value else "no"
    else:
        shown = "not measured" if value is None else text(value, 300)
    return f"{shown} {unit}" if unit and value is not None else shown


_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def scaled(value: float | None, unit: str) -> str:
    """Return a physical value with the prefix that suits it: 0.0123 A is 12.3 mA."""
    if value is None:
        return "–"
    if value == 0:
        return f"0 {unit}"
    factor, prefix = next((each for each in _PREFIXES if abs(value) >= each[0] * 0.99995), _PREFIXES[-1])
    return f"{value / factor:.4g} {prefix}{unit}"


def size(count: float) -> str:
    """Return bytes: 512 B, 20.8 kB, 1.2 MB."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def wall_ns(value: object) -> int | None:
    """Return ISO 8601 UTC of the journal as ns since 1970, None for other text."""
    if not isinstance(value, str) or len(value) < 19 or not value.isascii():
        return None
    try:
        whole = calendar.timegm(time.strptime(value[:19], "%Y-%m-%dT%H:%M:%S"))
        fraction = value[20:].rstrip("Z") if value[19:20] == "." else ""
        return whole * 1_000_000_000 + (int(fraction[:9].ljust(9, "0")) if fraction else 0)
    except (ValueError, OverflowError):
        return None


def wall(value: object) -> str:
    """Return wall time of the journal as people read it, UTC to the second."""
    shown = text(value, 40)
    return f"{shown[:10]} {shown[11:19]} UTC" if wall_ns(value) is not None else shown


def clock_time(ns: int) -> str:
    """Return wall time in ns since 1970 as HH:MM:SS.mmm, UTC."""
    try:
        return f"{time.strftime('%H:%M:%S', time.gmtime(ns // 1_000_000_000))}.{ns // 1_000_000 % 1000:03d}"
    except (OverflowError, ValueError, OSError):
        return "?"
