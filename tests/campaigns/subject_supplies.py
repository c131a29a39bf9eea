"""SCPI supplies in a campaign, one subject a model."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import faulty_wire  # type: ignore[import-not-found]
import supply_bench  # type: ignore[import-not-found]
from exchanges import Exchange  # type: ignore[import-not-found]
from subject import NO_LINES, PATIENCE, Subject  # type: ignore[import-not-found]

from bench.station.drivers import load_driver
from fixtures.sim.scpi import ScpiError
from instruments.scpi.parse import AnswerError

_SERIALS: Final = itertools.count(1)


class SupplySubject(Subject):
    """Every measurement is another number; the output is switched at the front, the voltage by the driver."""

    faults = faulty_wire.QUEUED

    def __init__(self, case: Any, chance: random.Random) -> None:
        super().__init__(str(case), chance)
        self.case = case
        self.on: set[bool] = set()
        """What the output was during this exchange."""
        self.given: list[tuple[str, float]] = []
        """Every measurement ever given, with its question."""
        self._count = 0

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        with supply_bench.Bench(self.case.model, channel=self.case.channel) as bench:
            self.bench = bench
            bench.supply.sessions = None  # who else is there is the wire's matter
            bench.supply.identity = _another(bench.supply.identity)
            self.wire = faulty_wire.FaultyWire(
                [bench.port], faulty_wire.lines, self.chance, garbage=NO_LINES, late=PATIENCE,
                reboot=self._reboot, refuse=self._refuse, foreign=self._foreign,
            )  # fmt: skip
            await self.wire.start()
            resource = f"TCPIP::127.0.0.1::{self.wire.ports[0]}::SOCKET"
            extra = {"timeout": PATIENCE}
            driver = load_driver(self.case.driver)
            self.driver = await driver.open(bench.options(self.case, resource=resource, extra=extra))
            self.driver._session._identify = PATIENCE
            line = self.driver.dialect.line
            self._volts = line(self.driver.dialect.measure_voltage, self.case.channel).rpartition("\n")[2]
            self._amperes = line(self.driver.dialect.measure_current, self.case.channel).rpartition("\n")[2]
            bench.fault = self._measured
            try:
                yield
            finally:
                await self.driver.close()
                await self.wire.close()

    def _reboot(self) -> None:
        self.bench.do(self.bench.supply.reboot)
        self.on.add(False)

    def _refuse(self) -> None:
        self.bench.do(lambda: self.bench.supply.push(ScpiError(-221)))

    def _foreign(self, answer: bytes) -> bytes:
        return answer.replace(self.driver.identity.serial.encode(), b"ANOTHER")

    def _measured(self, line: str, payload: bytes | None) -> list[Any] | None:
        """Have every measurement be another number, in the words of this model."""
        if payload is None or line not in (self._volts, self._amperes):
            return None
        self._count += 1
        value = 1 + self._count * 1e-6
        self.given.append((line, value))
        return [re.sub(rb"[+-]?\d+\.\d+(?:[Ee][+-]?\d+)?", f"{value:.6f}".encode(), payload, count=1)]

    def change(self) -> None:
        """Switch the output by the supply's own commands, from another connection."""
        on = self.chance.random() < 0.5
        self.on = {on}
        dialect = self.driver.dialect
        if dialect.manners.pause:  # its firmware would lose what comes so early
            self.bench.do(lambda: self.bench.channel.switch(on, "front"))
            return
        told = [dialect.line(line, self.case.channel) for line in (dialect.output_on if on else dialect.output_off)]
        parts = [part for line in told for part in line.split("\n")]
        self.bench.do(lambda: [self.bench.supply.execute(part, "front") for part in parts])

    def exchanges(self) -> list[Exchange]:
        return [self._measure, self._measure, self._output, self._set, self._name]

    async def _measure(self) -> str:
        since = len(self.given)
        found = await self.driver.measure()
        given = self.given[since:]
        for value, question in ((found.voltage, self._volts), (found.current, self._amperes)):
            if not any(line == question and abs(value - said) < 1e-9 for line, said in given):
                return f"{value!r} is no answer to {question} of this exchange, but one of {given}"
        return ""

    async def _output(self) -> str:
        found = await self.driver.output()
        return "" if found in self.on else f"the output is {found}, not {self.on}"

    async def _set(self) -> str:
        wanted = 1 + self.number % 3000 / 1000
        await self.driver.set_voltage(wanted)
        had = self.bench.do(lambda: self.bench.channel.programmed_volts)
        return "" if abs(had - wanted) < 0.011 else f"{wanted} V set without an error, it has {had} V"

    async def _name(self) -> str:
        wanted = self.driver.identity.serial
        found = await self.driver._session.value("*IDN?", _identity)
        return "" if wanted in found else f"*IDN? is {found!r}"


def _another(identity: str) -> str:
    """Return the identity of another instrument of the same kind: the lock of an exchange is keyed by it."""
    maker, model, serial, *rest = identity.split(",")
    return ",".join((maker, model, f"{serial[:-4]}{next(_SERIALS):04d}", *rest))


def _identity(answer: str) -> str:
    if answer.count(",") < 3:
        raise AnswerError(f"'{answer[:60]}' is no answer to *IDN?")
    return answer
