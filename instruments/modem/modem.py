"""A modem behind an AT port (interfaces.Modem): each function on the core, with the layer of its family."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bench.apdu.channel import CardAccess
from bench.errors import DeviceFailure, Refused
from bench.station.drivers import DriverOptions
from bench.station.interfaces import (
    CellInfo,
    ExtendedDrx,
    FailureCause,
    Measurement,
    MeasurementListener,
    PdpContext,
    PowerSaving,
    PowerSupply,
    Recovery,
    RecoveryLayer,
    RecoveryStep,
    Registration,
)
from instruments.modem import cells, files, measure, parse, pdp, settings
from instruments.modem.core import ModemCore
from instruments.modem.errors import ModemError, ModemHung, PortGone
from instruments.modem.refresh import Refresher
from instruments.modem.vendor import Vendor

if TYPE_CHECKING:
    from bench.station.interfaces import Modem

    def _fits(modem: AtModem) -> Modem:
        return modem


_GOES_DOWN = 10.0
"""Seconds within which a modem that was told to reset goes away."""


class AtModem(ModemCore):
    """A modem (interfaces.Modem). Times in seconds of station time."""

    def __init__(self, options: DriverOptions) -> None:
        super().__init__(options)
        self._refresher = Refresher(self, self.vendor)
        self._card: CardAccess | None = None
        self._radio_listener: MeasurementListener | None = None

    @staticmethod
    def warm() -> None:
        """Import what ``open`` and ``card`` need (drivers.WarmDriver)."""
        import serial  # noqa: F401

        import instruments.reader.modem_card  # noqa: F401

    def use(self, vendor: Vendor) -> None:
        """Take the layer of a family."""
        super().use(vendor)
        self._refresher.use(vendor)

    def _event(self, line: str) -> None:
        self._refresher.event(line)
        super()._event(line)
        if self._radio_listener is not None:
            told = measure.event(line, self.vendor, self.options.name)
            if told is not None:
                self._radio_listener(told)

    def _lost(self) -> None:
        super()._lost()
        self._refresher.lost()

    def mark_refresh(self) -> None:
        """Forget the refresh signs seen so far: what comes from now on is news."""
        self._refresher.mark()

    async def prepare(self, until: float) -> None:
        """Select the SIM slot of the configuration, where it names one."""
        wanted = self.options.extra.get("slot")
        if isinstance(wanted, int):
            await self.select_slot(wanted, timeout=max(1.0, until - self.clock.now()))

    # --- radio measurements (interfaces.RadioProbe) ---------------------------------------------------------------

    @property
    def measurable(self) -> bool:
        """Whether asking makes sense now: the modem has become ready, and neither hung, went nor was switched off."""
        return self.ready and self.port.is_open and not self.port.silent

    async def measure_radio(self, *, background: bool = False) -> Measurement | None:
        """Measure now; None in the background when the port is wanted by somebody else."""
        return await measure.measure(self, background=background)

    def lost_power(self) -> None:
        """The supply was switched off: not measurable until ``wait_ready`` has succeeded again."""
        self.ready = False

    def on_radio_event(self, listener: MeasurementListener | None) -> None:
        """Have ``listener`` called with every change of registration that the modem tells by itself."""
        self._radio_listener = listener

    # --- network --------------------------------------------------------------------------------------------------

    async def registration(self) -> Registration:
        """Read +CEREG and +COPS now."""
        return await self._registrar.read()

    async def wait_registered(self, *, plmn: str | None = None, rat: str | None = None, timeout: float) -> Registration:
        """Wait for registration (on ``plmn`` with ``rat``, when given). Raises NotRegistered with the last cause."""
        return await self._registrar.wait(plmn=plmn, rat=rat, timeout=timeout)

    async def failure_cause(self) -> FailureCause:
        """Return why the last attach or PDN connection failed."""
        return await self._registrar.failure_cause()

    async def signal(self) -> Mapping[str, float | None]:
        """Return ``rsrp`` in dBm and ``rsrq`` in dB from +CESQ, None when not known."""
        try:
            lines = await self.command("AT+CESQ")
        except ModemError:
            lines = []
        return parse.signal(lines[0] if lines else "")

    async def serving_cell(self) -> CellInfo | None:
        """Return the serving cell, None without one."""
        return await cells.serving(self)

    async def neighbour_cells(self) -> tuple[CellInfo, ...]:
        """Return the neighbour cells. Raises Refused where the family has no command for them."""
        return await cells.neighbours(self)

    async def rats(self) -> tuple[str, ...]:
        """Return the RATs the modem may use. Raises Refused."""
        return await settings.rats(self)

    async def set_rats(self, rats: Sequence[str]) -> None:
        """Let the modem use these RATs only. Raises Refused, ConfigurationError, DeviceFailure when it did not hold."""
        await settings.set_rats(self, rats)

    async def bands(self) -> Mapping[str, tuple[int, ...]]:
        """Return the bands the modem may use, by RAT. Raises Refused."""
        return await settings.bands(self)

    async def set_bands(self, bands: Mapping[str, Sequence[int]]) -> None:
        """Let the modem use these bands only. Raises Refused, ConfigurationError, DeviceFailure."""
        await settings.set_bands(self, bands)

    async def power_saving(self) -> PowerSaving:
        """Return PSM as it is requested."""
        return await settings.power_saving(self)

    async def set_power_saving(self, setting: PowerSaving) -> PowerSaving:
        """Request PSM; return what is requested then. Raises ConfigurationError for times beyond the timers'."""
        return await settings.set_power_saving(self, setting)

    async def extended_drx(self) -> tuple[ExtendedDrx, ...]:
        """Return eDRX by RAT."""
        return await settings.extended_drx(self)

    async def set_extended_drx(self, rat: str, cycle: float | None) -> None:
        """Request an eDRX cycle in seconds, None for none."""
        await settings.set_extended_drx(self, rat, cycle)

    # --- data -----------------------------------------------------------------------------------------------------

    async def define_pdp(self, apn: str, *, cid: int = 1) -> None:
        """Define the APN of the attach context without activating it (+CGDCONT)."""
        await pdp.define(self.command, apn, cid=cid, kind=self._pdp_type())

    async def activate_pdp(self, apn: str, *, cid: int = 1, timeout: float = 150.0) -> PdpContext:
        """Define and activate a PDP context; return address and DNS servers. Raises ModemError, DeviceFailure."""
        return await pdp.activate(
            self.command, self.clock, apn, cid=cid, kind=self._pdp_type(), until=self.clock.now() + timeout
        )

    def _pdp_type(self) -> str:
        return str(self.options.extra.get("pdp_type", "IP"))

    async def pdp_contexts(self) -> tuple[PdpContext, ...]:
        """Return the active PDP contexts that have an address."""
        return await pdp.contexts(self.command)

    async def deactivate_pdp(self, *, cid: int = 1) -> None:
        """Deactivate a PDP context. Raises ModemError, DeviceFailure when it is active still."""
        await pdp.deactivate(self.command, cid)

    # --- card -----------------------------------------------------------------------------------------------------

    async def imsi(self) -> str:
        """Return the IMSI the modem uses now (+CIMI)."""
        found = parse.plain(await self.command("AT+CIMI"))
        if not re.fullmatch(r"\d{6,15}", found):
            raise parse.AnswerUnreadable(f"'{found[:40]}' is no IMSI", where="AT+CIMI")
        return found

    async def read_binary(self, file_id: int, length: int, *, path: str = "") -> bytes:
        """Read a transparent EF by +CRSM 176. Raises CardFileError with the status word."""
        return await files.read_binary(self.command, file_id, length, path)

    async def iccid(self) -> str:
        """Return the ICCID digits read from EF.ICCID by +CRSM."""
        return await files.iccid(self.command)

    async def card_imsi(self) -> str:
        """Return the IMSI digits read from EF.IMSI by +CRSM."""
        return await files.imsi(self.command)

    async def eid(self) -> str:
        """Return the EID of the card in the selected slot. Raises CardGone, NoSuchApplication for no eUICC."""
        from bench.apdu.es10 import Es10

        es10 = await Es10.open(self.card())
        try:
            return await es10.eid()
        finally:
            await es10.close()

    async def slot(self) -> int:
        """Return the number of the selected SIM slot, from 1."""
        return await settings.slot(self)

    async def select_slot(self, slot: int, *, timeout: float = 30.0) -> None:
        """Select a SIM slot and verify it. Raises Refused where the family has one slot only, DeviceFailure."""
        await settings.select_slot(self, slot, timeout=timeout)

    async def forbidden_plmns(self) -> tuple[str, ...]:
        """Return EF.FPLMN of the enabled profile. Raises CardFileError."""
        return files.plmns((await files.read_fplmn(self.command))[0])

    async def clear_forbidden_plmns(self, *, timeout: float = 60.0) -> tuple[str, ...]:
        """Empty EF.FPLMN, verify it, and have the modem read the card again; return what was in it.

        The radio is off meanwhile: a modem on the air writes its own copy back. Raises CardFileError, DeviceFailure.
        """
        until = self.clock.now() + timeout
        await self.command(self.vendor.radio_off)
        try:
            data, path = await files.read_fplmn(self.command)
            before = files.plmns(data)
            if data.strip(b"\xff"):
                await files.update_binary(self.command, files.EF_FPLMN, b"\xff" * len(data), path)
                left = files.plmns((await files.read_fplmn(self.command))[0])
                if left:
                    raise DeviceFailure(f"EF.FPLMN holds {', '.join(left)} after it was emptied", where="+CRSM")
        finally:
            await self.reset_card(timeout=max(1.0, until - self.clock.now()))
        return before

    def card(self) -> CardAccess:
        """Return the way to the card through this modem (AT+CCHO and AT+CGLA, or AT+CSIM)."""
        if self._card is None:
            from instruments.reader.modem_card import modem_card

            options = self.options
            self._card = modem_card(
                self, via=options.card_via, lane=options.apdu_lane, clock=self.clock, where=options.origin
            )
        return self._card

    async def refresh_card(self, *, timeout: float) -> str:
        """After a profile switch: wait for the refresh signs, else reset the card in the modem.

        Signs since the last logical channel was opened count. Either way the modem must then use the IMSI that the
        card holds; when it does not, the ladder goes on: card off and on, then a reset of the modem. Returns
        ``refresh`` or ``reset``. Raises DeviceFailure when even that does not help, or when ``timeout`` s are over.
        """
        return await self._refresher.refresh(timeout=timeout)

    # --- reset and recovery ---------------------------------------------------------------------------------------

    async def reset_card(self, *, timeout: float) -> None:
        """Have the modem switch its card off and on (AT+CFUN=0, AT+CFUN=1) and wait until it is ready."""
        await self.command(self.vendor.card_off)
        await self.command(self.vendor.card_on)
        await self.wait_sim_ready(timeout=timeout)

    async def reset(self, *, timeout: float) -> None:
        """Restart the modem and wait until it and the card are ready. Raises Refused where no command does that."""
        if not self.vendor.reset:
            raise Refused(
                f"{self.vendor.name} modems have no command for a restart",
                where=self.port.name,
                hint="reset_card, RESET_N, or the supply",
            )
        until = self.clock.now() + timeout
        self.expect_restart()
        with contextlib.suppress(PortGone, ModemHung):  # some go down before they answer
            await self.command(self.vendor.reset)
            await self.restarted(min(_GOES_DOWN, timeout))
        await self.wait_ready(timeout=max(1.0, until - self.clock.now()))
        await self.wait_sim_ready(timeout=max(1.0, until - self.clock.now()))

    async def power_down(self, *, timeout: float = 70.0) -> float:
        """Detach and switch the modem off; return the seconds until it said so, its port vanished, or it went silent.

        Raises Refused where the family has no command, DeviceFailure when it still answers after ``timeout`` s.
        """
        vendor = self.vendor
        if not vendor.power_down:
            raise Refused(f"no command to switch {vendor.name} modems off is known", where=self.port.name)
        begin = self.clock.now()
        off = asyncio.Event()
        sign = re.compile(vendor.power_down_sign or r"(?!)")

        def listen(line: str) -> None:
            if sign.fullmatch(line):
                off.set()

        self.port.listeners.append(listen)
        try:
            await self.command(vendor.power_down)
            self.ready = False
            if vendor.answers_when_off:
                return self.clock.now() - begin
            while self.port.is_open and not off.is_set():
                if self.clock.now() >= begin + timeout:
                    raise DeviceFailure(f"the modem is still on {timeout:g} s after it", where=vendor.power_down)
                with contextlib.suppress(TimeoutError):
                    async with self.clock.timeout(1.0):
                        await off.wait()
                if not vendor.power_down_sign and not off.is_set() and await self._silent():
                    break
            return self.clock.now() - begin
        finally:
            self.port.listeners.remove(listen)

    async def _silent(self) -> bool:
        with contextlib.suppress(PortGone):
            return not await self.port.ping() and not await self.port.ping()
        return True

    async def recover(
        self,
        *,
        power: PowerSupply | None = None,
        usb_power: PowerSupply | None = None,
        reset_line: Callable[[], Awaitable[None]] | None = None,
        report: Callable[[RecoveryStep], None] | None = None,
        last: RecoveryLayer = "supply",
    ) -> Recovery:
        """Bring a modem back that does not answer; see interfaces.Modem and ``instruments.modem.recovery``."""
        from instruments.modem.recovery import Ladder

        ladder = Ladder(self, power=power, usb_power=usb_power, reset_line=reset_line, report=report, last=last)
        return await ladder.climb()


class QuectelModem(AtModem):
    """Any Quectel modem; the layer is chosen by its model."""

    family = "quectel"
