"""Rohde & Schwarz CMW500, LTE signalling (option KS5xx): cells, subscriber, rejects, SMS, paging, and who is attached.

Headers as in the R&S user manual "LTE UE signaling" (``SIGN`` is short for ``SIGNaling``); IP settings are those of the
data application unit (DAU). PLMN, TAC, band and RAT are changed with the cell off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from bench.station.drivers import DriverOptions
from bench.station.network import NetworkAbilities, NetworkAbility
from instruments.network.answers import CellReading
from instruments.network.dialects import EmulatorDialect
from instruments.network.functions import Functions
from instruments.network.scpi_emulator import ScpiEmulator
from instruments.scpi import parse
from instruments.scpi.parse import AnswerError
from instruments.scpi.session import ScpiSession

_STATE: Final = "SOURce:LTE:SIGN{n}:CELL:STATe"
_CONFIGURE: Final = "CONFigure:LTE:SIGN{n}"
_CALL: Final = "CALL:LTE:SIGN{n}:PSWitched:ACTion"
_UE: Final = "SENSe:LTE:SIGN{n}:UESinfo"
_DAU: Final = "CONFigure:DATA:CONTrol"
_CONNECTED: Final = frozenset({"CEST", "SMES", "RMES", "IHAN", "OHAN", "DISC", "CONN"})
_ATTACHED: Final = _CONNECTED | {"ATT"}
_PACKET_STATES: Final = _ATTACHED | {"OFF", "ON", "SIGN"}
_WORDS: Final = {3: "IUE3", 7: "EPS7", 11: "PLMN11", 12: "TANA12", 22: "CONG22"}
CAUSES: Final = frozenset({2, 3, *range(5, 27), 35, 39, 40, 42, *range(95, 102), 111})


def cause_word(cause: int | None) -> str:
    """Return the parameter of ``RCAuse`` for an EMM cause, ``OFF`` for none."""
    return "OFF" if cause is None else _WORDS.get(cause, f"C{cause}")


def cell_state(answer: str) -> CellReading:
    """Read ``CELL:STATe:ALL?``, main and synchronisation state: ``ON,ADJ`` is ready, ``PEND`` under way.

    Raises AnswerError.
    """
    parts = tuple(part.strip().upper() for part in answer.split(","))
    if len(parts) < 2 or parts[0] not in ("ON", "OFF", "RDY") or parts[1] not in ("ADJ", "PEND"):
        raise AnswerError(f"'{answer[:60]}' is no cell state")
    return CellReading(",".join(parts[:2]), parts[:2] == ("ON", "ADJ"), parts[:2] == ("OFF", "ADJ"))


def packet_state(answer: str) -> tuple[bool, bool]:
    """Read ``PSWitched:STATe?``: whether a device is attached, and whether it is connected. Raises AnswerError."""
    word = parse.word(answer)
    if word not in _PACKET_STATES:
        raise AnswerError(f"'{answer[:60]}' is no state of the packet-switched domain")
    return word in _ATTACHED, word in _CONNECTED


CMW500: Final = EmulatorDialect(
    title="CMW",
    model=r"CMW",
    timeout=5.0,
    switch_on=(f"{_STATE} ON",),
    switch_off=(f"{_STATE} OFF",),
    state=(f"{_STATE}:ALL?",),
    read_state=cell_state,
    plmn=(
        f"{_CONFIGURE}:CELL:MCC {{mcc_number}}",
        f"{_CONFIGURE}:CELL:MNC:DIGits {{mnc_digits}}",
        f"{_CONFIGURE}:CELL:MNC {{mnc_number}}",
    ),
    tac=(f"{_CONFIGURE}:CELL:TAC {{tac}}",),
    band=(f"{_CONFIGURE}:PCC:BAND OB{{band}}",),
    power=(f"{_CONFIGURE}:DL:PCC:RSEPre:LEVel {{rsrp}}",),
    detach=(f"{_CALL} DETach",),
    subscriber=(
        f'{_CONFIGURE}:CELL:UEIDentity:IMSI "{{imsi}}"',
        f"{_CONFIGURE}:CELL:SECurity:MILenage {{algorithm}}",
    ),
    algorithms={"milenage": "ON", "xor": "OFF"},
    key=f"{_CONFIGURE}:CELL:SECurity:SKEY {{secret}}",
    opc=f"{_CONFIGURE}:CELL:SECurity:OPC {{secret}}",
    spell_secret=lambda secret: f"#H{secret.hex().upper()}",
    device_state="FETCh:LTE:SIGN{n}:PSWitched:STATe?",
    registered=packet_state,
    imsi=f"{_UE}:IMSI?",
    imei=f"{_UE}:IMEI?",
    addresses=f"{_UE}:UEADdress:IPV4?",
)


class RsCmw500(ScpiEmulator):
    """A CMW500 (interfaces.Network). Powers in dBm, times in seconds of station time."""

    dialect = CMW500
    extent = NetworkAbilities(
        frozenset(), rats=("LTE", "LTE-M"), power=(-145.0, 0.0), attach_causes=CAUSES, tau_causes=CAUSES
    )
    refusals: ClassVar[Mapping[NetworkAbility, str]] = {
        "throughput": 'name the interface behind its LAN DAU port: options = { netem = "eth1" }'
    }

    def __init__(self, options: DriverOptions, session: ScpiSession) -> None:
        super().__init__(options, session)
        # A signalling instance is one cell with one subscriber: two of them hold two subscribers at a time.
        self.abilities = replace(self.abilities, cells=len(options.cells), subscribers=len(options.cells))

    def functions(self) -> Functions:
        """Return what the table has commands for, and what only a CMW can be told."""
        return replace(
            super().functions(),
            rat=self._set_rat,
            apn=self._set_apn,
            address=self._set_address,
            dns=self._set_dns,
            mtu=self._set_mtu,
            sms=self._send_sms,
            paging=self._page,
            reject_attach=self._reject_attach,
            reject_tau=self._reject_tau,
        )

    async def _configure(self, cell: int, tail: str) -> None:
        await self._write(f"{_CONFIGURE.format(n=cell)}:{tail}")

    async def _action(self, cell: int, action: str) -> None:
        await self._write(f"{_CALL.format(n=cell)} {action}")

    async def _set_rat(self, rat: str, cell: int) -> None:
        await self._configure(cell, f"PCC:EMTC:ENABle {'ON' if rat == 'LTE-M' else 'OFF'}")

    async def _set_apn(self, apn: str, cell: int) -> None:
        await self._configure(cell, f'CONNection:APN "{apn}"')

    async def _set_address(self, address: str, cell: int) -> None:
        await self._write(f"{_DAU}:IPVFour:ADDRess:TYPE STATic")
        await self._write(f'{_DAU}:IPVFour:STATic:ADDResses:ADD "{address}"')

    async def _set_dns(self, servers: Sequence[str], cell: int) -> None:
        for place, address in zip(("PRIMary", "SECondary"), servers, strict=False):
            family = "IPVSix" if ":" in address else "IPVFour"
            await self._write(f"{_DAU}:DNS:{place}:STYPe FOReign")
            await self._write(f'{_DAU}:DNS:FOReign:{family}:{place}:ADDRess "{address}"')

    async def _set_mtu(self, mtu: int, cell: int) -> None:
        await self._write(f"{_DAU}:MTU {mtu}")

    async def _reject_attach(self, cause: int | None, cell: int) -> None:
        await self._configure(cell, f"CELL:RCAuse:ATTach {cause_word(cause)}")

    async def _reject_tau(self, cause: int | None, cell: int) -> None:
        await self._configure(cell, f"CELL:RCAuse:TAU {cause_word(cause)}")

    async def _send_sms(self, text: str, cell: int) -> None:
        await self._configure(cell, f'SMS:OUTGoing:INTernal "{text}"')
        await self._action(cell, "SMS")

    async def _page(self, cell: int) -> None:
        await self._action(cell, "CONNect")
