"""Anritsu MT8821C (MT8820C), LTE call processing: short mnemonics, one cell, one subscriber.

It is no SCPI tree: ``STDSEL LTE``, ``CALLPROC ON``, ``LVL ON``, ``CALLSO``, ``CALLSTAT?``. It has no SCPI error queue;
after each command *ESR? (IEEE 488.2 section 11.5.1.2) says whether it was taken. The key commands ``AUTHENT_*`` are
from memory and not held against a manual: an instrument that does not have them says so by *ESR?.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import ClassVar

from bench.errors import InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import SafeAction
from bench.station.network import AttachedDevice, NetworkAbilities, NetworkAbility, NetworkSubscriber
from instruments.network.base import POLL, SWITCH, EmulatorDriver, wrong_instrument
from instruments.scpi import link, parse
from instruments.scpi.direct import DirectScpi
from instruments.scpi.session import Manners, ScpiSession

IDLE = 1
IDLE_REGISTERED = 2
CALL_STATES = {1: "idle", 2: "idle (regist)", 3: "origination", 4: "termination", 5: "communication", 6: "release",
               7: "loop mode 1"}  # fmt: skip
"""CALLSTAT? of LTE; 1, 2 and 7 are confirmed by users' scripts, those between from memory."""
_POWER = (-140.0, -10.0)
_ESR_BITS = {32: "command error", 16: "execution error", 8: "device-dependent error", 4: "query error"}
_BUSY = 5.0
"""Seconds of station time for which a command refused with an execution error is tried again: call processing busy."""


def standard_event(answer: str) -> int:
    """Read *ESR?. Raises AnswerError."""
    if not re.fullmatch(r"\s*\+?\d{1,3}\s*", answer) or not 0 <= int(answer) <= 255:
        raise parse.AnswerError(f"'{answer[:40]}' is no *ESR?")
    return int(answer)


def call_state(answer: str) -> int:
    """Read CALLSTAT?. Raises AnswerError."""
    if not re.fullmatch(r"\s*\d{1,2}\s*", answer) or int(answer) not in CALL_STATES:
        raise parse.AnswerError(f"'{answer[:40]}' is no call state")
    return int(answer)


class AnritsuMt8821c(EmulatorDriver):
    """An MT8821C (interfaces.Network). Powers in dBm: the output level is taken as that of the reference signal."""

    abilities = NetworkAbilities(
        frozenset({"cell", "plmn", "band", "power", "subscriber", "attached", "options"}),
        cells=1,
        subscribers=1,
        rats=("LTE",),
        power=_POWER,
    )
    refusals: ClassVar[Mapping[NetworkAbility, str]] = {
        "reject-attach": "the MT8821C has no reject by remote command; an R&S CMW500 has",
        "reject-tau": "the MT8821C has no reject by remote command; an R&S CMW500 has",
        "detach": "the MT8821C ends the call, and with it the registration, by switching the cell off",
    }
    highest_cell = 1

    def __init__(self, options: DriverOptions, session: ScpiSession) -> None:
        super().__init__(options, session.identity)
        self._session = session

    @classmethod
    async def open(cls, options: DriverOptions) -> AnritsuMt8821c:
        """Connect and read the identity; nothing is switched. Raises InstrumentError."""
        options.known_extra("netem", "tc")
        cls.check_cells(options)
        session = await ScpiSession.open(
            options.resource,
            name=options.name,
            lane=options.lane,
            clock=options.clock,
            timeout=5.0,
            manners=Manners(errors=""),
        )
        try:
            if not re.search(r"MT88(20|21)", session.identity.model, re.IGNORECASE):
                raise wrong_instrument(options, session.identity, "MT8821C or MT8820C")
            made = cls(options, session)
            await session.query("*ESR?")  # what was there before is not ours
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

    async def _write(self, command: str, *, shown: str | None = None, urgent: bool = False) -> None:
        """Send a command and ask whether it was taken; again while call processing is busy."""
        until = self._clock.now() + _BUSY
        while True:
            await self._session.write(command, shown=shown, urgent=urgent)
            bits = standard_event(await self._session.query("*ESR?", urgent=urgent))
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

    async def _call_state(self) -> int:
        try:
            return call_state(await self._session.query("CALLSTAT?"))
        except parse.AnswerError as error:
            error.where = f"{self._options.name}: CALLSTAT?"
            raise

    async def _level_on(self) -> bool:
        return parse.boolean(await self._session.query("LVL?"))

    async def _cell_on(self, cell: int) -> bool:
        return await self._level_on() and parse.boolean(await self._session.query("CALLPROC?"))

    async def _set_cell(self, on: bool, cell: int) -> None:
        if on:
            if (await self._session.query("STDSEL?")).strip().upper() != "LTE":
                await self._write("STDSEL LTE")
            await self._write("CALLPROC ON")
            await self._write("LVL ON")
        else:
            await self._write("CALLSO", urgent=True)
            await self._write("LVL OFF", urgent=True)
            await self._write("CALLPROC OFF")
        until = self._clock.now() + SWITCH
        while await self._cell_on(cell) is not on:
            if self._clock.now() >= until:
                raise InstrumentTimeout(
                    f"the cell is {'off' if on else 'on'} {SWITCH:g} s after it was switched {'on' if on else 'off'}",
                    where=f"{self._options.name}: LVL?",
                )
            await self._clock.sleep(POLL)

    async def _set_plmn(self, plmn: str, cell: int) -> None:
        await self._write(f"MCC {plmn[:3]}")
        await self._write(f"MNC {plmn[3:]}")

    async def _set_band(self, band: int, cell: int) -> None:
        await self._write(f"BAND {band}")

    async def _set_power(self, rsrp: float, cell: int) -> None:
        await self._write(f"OLVL {rsrp:.1f}")

    async def _set_subscriber(self, subscriber: NetworkSubscriber, cell: int) -> None:
        if subscriber.algorithm == "tuak":
            raise Refused(
                f"{self._options.name} has no TUAK, which {subscriber.imsi} needs",
                where=self._options.name,
                hint="use a profile with Milenage or the test algorithm",
            )
        milenage = subscriber.algorithm == "milenage"
        await self._write(f"IMSI {subscriber.imsi}")
        await self._write("AUTHENT ON")
        await self._write(f"AUTHENT_ALGO {'MILENAGE' if milenage else 'XOR'}")
        for header, secret in (("AUTHENT_KEYALL", subscriber.key), ("AUTHENT_OPCALL", subscriber.opc)):
            if header == "AUTHENT_OPCALL" and not milenage:
                continue
            text = secret.hex().upper()
            words = ",".join(text[start : start + 8] for start in range(0, 32, 8))
            await self._write(f"{header} {words}", shown=f"{header} ****")

    async def _attached(self, cell: int) -> AttachedDevice | None:
        state = await self._call_state()
        if state == IDLE:
            return None
        imsi = parse.text(await self._session.query("CALLIMSI?"))
        imei = parse.text(await self._session.query("CALLIMEI?"))
        if not re.fullmatch(r"\d{6,15}", imsi):
            return None
        return AttachedDevice(imsi, imei if re.fullmatch(r"\d{14,16}", imei) else "", (), state != IDLE_REGISTERED)

    async def _installed(self) -> list[str]:
        answer = parse.text(await self._session.query("*OPT?"))
        return [part.strip() for part in answer.split(",") if part.strip() and part.strip() != "0"]

    # --- safe -----------------------------------------------------------------------------------------------------

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        """Switch the output level off over a fresh blocking connection and read it back (drivers.SafeDriver)."""
        until = time.monotonic() + deadline
        reading = ""
        while True:
            try:
                with DirectScpi(str(action.options.get("resource", "")), until=until) as scpi:
                    scpi.check_serial(str(action.options.get("serial", "")))
                    for line in ("CALLSO", "LVL OFF", "CALLPROC OFF"):
                        scpi.write(line)
                    reading = f"LVL {scpi.query('LVL?')}"
                    if reading.upper() in ("LVL OFF", "LVL 0"):
                        return SafeResult(action.name, True, reading, "RF off")
                    scpi.left()
                    time.sleep(0.05)
            except InstrumentError as error:
                if time.monotonic() + 0.1 >= until:
                    return SafeResult(action.name, False, reading, f"RF NOT OFF: {error}")
                time.sleep(0.1)
