"""What the device does, told by whoever of the station's instruments can: each result names its source.

The sources of an observation have an order (``dut.sources`` in bench.toml, else ``bench.station.dut.SOURCES``). The
first that the station has decides; one that breaks is passed over for the next, which is noted. Without any source the
step is inconclusive: what cannot be seen is neither passed nor failed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench.engine.steps import current
from bench.errors import BenchError, DeviceFailure, InstrumentError
from bench.run import events as kinds
from bench.station.dut import SOURCES
from bench.station.dut_parts import Console, CountsPolls, agrees
from bench.station.interfaces import is_external

if TYPE_CHECKING:
    from bench.engine.station import Station

_AGAIN: Final = 1.0
"""Seconds of station time between two questions to a source that tells nothing by itself."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Something the device was seen to do. ``elapsed``: seconds of station time since it was waited for."""

    name: str
    source: str
    """``at``, ``emulator``, ``console`` or ``eim``."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What the source told of it: ``plmn``, ``imsi``, ``iccid``, ``eid``."""
    elapsed: float = 0.0
    text: str = ""
    """In the source's own words."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is waited for."""

    name: str
    since: float
    timeout: float
    values: Mapping[str, str]
    eid: str
    polls: int | None
    order: str


_Watcher = Callable[["Station", _Wanted], Awaitable[tuple[Mapping[str, str], str]]]


async def observe(
    station: Station,
    name: str,
    *,
    timeout: float,
    since: float | None = None,
    values: Mapping[str, str] | None = None,
    eid: str = "",
    polls: int | None = None,
    order: str = "",
) -> Observation | None:
    """Wait until the device is seen to have done ``name`` (one of ``bench.station.dut.OBSERVATIONS``).

    ``timeout`` in seconds of station time. ``since``: station time from which on what was said counts; now, when
    None. ``values``: what the observation must tell where its source can: ``plmn``, ``imsi``, ``iccid``; a value may
    end with ``*``. An emulator tells who is attached now, whenever that came about. ``eid`` and ``polls``:
    for ``polled``, whom the eIM is asked about and the count of polls before. ``order``: for ``switched``, the eIM's
    order whose verified result tells it.

    Returns None, and makes the step inconclusive, when the station has no source. Raises DeviceFailure in the words of
    the source that looked, InstrumentError when every source broke.
    """
    began = station.clock.now()
    wanted = _Wanted(name, began if since is None else since, timeout, values or {}, eid, polls, order)
    dut = station.config.dut
    sources = dut.sources_of(name) if dut is not None else SOURCES[name]
    broken: InstrumentError | None = None
    for source in sources:
        if not _can_tell(station, source, wanted):
            continue
        try:
            told, text = await _WATCHERS[source](station, wanted)
        except InstrumentError as error:
            broken = error
            station.note(f"{source} cannot tell of '{name}': {error}")
            continue
        found = Observation(name, source, told, station.clock.now() - began, text)
        _record(station, found)
        return found
    if broken is not None:
        raise broken
    without = f"nobody can tell whether the device has {WORDS[name]}: station {station.name} has none of " + ", ".join(
        _NEEDED[source].format(name=name) for source in sources
    )
    step = current()
    if step is not None:
        step.inconclusive(without)
    return None


WORDS: Final[Mapping[str, str]] = {
    "booted": "booted",
    "registered": "registered",
    "identity": "the identity it should have",
    "polled": "polled its eIM",
    "switched": "switched its profile",
}
_NEEDED: Final[Mapping[str, str]] = {
    "at": "a modem",
    "emulator": "a network emulator",
    "console": "a console with a pattern '{name}'",
    "eim": "an eIM that tells it",
}


def _record(station: Station, found: Observation) -> None:
    step = current()
    seen = {"name": found.name, "source": found.source, "values": dict(found.values), "text": found.text}
    data = {**seen, "elapsed": round(found.elapsed, 6)}
    station.record_event(kinds.OBSERVATION, data, step=step.path if step else "")


def _can_tell(station: Station, source: str, wanted: _Wanted) -> bool:
    """Whether the station has a source that can tell of it."""
    match source:
        case "at":
            return station.has("modem")
        case "emulator":
            return station.has("network") and (wanted.name != "switched" or "imsi" in wanted.values)
        case "console":
            return _console(station, wanted.name) is not None
        case "eim":
            if wanted.name == "switched":
                return station.has("eim") and bool(wanted.order) and not is_external(station.eim)
            return station.has("eim") and isinstance(station.eim, CountsPolls)
    return False


def _console(station: Station, pattern: str) -> Console | None:
    return next((console for console in station.consoles.values() if console.knows(pattern)), None)


# --- the sources ------------------------------------------------------------------------------------------------------


async def _by_console(station: Station, wanted: _Wanted) -> tuple[Mapping[str, str], str]:
    console = _console(station, wanted.name)
    assert console is not None
    found = await console.wait(wanted.name, timeout=wanted.timeout, since=wanted.since, values=wanted.values)
    return found.values, found.line


async def _by_emulator(station: Station, wanted: _Wanted) -> tuple[Mapping[str, str], str]:
    """Wait for an attached device: with the IMSI wanted, where one is."""
    imsi, last = wanted.values.get("imsi", ""), ""
    try:
        async with station.clock.timeout(wanted.timeout):
            while True:
                for cell in await station.network.cells():
                    attached = await station.network.attached_imsi(cell=cell)
                    last = attached or last
                    if attached and agrees(attached, imsi or "*"):
                        return {"imsi": attached, "cell": str(cell)}, f"IMSI {attached} attached to cell {cell}"
                await station.clock.sleep(_AGAIN)
    except TimeoutError:
        seen = f"attached was IMSI {last}" if last else "no device was attached"
        whom = f"IMSI {imsi} was not attached" if imsi else "the device did not attach"
        raise DeviceFailure(
            f"{whom} within {wanted.timeout:g} s: {seen}", where="network emulator", hint="is its cell on?"
        ) from None


async def _by_modem(station: Station, wanted: _Wanted) -> tuple[Mapping[str, str], str]:
    modem = station.modem
    if wanted.name == "booted":
        await modem.wait_ready(timeout=wanted.timeout)
        return {"imei": modem.imei}, f"IMEI {modem.imei} answers AT"
    if wanted.name == "registered":
        plmn = wanted.values.get("plmn")
        registration = await modem.wait_registered(plmn=plmn, timeout=wanted.timeout)
        return {"plmn": registration.plmn, "rat": registration.rat}, f"{registration.rat} {registration.plmn}"
    told: dict[str, str] = {}
    try:
        async with station.clock.timeout(wanted.timeout):
            while True:
                with contextlib.suppress(BenchError):  # a card that is being reset cannot be read
                    told = {"iccid": await modem.iccid(), "imsi": await modem.imsi()}
                    if all(agrees(told.get(key, value), value) for key, value in wanted.values.items()):
                        return told, f"ICCID {told['iccid']}, IMSI {told['imsi']}"
                await station.clock.sleep(_AGAIN)
    except TimeoutError:
        shown = ", ".join(f"{key.upper()} {value}" for key, value in told.items()) or "nothing that could be read"
        raise DeviceFailure(
            f"the device has not {WORDS[wanted.name]} within {wanted.timeout:g} s: {shown}",
            where="+CRSM and +CIMI",
            hint="did REFRESH reach the modem, and did it read the card again?",
        ) from None


async def _by_eim(station: Station, wanted: _Wanted) -> tuple[Mapping[str, str], str]:
    """Wait until the eIM has counted one poll more."""
    eim, clock = station.eim, station.clock
    if wanted.name == "switched":
        return await _by_order(station, wanted)
    assert isinstance(eim, CountsPolls)
    with clock.busy():
        count = await eim.polls(wanted.eid)
    before = wanted.polls if wanted.polls is not None else count
    try:
        async with clock.timeout(wanted.timeout):
            while count <= before:
                await clock.sleep(_AGAIN)
                with clock.busy():  # the eIM is no part of a simulated world: time must not jump over its answer
                    count = await eim.polls(wanted.eid)
    except TimeoutError:
        raise DeviceFailure(
            f"the device did not poll its eIM within {wanted.timeout:g} s",
            where=f"eIM {station.eim.eim_id}, EID {wanted.eid}",
            hint="is this eIM the one on its card, and does its data connection reach it?",
        ) from None
    return {"polls": str(count)}, f"poll {count} of EID {wanted.eid}"


async def _by_order(station: Station, wanted: _Wanted) -> tuple[Mapping[str, str], str]:
    """Wait for the eUICC's verified result at the eIM."""
    clock = station.clock
    try:
        async with clock.timeout(wanted.timeout):
            while True:
                with clock.busy():
                    order = await station.eim.show(wanted.order)
                if order.final:
                    break
                await clock.sleep(_AGAIN)
    except TimeoutError:
        raise DeviceFailure(
            f"the eIM has no result within {wanted.timeout:g} s: the order is {order.state}",
            where=f"eIM order {wanted.order}",
            hint="has the device polled since? without a poll there is no result",
        ) from None
    if order.state != "done" or not order.verified:
        raise DeviceFailure(
            f"the switch ended as {order.state}",
            where=f"eIM order {wanted.order}",
            hint="the report has the order with the eUICC's answer: bench report",
        )
    return dict(wanted.values), f"the eUICC's signed result of order {wanted.order}"


_WATCHERS: Final[Mapping[str, _Watcher]] = {
    "at": _by_modem, "emulator": _by_emulator, "console": _by_console, "eim": _by_eim,
}  # fmt: skip
