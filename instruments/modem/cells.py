"""Serving and neighbour cells: the vendor's measurement, with what it lacks from +CEREG, +COPS and +CESQ."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from bench.errors import Refused
from bench.station.interfaces import CellInfo, Registration
from instruments.modem.errors import ModemError

if TYPE_CHECKING:
    from instruments.modem.modem import AtModem


async def serving(modem: AtModem) -> CellInfo | None:
    """Return the serving cell, None when the modem is neither registered nor camps on a cell it tells of."""
    registration = await modem.registration()
    measured: CellInfo | None = None
    if modem.vendor.serving is not None:
        try:
            measured = await modem.ask(modem.vendor.serving)
        except ModemError:  # firmware without that command: what 27.007 has is left
            measured = None
    if measured is None and not registration.registered:
        return None
    found = measured or CellInfo()
    if registration.registered and _same(found, registration):
        found = _filled(
            found,
            CellInfo(registration.rat, registration.plmn, registration.tac, registration.cell_id),
        )
        if found.rsrp is None or found.rsrq is None:
            signal = await modem.signal()
            found = _filled(found, CellInfo(rsrp=signal["rsrp"], rsrq=signal["rsrq"]))
    return found


def _same(found: CellInfo, registration: Registration) -> bool:
    """Whether two answers may speak of one cell: between them the modem may have gone to another."""
    pairs = ((found.cell_id, registration.cell_id), (found.tac, registration.tac))
    return all(one is None or other is None or one == other for one, other in pairs)


def _filled(found: CellInfo, other: CellInfo) -> CellInfo:
    """Return a cell with what it lacks from another description of it."""
    changes = {
        item.name: getattr(other, item.name)
        for item in fields(CellInfo)
        if getattr(found, item.name) in (None, "") and getattr(other, item.name) not in (None, "")
    }
    return replace(found, **changes)


async def neighbours(modem: AtModem) -> tuple[CellInfo, ...]:
    """Return the neighbour cells. Raises Refused where the family has no command for them."""
    ask = modem.vendor.neighbours
    if ask is None:
        raise Refused(
            f"no command for the neighbour cells of {modem.vendor.name} modems is known",
            where=modem.port.name,
            hint="the network emulator knows which cells it has on",
        )
    return await modem.ask(ask)
