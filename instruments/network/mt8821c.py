"""Anritsu MT8821C (MT8820C), LTE call processing: short mnemonics, one cell, one subscriber.

It is no SCPI tree: ``STDSEL LTE``, ``CALLPROC ON``, ``LVL ON``, ``CALLSO``, ``CALLSTAT?``. It has no SCPI error queue;
after each command *ESR? (IEEE 488.2 section 11.5.1.2) says whether it was taken. The key commands ``AUTHENT_*`` are
from memory and not held against a manual: an instrument that does not have them says so by *ESR?.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from bench.errors import InstrumentError
from bench.station.network import NetworkAbilities, NetworkAbility
from instruments.network import answers
from instruments.network.dialects import EmulatorDialect
from instruments.network.scpi_emulator import POLL, ScpiEmulator
from instruments.scpi import parse
from instruments.scpi.parse import AnswerError
from instruments.scpi.session import Manners

IDLE: Final = 1
IDLE_REGISTERED: Final = 2
CALL_STATES: Final = {
    1: "idle",
    2: "idle (regist)",
    3: "origination",
    4: "termination",
    5: "communication",
    6: "release",
    7: "loop mode 1",
}
"""CALLSTAT? of LTE; 1, 2 and 7 are confirmed by users' scripts, those between from memory."""
_ESR_BITS: Final = {32: "command error", 16: "execution error", 8: "device-dependent error", 4: "query error"}
_BUSY: Final = 5.0
"""Seconds of station time for which a command refused with an execution error is tried again: call processing busy."""


def standard_event(answer: str) -> int:
    """Read *ESR?. Raises AnswerError."""
    if not re.fullmatch(r"\s*\+?\d{1,3}\s*", answer) or not 0 <= int(answer) <= 255:
        raise AnswerError(f"'{answer[:40]}' is no *ESR?")
    return int(answer)


def call_state(answer: str) -> int:
    """Read CALLSTAT?. Raises AnswerError."""
    if not re.fullmatch(r"\s*\d{1,2}\s*", answer) or int(answer) not in CALL_STATES:
        raise AnswerError(f"'{answer[:40]}' is no call state")
    return int(answer)


def registered(answer: str) -> tuple[bool, bool]:
    """Read CALLSTAT? as: whether a device is registered, and whether it is connected. Raises AnswerError."""
    state = call_state(answer)
    return state != IDLE, state not in (IDLE, IDLE_REGISTERED)


def spell_secret(secret: bytes) -> str:
    """Return a key of 16 bytes as four hexadecimal words."""
    text = secret.hex().upper()
    return ",".join(text[start : start + 8] for start in range(0, 32, 8))


MT8821C: Final = EmulatorDialect(
    title="MT8821C or MT8820C",
    model=r"MT88(20|21)",
    timeout=5.0,
    manners=Manners(errors=""),
    switch_on=("CALLPROC ON", "LVL ON"),
    switch_off=("CALLSO", "LVL OFF", "CALLPROC OFF"),
    state=("LVL?", "CALLPROC?"),
    read_state=answers.switched,
    plmn=("MCC {mcc}", "MNC {mnc}"),
    band=("BAND {band}",),
    power=("OLVL {rsrp}",),
    subscriber=("IMSI {imsi}", "AUTHENT ON", "AUTHENT_ALGO {algorithm}"),
    algorithms={"milenage": "MILENAGE", "xor": "XOR"},
    key="AUTHENT_KEYALL {secret}",
    opc="AUTHENT_OPCALL {secret}",
    spell_secret=spell_secret,
    device_state="CALLSTAT?",
    registered=registered,
    imsi="CALLIMSI?",
    imei="CALLIMEI?",
)


class AnritsuMt8821c(ScpiEmulator):
    """An MT8821C (interfaces.Network). Powers in dBm: the output level is taken as that of the reference signal."""

    dialect = MT8821C
    extent = NetworkAbilities(frozenset(), cells=1, subscribers=1, power=(-140.0, -10.0))
    refusals: ClassVar[Mapping[NetworkAbility, str]] = {
        "reject-attach": "the MT8821C has no reject by remote command; an R&S CMW500 has",
        "reject-tau": "the MT8821C has no reject by remote command; an R&S CMW500 has",
        "detach": "the MT8821C ends the call, and with it the registration, by switching the cell off",
    }
    highest_cell = 1

    async def _begin(self) -> None:
        await self._ask("*ESR?", standard_event)  # what was there before is not ours

    async def _write(self, command: str, *, shown: str | None = None, urgent: bool = False) -> None:
        """Send a command and ask whether it was taken; again while call processing is busy. Raises InstrumentError."""
        until = self._clock.now() + _BUSY
        while True:
            await super()._write(command, shown=shown, urgent=urgent)
            bits = await self._session.value("*ESR?", standard_event, urgent=urgent)
            errors = [word for bit, word in _ESR_BITS.items() if bits & bit]
            if not errors:
                return
            if bits & 32 or self._clock.now() >= until:
                raise InstrumentError(
                    f"refused with {', '.join(errors)} (*ESR? {bits})",
                    where=f"{self._options.name}: {shown or command}",
                    hint="is the LTE measurement software selected, and does this model have the command?",
                )
            await self._clock.sleep(POLL)

    async def _before_on(self, cell: int) -> None:
        if await self._ask("STDSEL?", parse.word) != "LTE":
            await self._write("STDSEL LTE")
