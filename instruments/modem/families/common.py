"""Reading that several vendors' answers have in common: numbers, masks of bands, names of networks and RATs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from bench.errors import Refused
from instruments.modem.lines import fields_of, name_of

Lines = Sequence[str]

# First downlink EARFCN and offset of the E-UTRA bands that modems for the IoT have (36.101 table 5.7.3-1).
_EARFCN = (
    (0, 1), (600, 2), (1200, 3), (1950, 4), (2400, 5), (2750, 7), (3450, 8), (3800, 9), (4150, 10), (4750, 11),
    (5010, 12), (5180, 13), (5280, 14), (5730, 17), (5850, 18), (6000, 19), (6150, 20), (6450, 21), (7700, 24),
    (8040, 25), (8690, 26), (9040, 27), (9210, 28), (9660, 29), (9770, 30), (9870, 31), (9920, 32), (36000, 33),
    (36200, 34), (37750, 38), (38250, 39), (38650, 40), (39650, 41), (66436, 66), (68586, 71), (68936, 72),
    (69036, 85),
)  # fmt: skip
_LAST_EARFCN = 70645


def named(lines: Lines, name: str) -> list[list[str]]:
    """Return the fields of every line of that name."""
    return [fields_of(line) for line in lines if name_of(line) == name]


def whole(text: str) -> int | None:
    """Read a decimal integer, with sign; None for anything else (``-``, empty)."""
    return int(text) if re.fullmatch(r"[+-]?\d{1,10}", text.strip()) else None


def number(text: str, scale: float = 1.0) -> float | None:
    """Read a decimal number in the unit that ``scale`` turns into ours."""
    return float(text) * scale if re.fullmatch(r"[+-]?\d{1,9}(\.\d{1,6})?", text.strip()) else None


def hexadecimal(text: str) -> int | None:
    """Read a hexadecimal integer, with or without 0x."""
    found = re.fullmatch(r"(?:0[xX])?([0-9A-Fa-f]{1,40})", text.strip())
    return int(found[1], 16) if found else None


def at(fields: Sequence[str], index: int) -> str:
    """Return a field, empty when the line has fewer."""
    return fields[index] if -len(fields) <= index < len(fields) else ""


def plmn(mcc: str, mnc: str = "") -> str:
    """Return the digits of ``262``, ``01``; of ``262-01`` or ``262 01``; empty for what is none."""
    text = re.sub(r"[ \-]", "", f"{mcc.strip()}-{mnc.strip()}")
    return text if re.fullmatch(r"\d{5,6}", text) else ""


def rat_of(text: str, words: Iterable[tuple[str, str]]) -> str:
    """Return the RAT whose word, the first of them in order, is in a text."""
    text = text.upper()
    return next((rat for word, rat in words if word.upper() in text), "")


def mode_told(lines: Lines, name: str, modes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the RATs that the first field of an answer stands for; none for a value that the table does not have."""
    found = [at(fields, 0) for fields in named(lines, name)]
    return modes.get(found[0], ()) if found else ()


def mode_for(rats: Sequence[str], modes: Mapping[str, tuple[str, ...]], command: str) -> str:
    """Return the value with which ``command`` selects these RATs and no other. Raises Refused."""
    for value, names in modes.items():
        if set(names) == set(rats):
            return value
    there = "; ".join(" and ".join(names) for names in dict.fromkeys(modes.values()))
    raise Refused(f"{command} has no value for {' and '.join(rats)} together", hint=f"it has {there}")


def bands_of(mask: int) -> tuple[int, ...]:
    """Return the bands of a mask in which bit 0 is band 1."""
    return tuple(number for number in range(1, mask.bit_length() + 1) if mask >> (number - 1) & 1)


def mask_of(bands: Iterable[int]) -> int:
    """Return the mask of bands in which bit 0 is band 1."""
    mask = 0
    for band in bands:
        mask |= 1 << (band - 1)
    return mask


def band_of_earfcn(earfcn: int | None) -> int | None:
    """Return the E-UTRA band of a downlink EARFCN (36.101 table 5.7.3-1), None for one of no band known here."""
    if earfcn is None or not 0 <= earfcn <= _LAST_EARFCN:
        return None
    return [band for first, band in _EARFCN if first <= earfcn][-1]


_RESOURCE_BLOCKS = {1.4: 6, 3.0: 15, 5.0: 25, 10.0: 50, 15.0: 75, 20.0: 100}


def blocks_of_code(text: str) -> int | None:
    """Return the resource blocks of a bandwidth code: 0 to 5 are 1.4, 3, 5, 10, 15 and 20 MHz (36.101 table 5.6-1)."""
    code = whole(text)
    return list(_RESOURCE_BLOCKS.values())[code] if code is not None and 0 <= code <= 5 else None


def blocks_of_megahertz(value: float | None) -> int | None:
    """Return the resource blocks of an LTE channel bandwidth in MHz (36.101 table 5.6-1)."""
    return _RESOURCE_BLOCKS.get(value) if value is not None else None


def tac(text: str) -> int | None:
    """Read a tracking area code in hexadecimal; 0000 and FFFE are none (23.003 section 19.4.2.3)."""
    value = hexadecimal(text)
    return None if value in (0, 0xFFFE) or (value or 0) > 0xFFFFFF else value


def numbers(**texts: str) -> dict[str, object]:
    """Return what of these fields is a number, for ``CellInfo.raw``."""
    found = {name: number(text) for name, text in texts.items()}
    return {name: value for name, value in found.items() if value is not None}


def sinr(value: float | None) -> float | None:
    """Return a ratio in dB that can be SINR."""
    return within(value, -30.0, 50.0)


def band_in(text: str) -> int | None:
    """Return the band number at the end of ``LTE BAND 20``, ``EUTRAN-BAND3`` or ``B3``."""
    found = re.search(r"(\d{1,3})\s*$", text.strip())
    return int(found[1]) if found else None


def within(value: float | None, low: float, high: float) -> float | None:
    """Return a value in its range, None beyond: modems write 0, 255 or -32768 for what they do not know."""
    return value if value is not None and low <= value <= high else None


def rsrp(value: float | None) -> float | None:
    """Return a power in dBm that can be RSRP (36.133 section 9.1.4, 36.133 section 9.1.22.9 for NB-IoT)."""
    return within(value, -156.0, -31.0)


def rsrq(value: float | None) -> float | None:
    """Return a ratio in dB that can be RSRQ; modems write 0 for what they do not know, which only NR could reach."""
    if value == 0.0:
        return None
    return within(value, -43.0, 20.0)


def rssi(value: float | None) -> float | None:
    """Return a power in dBm that can be RSSI."""
    return within(value, -130.0, -10.0)
