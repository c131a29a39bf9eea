"""u-blox SARA-R4 and SARA-R5 (LTE-M, NB-IoT), by their AT manuals (UBX-17003787, UBX-19047455)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.station.interfaces import CellInfo
from instruments.modem.families.common import (
    Lines,
    at,
    band_of_earfcn,
    bands_of,
    hexadecimal,
    mask_of,
    named,
    number,
    plmn,
    rsrp,
    rsrq,
    sinr,
    tac,
    whole,
)
from instruments.modem.levels import RSRP_EXTENDED, RSRQ_EXTENDED, extended
from instruments.modem.vendor import Ask, BandControl, RatControl, Vendor

_RATS = {"7": "LTE-M", "8": "NB-IoT", "9": "GSM", "3": "LTE"}
_MASKS = {0: "LTE-M", 1: "NB-IoT"}


def serving(lines: Lines) -> CellInfo | None:
    """Read the answer of AT+UCGED? in mode 5: +RSRP: and +RSRQ: <PCI>,<EARFCN>,"<value>",.. of the serving cell."""
    powers, ratios = named(lines, "+RSRP"), named(lines, "+RSRQ")
    if not powers:
        return None
    earfcn = whole(at(powers[0], 1))
    return CellInfo(
        pci=whole(at(powers[0], 0)),
        earfcn=earfcn,
        band=band_of_earfcn(earfcn),
        rsrp=rsrp(number(at(powers[0], 2))),
        rsrq=rsrq(number(at(ratios[0], 2))) if ratios else None,
    )


def engineering(lines: Lines) -> CellInfo | None:
    """Read the answer of AT+UCGED? in mode 2 (SARA-R5): a line of RAT, MCC and MNC, then one of the serving cell.

    ``<EARFCN>,<band>,<UL bw>,<DL bw>,<TAC>,<cell id>,<PCI>,<M-TMSI>,<MME group>,<MME code>,<RSRP>,<RSRQ>,<SINR>,...``:
    RSRP and RSRQ are indices of 36.133, TAC and cell id hexadecimal. The M-TMSI is read over.
    """
    rows = [line.split(",") for line in lines if line[:1].isdigit()]
    head = next((row for row in rows if len(row) == 4), None)
    cell = next((row for row in rows if len(row) >= 13), None)
    if head is None or cell is None or head[0].strip() not in ("3", "6"):
        return None
    known = {
        name: level
        for name, text, scale in (("rsrp", cell[10], RSRP_EXTENDED), ("rsrq", cell[11], RSRQ_EXTENDED))
        if (level := extended(scale, whole(text))) is not None
    }
    earfcn = whole(cell[0])
    mcc, mnc = head[2].strip().zfill(3), head[3].strip()
    return CellInfo(
        plmn="" if "f" in (mcc + mnc).lower() else plmn(mcc, mnc),
        earfcn=earfcn,
        band=whole(cell[1]),
        bw_dl_rb=whole(cell[3]),
        tac=tac(cell[4]),
        cell_id=hexadecimal(cell[5]),
        pci=whole(cell[6]),
        rsrp=known["rsrp"].value if "rsrp" in known else None,
        rsrq=known["rsrq"].value if "rsrq" in known else None,
        sinr=sinr(number(cell[12])) if known else None,
        levels=known,
    )


def _rats(lines: Lines) -> tuple[str, ...]:
    return tuple(_RATS[value] for fields in named(lines, "+URAT") for value in fields if value in _RATS)


def _set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    codes = {rat: code for code, rat in _RATS.items()}
    return ("AT+COPS=2", f"AT+URAT={','.join(codes[rat] for rat in rats)}")


def _bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    """Read ``+UBANDMASK: 0,524420,1,524420``, with a second word of 64 bits behind each where the modem has one."""
    found: dict[str, tuple[int, ...]] = {}
    for fields in named(lines, "+UBANDMASK"):
        values = [whole(value) or 0 if len(value) < 11 else int(value) for value in fields if value.isdigit()]
        step = 3 if len(values) % 3 == 0 and len(values) % 2 else 2
        for index in range(0, len(values) - 1, step):
            high = values[index + 2] if step == 3 else 0
            if values[index] in _MASKS:
                found[_MASKS[values[index]]] = bands_of(values[index + 1] | high << 64)
    return found


def _set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    lines = []
    for number_, rat in _MASKS.items():
        if bands.get(rat):
            mask = mask_of(bands[rat])
            high = f",{mask >> 64}" if mask >> 64 else ""
            lines.append(f"AT+UBANDMASK={number_},{mask & (1 << 64) - 1}{high}")
    return tuple(lines)


def _engineering_or_serving(lines: Lines) -> CellInfo | None:
    return engineering(lines) or serving(lines)


SARA_R5 = Vendor(
    name="u-blox-sara-r5",
    models=r"u-?blox.* SARA-R5",
    driver="u-blox-sara-r5",
    wideband="LTE-M",
    refresh_signs=(r"\+UUSIMSTAT: ?9", r"\+CPIN: ?READY"),
    setup=("AT+USIMSTAT=6",),
    reset="AT+CFUN=16",
    power_down="AT+CPWROFF",
    serving=Ask(("AT+UCGED=2", "AT+UCGED?"), _engineering_or_serving),
    rat_control=RatControl(("LTE-M", "NB-IoT"), Ask(("AT+URAT?",), _rats), _set_rats, "restart"),
    band_control=BandControl(Ask(("AT+UBANDMASK?",), _bands), _set_bands, "restart"),
)
SARA_R4 = replace(
    SARA_R5,
    name="u-blox-sara-r4",
    models=r"u-?blox",
    driver="u-blox-sara-r4",
    setup=("AT+USIMSTAT=3",),
    serving=Ask(("AT+UCGED=5", "AT+UCGED?"), serving),
    rat_control=RatControl(("LTE-M", "NB-IoT", "GSM"), Ask(("AT+URAT?",), _rats), _set_rats, "restart"),
)
VENDORS = (SARA_R5, SARA_R4)
