"""Telit LE910 (LTE) and ME910, ME310 (LTE-M, NB-IoT), by their AT reference guides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.errors import Refused
from bench.station.interfaces import CellInfo
from instruments.modem.families.common import (
    Lines,
    at,
    band_of_earfcn,
    bands_of,
    hexadecimal,
    mask_of,
    mode_for,
    mode_told,
    named,
    number,
    numbers,
    plmn,
    rsrp,
    rsrq,
    rssi,
    tac,
    whole,
)
from instruments.modem.lines import name_of
from instruments.modem.vendor import Ask, BandControl, RatControl, SlotControl, Vendor

_WS46 = {"12": ("GSM",), "22": ("UMTS",), "28": ("LTE",), "30": ("LTE", "GSM"), "31": ("LTE", "UMTS"),
         "25": ("LTE", "UMTS", "GSM")}  # fmt: skip
_IOT = {"0": ("LTE-M",), "1": ("NB-IoT",), "2": ("LTE-M", "NB-IoT"), "3": ("NB-IoT", "LTE-M")}


def serving(lines: Lines) -> CellInfo | None:
    """Read #RFSTS of LTE: PLMN, EARFCN, RSRP, RSSI, RSRQ, TAC, RAC, TXPWR, DRX, MM, RRC, CID, ..."""
    for fields in named(lines, "#RFSTS"):
        if len(fields) < 12 or not plmn(fields[0]):
            continue
        earfcn = whole(fields[1])
        return CellInfo(
            plmn=plmn(fields[0]),
            earfcn=earfcn,
            band=band_of_earfcn(earfcn),
            rsrp=rsrp(number(fields[2])),
            rssi=rssi(number(fields[3])),
            rsrq=rsrq(number(fields[4])),
            tac=tac(fields[5]),
            cell_id=hexadecimal(fields[11]),
            connected={"0": False, "1": True}.get(fields[10]),
            # TXPWR is 0 also where nothing is sent; models disagree on what stands before the DRX cycle.
            raw=numbers(rsrp=fields[2], rssi=fields[3], rsrq=fields[4], tx=fields[7]),
        )
    return None


def monitored(lines: Lines) -> CellInfo | None:
    """Read #MONI of LTE: ``<operator> RSRP:-92 RSRQ:-17 TAC:8B1E Id:A204B01 EARFCN:800 PWR:-54dbm DRX:1280``."""
    for line in lines:
        if name_of(line) != "#MONI" or "RSRP:" not in line:
            continue
        found = dict(re.findall(r"\b([A-Za-z]+):\s*([-+0-9A-Za-z.]+)", line))
        earfcn = whole(found.get("EARFCN", ""))
        power = re.sub(r"(?i)dbm$", "", found.get("PWR", ""))
        return CellInfo(
            earfcn=earfcn,
            band=band_of_earfcn(earfcn),
            rsrp=rsrp(number(found.get("RSRP", ""))),
            rsrq=rsrq(number(found.get("RSRQ", ""))),
            rssi=rssi(number(power)),
            tac=tac(found.get("TAC", "")),
            cell_id=hexadecimal(found.get("Id", "")),
            raw=numbers(rsrp=found.get("RSRP", ""), rsrq=found.get("RSRQ", ""), pwr=power),
        )
    return None


def _le_set(rats: Sequence[str]) -> tuple[str, ...]:
    return (f"AT+WS46={mode_for(rats, _WS46, '+WS46')}",)


def _me_set(rats: Sequence[str]) -> tuple[str, ...]:
    return (f"AT#WS46={next(value for value, names in _IOT.items() if names == tuple(rats))}",)


def _bands(lines: Lines, rats: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """Read ``#BND: <GSM>,<UMTS>,<LTE mask>[,<mask of bands from 65 on>]``."""
    for fields in named(lines, "#BND"):
        low, high = at(fields, 2), at(fields, 3)
        if low.isdigit():
            bands = bands_of(int(low) | (int(high) if high.isdigit() else 0) << 64)
            return dict.fromkeys(rats, bands)
    return {}


def _set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    masks = {mask_of(own) for own in bands.values()}
    if len(masks) != 1:
        raise Refused("#BND has one mask for all RATs of LTE", hint="give every RAT the same bands")
    mask = masks.pop()
    high = f",{mask >> 64}" if mask >> 64 else ""
    return (f"AT#BND=0,0,{mask & (1 << 64) - 1}{high}",)


def _slot(lines: Lines) -> int:
    found = [whole(at(fields, 0)) for fields in named(lines, "#SIMSELECT")]
    return (found[0] if found else None) or 0


TELIT_LE = Vendor(
    name="telit-le910",
    models=r"telit",
    driver="telit-le910",
    refresh_signs=(r"#QSS: ?3", r"#STN: ?1(,.*)?", r"\+CPIN: ?READY"),
    setup=("AT#QSS=2", "AT#STIA=2"),
    reset="AT#REBOOT",
    power_down="AT#SHDN",
    serving=Ask(("AT#RFSTS",), serving),
    rat_control=RatControl(
        ("LTE", "UMTS", "GSM"), Ask(("AT+WS46?",), lambda lines: mode_told(lines, "+WS46", _WS46)), _le_set
    ),
    band_control=BandControl(Ask(("AT#BND?",), lambda lines: _bands(lines, ("LTE",))), _set_bands),
    slot_control=SlotControl(Ask(("AT#SIMSELECT?",), _slot), lambda slot: (f"AT#SIMSELECT={slot}",)),
)
TELIT_ME = replace(
    TELIT_LE,
    name="telit-me910",
    models=r"telit.* ME\d",
    driver="telit-me910",
    wideband="LTE-M",
    slot_control=None,
    rat_control=RatControl(
        ("LTE-M", "NB-IoT"), Ask(("AT#WS46?",), lambda lines: mode_told(lines, "#WS46", _IOT)), _me_set, "restart"
    ),
    band_control=BandControl(Ask(("AT#BND?",), lambda lines: _bands(lines, ("LTE-M", "NB-IoT"))), _set_bands),
)
VENDORS = (TELIT_ME, TELIT_LE)
