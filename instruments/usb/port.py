"""One switchable USB port as a supply: no volts, no amperes, and so a second sign that VBUS is really off.

Many hubs say ``off`` and switch the data lines only. A port counts as off when its switch says so and the device that
was behind it has gone from the bus (sysfs); where no device was seen, the switch's word is all there is, and the safe
sequence says that. Programs run as sub-processes: uhubctl is GPL, and neither has a library worth having.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bench.errors import BenchError, ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions, SafeResult
from bench.station.interfaces import Identity, PowerCycle, Reading, SafeAction
from bench.station.power import PowerAbilities, PowerRecord, Protection, TripCause, WavePoint
from bench.trace.lane import Direction, Lane, NullLane
from instruments.power.cycle import power_cycle

SYSFS = Path("/sys/bus/usb/devices")
RUN_WITHIN = 10.0
_POLL = 0.1
_TOPOLOGY = re.compile(r"\d+-\d+(\.\d+)*")

Self = TypeVar("Self", bound="UsbPort")


def run(command: Sequence[str], *, within: float = RUN_WITHIN, lane: Lane | None = None) -> str:
    """Run a program and return its output. Raises InstrumentError with what it wrote, InstrumentTimeout."""
    lane = lane or NullLane()
    lane.record(Direction.SENT, " ".join(command).encode())
    try:
        done = subprocess.run(list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=within, check=False)
    except FileNotFoundError as error:
        raise InstrumentError(
            f"the program {command[0]} is not installed",
            where=" ".join(command),
            hint=f"install it, or give 'program' in options of {command[0]}",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InstrumentTimeout(
            f"{command[0]} did not end within {within:g} s",
            where=" ".join(command),
            hint="run it by hand: does the hub still answer?",
        ) from error
    except OSError as error:
        raise InstrumentError(
            f"{command[0]} cannot be run: {error.strerror}",
            where=" ".join(command),
            hint="is 'program' in options an executable file?",
        ) from error
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    lane.record(Direction.RECEIVED, text.encode())
    if done.returncode:
        raise InstrumentError(
            f"{command[0]} failed with exit code {done.returncode}: {text.strip()[:300] or 'no message'}",
            where=" ".join(command),
            hint="does this user have access to the hub? (udev rule)",
        )
    return text


class UsbPort(ABC):
    """A supply of one USB port (interfaces.PowerSupply): on, off, cycle; the rest is refused."""

    title = "USB port"
    program = ""
    abilities = PowerAbilities(sessions=1, latching=False, measures=False)

    def __init__(self, options: DriverOptions, identity: Identity) -> None:
        self.identity = identity
        self._options = options
        self._clock = options.clock
        self._device = device_of(options.extra)
        self._seen = self._device is not None and present(self._device)

    @classmethod
    async def open(cls: type[Self], options: DriverOptions) -> Self:
        """Look whether the switch is there; nothing is switched. Raises InstrumentError, ConfigurationError."""
        options.known_extra("program", "device")
        device_of(options.extra, where=options.origin)
        identity = await asyncio.to_thread(cls.identify, options)
        return cls(options, identity)

    # --- a family's own -------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def identify(cls, options: DriverOptions) -> Identity:
        """Return who the switch is. Blocks for RUN_WITHIN s at most; raises InstrumentError, ConfigurationError."""

    @classmethod
    @abstractmethod
    def switch(cls, place: Place, on: bool, *, within: float, lane: Lane | None = None) -> None:
        """Switch. Blocks for ``within`` s at most; raises InstrumentError, InstrumentTimeout."""

    @classmethod
    @abstractmethod
    def state(cls, place: Place, *, within: float, lane: Lane | None = None) -> bool:
        """Return whether the switch says that the port is on. Blocks and raises as ``switch`` does."""

    # --- supply ---------------------------------------------------------------------------------------------------

    @property
    def _place(self) -> Place:
        return Place.of(self._options.resource, self._options.channel, self._options.extra, self.program)

    async def close(self) -> None:  # noqa: B027 - there is nothing to do, for any family
        """Nothing is held open."""

    async def output(self) -> bool:
        """Return whether the port is on, as its switch says now."""
        return await self._off_loop(lambda: self.state(self._place, within=RUN_WITHIN, lane=self._options.lane))

    async def set_output(self, on: bool) -> None:
        """Switch the port and read its state back. Raises InstrumentError when it does not follow."""
        if not on and self._device is not None:
            self._seen = self._seen or present(self._device)
        await self._off_loop(lambda: self.switch(self._place, on, within=RUN_WITHIN, lane=self._options.lane))
        if await self.output() != on:
            raise InstrumentError(
                f"{self._options.name} stays {'off' if on else 'on'}",
                where=str(self._place),
                hint="Linux powers a port again by itself: is this hub known to switch its ports?",
            )

    async def wait_dead(self, *, timeout: float) -> float:
        """Wait until the device has gone from the bus, the sign that VBUS is off; return the seconds it took.

        Raises InstrumentTimeout when it stays: the hub switches data lines only. Without ``device`` in the options
        only the switch's word is waited for.
        """
        start = self._clock.now()
        while await self.output() or (self._device is not None and present(self._device)):
            elapsed = self._clock.now() - start
            if elapsed >= timeout:
                raise InstrumentTimeout(
                    f"{self._device or 'the port'} is still on the bus {elapsed:.1f} s after its port was switched off",
                    where=str(self._place),
                    hint="the hub switches the data lines, not VBUS: use another hub, or a YKUSH",
                )
            await self._clock.sleep(_POLL)
        return self._clock.now() - start

    async def cycle(
        self,
        *,
        hold: float = 2.0,
        timeout: float = 30.0,
        shutdown: Callable[[], Awaitable[object]] | None = None,
        booted: Callable[[], Awaitable[object]] | None = None,
    ) -> PowerCycle:
        """Port off, wait until the device is gone, hold, port on (interfaces.PowerSupply.cycle)."""
        return await power_cycle(
            self,
            self._clock,
            switch_on=self._switch_on,
            hold=hold,
            timeout=timeout,
            shutdown=shutdown,
            booted=booted,
        )

    async def _switch_on(self) -> None:
        await self.set_output(True)

    async def _off_loop(self, work: Callable[[], object]) -> bool:
        with self._clock.busy():
            return bool(await asyncio.to_thread(work))

    # --- what a switch cannot -------------------------------------------------------------------------------------

    def _refused(self, what: str) -> Refused:
        return Refused(
            f"a {self.title} cannot {what}", where=self._options.name, hint="use a bench supply for the device's rail"
        )

    async def measure(self) -> Reading:
        """Raise Refused: nothing is measured."""
        raise self._refused("measure")

    async def set_voltage(self, voltage: float) -> None:
        """Raise Refused: VBUS is 5 V."""
        raise self._refused("set a voltage")

    async def set_current_limit(self, current: float) -> None:
        """Raise Refused."""
        raise self._refused("set a current limit")

    async def protection(self) -> Protection:
        """Raise Refused."""
        raise self._refused("tell its protections")

    async def set_protection(self, protection: Protection) -> None:
        """Raise Refused."""
        raise self._refused("set protections")

    async def trip(self) -> TripCause | None:
        """Return None: a switch tells no trip."""
        return None

    async def clear_trip(self) -> TripCause | None:
        """Return None: there is nothing to clear."""
        return None

    async def fast_log(
        self, duration: float, interval: float, *, during: Callable[[], Awaitable[object]] | None = None
    ) -> PowerRecord:
        """Raise Refused."""
        raise self._refused("record current")

    async def waveform(self, points: Sequence[WavePoint], *, repeat: int = 1) -> None:
        """Raise Refused."""
        raise self._refused("make waveforms")

    async def arm_watchdog(self, seconds: float) -> float:
        """Raise Refused: the port stays as it is when the host dies."""
        raise self._refused("switch off by itself")

    async def feed_watchdog(self) -> None:
        """Raise Refused."""
        raise self._refused("switch off by itself")

    async def disarm_watchdog(self) -> None:  # noqa: B027 - there is nothing to do, for any family
        """Do nothing: there is none."""

    async def set_power_on_off(self) -> None:
        """Raise Refused."""
        raise self._refused("set its power-on state")

    # --- safe -----------------------------------------------------------------------------------------------------

    def safe_action(self) -> SafeAction:
        """Return what makes the port safe: off, and its device gone."""
        options = {
            **self._options.extra,
            "name": self._options.name,
            "resource": self._options.resource,
            "serial": self._options.serial or self.identity.serial,
        }
        dead = self._options.limits.dead_voltage if self._options.limits else None
        return SafeAction("power.off", self._options.driver, options, self._options.channel, dead)

    @classmethod
    def make_safe(cls, action: SafeAction, *, deadline: float) -> SafeResult:
        """Switch the port off and see that its device goes (drivers.SafeDriver). Never raises."""
        until = time.monotonic() + deadline
        message = ""
        try:
            extra = {key: value for key, value in action.options.items() if key in ("program", "device")}
            place = Place.of(str(action.options.get("resource", "")), action.channel or 1, extra, cls.program)
            device = device_of(extra)
            while True:
                left = until - time.monotonic()
                if left <= 0:
                    return SafeResult(action.name, False, None, message or "the deadline is over")
                with contextlib.suppress(InstrumentTimeout):
                    cls.switch(place, False, within=left)
                on = cls.state(place, within=max(until - time.monotonic(), 0.05))
                there = device is not None and present(device)
                if not on and not there:
                    told = (
                        f"{device} is gone from the bus" if device else "by the switch's word only: no 'device' given"
                    )
                    return SafeResult(action.name, True, "off", f"port off, {told}")
                message = f"NOT DEAD: port {'on' if on else 'off'}" + (
                    f", {device} is still on the bus" if there else ""
                )
                time.sleep(min(_POLL, max(until - time.monotonic(), 0.0)))
        except BenchError as error:
            return SafeResult(action.name, False, None, str(error))


class Place:
    """Where a port is: the switch's address and the port's number, with the program that switches it."""

    __slots__ = ("address", "port", "program")

    def __init__(self, address: str, port: int, program: str) -> None:
        self.address = address
        self.port = port
        self.program = program

    @classmethod
    def of(cls, resource: str, channel: int, extra: Mapping[str, object], program: str) -> Place:
        """Read a resource, with or without ``usb:`` in front."""
        return cls(resource.removeprefix("usb:"), channel, str(extra.get("program") or program))

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def device_of(extra: Mapping[str, object], *, where: str = "") -> str | None:
    """Return the topology of the device behind the port (``1-1.4.2``), None when none is given."""
    value = str(extra.get("device", "")).removeprefix("usb:")
    if not value:
        return None
    if not _TOPOLOGY.fullmatch(value):
        raise ConfigurationError(
            f"'{value}' is no place of a USB device", where=where, hint="as in 'lsusb -t' and sysfs: 1-1.4.2"
        )
    return value


def present(device: str) -> bool:
    """Whether a device is at this place of the bus now."""
    return (SYSFS / device / "idVendor").exists()
