"""Instruments behind a program in a campaign: hub ports by uhubctl and ykushcmd, traffic control by tc."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar, Final

import faulty_program  # type: ignore[import-not-found] # no installed package
from exchanges import Exchange, Raised  # type: ignore[import-not-found]
from subject import Subject  # type: ignore[import-not-found]

from bench.errors import BenchError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions, load_driver
from bench.station.network import LinkLimits
from instruments.usb import port

PATIENCE: Final = 0.8
"""Seconds for one call of a program, which has to be started first."""
_PLACES: Final = itertools.count(1)


class ProgramSubject(Subject):  # type: ignore[misc]
    """What is common to all whose wire is a program."""

    faults = faulty_program.FAULTS
    errors: ClassVar[dict[str, Raised]] = {
        **dict.fromkeys(faulty_program.FAULTS, (InstrumentError,)),
        **dict.fromkeys(("hang", "hang-behind"), (InstrumentTimeout,)),
        **dict.fromkeys(("slow", "noise", "flood"), ()),
    }
    deadline = 4 * PATIENCE + 2.0

    def change(self) -> None:
        """Leave it as it is: each exchange says what is to be true."""


def _plugged(device: str) -> Path:
    """Have a device on the bus; return its folder."""
    bus = port.SYSFS / device
    bus.mkdir(parents=True)
    (bus / "idVendor").write_text("1bc7\n")
    return bus


class HubSubject(ProgramSubject):
    """The port is switched by another program, too; the device behind it goes from the bus and comes back with it."""

    resources: ClassVar[dict[str, str]] = {"usb-uhubctl": "usb:1-1.4", "usb-ykush": "YK12345"}

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        device = f"1-1.4.{next(_PLACES)}"
        self.bus = _plugged(device)
        self.wire = faulty_program.FaultyProgram(folder / "hub", faulty_program.HUB, self.chance, state="1")
        self.wire.keep("bus", str(self.bus))
        self.driver = await load_driver(self.name).open(
            DriverOptions(
                name="usb1", driver=self.name, resource=self.resources[self.name], channel=2,
                extra={"program": str(self.wire.path), "device": f"usb:{device}"},
            )
        )  # fmt: skip
        try:
            yield
        finally:
            await self.driver.close()
            await self.wire.close()

    @property
    def on(self) -> bool:
        """Whether the port is really on."""
        return bool(self.wire.state == "1")

    def exchanges(self) -> list[Exchange]:
        return [self._output, self._output, self._set, self._set, self._dead, self._safe]

    async def _output(self) -> str:
        had = {self.on}
        found = await self.driver.output()
        return "" if found in had | {self.on} else f"the port is {found}, not {had}"

    async def _set(self) -> str:
        wanted = self.chance.random() < 0.5
        await self.driver.set_output(wanted)
        return "" if self.on is wanted else f"set {wanted} without an error, and it is not"

    def _dead_is_wrong(self) -> bool:
        return self.on or self.bus.exists()

    async def _dead(self) -> str:
        try:
            await self.driver.wait_dead(timeout=0.0)
        except InstrumentTimeout:
            if self._dead_is_wrong():
                return ""
            raise
        return "it is said to be dead, and is not" if self._dead_is_wrong() else ""

    async def _safe(self) -> str:
        result = await asyncio.to_thread(self.driver.make_safe, self.driver.safe_action(), deadline=2 * PATIENCE)
        if result.verified:
            return f"safe, it says ({result.message}), and is not" if self._dead_is_wrong() else ""
        raise InstrumentTimeout(result.message, where="make_safe")


class TrafficSubject(ProgramSubject):
    """Other limits are set at every exchange, and nothing but what was set may be there after it."""

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        self.wire = faulty_program.FaultyProgram(folder / "tc", faulty_program.TC, self.chance, state="- 0 0 0 0")
        options = DriverOptions(name="ip", driver=self.name, resource="eth7", extra={"tc": str(self.wire.path)})
        self.driver = await load_driver(self.name).open(options)
        try:
            yield
        finally:
            self.wire.state = "- 0 0 0 0"
            with contextlib.suppress(BenchError):
                await self.driver.close()
            await self.wire.close()

    def change(self) -> None:
        """Have another program configure the interface now and then, or take away what was set."""
        if self.wire.state.startswith("1:") or self.chance.random() < 0.1:
            self.wire.state = "- 0 0 0 0"
        elif self.chance.random() < 0.05:
            self.wire.state = "1: 0 0 0 0"

    def exchanges(self) -> list[Exchange]:
        return [self._limit, self._limit, self._limit, self._unlimited, self._safe]

    def _limits(self) -> LinkLimits:
        chance = self.chance
        delay = chance.randrange(1, 900_000) / 1e6 if chance.random() < 0.6 else 0.0
        return LinkLimits(
            rate=chance.randrange(8, 9_000_000) / 1000 if chance.random() < 0.5 else None,
            delay=delay,
            jitter=round(delay * chance.random(), 6) if chance.random() < 0.5 else 0.0,
            loss=chance.randrange(1, 900_000) / 1e6 if chance.random() < 0.5 else 0.0,
        )

    async def _limit(self) -> str:
        wanted, foreign = self._limits(), self.wire.state.startswith("1:")
        try:
            await self.driver.limit(wanted)
        except Refused:
            if foreign:
                return "" if self.wire.state.startswith("1:") else "refused, and another's qdisc is gone all the same"
            raise
        handle, *numbers = self.wire.state.split()
        delay, jitter, loss, rate = (float(number) for number in numbers)
        right = (
            handle == "bec1:"
            and delay == round(wanted.delay * 1e6)
            and jitter == round(wanted.jitter * 1e6)
            and math.isclose(loss, wanted.loss * 100, abs_tol=1e-4)
            and rate == round((wanted.rate or 0.0) * 1000)
        )
        return "" if right else f"{wanted} set without an error, and it has {self.wire.state}"

    async def _unlimited(self) -> str:
        await self.driver.limit(None)
        return "the limits are said to be gone, and are not" if self.wire.state.startswith("bec1:") else ""

    async def _safe(self) -> str:
        result = await asyncio.to_thread(self.driver.make_safe, self.driver.safe_action(), deadline=2 * PATIENCE)
        if result.verified:
            return "safe, it says, and is limited" if self.wire.state.startswith("bec1:") else ""
        raise InstrumentTimeout(result.message, where="make_safe")
