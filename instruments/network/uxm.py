"""Keysight UXM E7515A/B, LTE test application: ``BSE:`` headers, settings taken over by APPLY, answers after 20 s.

``BSE:CONFig:LTE:CELLn:ACTive``, ``:BAND``, ``:DL:POWer:EPRE``, ``:APPLY`` and ``BSE:STATus:LTE:CELLn?`` (OFF, IDLE,
CONN, ACT, AGG) are as in users' scripts; ``:PLMN:``, ``:TAC``, ``BSE:FUNCtion:...:NAS:DETach`` and ``BSE:INFO:`` are
from memory, and an application without them says so in its error queue. Keys: it takes the name of a built-in card
(``KEYS``, ``TEST3GPP``) and no key by remote command.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import ClassVar, Final

from bench.errors import InstrumentError, InstrumentTimeout
from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import SafeAction
from bench.station.network import AttachedDevice, NetworkAbilities, NetworkAbility
from instruments.network.base import POLL, SWITCH, EmulatorDriver, cells_of, wrong_instrument
from instruments.scpi import link, parse
from instruments.scpi.direct import DirectScpi
from instruments.scpi.session import ScpiSession

ANSWER: Final = 20.0
"""Real seconds for an answer: the application is busy for as long after a change."""
STATES: Final = frozenset({"OFF", "IDLE", "CONN", "ACT", "AGG"})
_CONNECTED: Final = frozenset({"CONN", "ACT", "AGG"})
_POWER: Final = (-140.0, -20.0)


def cell_status(answer: str) -> str:
    """Read ``BSE:STATus:LTE:CELLn?``. Raises AnswerError."""
    word = answer.strip().strip('"').upper()
    if word not in STATES:
        raise parse.AnswerError(f"'{answer[:40]}' is no cell status")
    return word


class KeysightUxm(EmulatorDriver):
    """A UXM with the LTE test application (interfaces.Network). Powers in dBm per resource element (EPRE)."""

    abilities = NetworkAbilities(
        frozenset({"cell", "plmn", "tac", "band", "power", "detach", "attached", "options"}),
        cells=4,
        subscribers=1,
        rats=("LTE",),
        power=_POWER,
    )
    refusals: ClassVar[Mapping[NetworkAbility, str]] = {
        "subscriber": "the test application takes no keys by remote command, only a built-in card's name: "
        'options = { card = "KEYS" } or "TEST3GPP"',
        "reject-attach": "rejects are part of its protocol scripts, not of its remote commands",
        "reject-tau": "rejects are part of its protocol scripts, not of its remote commands",
    }
    highest_cell = 4

    def __init__(self, options: DriverOptions, session: ScpiSession) -> None:
        super().__init__(options, session.identity)
        self._session = session

    @classmethod
    async def open(cls, options: DriverOptions) -> KeysightUxm:
        """Connect and read the identity; nothing is switched. Raises InstrumentError, ConfigurationError."""
        extra = options.known_extra("card", "netem", "tc")
        cls.check_cells(options)
        session = await ScpiSession.open(
            options.resource, name=options.name, lane=options.lane, clock=options.clock, timeout=ANSWER, identify=5.0
        )
        try:
            if not re.search(r"E7515|UXM", session.identity.model, re.IGNORECASE):
                raise wrong_instrument(options, session.identity, "UXM E7515")
            made = cls(options, session)
            card = str(extra.get("card", ""))
            if card:
                if not re.fullmatch(r"[A-Z0-9]{1,16}", card):
                    raise made._wrong(f"'{card}' is no name of a built-in card", "KEYS or TEST3GPP")
                await session.write(f"BSE:CONFig:LTE:SECurity:AUTHenticate:KEY {card}")
            await made._open_shaper()
        except BaseException:
            await session.close()
            raise
        return made

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        link.warm()

    async def _close(self) -> None:
        await self._session.close()

    async def _status(self, cell: int) -> str:
        query = f"BSE:STATus:LTE:CELL{cell}?"
        try:
            return cell_status(await self._session.query(query))
        except parse.AnswerError as error:
            error.where = f"{self._options.name}: {query}"
            raise

    async def _cell_on(self, cell: int) -> bool:
        return await self._status(cell) != "OFF"

    async def _set_cell(self, on: bool, cell: int) -> None:
        await self._session.write(f"BSE:CONFig:LTE:CELL{cell}:ACTive {int(on)}", urgent=not on)
        until = self._clock.now() + SWITCH
        while await self._cell_on(cell) is not on:
            if self._clock.now() >= until:
                raise InstrumentTimeout(
                    f"cell {cell} is {await self._status(cell)} {SWITCH:g} s after it was switched "
                    f"{'on' if on else 'off'}",
                    where=f"{self._options.name}: BSE:STATus:LTE:CELL{cell}?",
                )
            await self._clock.sleep(POLL)

    async def _configure(self, cell: int, *tails: str) -> None:
        """Send settings and have the application take them over."""
        for tail in tails:
            await self._session.write(f"BSE:CONFig:LTE:CELL{cell}:{tail}")
        await self._session.write(f"BSE:CONFig:LTE:CELL{cell}:APPLY")

    async def _set_plmn(self, plmn: str, cell: int) -> None:
        await self._configure(cell, f"PLMN:MCC {plmn[:3]}", f"PLMN:MNC {plmn[3:]}")

    async def _set_tac(self, tac: int, cell: int) -> None:
        await self._configure(cell, f"TAC {tac}")

    async def _set_band(self, band: int, cell: int) -> None:
        await self._configure(cell, f"BAND {band}")

    async def _set_power(self, rsrp: float, cell: int) -> None:
        await self._configure(cell, f"DL:POWer:EPRE {rsrp:.1f}")

    async def _detach(self, cell: int) -> None:
        await self._session.write(f"BSE:FUNCtion:LTE:CELL{cell}:NAS:DETach")

    async def _attached(self, cell: int) -> AttachedDevice | None:
        status = await self._status(cell)
        if status == "OFF":
            return None
        imsi = parse.text(await self._session.query(f"BSE:INFO:LTE:CELL{cell}:UE:IMSI?"))
        if not re.fullmatch(r"\d{6,15}", imsi):
            return None
        imei = parse.text(await self._session.query(f"BSE:INFO:LTE:CELL{cell}:UE:IMEI?"))
        address = parse.text(await self._session.query(f"BSE:INFO:LTE:CELL{cell}:UE:IP?"))
        return AttachedDevice(
            imsi,
            imei if re.fullmatch(r"\d{14,16}", imei) else "",
            (address,) if address else (),
            status in _CONNECTED,
        )

    async def _installed(self) -> list[str]:
        answer = parse.text(await self._session.query("*OPT?"))
        return [part.strip() for part in answer.split(",") if part.strip() and part.strip() != "0"]

    # --- safe -----------------------------------------------------------------------------------------------------

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        """Switch the cells off over a fresh blocking connection and read their states back (drivers.SafeDriver)."""
        until = time.monotonic() + deadline
        cells = cells_of(action)
        reading = ""
        while True:
            try:
                with DirectScpi(str(action.options.get("resource", "")), until=until) as scpi:
                    scpi.check_serial(str(action.options.get("serial", "")))
                    for cell in cells:
                        scpi.write(f"BSE:CONFig:LTE:CELL{cell}:ACTive 0")
                    while True:
                        states = {n: cell_status(scpi.query(f"BSE:STATus:LTE:CELL{n}?")) for n in cells}
                        reading = " ".join(f"{n}:{state}" for n, state in states.items())
                        if set(states.values()) == {"OFF"}:
                            return SafeResult(action.name, True, reading, "RF off")
                        scpi.left()
                        time.sleep(0.05)
            except InstrumentError as error:
                if time.monotonic() + 0.1 >= until:
                    return SafeResult(action.name, False, reading, f"RF NOT OFF: {error}")
                time.sleep(0.1)
