"""Indices of signal levels and the intervals they stand for (27.007 section 8.69; 36.133, 38.133, 25.133, 45.008).

An index is an interval, and makers print one edge of it or the other: nRF91's "index - 140" is the upper edge, and of
a modem that prints dBm nobody knows which. So an index is kept, with both edges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.station.interfaces.measurement import Level
from instruments.modem.lines import fields_of, name_of

_NOT_KNOWN: Final = 255


@dataclass(frozen=True, slots=True)
class Scale:
    """One table of a standard: what its lowest index is, its highest, and the lower edge of those between."""

    lowest: int
    highest: int
    edge: Callable[[int], float]
    """Lower edge of an index; an index ends where the next begins."""
    step: float
    not_known: int = _NOT_KNOWN

    def level(self, index: int | None) -> Level | None:
        """Return the interval of an index; None for the index of "not known" and for what the table has not."""
        if index is None or index == self.not_known or not self.lowest <= index <= self.highest:
            return None
        if index == self.lowest:
            return Level(index, None, self.edge(index + 1))
        low = self.edge(index)
        return Level(index, low, None if index == self.highest else low + self.step)


def _rsrp(index: int) -> float:
    # 36.133 table 9.1.4-1: 0 is "below -140" as before the extension, whose negative indices share out what is below.
    return index - 141.0 if index > 0 else index - 140.0


def _rsrq(index: int) -> float:
    # 36.133 table 9.1.7-1: 0 ("below -19.5") and 34 ("-3 and above") are of before the extension.
    return index / 2 - (20.5 if index > 34 else 20.0 if index > 0 else 19.5)


RXLEV: Final = Scale(0, 63, lambda index: index - 111.0, 1.0, 99)
"""45.008 section 8.1.4, dBm."""
RSCP: Final = Scale(0, 96, lambda index: index - 121.0, 1.0)
"""25.133 section 9.1.1.3, dBm."""
ECNO: Final = Scale(0, 49, lambda index: index / 2 - 24.5, 0.5)
"""25.133 section 9.1.2.3, dB."""
RSRQ: Final = Scale(0, 34, _rsrq, 0.5)
"""36.133 table 9.1.7-1, dB."""
RSRP: Final = Scale(0, 97, _rsrp, 1.0)
"""36.133 table 9.1.4-1, dBm."""
RSRQ_EXTENDED: Final = Scale(-30, 46, _rsrq, 0.5)
RSRP_EXTENDED: Final = Scale(-17, 97, _rsrp, 1.0)
SS_RSRQ: Final = Scale(0, 126, lambda index: index / 2 - 43.5, 0.5)
"""38.133 table 10.1.11.1-1, dB."""
SS_RSRP: Final = Scale(0, 126, lambda index: index - 157.0, 1.0)
"""38.133 table 10.1.6.1-1, dBm."""
SS_SINR: Final = Scale(0, 127, lambda index: index / 2 - 23.5, 0.5)
"""38.133 table 10.1.16.1-1, dB."""
NORDIC_SNR: Final = Scale(0, 49, lambda index: index - 25.0, 1.0, 127)
"""nRF91 AT commands guide, %XMONITOR: 0 is below -24 dB, 49 is 24 dB and above."""

_CESQ: Final = (
    ("rxlev", RXLEV),
    ("ber", None),  # RXQUAL class
    ("rscp", RSCP),
    ("ecno", ECNO),
    ("rsrq", RSRQ_EXTENDED),  # nRF91 gives the extended indices here
    ("rsrp", RSRP_EXTENDED),
    ("ss_rsrq", SS_RSRQ),
    ("ss_rsrp", SS_RSRP),
    ("ss_sinr", SS_SINR),
)


def _index(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*-?[0-9]{1,3}\s*", text) else None


def extended(scale: Scale, index: int | None) -> Level | None:
    """Return the level of an index that may be an extended one.

    0 and, for RSRQ, 34 are the open ends of the table before its extension: their intervals stay open.
    """
    legacy = {id(RSRP_EXTENDED): RSRP, id(RSRQ_EXTENDED): RSRQ}.get(id(scale))
    if legacy is not None and index is not None and index in (legacy.lowest, legacy.highest):
        return legacy.level(index)
    return scale.level(index)


def cesq(line: str) -> tuple[dict[str, Level], dict[str, int]]:
    """Read ``+CESQ: <rxlev>,<ber>,<rscp>,<ecno>,<rsrq>,<rsrp>[,<ss_rsrq>,<ss_rsrp>,<ss_sinr>]``.

    Returns the levels that are known, by name, and every number as it stood. Nothing of any other line.
    """
    if name_of(line) != "+CESQ":
        return {}, {}
    levels: dict[str, Level] = {}
    numbers: dict[str, int] = {}
    for (name, scale), text in zip(_CESQ, fields_of(line), strict=False):
        index = _index(text)
        if index is None:
            continue
        numbers[f"{name}_idx"] = index
        found = extended(scale, index) if scale is not None else None
        if found is not None:
            levels[name] = found
    return levels, numbers


def nordic_cesq(line: str) -> tuple[dict[str, Level], dict[str, int]]:
    """Read the event ``%CESQ: <rsrp>,<threshold>,<rsrq>,<threshold>`` of nRF91 (AT%CESQ=1)."""
    fields = fields_of(line)
    if name_of(line) != "%CESQ" or len(fields) < 4:
        return {}, {}
    levels: dict[str, Level] = {}
    numbers: dict[str, int] = {}
    for name, text, scale in (("rsrp", fields[0], RSRP_EXTENDED), ("rsrq", fields[2], RSRQ_EXTENDED)):
        index = _index(text)
        if index is None:
            continue
        numbers[f"{name}_idx"] = index
        found = extended(scale, index)
        if found is not None:
            levels[name] = found
    return levels, numbers


def as_raw(levels: Mapping[str, Level]) -> dict[str, object]:
    """Return index and edges of levels for ``raw`` of a measurement; which edge the value is stands beside them."""
    found: dict[str, object] = {}
    for name, level in levels.items():
        found[f"{name}_idx"] = level.index
        found[f"{name}_low"] = level.low
        found[f"{name}_high"] = level.high
        found[f"{name}_edge"] = level.edge
    return found
