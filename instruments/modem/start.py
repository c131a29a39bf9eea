"""How a modem is started: made to answer, initialised, identified, and refused when it is another one."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from bench.station.drivers import WrongInstrument
from bench.station.interfaces import Identity
from instruments.modem import parse
from instruments.modem.errors import SIM_BUSY, ModemError
from instruments.modem.vendors import GENERIC, vendor_of

if TYPE_CHECKING:
    from instruments.modem.core import ModemCore

_AGAIN = 0.25
_STARTS = 10.0
"""Seconds after its first OK within which a modem may still refuse to be initialised."""


async def initialise(modem: ModemCore, until: float) -> None:
    """Make answers verbose and errors numbered, switch registration events on, find out who it is."""
    for line in ("ATV1", "ATE0", "AT+CMEE=1"):
        await _patiently(modem, line, min(until, modem.clock.now() + _STARTS), any_error=True)
    await same(modem)  # before anything of it is changed
    for n in (5, 3, 2, 1):
        try:
            await _patiently(modem, f"AT+CEREG={n}", until)
            break
        except ModemError:
            continue
    with contextlib.suppress(ModemError):
        if parse.plain(await modem.command("AT+CFUN?")).split(",")[0] in ("0", "4"):
            # Left so by an interrupted run, or by the modem's own start.
            await modem.command("AT+CFUN=1")
    with contextlib.suppress(ModemError):
        await modem.command("AT+COPS=3,2")
    await identify(modem)
    for line in modem.vendor.setup:
        with contextlib.suppress(ModemError):
            await modem.command(line)


async def _patiently(modem: ModemCore, line: str, until: float, *, any_error: bool = False) -> None:
    """Send an initialisation line, again while the card is busy after the start (or at any error)."""
    while True:
        try:
            await modem.command(line)
            return
        except ModemError as error:
            if not (any_error or error.code == SIM_BUSY) or modem.clock.now() >= until:
                raise
            await modem.clock.sleep(_AGAIN)


async def same(modem: ModemCore) -> None:
    """Refuse a modem that has taken the place of the one that is pinned, or that was here before: WrongInstrument.

    A port that comes back may lead to another modem of the same kind. One that does not tell its IMEI now is left to
    ``identify``. The port of another one is closed.
    """
    wanted = modem.options.imei or modem.imei
    if not wanted:
        return
    found = await _imei(modem)
    if found and found != wanted:
        modem.port.close()
        raise WrongInstrument(
            f"the modem's IMEI is {found}, not {wanted}",
            where=modem.options.origin or modem.port.name,
            hint="two modems exchanged? correct 'port' or 'imei'",
        )


async def _imei(modem: ModemCore) -> str:
    imei = ""
    for line in ("AT+CGSN", "AT+CGSN=1"):
        with contextlib.suppress(ModemError):
            imei = imei or parse.imei(await modem.command(line))
    return imei


async def identify(modem: ModemCore) -> Identity:
    """Read +CGMI, +CGMM, +CGMR and +CGSN, and choose the layer. Raises WrongInstrument."""
    answers = []
    for line in ("AT+CGMI", "AT+CGMM", "AT+CGMR"):
        try:
            answers.append(parse.plain(await modem.command(line)))
        except ModemError:
            answers.append("")
    imei = await _imei(modem)
    manufacturer, model, firmware = answers
    modem.identity = Identity(manufacturer, model, imei, firmware)
    modem.imei = imei
    _choose(modem, manufacturer, model)
    if modem.options.imei and imei != modem.options.imei:
        raise WrongInstrument(
            f"the modem's IMEI is {imei or 'not readable'}, not {modem.options.imei}",
            where=modem.options.origin or modem.port.name,
            hint="correct 'port' or 'imei'",
        )
    return modem.identity


def _choose(modem: ModemCore, manufacturer: str, model: str) -> None:
    """Take the layer for what the modem says of itself. Raises WrongInstrument when the driver is another family's."""
    allowed = modem.layers
    found = vendor_of(manufacturer, model)
    if not allowed:
        modem.use(found)
        return
    if found in allowed:
        modem.use(found)
        return
    text = f"{manufacturer} {model}"
    if modem.forced or not text.strip():  # a table chosen in bench.toml, or a modem that says nothing of itself
        modem.use(next((v for v in allowed if re.search(v.models, text, re.IGNORECASE)), allowed[-1]))
        return
    right = "at-modem" if found is GENERIC else found.driver
    raise WrongInstrument(
        f"driver {modem.options.driver or '/'.join(layer.driver for layer in allowed)} is for "
        f"{' and '.join(layer.name for layer in allowed)} modems; the modem says it is a {text.strip()}",
        where=modem.options.origin or modem.port.name,
        hint=f"driver = '{right}'" + ("" if right == "at-modem" else ", or 'at-modem', which chooses by itself"),
    )
