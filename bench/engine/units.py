"""Units people write behind numbers, and exact conversion within one dimension."""

from __future__ import annotations

from typing import Final

Ratio = tuple[int, int]
_PREFIXES: Final[dict[str, Ratio]] = {
    "n": (1, 10**9),
    "u": (1, 10**6),
    "µ": (1, 10**6),
    "m": (1, 1000),
    "": (1, 1),
    "k": (1000, 1),
    "M": (10**6, 1),
    "G": (10**9, 1),
}
_TIMES: Final[dict[str, Ratio]] = {
    **{f"{prefix}s": ratio for prefix, ratio in _PREFIXES.items() if ratio[1] > 1},
    "s": (1, 1),
    "min": (60, 1),
    "h": (3600, 1),
    "d": (86400, 1),
}
DIMENSIONS: Final[tuple[dict[str, Ratio], ...]] = (
    _TIMES,
    *({f"{prefix}{unit}": ratio for prefix, ratio in _PREFIXES.items()} for unit in ("V", "A", "W", "Ω", "F", "J")),
    {f"{prefix}Hz": ratio for prefix, ratio in _PREFIXES.items() if ratio[1] <= 1000},
    {"B": (1, 1), "kB": (10**3, 1), "MB": (10**6, 1), "GB": (10**9, 1), "KiB": (1 << 10, 1), "MiB": (1 << 20, 1)},
    {"bit/s": (1, 1), "kbit/s": (10**3, 1), "Mbit/s": (10**6, 1)},
)
"""Units of one dimension with their ratio to its unit; a unit in none of them converts to itself only."""


def dimension(unit: str) -> dict[str, Ratio]:
    """Return the units that ``unit`` can be written in; only itself when it is not known."""
    for table in DIMENSIONS:
        if unit in table:
            return table
    return {unit: (1, 1)}


def convert(value: float, written: str, wanted: str) -> float | None:
    """Return ``value`` given in ``written`` as a number of ``wanted``; None when they are of different dimensions."""
    if written == wanted:
        return value
    table = dimension(wanted)
    if written not in table:
        return None
    (above, below), (over, under) = table[written], table[wanted]
    numerator, denominator = above * under, below * over
    whole = value * numerator
    # One rounding only, so that 1500 ms are 1.5 s and 1 min is 60 s to the last bit.
    return whole // denominator if isinstance(whole, int) and whole % denominator == 0 else whole / denominator
