"""Quectel: BG95, BG96, BG77 (LTE-M and NB-IoT); EC, EG, EM06 (LTE); RG and RM (5G), by their AT manuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.station.interfaces import CellInfo
from instruments.modem.families.common import (
    Lines,
    at,
    band_in,
    bands_of,
    blocks_of_code,
    hexadecimal,
    mask_of,
    mode_for,
    named,
    number,
    numbers,
    plmn,
    rat_of,
    rsrp,
    rsrq,
    rssi,
    sinr,
    tac,
    whole,
)
from instruments.modem.vendor import Ask, BandControl, RatControl, SlotControl, Vendor

WORDS = (
    ("eMTC", "LTE-M"), ("CAT-M", "LTE-M"), ("NBIoT", "NB-IoT"), ("CAT-NB", "NB-IoT"), ("NR5G", "NR"), ("LTE", "LTE"),
    ("WCDMA", "UMTS"), ("GSM", "GSM"),
)  # fmt: skip
_STATES = {"NOCONN": False, "CONNECT": True}


_SINR_IS_DB = ("LTE", "NR")
"""BG9x firmware gives figures from 11 to 63 that are no dB, and its bandwidth codes are of the carrier around it."""


def serving(lines: Lines) -> CellInfo | None:
    """Read +QENG: "servingcell": state, RAT, duplex, MCC, MNC, cell id, PCI, EARFCN, band, bandwidths, TAC, figures.

    Figures in the order RSRP, RSRQ, RSSI, SINR; the last ones are missing, ``-`` or ``0xfffe`` in some firmware.
    """
    for fields in named(lines, "+QENG"):
        if at(fields, 0) != "servingcell" or len(fields) < 15 or at(fields, 1) not in (*_STATES, "LIMSRV"):
            continue
        rat = rat_of(fields[2], WORDS)
        return CellInfo(
            rat=rat,
            plmn=plmn(fields[4], fields[5]),
            cell_id=hexadecimal(fields[6]),
            pci=whole(fields[7]),
            earfcn=whole(fields[8]),
            band=band_in(fields[9]),
            tac=tac(fields[12]),
            rsrp=rsrp(number(fields[13])),
            rsrq=rsrq(number(fields[14])),
            rssi=rssi(number(at(fields, 15))),
            sinr=sinr(number(at(fields, 16))) if rat in _SINR_IS_DB else None,
            connected=_STATES.get(fields[1]),
            bw_dl_rb=blocks_of_code(fields[11]) if rat in _SINR_IS_DB else None,
            raw=numbers(rsrp=fields[13], rsrq=fields[14], rssi=at(fields, 15), sinr=at(fields, 16)),
        )
    return None


def signal_quality(lines: Lines) -> CellInfo | None:
    """Read +QCSQ: RAT, RSSI, RSRP, SINR (0 to 250 in steps of 0.2 dB from -20 dB), RSRQ; no cell."""
    for fields in named(lines, "+QCSQ"):
        rat = rat_of(at(fields, 0), WORDS)
        if rat not in ("LTE", "LTE-M", "NB-IoT") or len(fields) < 5:
            continue
        index = whole(fields[3])
        return CellInfo(
            rat=rat,
            rssi=rssi(number(fields[1])),
            rsrp=rsrp(number(fields[2])),
            sinr=index / 5 - 20.0 if index is not None and 0 <= index <= 250 else None,
            rsrq=rsrq(number(fields[4])),
            raw=numbers(rssi=fields[1], rsrp=fields[2], sinr=fields[3], rsrq=fields[4]),
        )
    return None


def neighbours(lines: Lines) -> tuple[CellInfo, ...]:
    """Read +QENG: "neighbourcell intra","LTE",<earfcn>,<pci>,<rsrq>,<rsrp>,<rssi>,<sinr>,..."""
    return tuple(
        CellInfo(
            rat=rat_of(fields[1], WORDS),
            earfcn=whole(fields[2]),
            pci=whole(fields[3]),
            rsrq=rsrq(number(fields[4])),
            rsrp=rsrp(number(fields[5])),
            rssi=rssi(number(at(fields, 6))),
        )
        for fields in named(lines, "+QENG")
        if at(fields, 0).startswith("neighbourcell") and len(fields) >= 6
    )


SERVING = Ask(('AT+QENG="servingcell"',), serving)
NEIGHBOURS = Ask(('AT+QENG="neighbourcell"',), neighbours)


def _settings(lines: Lines, *names: str) -> dict[str, list[str]]:
    """Return the values of ``+QCFG: "name",...`` and its like by their names."""
    return {
        fields[0].lower(): fields[1:]
        for name in names
        for fields in named(lines, name)
        if len(fields) > 1
    }  # fmt: skip


# --- BG9x -------------------------------------------------------------------------------------------------------------

_SEQUENCE = {"GSM": "01", "LTE-M": "02", "NB-IoT": "03"}


def _bg_rats(lines: Lines) -> tuple[str, ...]:
    found = _settings(lines, "+QCFG")
    mode, operating = at(found.get("nwscanmode", []), 0), at(found.get("iotopmode", []), 0)
    allowed = {"GSM"} if mode in ("0", "1") else set()
    if mode in ("0", "3"):
        allowed |= {"0": {"LTE-M"}, "1": {"NB-IoT"}, "2": {"LTE-M", "NB-IoT"}}.get(operating, set())
    digits = at(found.get("nwscanseq", []), 0)
    order = [digits[index : index + 2] for index in range(0, len(digits), 2)]
    listed = [rat for code in order for rat, own in _SEQUENCE.items() if own == code and rat in allowed]
    return tuple(dict.fromkeys([*listed, *(rat for rat in ("LTE-M", "NB-IoT", "GSM") if rat in allowed)]))


def _bg_set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    lte = [rat for rat in rats if rat != "GSM"]
    lines = [f'AT+QCFG="nwscanmode",{(0 if lte else 1) if "GSM" in rats else 3},1']
    if lte:
        lines.append(f'AT+QCFG="iotopmode",{2 if len(lte) == 2 else 0 if lte == ["LTE-M"] else 1},1')
    order = [*rats, *(rat for rat in _SEQUENCE if rat not in rats)]
    lines.append(f'AT+QCFG="nwscanseq",{"".join(_SEQUENCE[rat] for rat in order)},1')
    return tuple(lines)


def _bg_bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    values = _settings(lines, "+QCFG").get("band", [])
    masks = [hexadecimal(value) or 0 for value in values[1:3]]
    return {rat: bands_of(mask) for rat, mask in zip(("LTE-M", "NB-IoT"), masks, strict=False)}


def _bg_set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    # GSM bands: 0 leaves them as they are.
    masks = (mask_of(bands.get(rat, ())) for rat in ("LTE-M", "NB-IoT"))
    return (f'AT+QCFG="band",0,{",".join(f"{mask:x}" for mask in masks)},1',)


# --- EC and EG --------------------------------------------------------------------------------------------------------

_MODES = {"0": ("LTE", "UMTS", "GSM"), "1": ("GSM",), "2": ("UMTS",), "3": ("LTE",), "5": ("LTE", "UMTS")}


def _eg_rats(lines: Lines) -> tuple[str, ...]:
    return _MODES.get(at(_settings(lines, "+QCFG").get("nwscanmode", []), 0), ())


def _eg_set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    return (f'AT+QCFG="nwscanmode",{mode_for(rats, _MODES, "nwscanmode of +QCFG")},1',)


def _eg_bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    return {"LTE": bands_of(hexadecimal(at(_settings(lines, "+QCFG").get("band", []), 1)) or 0)}


def _eg_set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    return (f'AT+QCFG="band",0,{mask_of(bands["LTE"]):x},0,1',)


# --- RG and RM --------------------------------------------------------------------------------------------------------

_PREFERENCES = {"LTE": "LTE", "NR": "NR5G", "UMTS": "WCDMA"}


def _rg_rats(lines: Lines) -> tuple[str, ...]:
    mode = at(_settings(lines, "+QNWPREFCFG").get("mode_pref", []), 0).upper()
    if mode == "AUTO":
        return ("NR", "LTE", "UMTS")
    return tuple(rat for word in mode.split(":") for rat, own in _PREFERENCES.items() if own == word)


def _rg_set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    return (f'AT+QNWPREFCFG="mode_pref",{":".join(_PREFERENCES[rat] for rat in rats)}',)


def _rg_bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    found = _settings(lines, "+QNWPREFCFG")
    names = {"LTE": "lte_band", "NR": "nr5g_band"}
    return {
        rat: tuple(int(band) for band in at(found[name], 0).split(":") if band.isdigit())
        for rat, name in names.items()
        if name in found
    }


def _rg_set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    names = {"LTE": "lte_band", "NR": "nr5g_band"}
    return tuple(f'AT+QNWPREFCFG="{names[rat]}",{":".join(map(str, bands[rat]))}' for rat in names if bands.get(rat))


def _slot(lines: Lines) -> int:
    found = [whole(at(fields, 0)) for fields in named(lines, "+QUIMSLOT")]
    return (found[0] if found else None) or 0


QUECTEL_EG = Vendor(
    name="quectel-eg",
    models=r"quectel",
    driver="quectel-eg",
    refresh_signs=(r"\+QUSIM: ?1", r"\+CPIN: ?READY"),
    setup=("AT+QSIMSTAT=1",),
    power_down="AT+QPOWD=1",
    power_down_sign=r"POWERED DOWN",
    serving_rat="AT+QNWINFO",
    rats=WORDS,
    serving=SERVING,
    neighbours=NEIGHBOURS,
    rat_control=RatControl(("LTE", "UMTS", "GSM"), Ask(('AT+QCFG="nwscanmode"',), _eg_rats), _eg_set_rats),
    band_control=BandControl(Ask(('AT+QCFG="band"',), _eg_bands), _eg_set_bands),
    slot_control=SlotControl(Ask(("AT+QUIMSLOT?",), _slot), lambda slot: (f"AT+QUIMSLOT={slot}",)),
)
QUECTEL_BG9X = replace(
    QUECTEL_EG,
    name="quectel-bg9x",
    models=r"quectel.* (BG9\d|BG77|BG600)",
    driver="quectel-bg9x",
    wideband="LTE-M",
    rat_control=RatControl(
        ("LTE-M", "NB-IoT", "GSM"),
        Ask(('AT+QCFG="nwscanmode"', 'AT+QCFG="iotopmode"', 'AT+QCFG="nwscanseq"'), _bg_rats),
        _bg_set_rats,
    ),
    band_control=BandControl(Ask(('AT+QCFG="band"',), _bg_bands), _bg_set_bands),
    slot_control=None,
)
QUECTEL_RG = replace(
    QUECTEL_EG,
    name="quectel-rg",
    models=r"quectel.* (RG|RM)\d",
    driver="quectel-rg",
    registration=("+CEREG", "+C5GREG"),
    setup=("AT+QSIMSTAT=1", "AT+C5GREG=2"),
    rat_control=RatControl(("NR", "LTE", "UMTS"), Ask(('AT+QNWPREFCFG="mode_pref"',), _rg_rats), _rg_set_rats),
    band_control=BandControl(Ask(('AT+QNWPREFCFG="lte_band"', 'AT+QNWPREFCFG="nr5g_band"'), _rg_bands), _rg_set_bands),
)
VENDORS = (QUECTEL_BG9X, QUECTEL_RG, QUECTEL_EG)
"""Of the most particular pattern to the least."""
