"""Fibocom L860, FG132, FG150, FM350 (LTE, NR), by their AT command manuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.station.interfaces import CellInfo
from instruments.modem.families.common import Lines, at, hexadecimal, mode_for, named, plmn, tac, whole
from instruments.modem.levels import RSRP, RSRQ, SS_RSRP, SS_RSRQ
from instruments.modem.vendor import Ask, BandControl, RatControl, SlotControl, Vendor

_MODES = {"1": ("UMTS",), "2": ("LTE",), "4": ("UMTS", "LTE"), "14": ("NR",), "16": ("NR", "UMTS"),
          "17": ("NR", "LTE"), "20": ("NR", "LTE", "UMTS")}  # fmt: skip
_RATS = {"2": "UMTS", "4": "LTE", "9": "NR"}
_LTE, _NR = 100, 500
"""What is added to the number of a band: B3 is 103, n78 is 5078 (with two digits 50n)."""


def _cells(lines: Lines) -> list[tuple[bool, CellInfo]]:
    """Read the rows below ``+GTCCINFO:``.

    LTE: 1 (serving) or 2, RAT, MCC, MNC, TAC, cell id, EARFCN, PCI (all four hexadecimal), band, bandwidth, SNR,
    RxLev, RSRP and RSRQ as indexes of 36.133.
    """
    found = []
    for line in lines:
        fields = [field.strip() for field in line.rpartition(":")[2].split(",")]
        if len(fields) < 12 or fields[0] not in ("1", "2") or fields[1] not in _RATS:
            continue
        nr = _RATS[fields[1]] == "NR"
        power, ratio = (SS_RSRP, SS_RSRQ) if nr else (RSRP, RSRQ)
        levels = {"rsrp": power.level(whole(fields[-2])), "rsrq": ratio.level(whole(fields[-1]))}
        known = {name: level for name, level in levels.items() if level is not None}
        cell = CellInfo(
            rat=_RATS[fields[1]],
            plmn=plmn(fields[2], fields[3]),
            tac=tac(fields[4]),
            cell_id=hexadecimal(fields[5]),
            earfcn=hexadecimal(fields[6]),
            pci=hexadecimal(fields[7]),
            band=_band(whole(fields[8])) if fields[0] == "1" else None,
            rsrp=known["rsrp"].value if "rsrp" in known else None,
            rsrq=known["rsrq"].value if "rsrq" in known else None,
            levels=known,
        )
        found.append((fields[0] == "1", cell))
    return found


def _band(code: int | None) -> int | None:
    if code is None:
        return None
    text = str(code)
    if text.startswith("50") and len(text) >= 3:
        return int(text[2:])
    return code - _LTE if _LTE < code < _LTE + 100 else None


def serving(lines: Lines) -> CellInfo | None:
    """Return the serving cell of +GTCCINFO."""
    return next((cell for own, cell in _cells(lines) if own), None)


def neighbours(lines: Lines) -> tuple[CellInfo, ...]:
    """Return the neighbour cells of +GTCCINFO."""
    return tuple(cell for own, cell in _cells(lines) if not own)


def _fields(lines: Lines) -> list[str]:
    found = named(lines, "+GTACT")
    return found[0] if found else []


def _rats(lines: Lines) -> tuple[str, ...]:
    mode = at(_fields(lines), 0)
    return _MODES["20"] if mode == "10" else _MODES.get(mode, ())


def _set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    return (f"AT+GTACT={mode_for(rats, _MODES, '+GTACT')}",)


def _bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    """Read ``+GTACT: <mode>,<first>,<second>,<band>,...``."""
    codes = [code for code in _fields(lines)[3:] if code.isdigit()]
    found: dict[str, tuple[int, ...]] = {}
    for rat, own in (("LTE", [c for c in codes if _LTE < int(c) < _LTE + 100]), ("NR", [c for c in codes if _nr(c)])):
        if own:
            found[rat] = tuple(band for code in own if (band := _band(int(code))) is not None)
    return found


def _nr(code: str) -> bool:
    return code.startswith("50") and len(code) >= 3


def _set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    codes = [str(_LTE + band) for band in bands.get("LTE", ())] + [f"50{band}" for band in bands.get("NR", ())]
    return (f"AT+GTACT=,,,{','.join(codes)}",)


def _slot(lines: Lines) -> int:
    found = [whole(at(fields, 0)) for fields in named(lines, "+GTDUALSIM")]
    return 0 if not found or found[0] is None else found[0] + 1


FIBOCOM = Vendor(
    name="fibocom",
    models=r"fibocom",
    driver="fibocom",
    setup=("AT+MSMPD=1",),
    reset="AT+CFUN=15",
    power_down="AT+CPWROFF",
    serving=Ask(("AT+GTCCINFO?",), serving),
    neighbours=Ask(("AT+GTCCINFO?",), neighbours),
    rat_control=RatControl(("NR", "LTE", "UMTS"), Ask(("AT+GTACT?",), _rats), _set_rats),
    band_control=BandControl(Ask(("AT+GTACT?",), _bands), _set_bands),
    slot_control=SlotControl(Ask(("AT+GTDUALSIM?",), _slot), lambda slot: (f"AT+GTDUALSIM={slot - 1}",)),
)
VENDORS = (FIBOCOM,)
