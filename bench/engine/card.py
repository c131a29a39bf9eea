"""Moving the card of a station with a SIM switch, and waiting until its new side sees it.

Before it leaves the modem the modem lets go of it (AT+CFUN=0), so that nothing is cut off in the middle of a write;
when it is back the modem resets it, because not every modem notices a card that is plugged in while it runs.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bench.engine.steps import current
from bench.errors import BenchError
from bench.run import events as kinds
from bench.station.interfaces import CardPlace

if TYPE_CHECKING:
    from bench.engine.station import Station

_CARD_OFF = "AT+CFUN=0"
_LET_GO = 15.0
"""Seconds a modem is given to detach and to switch its card off."""


def moves(station: Station) -> bool:
    """Whether a SIM switch moves the card of ``station``."""
    card = station.config.card
    return card is not None and card.at == "switch"


async def move(station: Station, place: CardPlace, *, timeout: float) -> None:
    """Have the card of ``station`` at ``place``: does nothing where no switch moves it, or when it is there already.

    At the modem it waits for +CPIN: READY when the device has power; without power there is nothing to wait for, and
    the modem finds the card when it boots. ``timeout`` in seconds of station time. Raises CardGone when the reader
    does not see it, DeviceFailure when the modem does not, InstrumentError when the switch does not do it.
    """
    if not moves(station):
        return
    before: str = ""
    with contextlib.suppress(BenchError):  # a switch that stands between its places is set right now
        before = await station.switch.selected()
    if before != place:
        if before == "modem":
            await _let_go(station)
        await station.switch.select(place)
        step = current()
        station.record_event(kinds.CARD, {"at": place, "before": before}, step=step.path if step else "")
    if place == "reader":
        await station.reader.wait_card(timeout=timeout)
    elif before != place and station.has("modem") and await _powered(station):
        await station.modem.wait_ready(timeout=timeout)
        await station.modem.card().reset()
        await station.modem.wait_sim_ready(timeout=timeout)


async def _powered(station: Station) -> bool:
    return not station.has("power") or await station.power.output()


async def _let_go(station: Station) -> None:
    """Have a running modem switch its card off; one that does not answer loses it as at a power cut."""
    if station.has("modem") and station.modem.imei and await _powered(station):
        with contextlib.suppress(BenchError, TimeoutError):
            await station.modem.command(_CARD_OFF, timeout=_LET_GO)
