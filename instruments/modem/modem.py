"""A modem behind an AT port: the generic 27.007 core with the quirks of its vendor from a table."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.apdu.channel import CardAccess
from bench.errors import BenchError, ConfigurationError, DeviceFailure, InstrumentError
from bench.station.drivers import TICK, DriverOptions, WrongInstrument
from bench.station.interfaces import Identity, PdpContext, Registration
from instruments.modem import files, parse, pdp, usb
from instruments.modem.errors import NOT_INSERTED, SIM_BUSY, SIM_FAILURE, ModemError, ModemHung, PortGone
from instruments.modem.port import AtPort
from instruments.modem.registration import Registrar
from instruments.modem.vendors import GENERIC, Vendor, by_name, vendor_of

if TYPE_CHECKING:
    from bench.station.interfaces import Modem

    def _fits(modem: AtModem) -> Modem:
        return modem


_LOOK = 0.1
"""Seconds between two looks whether the port has come."""
_SIM_AGAIN = 0.25
_STARTS = 10.0
"""Seconds after its first OK within which a modem may still refuse to be initialised."""
_SIGNS = 10.0
"""Seconds a modem is given to show that it carried the REFRESH out, at most a third of the whole time."""
_TAKES_OVER = 3.0
"""Seconds between the return of the card and the modem's use of what it now holds."""
_GOES_DOWN = 10.0
"""Seconds within which a modem that was told to reset goes away."""
_BOOT_TEXTS = frozenset(("RDY", "APP RDY", "^SYSSTART"))


class AtModem:
    """A modem (interfaces.Modem). Times in seconds of station time."""

    def __init__(self, options: DriverOptions) -> None:
        self.identity = Identity()
        self.imei = ""
        self.vendor: Vendor = GENERIC
        self.resets = 0
        """How often the port vanished, or the modem announced a boot, since it was opened."""
        self._options = options
        self._clock = options.clock
        name = f"{options.name} {options.port}"
        self.port = AtPort(
            lambda: usb.device_file(options.port),
            name=name,
            baudrate=options.baudrate,
            lane=options.lane,
            clock=options.clock,
        )
        self.port.listeners.append(self._event)
        self.port.on_lost = self._lost
        self._signs = 0
        self._marked = 0
        self._sign_pattern = re.compile("|".join(GENERIC.refresh_signs))
        self._news = asyncio.Event()
        self._down = asyncio.Event()
        self._registrar = Registrar(self)
        self._card: CardAccess | None = None

    @classmethod
    async def open(cls, options: DriverOptions) -> AtModem:
        """Prepare; the port is opened when it is there, and nothing is sent.

        Raises ConfigurationError for a port that is none, Refused when another program holds it.
        """
        extra = options.known_extra("vendor", "pdp_type")
        if not usb.valid(options.port):
            raise ConfigurationError(
                f"'{options.port}' is no serial port", where=options.origin, hint="a path, or usb:1-1.4:if02"
            )
        modem = cls(options)
        wanted = extra.get("vendor")
        if wanted is not None:
            vendor = by_name(str(wanted))
            if vendor is None:
                raise ConfigurationError(f"there is no vendor table '{wanted}'", where=options.origin)
            modem._use(vendor)
        with contextlib.suppress(PortGone):
            modem.port.open(counted_as=options.port)
        return modem

    @staticmethod
    def warm() -> None:
        """Import what ``open`` and ``card`` need (drivers.WarmDriver)."""
        import serial  # noqa: F401

        import instruments.reader.at_card  # noqa: F401

    async def close(self) -> None:
        """Close the port; the modem stays as it is."""
        self.port.close()

    def _use(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self._sign_pattern = re.compile("|".join(vendor.refresh_signs))

    # --- events ---------------------------------------------------------------------------------------------------

    def _event(self, line: str) -> None:
        if self._sign_pattern.fullmatch(line):
            self._signs += 1
            self._news.set()
        if line.upper() in _BOOT_TEXTS:
            self.resets += 1
            self._down.set()
        self._registrar.event(line)

    def _lost(self) -> None:
        self.resets += 1
        self._news.set()
        self._down.set()
        self._registrar.lost()

    def mark_refresh(self) -> None:
        """Forget the refresh signs seen so far: what comes from now on is news."""
        self._marked = self._signs
        self._news.clear()

    # --- readiness ------------------------------------------------------------------------------------------------

    async def command(self, line: str, *, timeout: float | None = None) -> Sequence[str]:
        """Send one AT command, return its information lines. See AtPort.command."""
        if not self.port.is_open:
            self.port.open(counted_as=self._options.port)
        return await self.port.command(line, timeout=timeout)

    async def wait_ready(self, *, timeout: float) -> float:
        """Wait until the port is there and AT answers, initialise and identify; return the seconds it took.

        ``RDY`` is never waited for: opening the port throws away what came before. Raises PortGone when there is no
        port in time, ModemHung when it does not answer, WrongInstrument when its IMEI is not the pinned one.
        """
        start = self._clock.now()
        last: BenchError = PortGone("the port is not there", where=self.port.name)
        while True:
            left = start + timeout - self._clock.now()
            if left < TICK:
                last.what += f" (waited {timeout:g} s)"
                last.hint = "has the device power, and is it the right port?"
                raise last
            try:
                self.port.open(counted_as=self._options.port)
                if await self.port.ping(timeout=min(1.0, left)):
                    await self._initialise(start + timeout)
                    return self._clock.now() - start
                last = ModemHung("the modem does not answer AT", where=self.port.name)
            except (PortGone, ModemHung) as error:
                last = error
                await self._clock.sleep(min(_LOOK, left))

    async def _initialise(self, until: float) -> None:
        """Make answers verbose and errors numbered, switch registration events on, find out who it is."""
        for line in ("ATV1", "ATE0", "AT+CMEE=1"):
            await self._patiently(line, min(until, self._clock.now() + _STARTS), any_error=True)
        for n in (5, 3, 2, 1):
            try:
                await self._patiently(f"AT+CEREG={n}", until)
                break
            except ModemError:
                continue
        with contextlib.suppress(ModemError):
            if parse.plain(await self.command("AT+CFUN?")).split(",")[0] in ("0", "4"):
                # Left so by an interrupted run, or by the modem's own start.
                await self.command("AT+CFUN=1")
        with contextlib.suppress(ModemError):
            await self.command("AT+COPS=3,2")
        await self._identify()

    async def _patiently(self, line: str, until: float, *, any_error: bool = False) -> None:
        """Send an initialisation line, again while the card is busy after the start (or at any error)."""
        while True:
            try:
                await self.command(line)
                return
            except ModemError as error:
                if not (any_error or error.code == SIM_BUSY) or self._clock.now() >= until:
                    raise
                await self._clock.sleep(_SIM_AGAIN)

    async def _identify(self) -> None:
        answers = []
        for line in ("AT+CGMI", "AT+CGMM", "AT+CGMR"):
            try:
                answers.append(parse.plain(await self.command(line)))
            except ModemError:
                answers.append("")
        imei = ""
        for line in ("AT+CGSN", "AT+CGSN=1"):
            with contextlib.suppress(ModemError):
                imei = imei or parse.imei(await self.command(line))
        manufacturer, model, firmware = answers
        self.identity = Identity(manufacturer, model, imei, firmware)
        self.imei = imei
        if self._options.extra.get("vendor") is None:
            self._use(vendor_of(manufacturer, model))
        if self._options.imei and imei != self._options.imei:
            raise WrongInstrument(
                f"the modem's IMEI is {imei or 'not readable'}, not {self._options.imei}",
                where=self._options.origin or self.port.name,
                hint="correct 'port' or 'imei'",
            )

    async def wait_sim_ready(self, *, timeout: float) -> None:
        """Wait for +CPIN: READY, through 'SIM busy', 'SIM failure' and 'not inserted' of a card that starts.

        Raises ModemError at once when a PIN is asked for, DeviceFailure with the last answer when time is over.
        """
        until = self._clock.now() + timeout
        while True:
            try:
                state = parse.sim_state(await self.command("AT+CPIN?"))
                if state == "READY":
                    break
                if "PIN" in state or "PUK" in state:
                    raise ModemError(
                        f"+CPIN: {state}", command="AT+CPIN?", code=None, name="", hint="the card wants a PIN"
                    )
                last = f"+CPIN: {state}"
            except ModemError as error:
                if error.code not in (NOT_INSERTED, SIM_FAILURE, SIM_BUSY) and error.answer.upper() != "ERROR":
                    raise
                last = str(error.what)
            left = until - self._clock.now()
            if left < TICK:
                raise DeviceFailure(
                    f"the card is not ready after {timeout:g} s: {last}",
                    where=self.port.name,
                    hint="is a card inserted, and does the modem see it (AT+CPIN?)?",
                )
            await self._clock.sleep(min(_SIM_AGAIN, left))
        if self.vendor.settle:
            await self._clock.sleep(self.vendor.settle)
        self.mark_refresh()

    # --- network --------------------------------------------------------------------------------------------------

    async def registration(self) -> Registration:
        """Read +CEREG and +COPS now."""
        return await self._registrar.read()

    async def wait_registered(self, *, plmn: str | None = None, rat: str | None = None, timeout: float) -> Registration:
        """Wait for registration (on ``plmn`` with ``rat``, when given). Raises NotRegistered with the last cause."""
        return await self._registrar.wait(plmn=plmn, rat=rat, timeout=timeout)

    async def signal(self) -> Mapping[str, float | None]:
        """Return ``rsrp`` in dBm and ``rsrq`` in dB from +CESQ, None when not known."""
        try:
            lines = await self.command("AT+CESQ")
        except ModemError:
            lines = []
        return parse.signal(lines[0] if lines else "")

    async def define_pdp(self, apn: str, *, cid: int = 1) -> None:
        """Define the APN of the attach context without activating it (+CGDCONT)."""
        await pdp.define(self.command, apn, cid=cid, kind=self._pdp_type())

    async def activate_pdp(self, apn: str, *, cid: int = 1, timeout: float = 150.0) -> PdpContext:
        """Define and activate a PDP context; return address and DNS servers. Raises ModemError, DeviceFailure."""
        return await pdp.activate(
            self.command, self._clock, apn, cid=cid, kind=self._pdp_type(), until=self._clock.now() + timeout
        )

    def _pdp_type(self) -> str:
        return str(self._options.extra.get("pdp_type", "IP"))

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

    def card(self) -> CardAccess:
        """Return the way to the card through this modem (AT+CCHO, AT+CGLA)."""
        if self._card is None:
            from instruments.reader.at_card import AtCard

            self._card = AtCard(self, lane=self._options.apdu_lane, clock=self._clock)
        return self._card

    async def refresh_card(self, *, timeout: float) -> str:
        """After a profile switch: wait for the refresh signs, else reset the card in the modem.

        Signs since the last logical channel was opened count. Either way the modem must then use the IMSI that the
        card holds; when it does not, the ladder goes on: card off and on, then a reset of the modem. Returns
        ``refresh`` or ``reset``. Raises DeviceFailure when even that does not help, or when ``timeout`` s are over.
        """
        until = self._clock.now() + timeout
        takes_over = min(_TAKES_OVER, timeout / 10)
        if await self._signs_seen(min(_SIGNS, timeout / 3)):
            await self._back(until)
            if await self._card_becomes_current(min(until, self._clock.now() + takes_over)):
                self.mark_refresh()
                return "refresh"
        for climb in (self.reset_card, self.reset):
            if self._clock.now() >= until:
                break
            with contextlib.suppress(ModemError, ModemHung, PortGone):
                await climb(timeout=until - self._clock.now())
                if await self._card_becomes_current(min(until, self._clock.now() + takes_over)):
                    self.mark_refresh()
                    return "reset"
        raise DeviceFailure(
            "the modem does not take over the new profile: +CIMI differs from EF.IMSI, or the card does not answer",
            where=self.port.name,
            hint="power-cycle the device",
        )

    async def _signs_seen(self, seconds: float) -> bool:
        until = self._clock.now() + seconds
        while self._signs <= self._marked and self.port.is_open:
            self._news.clear()
            try:
                async with self._clock.timeout(max(0.0, until - self._clock.now())):
                    await self._news.wait()
            except TimeoutError:
                return False
        return True

    async def _back(self, until: float) -> None:
        """Have the modem answer and the card ready again."""
        with contextlib.suppress(ModemError, DeviceFailure):
            if not self.port.is_open:  # some re-enumerate at a REFRESH
                await self.wait_ready(timeout=max(1.0, until - self._clock.now()))
            await self.wait_sim_ready(timeout=max(1.0, until - self._clock.now()))

    async def _card_becomes_current(self, until: float) -> bool:
        """Whether the modem uses the subscription that the card holds, by ``until`` at the latest."""
        while True:
            with contextlib.suppress(DeviceFailure, InstrumentError):
                if await self.imsi() == await self.card_imsi():
                    return True
            if self._clock.now() >= until:
                return False
            await self._clock.sleep(_SIM_AGAIN)

    async def reset_card(self, *, timeout: float) -> None:
        """Have the modem switch its card off and on (AT+CFUN=0, AT+CFUN=1) and wait until it is ready."""
        await self.command(self.vendor.card_off)
        await self.command(self.vendor.card_on)
        await self.wait_sim_ready(timeout=timeout)

    async def reset(self, *, timeout: float) -> None:
        """Reset the modem (AT+CFUN=1,1) and wait until it and the card are ready."""
        until = self._clock.now() + timeout
        self._down.clear()
        with contextlib.suppress(PortGone, ModemHung):  # some go down before they answer
            await self.command(self.vendor.reset)
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(min(_GOES_DOWN, timeout)):
                    await self._down.wait()
        await self.wait_ready(timeout=max(1.0, until - self._clock.now()))
        await self.wait_sim_ready(timeout=max(1.0, until - self._clock.now()))


class QuectelModem(AtModem):
    """Quectel modems, where the vendor is known before the first answer."""

    @classmethod
    async def open(cls, options: DriverOptions) -> QuectelModem:
        """Prepare as AtModem does, with Quectel's table from the start."""
        modem = await super().open(options)
        assert isinstance(modem, cls)
        if "vendor" not in options.extra:
            vendor = by_name("quectel")
            assert vendor is not None
            modem._use(vendor)
        return modem
