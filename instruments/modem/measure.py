"""Radio measurements (``radio.meas/1``) from a modem's answers and events, as its family and 27.007 give them.

The family's own command comes first, +CESQ for what it leaves out, +CEREG? for the registration and its cause. In the
background each command is sent only while nobody else wants the port, and what was begun is given up at once when
somebody does: a poll must never be what a recipe waits for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from bench.errors import DeviceFailure
from bench.station.interfaces.measurement import Level, Measurement
from bench.station.interfaces.modem import CellInfo
from instruments.modem import causes, levels, parse
from instruments.modem.errors import ModemError, PortWanted
from instruments.modem.lines import fields_of, name_of

if TYPE_CHECKING:
    from instruments.modem.modem import AtModem
    from instruments.modem.vendor import Vendor

_WITHIN: Final = 2.0
"""Seconds of station time for one command of a poll: all of these answer in milliseconds or not at all."""
_UICC_FAILURE: Final = 90
_WIDEBAND: Final = 7
_LINE: Final = 300
_LONG_NUMBER: Final = re.compile(r"(?<!\d)\d{14,16}(?!\d)")
_COMMAND: Final = re.compile(r"AT([+#%!^$*][A-Za-z0-9]+)")

Send = Callable[[str], Awaitable[Sequence[str]]]


async def measure(modem: AtModem, *, background: bool) -> Measurement | None:
    """Measure now; None in the background when the port is wanted. Raises ModemHung, PortGone."""

    async def quietly(line: str) -> Sequence[str]:
        return await modem.port.background(line, timeout=_WITHIN)

    try:
        return await _measure(modem, quietly if background else modem.command)
    except PortWanted:
        return None


async def _measure(modem: AtModem, send: Send) -> Measurement:
    vendor = modem.vendor
    source, told, cell = "", [], None
    if vendor.serving is not None:
        lines: list[str] = []
        try:
            for line in vendor.serving.lines:
                lines += await send(line)
            cell = vendor.serving.read(lines)
        except ModemError:
            cell = None  # firmware without that command
        if cell is not None:
            source, told = f"at:{_name(vendor.serving.lines[-1])}", lines
    times = modem.port.times
    found: dict[str, Level] = dict(cell.levels) if cell is not None else {}
    raw: dict[str, object] = dict(cell.raw) if cell is not None else {}
    if cell is None or cell.rsrp is None or cell.rsrq is None:
        general, numbers, line = await _cesq(send)
        if line and not source:
            source, told, times = "at:+CESQ", [line], modem.port.times
        raw |= {name: number for name, number in numbers.items() if name not in raw}
        for name, level in general.items():
            if cell is None or getattr(cell, name, None) is None:
                found.setdefault(name, level)
    state = await _registration(send, vendor)
    if not source:
        source, times = f"at:{vendor.registration[0]}", modem.port.times
    cell = cell or CellInfo()
    plmn = cell.plmn
    if not plmn and state is not None and state.registered:
        plmn = await _plmn(send)
    raw |= levels.as_raw(found)
    if told:
        raw["line"] = _shown(told)
    return Measurement(
        src=source,
        t_ns=times.wall_ns or time.time_ns(),
        mono_ns=times.mono_ns or time.monotonic_ns(),
        modem=modem.options.name,
        age_ms=times.age_ms,
        rat=_rat(cell, state, vendor),
        plmn=plmn,
        tac=cell.tac if cell.tac is not None else state.tac if state is not None else None,
        cell_id=cell.cell_id if cell.cell_id is not None else state.cell_id if state is not None else None,
        pci=cell.pci,
        earfcn=cell.earfcn,
        band=cell.band,
        bw_dl_rb=cell.bw_dl_rb,
        rsrp=_level(cell.rsrp, found, "rsrp", "ss_rsrp"),
        rsrq=_level(cell.rsrq, found, "rsrq", "ss_rsrq"),
        sinr=_level(cell.sinr, found, "sinr", "ss_sinr"),
        rssi=_level(cell.rssi, found, "rxlev"),
        tx=cell.tx,
        ce_level=cell.ce_level,
        connected=cell.connected,
        **_told(state, cell.rat),
        raw=raw,
    )


def _name(command: str) -> str:
    found = _COMMAND.match(command)
    return found[1] if found else command


def _level(value: float | None, found: dict[str, Level], *names: str) -> float | None:
    if value is not None:
        return value
    return next((found[name].value for name in names if name in found), None)


async def _cesq(send: Send) -> tuple[dict[str, Level], dict[str, int], str]:
    try:
        lines = await send("AT+CESQ")
    except ModemError:
        return {}, {}, ""
    for line in lines:
        if name_of(line) == "+CESQ":
            return *levels.cesq(line), line
    return {}, {}, ""


async def _registration(send: Send, vendor: Vendor) -> parse.RegistrationState | None:
    state: parse.RegistrationState | None = None
    for name in vendor.registration:
        try:
            for line in await send(f"AT{name}?"):
                if name_of(line) == name:
                    state = parse.registration(line, read=True)
        except DeviceFailure as error:
            if not isinstance(error, ModemError | parse.AnswerUnreadable):
                raise
        if state is not None and state.registered:
            break
    return state


async def _plmn(send: Send) -> str:
    try:
        for line in await send("AT+COPS?"):
            if name_of(line) == "+COPS":
                return parse.operator(line)[0]
    except ModemError:
        pass
    return ""


def _rat(cell: CellInfo, state: parse.RegistrationState | None, vendor: Vendor) -> str:
    if cell.rat:
        return cell.rat
    if state is None:
        return ""
    if not state.registered:
        return "NONE" if cell.cell_id is None and cell.pci is None else ""
    if state.act == _WIDEBAND:
        return vendor.wideband
    return parse.RATS.get(state.act, "") if state.act is not None else ""


def _told(state: parse.RegistrationState | None, rat: str) -> dict[str, Any]:
    """Return the fields of a measurement that a registration tells."""
    if state is None:
        return {}
    failed = state.status == _UICC_FAILURE
    found: dict[str, Any] = {"reg": 0 if failed else state.status, "uicc_failure": failed}
    if state.cause_value is not None:
        name = ""
        if state.cause_type == 0:
            name = causes.five_gmm(state.cause_value) if rat == "NR" else causes.emm(state.cause_value)
        found |= {"cause_type": state.cause_type, "cause": state.cause_value, "cause_name": name}
    return found


def _shown(lines: Sequence[str]) -> str:
    """Return the lines without what names a subscriber: the IMSI of #RFSTS, the M-TMSI of +UCGED."""
    shown = []
    for line in lines:
        if line[:1].isdigit() and line.count(",") >= 12:  # the row of +UCGED
            fields = line.split(",")
            fields[7] = "****"
            line = ",".join(fields)  # noqa: PLW2901
        shown.append(_LONG_NUMBER.sub("****", line))
    return " | ".join(shown)[:_LINE]


def event(line: str, vendor: Vendor, modem: str) -> Measurement | None:
    """Return what an unsolicited line tells of registration or level, None for every other line. Never raises.

    ``+CEREG`` and its like, nRF91's ``+CNEC_EMM``, ``+CNEC_ESM`` and ``%CESQ``, and +CSCON (27.007).
    """
    name = name_of(line)
    wall, mono = time.time_ns(), time.monotonic_ns()
    if name in vendor.registration:
        try:
            state = parse.registration(line, read=False)
        except DeviceFailure:
            return None
        rat = _rat(CellInfo(), state, vendor)
        fields = _told(state, "NR" if name == "+C5GREG" else rat)
        return _made(name, wall, mono, modem, line, rat=rat, tac=state.tac, cell_id=state.cell_id, **fields)
    if name in ("+CNEC_EMM", "+CNEC_ESM"):
        listed = fields_of(line)
        cause = parse.cause(listed[0]) if listed else None
        if cause is None:
            return None
        if name == "+CNEC_EMM":
            fields = {"cause_type": 0, "cause": cause, "cause_name": causes.emm(cause)}
        else:
            fields = {"esm_cause": cause, "esm_cause_name": causes.esm(cause)}
        return _made(name, wall, mono, modem, line, **fields)
    if name == "%CESQ":
        found, numbers = levels.nordic_cesq(line)
        if not numbers:
            return None
        measured = {key: level.value for key, level in found.items()}
        return _made(name, wall, mono, modem, line, more={**numbers, **levels.as_raw(found)}, **measured)
    if name == "+CSCON":
        mode = fields_of(line)[0].strip() if fields_of(line) else ""
        return _made(name, wall, mono, modem, line, connected=mode == "1") if mode in ("0", "1") else None
    return None


def _made(
    name: str,
    wall: int,
    mono: int,
    modem: str,
    line: str,
    *,
    more: dict[str, object] | None = None,
    **fields: Any,
) -> Measurement:
    raw = {**(more or {}), "line": _shown([line])}
    return Measurement(src=f"urc:{name}", t_ns=wall, mono_ns=mono, modem=modem, raw=raw, **fields)
