"""Nordic nRF9160, nRF9161, nRF9151 behind an application that passes AT commands on (nRF91 AT commands guide)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.station.interfaces import CellInfo, Level
from instruments.modem.families.common import Lines, at, hexadecimal, named, plmn, tac, whole
from instruments.modem.levels import NORDIC_SNR, RSRP_EXTENDED, RSRQ_EXTENDED, Scale, extended
from instruments.modem.vendor import Ask, BandControl, RatControl, Vendor

_ACT = {"7": "LTE-M", "9": "NB-IoT"}


def _levels(**texts: tuple[str, Scale]) -> dict[str, Level]:
    """Return the levels of indices by their names, without those that are not known."""
    found = {name: extended(scale, whole(text)) for name, (text, scale) in texts.items()}
    return {name: level for name, level in found.items() if level is not None}


def _value(levels: Mapping[str, Level], name: str) -> float | None:
    return levels[name].value if name in levels else None


def serving(lines: Lines) -> CellInfo | None:
    """Read %XMONITOR: state, names, PLMN, TAC, AcT, band, cell id, PCI, EARFCN, RSRP, SNR, ..."""
    for fields in named(lines, "%XMONITOR"):
        if len(fields) < 12 or not plmn(fields[3]):
            continue
        levels = _levels(rsrp=(fields[10], RSRP_EXTENDED), sinr=(fields[11], NORDIC_SNR))
        return CellInfo(
            rat=_ACT.get(fields[5], ""),
            plmn=plmn(fields[3]),
            tac=tac(fields[4]),
            band=whole(fields[6]),
            cell_id=hexadecimal(fields[7]),
            pci=whole(fields[8]),
            earfcn=whole(fields[9]),
            rsrp=_value(levels, "rsrp"),
            sinr=_value(levels, "sinr"),
            levels=levels,
        )
    return None


def neighbours(lines: Lines) -> tuple[CellInfo, ...]:
    """Read %NCELLMEAS: 0, serving cell (9 values), then five a neighbour: EARFCN, PCI, RSRP, RSRQ, time difference."""
    found = []
    for fields in named(lines, "%NCELLMEAS"):
        if at(fields, 0) != "0":
            continue
        for index in range(10, len(fields) - 4, 5):
            earfcn, pci, power, ratio = fields[index : index + 4]
            levels = _levels(rsrp=(power, RSRP_EXTENDED), rsrq=(ratio, RSRQ_EXTENDED))
            found.append(
                CellInfo(
                    earfcn=whole(earfcn),
                    pci=whole(pci),
                    rsrp=_value(levels, "rsrp"),
                    rsrq=_value(levels, "rsrq"),
                    levels=levels,
                )
            )
    return tuple(found)


def _rats(lines: Lines) -> tuple[str, ...]:
    for fields in named(lines, "%XSYSTEMMODE"):
        found = [rat for rat, value in zip(("LTE-M", "NB-IoT"), fields, strict=False) if value == "1"]
        return tuple(reversed(found)) if at(fields, 3) in ("2", "4") else tuple(found)
    return ()


def _set_rats(rats: Sequence[str]) -> tuple[str, ...]:
    # The last value is the preferred one: 0 none, 1 LTE-M, 2 NB-IoT.
    preferred = 0 if len(rats) == 1 else 1 if rats[0] == "LTE-M" else 2
    return (f"AT%XSYSTEMMODE={int('LTE-M' in rats)},{int('NB-IoT' in rats)},0,{preferred}",)


def _bands(lines: Lines) -> Mapping[str, tuple[int, ...]]:
    """Read ``%XBANDLOCK: "<at run time>","<stored>"``: bits, the last one is band 1."""
    for fields in named(lines, "%XBANDLOCK"):
        bits = at(fields, 0) or at(fields, 1)
        if bits and set(bits) <= {"0", "1"}:
            bands = tuple(number_ for number_, bit in enumerate(reversed(bits), 1) if bit == "1")
            return {"LTE-M": bands, "NB-IoT": bands}
    return {}


def _set_bands(bands: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    # One mask for both RATs: what either may use.
    chosen = {band for own in bands.values() for band in own}
    bits = "".join("1" if band in chosen else "0" for band in range(max(chosen), 0, -1))
    return (f'AT%XBANDLOCK=2,"{bits}"',)


NRF91 = Vendor(
    name="nordic-nrf91",
    models=r"nordic",
    driver="nordic-nrf91",
    wideband="LTE-M",
    refresh_signs=(r"%XSIM: ?1", r"\+CPIN: ?READY"),
    setup=("AT%XSIM=1", "AT+CNEC=24"),
    reset="",
    power_down="AT+CFUN=0",  # stores cell history and context: what counts as switched off
    answers_when_off=True,
    serving=Ask(("AT%XMONITOR",), serving),
    neighbours=Ask(("AT%NCELLMEAS",), neighbours, event="%NCELLMEAS", timeout=30.0),
    rat_control=RatControl(("LTE-M", "NB-IoT"), Ask(("AT%XSYSTEMMODE?",), _rats), _set_rats, "radio-off"),
    band_control=BandControl(Ask(("AT%XBANDLOCK?",), _bands), _set_bands, "radio-off"),
)
VENDORS = (NRF91,)
