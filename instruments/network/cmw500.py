"""Rohde & Schwarz CMW500, LTE signalling: cells, PLMN, power, subscriber, and who is attached."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import SafeAction
from instruments.scpi import link, parse
from instruments.scpi.direct import DirectScpi
from instruments.scpi.session import ScpiSession

if TYPE_CHECKING:
    from bench.station.interfaces import Network

    def _fits(network: RsCmw500) -> Network:
        return network


SWITCH = 30.0
"""Seconds a cell is given to come on or go off; real ones take 5 to 20 s."""
_POLL = 0.25
_ATTACHED = frozenset({"ATT", "CEST", "SMES", "RMES", "IHAN", "OHAN", "DISC", "CONN"})
_STATE = "SOURce:LTE:SIGN{n}:CELL:STATe"
_POWER_RANGE = (-145.0, 0.0)
_IMSI = re.compile(r"\d{6,15}")


class CellState(tuple[str, str]):
    """Main and synchronisation state of ``CELL:STATe:ALL?``: ``ON,ADJ`` is ready, ``PEND`` under way."""

    @classmethod
    def parse(cls, answer: str) -> CellState:
        """Read the answer. Raises AnswerError."""
        parts = [part.strip().upper() for part in answer.split(",")]
        if len(parts) < 2 or parts[0] not in ("ON", "OFF", "RDY"):
            raise parse.AnswerError(f"'{answer[:60]}' is no cell state")
        return cls((parts[0], parts[1]))

    @property
    def on(self) -> bool:
        """The cell transmits."""
        return self == ("ON", "ADJ")

    @property
    def off(self) -> bool:
        """The cell does not transmit."""
        return self == ("OFF", "ADJ")


class RsCmw500:
    """A network emulator (interfaces.Network). Powers in dBm, times in seconds of station time."""

    def __init__(self, options: DriverOptions, session: ScpiSession) -> None:
        self.identity = session.identity
        self._options = options
        self._session = session
        self._clock = options.clock

    @classmethod
    async def open(cls, options: DriverOptions) -> RsCmw500:
        """Connect and read the identity; nothing is switched. Raises InstrumentError."""
        options.known_extra()
        if not options.cells or any(not 1 <= cell <= 8 for cell in options.cells):
            raise ConfigurationError("'cells' must list signalling instances 1 to 8", where=options.origin)
        session = await ScpiSession.open(
            options.resource, name=options.name, lane=options.lane, clock=options.clock, timeout=5.0
        )
        if not re.search(r"CMW", session.identity.model, re.IGNORECASE):
            found = session.identity
            await session.close()
            raise InstrumentError(
                f"{options.name} is a {found.manufacturer} {found.model}, which is no CMW", where=options.resource
            )
        return cls(options, session)

    @staticmethod
    def warm() -> None:
        """Import what ``open`` needs (drivers.WarmDriver)."""
        link.warm()

    async def close(self) -> None:
        """Release the connection; cells stay as they are."""
        await self._session.close()

    def _known(self, cell: int) -> int:
        if cell not in self._options.cells:
            raise Refused(
                f"cell {cell} is not one of this station's ({', '.join(map(str, self._options.cells))})",
                where=self._options.name,
                hint="'cells' in bench.toml says which cells the station may use",
            )
        return cell

    async def cells(self) -> Sequence[int]:
        """Return the cells this station may use."""
        return self._options.cells

    async def _state(self, cell: int) -> CellState:
        query = _STATE.format(n=cell) + ":ALL?"
        try:
            return CellState.parse(await self._session.query(query))
        except parse.AnswerError as error:
            error.where = f"{self._options.name}: {query}"
            raise

    async def cell_on(self, *, cell: int = 1) -> bool:
        """Return whether the cell transmits now (``ON,ADJ``)."""
        return (await self._state(self._known(cell))).on

    async def set_cell(self, on: bool, *, cell: int = 1) -> None:
        """Switch a cell and wait until it transmits, or does not. Raises InstrumentTimeout."""
        self._known(cell)
        await self._session.write(f"{_STATE.format(n=cell)} {'ON' if on else 'OFF'}", urgent=not on)
        until = self._clock.now() + SWITCH
        while True:
            state = await self._state(cell)
            if state.on if on else state.off:
                return
            if self._clock.now() >= until:
                raise InstrumentTimeout(
                    f"cell {cell} is {','.join(state)} {SWITCH:g} s after it was switched {'on' if on else 'off'}",
                    where=f"{self._options.name}: {_STATE.format(n=cell)}",
                )
            await self._clock.sleep(_POLL)

    async def set_plmn(self, plmn: str, *, cell: int = 1) -> None:
        """Program MCC and MNC (5 or 6 digits). Raises ConfigurationError for other texts."""
        self._known(cell)
        if not re.fullmatch(r"\d{5,6}", plmn):
            raise ConfigurationError(f"'{plmn}' is no PLMN: 5 or 6 digits", where=self._options.name)
        base = f"CONFigure:LTE:SIGN{cell}:CELL"
        await self._session.write(f"{base}:MCC {int(plmn[:3])}")
        await self._session.write(f"{base}:MNC:DIGits {'TWO' if len(plmn) == 5 else 'THRee'}")
        await self._session.write(f"{base}:MNC {int(plmn[3:])}")

    async def set_power(self, rsrp: float, *, cell: int = 1) -> None:
        """Program the reference signal power in dBm. Raises Refused outside of -145 to 0 dBm."""
        self._known(cell)
        if not _POWER_RANGE[0] <= rsrp <= _POWER_RANGE[1]:
            raise Refused(f"{rsrp:g} dBm is outside of -145 to 0 dBm", where=self._options.name)
        await self._session.write(f"CONFigure:LTE:SIGN{cell}:DL:PCC:RSEPre:LEVel {rsrp:.1f}")

    async def set_subscriber(self, imsi: str, key: bytes, opc: bytes, *, cell: int = 1) -> None:
        """Give the emulator a test card's IMSI, K and OPc; keys reach neither lane nor messages."""
        self._known(cell)
        if not _IMSI.fullmatch(imsi) or len(key) != 16 or len(opc) != 16:
            raise ConfigurationError("a subscriber is an IMSI with K and OPc of 16 bytes", where=self._options.name)
        base = f"CONFigure:LTE:SIGN{cell}:CELL"
        await self._session.write(f'{base}:UEIDentity:IMSI "{imsi}"')
        for header, secret in (("SKEY", key), ("OPC", opc)):
            line = f"{base}:SECurity:{header}"
            await self._session.write(f"{line} #H{secret.hex().upper()}", shown=f"{line} ****")

    async def attached_imsi(self, *, cell: int = 1) -> str:
        """Return the IMSI of the device attached to the cell as the emulator saw it, empty when none."""
        self._known(cell)
        state = (await self._session.query(f"FETCh:LTE:SIGN{cell}:PSWitched:STATe?")).upper()
        if state not in _ATTACHED:
            return ""
        imsi = parse.text(await self._session.query(f"SENSe:LTE:SIGN{cell}:UESinfo:IMSI?"))
        return imsi if _IMSI.fullmatch(imsi) else ""

    # --- safe -----------------------------------------------------------------------------------------------------

    def safe_action(self) -> SafeAction:
        """Return what makes the emulator safe: the station's cells off."""
        options: Mapping[str, object] = {
            "name": self._options.name,
            "resource": self._options.resource,
            "serial": self._options.serial or self.identity.serial,
            "cells": list(self._options.cells),
        }
        return SafeAction("network.off", self._options.driver, options)

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        """Switch the cells off over a fresh blocking connection and read their states back (drivers.SafeDriver)."""
        until = time.monotonic() + deadline
        given = action.options.get("cells")
        cells = [int(cell) for cell in given] if isinstance(given, list | tuple) else [1]
        reading = ""
        while True:
            try:
                with DirectScpi(str(action.options.get("resource", "")), until=until) as scpi:
                    scpi.check_serial(str(action.options.get("serial", "")))
                    for cell in cells:
                        scpi.write(f"{_STATE.format(n=cell)} OFF")
                    while True:
                        states = {n: CellState.parse(scpi.query(f"{_STATE.format(n=n)}:ALL?")) for n in cells}
                        reading = " ".join(f"{n}:{','.join(state)}" for n, state in states.items())
                        if all(state.off for state in states.values()):
                            return SafeResult(action.name, True, reading, "RF off")
                        scpi.left()
                        time.sleep(0.05)
            except InstrumentError as error:
                if time.monotonic() + 0.1 >= until:
                    return SafeResult(action.name, False, reading, f"RF NOT OFF: {error}")
                time.sleep(0.1)
