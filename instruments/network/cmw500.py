"""Rohde & Schwarz CMW500, LTE signalling (option KS5xx): cells, subscriber, rejects, SMS, paging, and who is attached.

Headers as in the R&S user manual "LTE UE signaling" (``SIGN`` is short for ``SIGNaling``); IP settings are those of the
data application unit (DAU). PLMN, TAC, band and RAT are changed with the cell off.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from bench.errors import InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import SafeAction
from bench.station.network import (
    AttachedDevice,
    NetworkAbilities,
    NetworkAbility,
    NetworkSubscriber,
    PdnSettings,
    Procedure,
)
from instruments.network.base import POLL, SWITCH, EmulatorDriver, cells_of, wrong_instrument
from instruments.scpi import link, parse
from instruments.scpi.direct import DirectScpi
from instruments.scpi.session import ScpiSession

_ATTACHED = frozenset({"ATT", "CEST", "SMES", "RMES", "IHAN", "OHAN", "DISC", "CONN"})
_CONNECTED = frozenset({"CEST", "SMES", "RMES", "IHAN", "OHAN", "DISC", "CONN"})
_STATE = "SOURce:LTE:SIGN{n}:CELL:STATe"
_POWER_RANGE = (-145.0, 0.0)
_IMSI = re.compile(r"\d{6,15}")
_WORDS = {3: "IUE3", 7: "EPS7", 11: "PLMN11", 12: "TANA12", 22: "CONG22"}
CAUSES = frozenset({2, 3, *range(5, 27), 35, 39, 40, 42, *range(95, 102), 111})


def cause_word(cause: int | None) -> str:
    """Return the parameter of ``RCAuse`` for an EMM cause, ``OFF`` for none."""
    return "OFF" if cause is None else _WORDS.get(cause, f"C{cause}")


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


class RsCmw500(EmulatorDriver):
    """A CMW500 (interfaces.Network). Powers in dBm, times in seconds of station time."""

    abilities = NetworkAbilities(
        frozenset({
            "cell", "plmn", "tac", "rat", "band", "power", "subscriber", "apn", "address", "dns", "mtu", "sms",
            "paging", "detach", "reject-attach", "reject-tau", "attached", "options",
        }),
        cells=2,
        subscribers=1,
        rats=("LTE", "LTE-M"),
        power=_POWER_RANGE,
        attach_causes=CAUSES,
        tau_causes=CAUSES,
    )  # fmt: skip
    refusals: ClassVar[Mapping[NetworkAbility, str]] = {
        "throughput": 'name the interface behind its LAN DAU port: options = { netem = "eth1" }'
    }

    def __init__(self, options: DriverOptions, session: ScpiSession) -> None:
        super().__init__(options, session.identity)
        self._session = session
        # A signalling instance is one cell with one subscriber: two of them hold two subscribers at a time.
        self.abilities = replace(self.abilities, cells=len(options.cells), subscribers=len(options.cells))

    @classmethod
    async def open(cls, options: DriverOptions) -> RsCmw500:
        """Connect and read the identity; nothing is switched. Raises InstrumentError."""
        options.known_extra("netem", "tc")
        cls.check_cells(options)
        session = await ScpiSession.open(
            options.resource, name=options.name, lane=options.lane, clock=options.clock, timeout=5.0
        )
        try:
            if not re.search(r"CMW", session.identity.model, re.IGNORECASE):
                raise wrong_instrument(options, session.identity, "CMW")
            made = cls(options, session)
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

    # --- cells ----------------------------------------------------------------------------------------------------

    async def _state(self, cell: int) -> CellState:
        query = _STATE.format(n=cell) + ":ALL?"
        try:
            return CellState.parse(await self._session.query(query))
        except parse.AnswerError as error:
            error.where = f"{self._options.name}: {query}"
            raise

    async def _cell_on(self, cell: int) -> bool:
        return (await self._state(cell)).on

    async def _set_cell(self, on: bool, cell: int) -> None:
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
            await self._clock.sleep(POLL)

    async def _configure(self, cell: int, tail: str) -> None:
        await self._session.write(f"CONFigure:LTE:SIGN{cell}:{tail}")

    async def _set_plmn(self, plmn: str, cell: int) -> None:
        await self._configure(cell, f"CELL:MCC {int(plmn[:3])}")
        await self._configure(cell, f"CELL:MNC:DIGits {'TWO' if len(plmn) == 5 else 'THRee'}")
        await self._configure(cell, f"CELL:MNC {int(plmn[3:])}")

    async def _set_tac(self, tac: int, cell: int) -> None:
        await self._configure(cell, f"CELL:TAC {tac}")

    async def _set_rat(self, rat: str, cell: int) -> None:
        await self._configure(cell, f"PCC:EMTC:ENABle {'ON' if rat == 'LTE-M' else 'OFF'}")

    async def _set_band(self, band: int, cell: int) -> None:
        await self._configure(cell, f"PCC:BAND OB{band}")

    async def _set_power(self, rsrp: float, cell: int) -> None:
        await self._configure(cell, f"DL:PCC:RSEPre:LEVel {rsrp:.1f}")

    # --- subscriber and PDN ---------------------------------------------------------------------------------------

    async def _set_subscriber(self, subscriber: NetworkSubscriber, cell: int) -> None:
        if subscriber.algorithm == "tuak":
            raise Refused(
                f"{self._options.name} has no TUAK, which {subscriber.imsi} needs",
                where=self._options.name,
                hint="use a profile with Milenage or the test algorithm",
            )
        base = f"CONFigure:LTE:SIGN{cell}:CELL"
        await self._session.write(f'{base}:UEIDentity:IMSI "{subscriber.imsi}"')
        milenage = subscriber.algorithm == "milenage"
        await self._session.write(f"{base}:SECurity:MILenage {'ON' if milenage else 'OFF'}")
        secrets = [("SKEY", subscriber.key)] + ([("OPC", subscriber.opc)] if milenage else [])
        for header, secret in secrets:
            line = f"{base}:SECurity:{header}"
            await self._session.write(f"{line} #H{secret.hex().upper()}", shown=f"{line} ****")

    async def _set_pdn(self, settings: PdnSettings, cell: int) -> None:
        write = self._session.write
        if settings.apn is not None:
            await self._configure(cell, f'CONNection:APN "{settings.apn}"')
        if settings.address is not None:
            await write("CONFigure:DATA:CONTrol:IPVFour:ADDRess:TYPE STATic")
            await write(f'CONFigure:DATA:CONTrol:IPVFour:STATic:ADDResses:ADD "{settings.address}"')
        if settings.dns is not None:
            for place, address in zip(("PRIMary", "SECondary"), settings.dns, strict=False):
                family = "IPVSix" if ":" in address else "IPVFour"
                await write(f"CONFigure:DATA:CONTrol:DNS:{place}:STYPe FOReign")
                await write(f'CONFigure:DATA:CONTrol:DNS:FOReign:{family}:{place}:ADDRess "{address}"')
        if settings.mtu is not None:
            await write(f"CONFigure:DATA:CONTrol:MTU {settings.mtu}")

    # --- the device -----------------------------------------------------------------------------------------------

    async def _reject(self, procedure: Procedure, cause: int | None, cell: int) -> None:
        await self._configure(cell, f"CELL:RCAuse:{'ATTach' if procedure == 'attach' else 'TAU'} {cause_word(cause)}")

    async def _send_sms(self, text: str, cell: int) -> None:
        await self._configure(cell, f'SMS:OUTGoing:INTernal "{text}"')
        await self._action(cell, "SMS")

    async def _page(self, cell: int) -> None:
        await self._action(cell, "CONNect")

    async def _detach(self, cell: int) -> None:
        await self._action(cell, "DETach")

    async def _action(self, cell: int, action: str) -> None:
        await self._session.write(f"CALL:LTE:SIGN{cell}:PSWitched:ACTion {action}")

    async def _state_and_imsi(self, cell: int) -> tuple[str, str]:
        state = (await self._session.query(f"FETCh:LTE:SIGN{cell}:PSWitched:STATe?")).upper()
        if state not in _ATTACHED:
            return state, ""
        imsi = parse.text(await self._session.query(f"SENSe:LTE:SIGN{cell}:UESinfo:IMSI?"))
        return state, imsi if _IMSI.fullmatch(imsi) else ""

    async def _attached_imsi(self, cell: int) -> str:
        return (await self._state_and_imsi(cell))[1]

    async def _attached(self, cell: int) -> AttachedDevice | None:
        state, imsi = await self._state_and_imsi(cell)
        if not imsi:
            return None
        info = f"SENSe:LTE:SIGN{cell}:UESinfo"
        imei = parse.text(await self._session.query(f"{info}:IMEI?"))
        addresses = parse.text(await self._session.query(f"{info}:UEADdress:IPV4?"))
        return AttachedDevice(
            imsi,
            imei if re.fullmatch(r"\d{14,16}", imei) else "",
            tuple(part.strip(" \"'") for part in addresses.split(",") if part.strip(" \"'")),
            state in _CONNECTED,
        )

    async def _installed(self) -> Sequence[str]:
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
