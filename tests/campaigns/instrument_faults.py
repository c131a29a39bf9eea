"""Randomised exchanges of every instrument driver with its simulated instrument, over a wire on which all goes wrong.

    python tests/campaigns/instrument_faults.py [--family NAME ...] [--exchanges 10000] [--share 0.2] [--seed 1]

``--exchanges`` is for each family of wire: ``scpi-supplies``, ``scpi-emulators``, ``amarisoft``, ``rcdat``,
``relays``, ``console``. The drivers
are the real ones, the instruments those of ``fixtures/sim``, the faults those of ``faulty_wire.py``. What is true is
another value at every exchange, so that an answer which belongs to another question shows. Demanded of each exchange:
it ends within its deadline; what it returns was true during this very exchange; what it raises is an InstrumentError of
the right kind that says where, and there is none when nothing went wrong. Prints JSON: exchanges, wrong values and
errors by kind for each driver; exit code 1 when something did not hold.

Not among the faults, for no client can tell: a line that was cut short in the middle of a number and yet ended, and an
empty line from an instrument that says "nobody" by one (MT8821C).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "instruments")]

import faulty_port  # type: ignore[import-not-found] # noqa: E402
import faulty_wire  # type: ignore[import-not-found] # noqa: E402 - no installed package
import network_bench  # type: ignore[import-not-found] # noqa: E402
import supply_bench  # type: ignore[import-not-found] # noqa: E402
from exchanges import Exchange, Outcome, Raised, plan  # type: ignore[import-not-found] # noqa: E402

from bench.errors import DeviceFailure, InstrumentError, InstrumentTimeout  # noqa: E402
from bench.station.drivers import DriverOptions, load_driver  # noqa: E402
from fixtures.sim.emulator_attenuator import AttenuatorServer, Rcdat  # noqa: E402
from fixtures.sim.kernel import Kernel, Streams  # noqa: E402
from fixtures.sim.milenage import Subscriber  # noqa: E402
from fixtures.sim.network import Cell, Network  # noqa: E402
from fixtures.sim.relays import RelayBoard  # noqa: E402
from fixtures.sim.worldlog import WorldLog  # noqa: E402
from instruments.attenuator import rcdat  # noqa: E402
from instruments.network import mt8821c, remote_api, scpi_emulator  # noqa: E402
from instruments.scpi.link import ConnectionLost  # noqa: E402
from instruments.scpi.parse import AnswerError, ScpiError  # noqa: E402
from instruments.switch import numato  # noqa: E402

PATIENCE: Final = 0.25
"""Seconds for one answer: the drivers' own deadlines would make a campaign of hours."""
QUEUE: Final = 1.0
"""Seconds for the error queue after a silence (instruments.scpi.session)."""
DEADLINE: Final = 4 * PATIENCE + QUEUE + 2.0
"""Seconds for one exchange: asked, opened again, asked again, explained by the queue; 2 s for this host."""

ERRORS: Final[dict[str, Raised]] = {
    "closed": (ConnectionLost,),
    "closed-mid-answer": (ConnectionLost,),
    "late": (InstrumentTimeout,),
    "silent": (InstrumentTimeout,),
    "half-and-silent": (InstrumentTimeout,),
    "half-and-late": (InstrumentTimeout,),
    "garbage": (AnswerError, ScpiError),
    "garbage-before-answer": (AnswerError, ScpiError),
    "surplus": (),
    "fragmented": (),
    "reboot": (InstrumentError,),
    "second-client": (InstrumentError,),
    "exchanged": (InstrumentError,),
}
"""What may be raised after a fault; nothing may be where the tuple is empty, nor without a fault."""
NO_LINES: Final = (
    b"\xff\xfe\x80\x00\n", b"volts\n", b"9.91E37\n", b"nan\n", b"#90000\n", b"1,2\n", b'-410,"Query INTERRUPTED"\n',
    b"++1\n", b"MEAS:VOLT?\n", b"\x00\x00\x00\n", b"0x\n", b"3.8.1\n", b"{\n", b"1 2 3\n",
)  # fmt: skip


class Subject(ABC):
    """One driver, its simulated instrument and the wire between them."""

    errors: ClassVar[dict[str, Raised]] = ERRORS
    faults: tuple[str, ...] = faulty_wire.FAULTS
    left_errors: Raised = (AnswerError, ConnectionLost)
    """What may be raised, once, for garbage that lies in the stream since an earlier exchange."""
    lingers: ClassVar[tuple[str, ...]] = ()
    """Faults whose garbage a later exchange may meet: of wires without an answer to each question."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self.chance = chance
        self.number = 0
        self.left = 0
        """Garbage that no exchange has met yet, at most."""
        self.wire: Any = None
        self.driver: Any = None

    def allowed(self, happened: str, raised: BaseException) -> Raised:
        """Return what may be raised after a fault, or none."""
        allowed = self.errors.get(happened, ())
        if not isinstance(raised, allowed) and self.left:
            self.left -= 1
            return self.left_errors
        return allowed

    @abstractmethod
    def opened(self, folder: Path) -> contextlib.AbstractAsyncContextManager[None]:
        """Have instrument, wire and driver for as long as it lasts."""

    @abstractmethod
    def change(self) -> None:
        """Make something else true."""

    @abstractmethod
    def exchanges(self) -> list[Exchange]:
        """Return what can be asked."""


async def run(subject: Subject, exchanges: int, share: float, folder: Path) -> Outcome:
    """Make the exchanges of one driver, a fault in ``share`` of them."""
    out, chance = Outcome(), subject.chance
    async with subject.opened(folder):
        kinds, faults = subject.exchanges(), plan(chance, subject.faults)
        for number in range(exchanges):
            wire = subject.wire
            fault, count = "", 0
            if chance.random() < share and not wire.away:
                fault, count = next(faults)
            kind = chance.choice(kinds)
            if wire.away and chance.random() < 0.7:
                async with asyncio.timeout(5.0):
                    await wire.here.wait()
            subject.number = number
            subject.change()
            if fault:
                wire.arm(fault, count)
            name = kind.__name__.strip("_")
            happened = await out.make(
                f"{subject.name} {number}: {name} with {fault or 'nothing'}", kind, away=wire.away, deadline=DEADLINE,
                fault=fault, disarm=wire.disarm, allowed=subject.allowed,
            )  # fmt: skip
            subject.left += happened in subject.lingers
    return out


# --- SCPI supplies ----------------------------------------------------------------------------------------------------


class SupplySubject(Subject):
    """Every measurement is another number; the output is switched at the front, the voltage by the driver."""

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
            self.wire = faulty_wire.FaultyWire(
                [bench.port], faulty_wire.lines, self.chance, garbage=NO_LINES, late=PATIENCE,
                reboot=self._reboot, foreign=self._foreign,
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


def _identity(answer: str) -> str:
    if answer.count(",") < 3:
        raise AnswerError(f"'{answer[:60]}' is no answer to *IDN?")
    return answer


# --- emulators --------------------------------------------------------------------------------------------------------


class EmulatorSubject(Subject):
    """Another device is attached at every exchange; cells are switched at the front, powers by the driver."""

    def __init__(self, kind: str, chance: random.Random) -> None:
        super().__init__(kind, chance)
        self.kind = kind

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        async with network_bench.emulated(self.kind, folder, cells=1, start=0.0) as emulator:
            self.emulator = emulator
            self.cell = emulator.network.cells[0]
            await self._wire()
            try:
                yield
            finally:
                await self.driver.close()
                await self.wire.close()

    async def _wire(self) -> None:
        instrument = self.emulator.server.instrument
        self.wire = faulty_wire.FaultyWire(
            [self.emulator.server.port], faulty_wire.lines, self.chance, garbage=NO_LINES, late=PATIENCE,
            reboot=lambda: instrument.reset("mains"), foreign=self._foreign,
        )  # fmt: skip
        await self.wire.start()
        self.driver = await self.emulator.open(resource=f"TCPIP::127.0.0.1::{self.wire.ports[0]}::SOCKET")
        self.driver._session.timeout = self.driver._session._identify = PATIENCE

    def _foreign(self, answer: bytes) -> bytes:
        return answer.replace(self.driver.identity.serial.encode(), b"ANOTHER")

    def front(self, on: bool) -> None:
        """Switch the cell by hand."""
        if self.kind == "mt8821c":
            instrument = self.emulator.server.instrument
            instrument._level = instrument._processing = on
        self.emulator.network.switch(self.cell, on, "front", at_once=True)

    def change(self) -> None:
        n = self.number + 1
        self.cell.ues.clear()
        self.cell.hss.clear()
        self.imsi = f"00101{n:010d}"
        subscriber = Subscriber(self.imsi, bytes(16), bytes(16))
        self.cell.hss[self.imsi] = subscriber
        self.imei = f"49{n:012d}5"
        self.address = self.emulator.network.attach(self.cell, subscriber, self.imei, "iot").address
        self.emulator.state = self.chance.choice(("ATT", "CEST"))
        self.front(self.chance.random() < 0.8)

    def exchanges(self) -> list[Exchange]:
        return [self._on, self._who, self._who, self._attached, self._attached, self._power, self._switch]

    async def _on(self) -> str:
        before = self.cell.on
        found = await self.driver.cell_on()
        return "" if found in (before, self.cell.on) else f"the cell is {found}, not {before}"

    def _there(self) -> bool:
        """Whether the device is attached to the cell, which a restart of the emulator ends."""
        return self.cell.transmitting and self.imsi in self.cell.ues

    async def _who(self) -> str:
        before = self._there()
        found = await self.driver.attached_imsi()
        right = {self.imsi if there else "" for there in (before, self._there())}
        return "" if found in right else f"{found!r} is attached, not {right}"

    async def _attached(self) -> str:
        before = self._there()
        found = await self.driver.attached()
        if found is None:
            return "nobody is attached" if before and self._there() else ""
        wrong = [
            f"{name} {value!r}"
            for name, value, right in (
                ("imsi", found.imsi, {self.imsi}),
                ("imei", found.imei[:14], {self.imei[:14], ""}),
                ("addresses", found.addresses, {(self.address,), ()}),
                ("connected", found.connected, {self.emulator.state == "CEST"}),
            )
            if value not in right
        ]
        return f"not of {self.imsi}: {', '.join(wrong)}" if wrong else ""

    async def _power(self) -> str:
        wanted = round(-90 - self.number % 300 / 10, 1)
        await self.driver.set_power(wanted)
        return "" if abs(self.cell.level - wanted) < 0.05 else f"{wanted} dBm set without an error: {self.cell.level}"

    async def _switch(self) -> str:
        wanted = not self.cell.on
        await self.driver.set_cell(wanted)
        return "" if self.cell.on is wanted else f"switched {wanted} without an error, and it is {self.cell.on}"


class CallboxSubject(EmulatorSubject):
    """A callbox: eNB and MME fail together; answers have a number, so what is late or surplus belongs to nobody."""

    lingers = ("garbage", "garbage-before-answer", "surplus")
    errors: ClassVar[dict[str, Raised]] = {
        **ERRORS,
        # A fault may also meet the handshake of a connection that is opened again, or the greeting.
        **dict.fromkeys(("late", "silent", "half-and-silent", "half-and-late"), (InstrumentTimeout, ConnectionLost)),
        "garbage": (AnswerError, ConnectionLost, InstrumentTimeout),
        "garbage-before-answer": (AnswerError, ConnectionLost),
        "surplus": (AnswerError, ConnectionLost),
    }

    async def _wire(self) -> None:
        frame = faulty_wire.frame
        garbage = (
            frame(b"<html>"), frame(b"{"), frame(b"[1]"), frame(b'{"message": "config_get", "cells": NaN}'),
            frame(b'{"message": "event"}') * 200, frame(b'{"message_id": "b0", "cells": {"1": {"gain": -3}}}'),
            frame(b"\x00\x01", opcode=2), frame(b"\xff\xfe"), b"\x00\x00\x00garbage\r\n\r\n", b"HTTP/1.1 500 \r\n\r\n",
        )  # fmt: skip
        ports = self.emulator.server.ports
        self.wire = faulty_wire.FaultyWire(
            [ports["enb"], ports["mme"]], faulty_wire.frames, self.chance, garbage=garbage, late=PATIENCE,
            foreign=lambda answer: answer.replace(b'"name": "ENB"', b'"name": "ENX"').replace(
                b'"name": "MME"', b'"name": "MMX"'
            ),
        )  # fmt: skip
        await self.wire.start()
        enb, mme = (f"ws://127.0.0.1:{port}" for port in self.wire.ports)
        self.driver = await self.emulator.open(resource=enb, extra={"mme": mme})

    def front(self, on: bool) -> None:
        box = self.emulator.server.instrument
        box._gains[1] = -1 - self.number % 100 / 100 if on else -200.0
        self.emulator.network.switch(self.cell, on, "front", at_once=True)

    async def _power(self) -> str:
        wanted = round(-90 - self.number % 300 / 10, 1)
        before = self.cell.on
        await self.driver.set_power(wanted)
        if not before:
            return ""  # it is taken over when the cell comes on
        return "" if abs(self.cell.level - wanted) < 0.05 else f"{wanted} dBm set without an error: {self.cell.level}"


# --- attenuator -------------------------------------------------------------------------------------------------------


class AttenuatorSubject(Subject):
    """The attenuation is another at every exchange, set at the front or by the driver."""

    errors: ClassVar[dict[str, Raised]] = {
        **ERRORS,
        "garbage": (InstrumentError,),
        "garbage-before-answer": (InstrumentError,),
        "surplus": (AnswerError,),
    }

    def __init__(self, way: str, chance: random.Random) -> None:
        super().__init__(f"mini-circuits-rcdat-{way}", chance)
        self.way = way

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        network = Network(Kernel(), Streams(0), WorldLog(Kernel(), None))
        network.cells.append(Cell(1, "00101"))
        server = AttenuatorServer(Rcdat(network, network.log), network.log)
        await server.start()
        self.instrument = server.instrument
        garbage = NO_LINES
        if self.way == "http":
            told = [line.strip() for line in NO_LINES]
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
            garbage = (*NO_LINES, *(head % (len(text), text) for text in told), b"HTTP/1.1 500 No\r\n\r\n")
        cut = faulty_wire.whole if self.way == "http" else faulty_wire.lines
        self.wire = faulty_wire.FaultyWire(
            [server.ports[self.way]], cut, self.chance,
            garbage=garbage, late=PATIENCE, reboot=self._reboot, between=0.002,
        )  # fmt: skip
        await self.wire.start()
        url = f"{self.way}://127.0.0.1:{self.wire.ports[0]}"
        self.driver = await load_driver("mini-circuits-rcdat").open(DriverOptions(name="att", resource=url))
        try:
            yield
        finally:
            await self.driver.close()
            await self.wire.close()
            server.close()

    def _reboot(self) -> None:
        self.instrument.attenuation = 0.0

    def change(self) -> None:
        self.instrument.attenuation = self.number % 353 * 0.25

    def exchanges(self) -> list[Exchange]:
        return [self._read, self._set]

    async def _read(self) -> str:
        before = self.instrument.attenuation
        found = await self.driver.attenuation()
        had = {before, self.instrument.attenuation}
        return "" if found in had else f"{found} dB read, not {had}"

    async def _set(self) -> str:
        wanted = (self.number * 7 + 1) % 353 * 0.25
        await self.driver.set_attenuation(wanted)
        had = self.instrument.attenuation
        return "" if had == wanted else f"{wanted} dB set without an error, it has {had} dB"


# --- relay boards -----------------------------------------------------------------------------------------------------


class RelaySubject(Subject):
    """The relays are others at every exchange, moved by hand or by the driver; the port comes back as another one."""

    faults = faulty_port.FAULTS
    errors: ClassVar[dict[str, Raised]] = {
        **dict.fromkeys(("late", "silent", "half-and-silent", "half-and-late"), (InstrumentTimeout,)),
        **dict.fromkeys(("garbage", "garbage-before-answer", "surplus", "flood"), (InstrumentError,)),
        "vanished": (InstrumentError,),
        "vanished-mid-answer": (InstrumentError,),
    }
    lingers = ("surplus", "garbage")
    left_errors = (InstrumentError,)

    def __init__(self, name: str, chance: random.Random) -> None:
        super().__init__(name, chance)
        self.states: list[frozenset[int]] = []

    def _answer(self, data: bytes) -> None:
        self.wire.answer(data)

    def _moved(self, on: frozenset[int]) -> None:
        self.states.append(on)

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        link = folder / "relays"
        garbage = (b"\xff\xfe\x80", b"relay read 0\n\r", b"on\n\r>", b"\n\r>", b"> >", b"\0\0", b"relay\n\roff\n\r>")
        self.board = RelayBoard(
            self._answer, self._moved, lambda *_, **__: None,
            identity="CAMPAIGN",
        )  # fmt: skip
        self.wire = faulty_port.FaultyPort(link, self.chance, garbage=garbage, late=PATIENCE, take=self.board.feed)
        extra: dict[str, object] = {} if self.name == "numato-lines" else {"reader": 0, "modem": 1, "settle": 0}
        self.board.on = frozenset({0})
        options = DriverOptions(name="relays", port=str(link), extra=extra)
        self.driver = await load_driver(self.name).open(options)
        try:
            yield
        finally:
            await self.driver.close()
            await self.wire.close()

    def change(self) -> None:
        self.board.on = frozenset(n for n in range(4) if self.chance.random() < 0.5)
        if self.name == "numato-relay":
            self.board.on = frozenset({self.chance.randrange(2)})
        self.states = [self.board.on]

    def exchanges(self) -> list[Exchange]:
        return [self._read, self._set] if self.name == "numato-lines" else [self._selected, self._select]

    async def _read(self) -> str:
        number = self.chance.randrange(2)
        found = await self.driver.line_on(str(number))
        had = {number in on for on in self.states}
        return "" if found in had else f"relay {number} is {found}, not {had}"

    async def _set(self) -> str:
        number, on = self.chance.randrange(2), self.chance.random() < 0.5
        await self.driver.set_line(str(number), on)
        return "" if (number in self.board.on) is on else f"relay {number} set {on} without an error, and it is not"

    async def _selected(self) -> str:
        found = await self.driver.selected()
        had = {"reader" if on == {0} else "modem" if on == {1} else "" for on in self.states}
        return "" if found in had else f"the card is at the {found}, not {had}"

    async def _select(self) -> str:
        place = self.chance.choice(("reader", "modem"))
        await self.driver.select(place)
        wanted = {0} if place == "reader" else {1}
        return "" if self.board.on == wanted else f"{place} selected without an error, relays {set(self.board.on)}"


# --- console ----------------------------------------------------------------------------------------------------------


class ConsoleSubject(Subject):
    """The device says another number each time it is asked. What comes late it says late: so that is no fault here."""

    faults = tuple(fault for fault in faulty_port.FAULTS if not fault.endswith("late"))
    errors: ClassVar[dict[str, Raised]] = {
        **dict.fromkeys(("silent", "half-and-silent", "garbage", "garbage-before-answer"), (DeviceFailure,)),
        **dict.fromkeys(("vanished", "vanished-mid-answer"), (DeviceFailure, InstrumentError)),
    }
    lingers = ("half-and-silent", "garbage", "surplus")
    left_errors = (DeviceFailure,)

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        garbage = (b"\xff\xfe\x80", b"value: \r\n", b"\0\0\0", b"\x1b[31m", b"value 1\r\n", b"value: -\n", b"ask\r")
        link = folder / "console"
        self._typed = b""
        self.wire = faulty_port.FaultyPort(link, self.chance, garbage=garbage, late=PATIENCE, take=self._take)
        extra = {"patterns": {"value": r"^value: (?P<n>\d+)$"}, "commands": {"ask": "ask {n}"}}
        self.driver = await load_driver("console").open(DriverOptions(name="app", port=str(link), extra=extra))
        try:
            yield
        finally:
            await self.driver.close()
            await self.wire.close()

    def _take(self, data: bytes) -> None:
        *lines, self._typed = (self._typed + data).split(b"\r")
        for line in lines:
            self.wire.answer(b"value: %s\r\n" % line.removeprefix(b"ask "))

    def change(self) -> None:
        self._typed = b""

    def exchanges(self) -> list[Exchange]:
        return [self._ask]

    async def _ask(self) -> str:
        wanted, after = str(100_000 + self.number), self.driver.mark()
        await self.driver.command("ask", n=wanted)
        found = await self.driver.wait("value", timeout=PATIENCE, after=after)
        return "" if found.values == {"n": wanted} else f"{found.values} was said, not {wanted}"


# --- the campaign -----------------------------------------------------------------------------------------------------

FAMILIES: Final[dict[str, Callable[[random.Random], list[Subject]]]] = {
    "scpi-supplies": lambda chance: [SupplySubject(case, _of(chance)) for case in supply_bench.CASES],
    "scpi-emulators": lambda chance: [EmulatorSubject(kind, _of(chance)) for kind in ("cmw500", "mt8821c", "uxm")],
    "amarisoft": lambda chance: [CallboxSubject("amarisoft", _of(chance)) for _ in range(1)],
    "relays": lambda chance: [RelaySubject(name, _of(chance)) for name in ("numato-lines", "numato-relay")],
    "console": lambda chance: [ConsoleSubject("console", _of(chance))],
    "rcdat": lambda chance: [AttenuatorSubject(way, _of(chance)) for way in ("http", "telnet")],
}


def _of(chance: random.Random) -> random.Random:
    """Return a source of its own for one driver, so that they may run side by side and yet be repeated."""
    return random.Random(chance.random())


@contextlib.contextmanager
def impatient(folder: Path) -> Any:
    """Shorten the deadlines that no option shortens, and have locks of one's own."""
    usual = [
        (remote_api, "ANSWER", PATIENCE), (remote_api, "CONNECT", 2 * PATIENCE),
        (rcdat, "ANSWER", PATIENCE), (rcdat, "BUSY", 2 * PATIENCE), (numato, "_ANSWER", PATIENCE),
        (scpi_emulator, "SWITCH", 0.5), (scpi_emulator, "POLL", 0.02), (mt8821c, "POLL", 0.02), (mt8821c, "_BUSY", 0.3),
    ]  # fmt: skip
    kept = [(module, name, getattr(module, name)) for module, name, _ in usual]
    locks = os.environ.get("BENCH_LOCKS")
    os.environ["BENCH_LOCKS"] = str(folder / "locks")
    for module, name, value in usual:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)
        os.environ.pop("BENCH_LOCKS")
        if locks is not None:
            os.environ["BENCH_LOCKS"] = locks


async def campaign(family: str, exchanges: int, share: float, seed: int, *, at_once: int = 3) -> dict[str, Any]:
    """Run one family of wire, ``exchanges`` in all, ``at_once`` drivers side by side; return the figures."""
    subjects = FAMILIES[family](random.Random(f"{seed} {family}"))
    each = -(-exchanges // len(subjects))
    places = asyncio.Semaphore(at_once)
    with tempfile.TemporaryDirectory() as name, impatient(Path(name)):

        async def bounded(index: int, subject: Subject) -> tuple[str, Outcome]:
            async with places:
                folder = Path(name) / str(index)
                folder.mkdir()
                return subject.name, await run(subject, each, share, folder)

        found = await asyncio.gather(*(bounded(index, subject) for index, subject in enumerate(subjects)))
    return report(dict(found))


def report(found: dict[str, Outcome]) -> dict[str, Any]:
    """Return the figures of a family: sums, and each driver."""
    outcomes = list(found.values())
    return {
        "exchanges": sum(out.exchanges for out in outcomes),
        "returned": sum(out.returned for out in outcomes),
        "faults": sum(sum(out.faults.values()) for out in outcomes),
        "wrong_values": sum(len(out.wrong) for out in outcomes),
        "unexpected": sum(len(out.unexpected) for out in outcomes),
        "errors": dict(sorted(sum((out.raised for out in outcomes), Counter()).items())),
        "longest": round(max(out.longest for out in outcomes), 3),
        "deadline": DEADLINE,
        "drivers": {name: out.report() for name, out in found.items()},
        "ok": not any(out.wrong or out.unexpected for out in outcomes),
    }


def main() -> int:
    """Print the figures; return 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--family", nargs="*", choices=sorted(FAMILIES), default=sorted(FAMILIES))
    parser.add_argument("--exchanges", type=int, default=10_000, help="of each family")
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    families: dict[str, Any] = {}
    began = time.monotonic()
    for family in given.family:
        start = time.monotonic()
        families[family] = asyncio.run(campaign(family, given.exchanges, given.share, given.seed))
        families[family]["seconds"] = round(time.monotonic() - start, 1)
    found = {
        "campaign": "instrument-faults",
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "seed": given.seed,
        "share": given.share,
        "seconds": round(time.monotonic() - began, 1),
        "families": families,
        "ok": all(family["ok"] for family in families.values()),
    }
    print(json.dumps(found, indent=1))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
