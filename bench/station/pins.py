"""Is it the right one: serial number, IMEI and EID compared with what bench.toml pins, before anything is switched."""

from __future__ import annotations

from typing import Final

from bench.apdu.channel import CardAccess
from bench.errors import BenchError
from bench.station.config import StationConfig
from bench.station.drivers import DriverOptions, WrongInstrument
from bench.station.interfaces import Identity
from bench.station.opened import OpenStation

PROBE: Final = 2.0
"""Seconds a modem is given at opening to show who it is; a device without power shows nothing, which is no error."""


def _other(what: str, *, where: str, remedy: str, untouched: bool = True) -> WrongInstrument:
    """Return the error for another one than pinned. ``untouched``: the station is only being opened."""
    return WrongInstrument(what, where=where, hint=f"nothing was switched: {remedy}" if untouched else remedy)


def check_serial(options: DriverOptions, identity: Identity) -> None:
    """Compare the serial number that was read back with the pinned one. Raises WrongInstrument."""
    if not options.serial or identity.serial.strip() == options.serial.strip():
        return
    raise _other(
        f"{options.name} at {options.resource or options.port} is {identity.manufacturer} {identity.model} with serial "
        f"number '{identity.serial}', not '{options.serial}'",
        where=options.origin,
        remedy=f"correct '{'resource' if options.resource else 'port'}' or 'serial'",
    )


async def look_at_reader(opened: OpenStation) -> None:
    """Compare the EID where a card is in the reader now; otherwise the recipe's first use of the card does.

    Raises WrongInstrument.
    """
    reader = opened.reader
    if reader is not None and opened.config.eid and opened.card is not None and reader.atr:
        await check_eid(opened.card, opened.config, opening=True)


async def look_at_modem(opened: OpenStation) -> None:
    """Read IMEI and EID where the device has power; without power the recipe checks them after switching on.

    Waits at most ``PROBE`` seconds of station time for the modem. Raises WrongInstrument.
    """
    modem, power, config = opened.modem, opened.power, opened.config
    if modem is None or (power is not None and not await power.output()):
        return
    try:
        await modem.wait_ready(timeout=PROBE)
    except WrongInstrument as error:
        raise _other(error.what, where=error.where, remedy=error.hint) from error
    except (BenchError, TimeoutError):
        pass  # a device that does not boot is the recipe's matter
    if not modem.imei:
        return
    opened.identities["modem"] = modem.identity
    pinned = config.modem
    if pinned is not None and pinned.imei and modem.imei != pinned.imei:
        raise _other(
            f"the modem's IMEI is {modem.imei}, not {pinned.imei}",
            where=pinned.origin,
            remedy="correct 'port' or 'imei'",
        )
    if config.eid and opened.card is not None and opened.reader is None:
        await check_eid(opened.card, config, opening=True)


async def check_eid(card: CardAccess, config: StationConfig, *, opening: bool = False) -> str:
    """Read the EID (ES10c.GetEID, SGP.22 section 5.7.20) and compare it with the pinned one; return it.

    Raises WrongInstrument when it differs. While the station is ``opening`` nothing was switched yet, and a card that
    cannot be read is the recipe's matter: then '' is returned; otherwise errors of reading are raised.
    """
    from bench.apdu.es10 import Es10

    try:
        es10 = await Es10.open(card)
        try:
            eid = await es10.eid()
        finally:
            await es10.close()
    except BenchError:
        if opening:
            return ""
        raise
    if config.eid and eid != config.eid:
        raise _other(
            f"the card's EID is {eid}, not {config.eid}",
            where=config.card.origin if config.card else config.origin,
            remedy="put the right card in, or correct 'eid'",
            untouched=opening,
        )
    return eid
