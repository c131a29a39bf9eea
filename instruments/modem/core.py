"""The core of a modem driver: its ports, its events, commands, and how it becomes ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import ClassVar, Self, TypeVar

from bench.errors import BenchError, ConfigurationError, DeviceFailure
from bench.station.clock import Clock
from bench.station.drivers import TICK, DriverOptions
from bench.station.interfaces import Identity
from instruments.modem import parse, start, usb
from instruments.modem.errors import NOT_INSERTED, SIM_BUSY, SIM_FAILURE, ModemError, ModemHung, PortGone
from instruments.modem.lines import name_of
from instruments.modem.port import AtPort
from instruments.modem.registration import Registrar
from instruments.modem.vendor import Ask, Vendor
from instruments.modem.vendors import GENERIC, by_name

T = TypeVar("T")

_LOOK = 0.1
"""Seconds between two looks whether the port has come."""
_SIM_AGAIN = 0.25
_BOOT_TEXTS = frozenset(("RDY", "APP RDY", "^SYSSTART"))
_QUIET_MODE = "ATQ0V1"
"""Asked in turn with AT: a modem that was left without result codes (ATQ1) answers nothing else."""


class ModemCore:
    """What every function of a modem is built on. Times in seconds of station time."""

    family: ClassVar[str] = ""
    """Name of the layers this driver is for; empty: of whatever the modem says it is."""

    def __init__(self, options: DriverOptions) -> None:
        self.identity = Identity()
        self.imei = ""
        self.vendor: Vendor = GENERIC
        self.layers: tuple[Vendor, ...] = ()
        """The layers allowed; empty: all."""
        self.forced = False
        """The layer was named in the options: what the modem says of itself does not matter."""
        self.resets = 0
        """How often the port vanished, or the modem announced a boot, since it was opened."""
        self.ready = False
        """It has been made ready since it started last: what is not is left alone by polls."""
        self.options = options
        self.clock: Clock = options.clock
        self.address = options.port
        """The port as configured."""
        self.port = self._port(options.port, f"{options.name} {options.port}")
        self.port.listeners.append(self._event)
        self.port.on_lost = self._lost
        self._down = asyncio.Event()
        self._registrar = Registrar(self)

    def _port(self, address: str, name: str) -> AtPort:
        options = self.options
        return AtPort(
            lambda: usb.device_file(address),
            name=name,
            baudrate=options.baudrate,
            lane=options.lane,
            clock=options.clock,
            counted_as=address,
        )

    @classmethod
    async def open(cls, options: DriverOptions) -> Self:
        """Prepare; the port is opened when it is there, and nothing is sent.

        Raises ConfigurationError for a port that is none, Refused when another program holds it.
        """
        extra = options.known_extra("vendor", "pdp_type", "second_port", "slot")
        for port in (options.port, str(extra.get("second_port") or options.port)):
            if not usb.valid(port):
                raise ConfigurationError(
                    f"'{port}' is no serial port", where=options.origin, hint="a path, or usb:1-1.4:if02"
                )
        modem = cls(options)
        wanted = extra.get("vendor")
        if wanted is not None or cls.family:
            modem.layers = by_name(str(wanted or cls.family))
            modem.forced = wanted is not None
            if not modem.layers:
                raise ConfigurationError(f"there is no vendor table '{wanted}'", where=options.origin)
            modem.use(modem.layers[-1])
        with contextlib.suppress(PortGone):
            modem.open_port()
        return modem

    async def close(self) -> None:
        """Close the port; the modem stays as it is."""
        self.port.close()

    def open_port(self) -> None:
        """Open the port, wherever it is now. Raises PortGone, Refused."""
        self.port.open()

    def second_port(self) -> AtPort | None:
        """Return another AT port of the same modem, closed; None where none is configured."""
        address = str(self.options.extra.get("second_port") or "")
        return self._port(address, f"{self.options.name} {address}") if address else None

    def use(self, vendor: Vendor) -> None:
        """Take the layer of a family."""
        self.vendor = vendor

    # --- events ---------------------------------------------------------------------------------------------------

    def _event(self, line: str) -> None:
        if line.upper() in _BOOT_TEXTS:
            self.resets += 1
            self.ready = False
            self._down.set()
        self._registrar.event(line)

    def _lost(self) -> None:
        self.resets += 1
        self.ready = False
        self._down.set()
        self._registrar.lost()

    def mark_refresh(self) -> None:
        """Forget what has told of an initialisation of the card so far."""

    def expect_restart(self) -> None:
        """Forget earlier restarts, before one is asked for."""
        self.ready = False
        self._down.clear()

    async def restarted(self, seconds: float) -> bool:
        """Whether the port vanished, or the modem announced its start, within some seconds."""
        try:
            async with self.clock.timeout(seconds):
                await self._down.wait()
        except TimeoutError:
            return False
        return True

    # --- commands and readiness -----------------------------------------------------------------------------------

    async def command(self, line: str, *, timeout: float | None = None) -> Sequence[str]:
        """Send one AT command, return its information lines. See AtPort.command.

        A port that was lost is opened again; raises WrongInstrument when another modem is behind it now.
        """
        if not self.port.is_open:
            self.open_port()
            if self.imei:
                await start.same(self)
        return await self.port.command(line, timeout=timeout)

    async def ask(self, ask: Ask[T]) -> T:
        """Send what a layer asks for and read the answer, which may come as an event."""
        if not ask.event:
            lines: list[str] = []
            for line in ask.lines:
                lines += await self.command(line)
            return ask.read(lines)
        came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def listen(line: str) -> None:
            if name_of(line) == ask.event and not came.done():
                came.set_result(line)

        self.port.listeners.append(listen)
        try:
            for line in ask.lines:
                # Some firmware sends it before the OK, as information.
                for told in await self.command(line):
                    listen(told)
            async with self.clock.timeout(ask.timeout):
                return ask.read([await came])
        except TimeoutError:
            raise ModemHung(f"no {ask.event} within {ask.timeout:g} s", where=ask.lines[-1]) from None
        finally:
            self.port.listeners.remove(listen)

    async def wait_ready(self, *, timeout: float) -> float:
        """Wait until the port is there and AT answers, initialise and identify; return the seconds it took.

        ``RDY`` is never waited for: opening the port throws away what came before. Raises PortGone when there is no
        port in time, ModemHung when it does not answer, WrongInstrument when its IMEI is not the pinned one or the
        driver is for another family.
        """
        begin = self.clock.now()
        last: BenchError = PortGone("the port is not there", where=self.port.name)
        tries = 0
        while True:
            left = begin + timeout - self.clock.now()
            if left < TICK:
                last.what += f" (waited {timeout:g} s)"
                last.hint = "has the device power, and is it the right port?"
                raise last
            try:
                self.open_port()
                tries += 1
                if await self.port.ping(_QUIET_MODE if tries % 4 == 0 else "AT", timeout=min(1.0, left)):
                    await start.initialise(self, begin + timeout)
                    await self.prepare(begin + timeout)
                    self.ready = True
                    return self.clock.now() - begin
                last = ModemHung("the modem does not answer AT", where=self.port.name)
            except (PortGone, ModemHung) as error:
                last = error
                await self.clock.sleep(min(_LOOK, left))

    async def prepare(self, until: float) -> None:
        """Do what the configuration asks for whenever the modem has started."""

    async def wait_sim_ready(self, *, timeout: float) -> None:
        """Wait for +CPIN: READY, through 'SIM busy', 'SIM failure' and 'not inserted' of a card that starts.

        Raises ModemError at once when a PIN is asked for, DeviceFailure with the last answer when time is over.
        """
        until = self.clock.now() + timeout
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
            left = until - self.clock.now()
            if left < TICK:
                raise DeviceFailure(
                    f"the card is not ready after {timeout:g} s: {last}",
                    where=self.port.name,
                    hint="is a card inserted, and does the modem see it (AT+CPIN?)?",
                )
            await self.clock.sleep(min(_SIM_AGAIN, left))
        if self.vendor.settle:
            await self.clock.sleep(self.vendor.settle)
        self.mark_refresh()
