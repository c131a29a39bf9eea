"""SIMCom SIM7000, SIM7070, SIM7080 (LTE-M, NB-IoT) and SIM7500, SIM7600 (LTE), by their AT command manuals."""

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
    mode_told,
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
from instruments.modem.vendor import Ask, BandControl, RatControl, Vendor

WORDS = (("CAT-M", "LTE-M"), ("NB-IOT", "NB-IoT"), ("LTE", "LTE"), ("WCDMA", "UMTS"), ("GSM", "GSM"))
_PREFERRED = {"2": ("LTE", "UMTS", "GSM"), "13": ("GSM",), "14": ("UMTS",), "38": ("LTE",), "51": ("LTE", "GSM")}
_IOT = {"1": ("LTE-M",), "2": ("NB-IoT",), "3": ("LTE-M", "NB-IoT")}
_BANDS = {"CAT-M": "LTE-M", "NB-IOT": "NB-IoT"}


def _serving(lines: Lines, tenths: bool) -> CellInfo | None:
    """Read +CPSI: mode, state, MCC-MNC, TAC, cell id, PCI, band, EARFCN, bandwidths, RSRQ, RSRP, RSSI, RSSNR.

    SIM7600 gives RSRQ, RSRP and RSSI in tenths.
    """
    for fields in named(lines, "+CPSI"):
        if len(fields) < 13 or at(fields, 1).upper() != "ONLINE":
            continue
        scale = 0.1 if tenths else 1.0
        return CellInfo(
            rat=rat_of(fields[0], WORDS),
            plmn=plmn(fields[2]),
            tac=tac(fields[3]),
            cell_id=whole(fields[4]),
            pci=whole(fields[5]),
            band=band_in(fields[6]),
            earfcn=whole(fields[7]),
            rsrq=rsrq(number(fields[10], scale)),
            rsrp=rsrp(number(fields[11], scale)),
            rssi=rssi(number(fields[12], scale)),
            sinr=sinr(number(at(fields, 13))),
            bw_dl_rb=blocks_of_code(fields[8]),
            raw=numbers(rsrq=fields[10], rsrp=fields[11], rssi=fields[12], rssnr=at(fields, 13)),
        )
    return None


def _rats(lines: Lines) -> tuple[str, ...]:
    return mode_told(lines, "+CNMP", _PREFERRED)


def _set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    return (f"AT+CNMP={mode_for(rats, _PREFERRED, '+CNMP')}",)


def _iot_rats(lines: Lines) -> tuple[str, ...]:
    general = _rats(lines)
    lte = [at(fields, 0) for fields in named(lines, "+CMNB")]
    found = _IOT.get(lte[0], ()) if lte and "LTE" in general else ()
    return (*found, *(("GSM",) if "GSM" in general else ()))


def _iot_set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    lte = tuple(rat for rat in ("LTE-M", "NB-IoT") if rat in rats)
    mode = (51 if lte else 13) if "GSM" in rats else 38
    lines = [f"AT+CNMP={mode}"]
    if lte:
        lines.append(f"AT+CMNB={next(value for value, names in _IOT.items() if names == lte)}")
    return tuple(lines)


def _iot_bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    """Read ``+CBANDCFG: "CAT-M",8,20`` and the line of NB-IOT."""
    return {
        _BANDS[fields[0].upper()]: tuple(int(band) for band in fields[1:] if band.isdigit())
        for fields in named(lines, "+CBANDCFG")
        if at(fields, 0).upper() in _BANDS
    }


def _iot_set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(
        f'AT+CBANDCFG="{word}",{",".join(map(str, bands[rat]))}' for word, rat in _BANDS.items() if bands.get(rat)
    )


def _bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    """Read ``+CNBP: <GSM and UMTS>,<LTE>[,<TDS>]``."""
    for fields in named(lines, "+CNBP"):
        mask = hexadecimal(at(fields, 1))
        if mask is not None:
            return {"LTE": bands_of(mask)}
    return {}


def _set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    # 7FFFFFFFFFFFFFFF: every GSM and UMTS band, as the module is delivered.
    return (f"AT+CNBP=0x7FFFFFFFFFFFFFFF,0x{mask_of(bands['LTE']):016X}",)


SIM7000 = Vendor(
    name="simcom-sim7000",
    models=r"simcom.*SIM_?(7000|7020|7070|7080|7090)",
    driver="simcom-sim7000",
    wideband="LTE-M",
    refresh_signs=(r"\+STIN: ?1", r"\+CPIN: ?READY"),
    power_down="AT+CPOWD=1",
    power_down_sign=r"NORMAL POWER DOWN",
    serving_rat="AT+CPSI?",
    rats=WORDS,
    serving=Ask(("AT+CPSI?",), lambda lines: _serving(lines, False)),
    rat_control=RatControl(("LTE-M", "NB-IoT", "GSM"), Ask(("AT+CNMP?", "AT+CMNB?"), _iot_rats), _iot_set_rats),
    band_control=BandControl(Ask(("AT+CBANDCFG?",), _iot_bands), _iot_set_bands),
)
SIM7600 = replace(
    SIM7000,
    name="simcom-sim7600",
    models=r"simcom",
    driver="simcom-sim7600",
    wideband="LTE",
    setup=("AT+UIMHOTSWAPON=1",),
    reset="AT+CRESET",
    power_down="AT+CPOF",
    power_down_sign="",
    serving=Ask(("AT+CPSI?",), lambda lines: _serving(lines, True)),
    rat_control=RatControl(("LTE", "UMTS", "GSM"), Ask(("AT+CNMP?",), _rats), _set_rats),
    band_control=BandControl(Ask(("AT+CNBP?",), _bands), _set_bands),
)
VENDORS = (SIM7000, SIM7600)
