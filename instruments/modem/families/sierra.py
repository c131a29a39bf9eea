"""Sierra Wireless HL78 (LTE-M, NB-IoT) and EM, MC (LTE), by their AT command references."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.errors import Refused
from bench.station.interfaces import CellInfo
from instruments.modem.families.common import (
    Lines,
    at,
    band_in,
    bands_of,
    blocks_of_megahertz,
    hexadecimal,
    mask_of,
    mode_for,
    mode_told,
    named,
    number,
    numbers,
    rsrp,
    rsrq,
    rssi,
    sinr,
    tac,
    whole,
)
from instruments.modem.vendor import Ask, BandControl, RatControl, SlotControl, Vendor

_HL_RATS = {"0": "LTE-M", "1": "NB-IoT", "2": "GSM"}
_EM_RATS = {"00": ("LTE", "UMTS"), "01": ("UMTS",), "06": ("LTE",)}
_NO_SERVICE = "REGISTERED"


def status(lines: Lines) -> CellInfo | None:
    """Read AT!GSTATUS?: ``Name: value`` in two columns; None without LTE service."""
    text = "\n".join(lines)

    def value(name: str, pattern: str = r"(\S+)") -> str:
        found = re.search(rf"{name}\s*:\s*{pattern}", text)
        return found[1] if found else ""

    if value("System mode") != "LTE" or value("EMM state", r"(\w+)").upper() != _NO_SERVICE:
        return None
    return CellInfo(
        rat="LTE",
        band=band_in(value("LTE band", r"B(\d+)")),
        earfcn=whole(value("LTE Rx chan")),
        tac=tac(value("TAC")),
        cell_id=hexadecimal(value("Cell ID")),
        rsrp=rsrp(number(value(r"PCC RxM RSSI:\s*\S+\s+RSRP \(dBm\)"))),
        rssi=rssi(number(value("PCC RxM RSSI"))),
        rsrq=rsrq(number(value(r"RSRQ \(dB\)"))),
        sinr=sinr(number(value(r"SINR \(dB\)"))),
        bw_dl_rb=blocks_of_megahertz(number(value("LTE bw", r"([\d.]+)"))),
        raw=numbers(tx=value("Tx Power"), sinr=value(r"SINR \(dB\)")),
        connected={"Connected": True, "Idle": False}.get(value("RRC state", r"RRC (\w+)")),
    )


def _hl_rats(lines: Lines) -> tuple[str, ...]:
    found = [at(fields, 0) for fields in named(lines, "+KSRAT")]
    return (_HL_RATS[found[0]],) if found and found[0] in _HL_RATS else ()


def _hl_set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    if len(rats) != 1:
        raise Refused("+KSRAT selects one RAT", hint="LTE-M, NB-IoT or GSM")
    return (f"AT+KSRAT={next(code for code, rat in _HL_RATS.items() if rat == rats[0])}",)


def _hl_bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    """Read ``+KBNDCFG: <RAT>,<mask of 20 hexadecimal digits>``, one line a RAT."""
    return {
        _HL_RATS[fields[0]]: bands_of(hexadecimal(fields[1]) or 0)
        for fields in named(lines, "+KBNDCFG")
        if len(fields) > 1 and fields[0] in ("0", "1")
    }


def _hl_set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(f"AT+KBNDCFG={code},{mask_of(bands[rat]):020X}" for code, rat in _HL_RATS.items() if bands.get(rat))


def _em_rats(lines: Lines) -> tuple[str, ...]:
    return mode_told(lines, "!SELRAT", _EM_RATS)


def _em_set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    return (f"AT!SELRAT={mode_for(rats, _EM_RATS, '!SELRAT')}",)


def _em_bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    """Read AT!BAND?: ``00, All bands   <mask of UMTS> <mask of LTE> <mask of TDS>``."""
    for line in lines:
        found = re.fullmatch(r"\w{2},.*?\s([0-9A-F]{16})\s+([0-9A-F]{16})(\s+[0-9A-F]{16})?", line)
        if found:
            return {"LTE": bands_of(int(found[2], 16))}
    return {}


def _em_slot(lines: Lines) -> int:
    found = [whole(at(fields, 0)) for fields in named(lines, "!UIMS")]
    return 0 if not found or found[0] is None else found[0] + 1


SIERRA_HL = Vendor(
    name="sierra-hl78",
    models=r"sierra.* HL\d",
    driver="sierra-hl78",
    wideband="LTE-M",
    setup=("AT+KSIMDET=1",),
    power_down="AT+CPWROFF",
    rat_control=RatControl(("LTE-M", "NB-IoT", "GSM"), Ask(("AT+KSRAT?",), _hl_rats), _hl_set_rats, "restart"),
    band_control=BandControl(Ask(("AT+KBNDCFG?",), _hl_bands), _hl_set_bands, "restart"),
)
SIERRA_EM = replace(
    SIERRA_HL,
    name="sierra-em",
    models=r"sierra",
    driver="sierra-em",
    wideband="LTE",
    setup=(),
    reset="AT!RESET",
    power_down="",
    serving=Ask(("AT!GSTATUS?",), status),
    rat_control=RatControl(("LTE", "UMTS"), Ask(("AT!SELRAT?",), _em_rats), _em_set_rats),
    # AT!BAND= is behind AT!ENTERCND with a password of the integrator's.
    band_control=BandControl(Ask(("AT!BAND?",), _em_bands), None),
    slot_control=SlotControl(Ask(("AT!UIMS?",), _em_slot), lambda slot: (f"AT!UIMS={slot - 1}",)),
)
VENDORS = (SIERRA_HL, SIERRA_EM)
