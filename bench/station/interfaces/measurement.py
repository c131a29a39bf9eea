"""One radio measurement (``radio.meas/1``): what a modem says of its cell and its registration at one moment.

What is not known is None and ``null`` in JSON, never 0 or 255. Nothing is clamped: NB-IoT goes below -140 dBm. A value
that was reported as an index of 3GPP TS 36.133 or 38.133 stands for an interval; the index, both its edges and the one
that is given as the value are in ``raw``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, runtime_checkable

SCHEMA: Final = "radio.meas/1"

Rat = Literal["GSM", "UMTS", "LTE", "LTE-M", "NB-IoT", "NR", "NONE"]

REGISTRATION_NAMES: Final[Mapping[int, str]] = {
    0: "not registered, not searching",
    1: "registered, home",
    2: "searching",
    3: "registration denied",
    4: "unknown, out of coverage",
    5: "registered, roaming",
    6: "registered for SMS only, home",
    7: "registered for SMS only, roaming",
    8: "emergency only",
    9: "registered, CSFB not preferred, home",
    10: "registered, CSFB not preferred, roaming",
}
"""<stat> of 3GPP TS 27.007 section 10.1.22."""


@dataclass(frozen=True, slots=True)
class Level:
    """A level that was reported as an index: an interval [low, high) in dBm or dB."""

    index: int
    low: float | None
    """None: below everything that has an index of its own."""
    high: float | None
    """None: above everything."""

    @property
    def value(self) -> float:
        """The one value that stands for it: the lower edge, the upper one where there is no lower."""
        return self.low if self.low is not None else self.high if self.high is not None else 0.0

    @property
    def edge(self) -> str:
        """Which edge ``value`` is: ``lower`` or ``upper``."""
        return "lower" if self.low is not None else "upper"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A cell that was measured beside the serving one, or the serving one among them."""

    earfcn: int | None = None
    pci: int | None = None
    rsrp: float | None = None
    rsrq: float | None = None
    serving: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """One record. Power in dBm, ratios in dB; None: not told."""

    src: str
    """Which command or tool: ``at:+QENG``, ``at:+CESQ``, ``urc:+CEREG``, ``diag:scat``, ``nrf:trace``, ``sim``."""
    t_ns: int
    """Wall time in ns since 1970 at the first byte of the answer."""
    mono_ns: int
    """The host's monotonic clock at the same moment."""
    modem: str = ""
    seq: int = 0
    age_ms: int = 0
    """Between request and answer."""
    rat: str = ""
    """``GSM``, ``UMTS``, ``LTE``, ``LTE-M``, ``NB-IoT``, ``NR`` or ``NONE``; empty when it is not known."""
    plmn: str = ""
    """5 or 6 digits: 001010 is not 00101."""
    tac: int | None = None
    cell_id: int | None = None
    pci: int | None = None
    earfcn: int | None = None
    """EARFCN or NR-ARFCN, whole (GSMTAP has 14 bits for it)."""
    band: int | None = None
    bw_dl_rb: int | None = None
    """Downlink bandwidth in resource blocks."""
    rsrp: float | None = None
    rsrq: float | None = None
    sinr: float | None = None
    rssi: float | None = None
    tx: float | None = None
    ce_level: int | None = None
    """Coverage enhancement level (36.331), 0 to 2 (3 for LTE-M in CE mode B)."""
    connected: bool | None = None
    """Whether there is an RRC connection."""
    reg: int | None = None
    """<stat> of 27.007 section 10.1.22, 0 to 10."""
    uicc_failure: bool = False
    """nRF91's <stat> 90."""
    cause_type: int | None = None
    """0: EMM or 5GMM cause, 1: of the modem's maker."""
    cause: int | None = None
    cause_name: str = ""
    esm_cause: int | None = None
    esm_cause_name: str = ""
    t_modem: str = ""
    """The modem's own time, where it gives one."""
    cells: tuple[Neighbour, ...] = ()
    raw: Mapping[str, object] = field(default_factory=dict)
    """Untouched numbers, the edges of indices, and the line (without IMSI and M-TMSI)."""

    @property
    def measured(self) -> bool:
        """Whether it has a level at all; an event of registration has none."""
        return any(value is not None for value in (self.rsrp, self.rsrq, self.sinr, self.rssi))

    def as_json(self) -> dict[str, Any]:
        """Return the record with every key of the schema; what is not known is None."""
        rrc = None if self.connected is None else "conn" if self.connected else "idle"
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "t_ns": self.t_ns,
            "mono_ns": self.mono_ns,
            "src": self.src,
            "modem": self.modem,
            "seq": self.seq,
            "age_ms": self.age_ms,
            "rat": self.rat or None,
            "plmn": self.plmn or None,
            "tac": self.tac,
            "cell_id": self.cell_id,
            "pci": self.pci,
            "earfcn": self.earfcn,
            "band": self.band,
            "bw_dl_rb": self.bw_dl_rb,
            "rsrp_dbm": self.rsrp,
            "rsrq_db": self.rsrq,
            "sinr_db": self.sinr,
            "rssi_dbm": self.rssi,
            "tx_dbm": self.tx,
            "ce_level": self.ce_level,
            "rrc": rrc,
            "reg": self.reg,
            "cause_type": self.cause_type,
            "cause": self.cause,
            "cause_name": self.cause_name or None,
            "cells": [
                {
                    "earfcn": cell.earfcn,
                    "pci": cell.pci,
                    "rsrp_dbm": cell.rsrp,
                    "rsrq_db": cell.rsrq,
                    "serving": cell.serving,
                }
                for cell in self.cells
            ],
            "raw": dict(self.raw),
        }
        if self.uicc_failure:
            found["uicc_failure"] = True
        if self.esm_cause is not None:
            found |= {"esm_cause": self.esm_cause, "esm_cause_name": self.esm_cause_name or None}
        if self.t_modem:
            found["t_modem"] = self.t_modem
        return found

    def packet(self) -> bytes:
        """Return the record as the packet of a trace: JSON in UTF-8."""
        return json.dumps(self.as_json(), ensure_ascii=False, separators=(",", ":")).encode()

    def text(self) -> str:
        """Return one line for people: ``LTE-M 26201 cell 1A2D001 RSRP -85 dBm RSRQ -11 dB; registered, home``."""
        words = [part for part in (self.rat, self.plmn) if part]
        if self.cell_id is not None:
            words.append(f"cell {self.cell_id:X}")
        if self.pci is not None:
            words.append(f"PCI {self.pci}")
        for name, value, unit in (
            ("RSRP", self.rsrp, "dBm"),
            ("RSRQ", self.rsrq, "dB"),
            ("SINR", self.sinr, "dB"),
            ("RSSI", self.rssi, "dBm"),
        ):
            if value is not None:
                words.append(f"{name} {value:g} {unit}")
        parts = [" ".join(words)] if words else []
        if self.reg is not None:
            parts.append(REGISTRATION_NAMES.get(self.reg, f"<stat> {self.reg}"))
        if self.uicc_failure:
            parts.append("UICC failure")
        if self.cause is not None:
            kind = "cause" if self.cause_type == 0 else "maker's cause"
            parts.append(f"{kind} {self.cause}" + (f" {self.cause_name}" if self.cause_name else ""))
        if self.esm_cause is not None:
            name = f" {self.esm_cause_name}" if self.esm_cause_name else ""
            parts.append(f"ESM cause {self.esm_cause}{name}")
        return f"{self.src.partition(':')[2] or self.src}: {'; '.join(parts) or 'nothing known'}"


def read(data: bytes) -> Measurement | None:
    """Return the measurement in a packet, None for every other packet. Never raises on any bytes."""
    if SCHEMA.encode() not in data:
        return None
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA or not isinstance(raw.get("src"), str):
        return None

    def integer(value: object) -> int | None:
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def whole(key: str) -> int | None:
        return integer(raw.get(key))

    def number(value: object) -> float | None:
        good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
        return float(value) if good else None  # type: ignore[arg-type]

    def text(key: str) -> str:
        value = raw.get(key)
        return value if isinstance(value, str) else ""

    listed = raw.get("cells")
    cells = tuple(
        Neighbour(
            earfcn=integer(cell.get("earfcn")),
            pci=integer(cell.get("pci")),
            rsrp=number(cell.get("rsrp_dbm")),
            rsrq=number(cell.get("rsrq_db")),
            serving=cell.get("serving") is True,
        )
        for cell in (listed if isinstance(listed, list) else ())
        if isinstance(cell, dict)
    )
    return Measurement(
        src=raw["src"],
        t_ns=whole("t_ns") or 0,
        mono_ns=whole("mono_ns") or 0,
        modem=text("modem"),
        seq=whole("seq") or 0,
        age_ms=whole("age_ms") or 0,
        rat=text("rat"),
        plmn=text("plmn"),
        tac=whole("tac"),
        cell_id=whole("cell_id"),
        pci=whole("pci"),
        earfcn=whole("earfcn"),
        band=whole("band"),
        bw_dl_rb=whole("bw_dl_rb"),
        rsrp=number(raw.get("rsrp_dbm")),
        rsrq=number(raw.get("rsrq_db")),
        sinr=number(raw.get("sinr_db")),
        rssi=number(raw.get("rssi_dbm")),
        tx=number(raw.get("tx_dbm")),
        ce_level=whole("ce_level"),
        connected={"conn": True, "idle": False}.get(text("rrc")),
        reg=whole("reg"),
        uicc_failure=raw.get("uicc_failure") is True,
        cause_type=whole("cause_type"),
        cause=whole("cause"),
        cause_name=text("cause_name"),
        esm_cause=whole("esm_cause"),
        esm_cause_name=text("esm_cause_name"),
        t_modem=text("t_modem"),
        cells=cells,
        raw=raw["raw"] if isinstance(raw.get("raw"), dict) else {},
    )


def signal_at(measurements: Iterable[Measurement], time_ns: int, *, at_most: float = 60.0) -> Measurement | None:
    """Return the last one with a level before a moment (wall time in ns), at most ``at_most`` seconds old.

    The signal at the moment of a failure: older ones say nothing of it, and None says that nothing is known.
    """
    found: Measurement | None = None
    for item in measurements:
        if item.measured and item.t_ns <= time_ns and (found is None or item.t_ns >= found.t_ns):
            found = item
    return found if found is not None and time_ns - found.t_ns <= at_most * 1e9 else None


MeasurementListener = Callable[[Measurement], None]


@runtime_checkable
class RadioProbe(Protocol):
    """A modem that can be asked for radio measurements beside what else is done with it."""

    @property
    def measurable(self) -> bool:
        """Whether asking makes sense now: the modem has answered since it started, and has not gone since."""

    async def measure_radio(self, *, background: bool = False) -> Measurement | None:
        """Measure now; None in the background when the port is wanted by somebody else, before and while measuring.

        Raises what a modem's command raises.
        """

    def lost_power(self) -> None:
        """The supply was switched off: not measurable until the modem has been made ready again."""

    def on_radio_event(self, listener: MeasurementListener | None) -> None:
        """Have ``listener`` called with every change of registration that the modem tells by itself; None: no more."""


@runtime_checkable
class RadioRecorder(Protocol):
    """A program beside the bench that records the radio or the card's contacts (scat, nrfutil, SIMtrace2)."""

    async def wait_ready(self) -> None:
        """Wait until it records. Raises InstrumentTimeout, InstrumentError when it has ended."""
