"""Codes of PSM and eDRX times: GPRS timer 2 and 3 (24.008 10.5.7.4, 10.5.7.4a), eDRX cycles (10.5.5.32). No I/O."""

from __future__ import annotations

import math
import re

_T3412 = {0b011: 2, 0b100: 30, 0b101: 60, 0b000: 600, 0b001: 3600, 0b010: 36_000, 0b110: 1_152_000}
"""Seconds a step by the unit bits of GPRS timer 3, the finest first."""
_T3324 = {0b000: 2, 0b001: 60, 0b010: 360}
_OFF = "11100000"
_STEPS = 31

WB_CYCLES = (
    5.12, 10.24, 20.48, 40.96, 61.44, 81.92, 102.4, 122.88, 143.36, 163.84, 327.68, 655.36, 1310.72, 2621.44, 2621.44,
    2621.44,
)  # fmt: skip
NB_CYCLES = (
    20.48, 20.48, 20.48, 40.96, 20.48, 81.92, 20.48, 20.48, 20.48, 163.84, 327.68, 655.36, 1310.72, 2621.44, 5242.88,
    10485.76,
)  # fmt: skip
_BITS = re.compile(r"[01]{8}")
_CODE = re.compile(r"[01]{4}")


def periodic_tau_code(seconds: float | None) -> str:
    """Return the bits of T3412 extended for at least ``seconds``; None deactivates. Raises ValueError above 413 days.

    Of the codes that are long enough the shortest, with the coarsest step: 48 h becomes 50 h, in steps of 10 h.
    """
    return _code(seconds, _T3412)


def active_time_code(seconds: float | None) -> str:
    """Return the bits of T3324 for at least ``seconds``. Raises ValueError above 186 min."""
    return _code(seconds, _T3324)


def _code(seconds: float | None, units: dict[int, int]) -> str:
    if seconds is None:
        return _OFF
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{seconds:g} s is no time")
    best: tuple[int, int, int] | None = None
    for bits, step in units.items():
        count = math.ceil(seconds / step - 1e-9)
        if count <= _STEPS and (best is None or count * step <= best[0]):
            best = (count * step, bits, count)
    if best is None:
        raise ValueError(f"{seconds:g} s is longer than the timer's {max(units.values()) * _STEPS} s")
    return f"{best[1]:03b}{best[2]:05b}"


def periodic_tau(bits: str) -> float | None:
    """Return the seconds of T3412 extended, None when deactivated or unreadable."""
    return _seconds(bits, _T3412)


def active_time(bits: str) -> float | None:
    """Return the seconds of T3324, None when deactivated or unreadable. Unknown units count as minutes."""
    return _seconds(bits, {**dict.fromkeys(range(7), 60), **_T3324})


def _seconds(bits: str, units: dict[int, int]) -> float | None:
    if not _BITS.fullmatch(bits):
        return None
    step = units.get(int(bits[:3], 2))
    return None if step is None else float(step * int(bits[3:], 2))


def cycle_code(seconds: float, *, narrow: bool) -> str:
    """Return the four bits of the shortest eDRX cycle of at least ``seconds``. Raises ValueError beyond the longest."""
    cycles = NB_CYCLES if narrow else WB_CYCLES
    fitting = [(cycle, code) for code, cycle in enumerate(cycles) if cycle >= seconds - 1e-9]
    if not fitting or seconds <= 0:
        raise ValueError(f"{seconds:g} s: there are eDRX cycles of {min(cycles)} to {max(cycles)} s")
    cycle = min(fitting)[0]
    # Several codes mean the same cycle: the one that means it in every release.
    usual = {20.48: 2, 2621.44: 13}
    return f"{usual.get(cycle, min(fitting)[1]):04b}"


def cycle(bits: str, *, narrow: bool) -> float | None:
    """Return the seconds of an eDRX code, None when unreadable."""
    return (NB_CYCLES if narrow else WB_CYCLES)[int(bits, 2)] if _CODE.fullmatch(bits) else None


def paging_window(bits: str, *, narrow: bool) -> float | None:
    """Return the seconds of a paging time window code, None when unreadable."""
    return round((int(bits, 2) + 1) * (2.56 if narrow else 1.28), 2) if _CODE.fullmatch(bits) else None
