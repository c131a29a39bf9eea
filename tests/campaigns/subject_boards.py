"""The small ones in a campaign: the step attenuator, relay boards, the device's console."""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import faulty_port  # type: ignore[import-not-found] # no installed package
import faulty_wire  # type: ignore[import-not-found]
from exchanges import Exchange, Raised  # type: ignore[import-not-found]
from subject import ERRORS, NO_LINES, PATIENCE, Subject  # type: ignore[import-not-found]

from bench.errors import DeviceFailure, InstrumentError, InstrumentTimeout
from bench.station.drivers import DriverOptions, load_driver
from fixtures.sim.emulator_attenuator import AttenuatorServer, Rcdat
from fixtures.sim.kernel import Kernel, Streams
from fixtures.sim.network import Cell, Network
from fixtures.sim.relays import RelayBoard
from fixtures.sim.worldlog import WorldLog
from instruments.scpi.parse import AnswerError

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
        **dict.fromkeys(("vanished", "vanished-mid-answer", "rebooted", "taken"), (InstrumentError,)),
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

    def _lose(self) -> None:
        """Let go of every relay, as a board does whose USB power went."""
        self.board.on = frozenset()
        self.states.append(self.board.on)

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        link = folder / "relays"
        garbage = (b"\xff\xfe\x80", b"relay read 0\n\r", b"on\n\r>", b"\n\r>", b"> >", b"\0\0", b"relay\n\roff\n\r>")
        self.board = RelayBoard(
            self._answer, self._moved, lambda *_, **__: None,
            identity="CAMPAIGN",
        )  # fmt: skip
        self.wire = faulty_port.FaultyPort(
            link, self.chance, garbage=garbage, late=PATIENCE, take=self.board.feed, reboot=self._lose
        )
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
    """The device says another number each time it is asked; what it says late is what it says then, and no fault."""

    faults = tuple(fault for fault in faulty_port.FAULTS if not fault.endswith("late"))
    errors: ClassVar[dict[str, Raised]] = {
        **dict.fromkeys(("silent", "half-and-silent", "garbage", "garbage-before-answer"), (DeviceFailure,)),
        **dict.fromkeys(("vanished", "vanished-mid-answer", "rebooted", "taken"), (DeviceFailure, InstrumentError)),
    }
    lingers = ("half-and-silent", "garbage", "surplus")
    left_errors = (DeviceFailure,)

    @contextlib.asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[None]:
        garbage = (b"\xff\xfe\x80", b"value: \r\n", b"\0\0\0", b"\x1b[31m", b"value 1\r\n", b"value: -\n", b"ask\r")
        link = folder / "console"
        self._typed = b""
        self._said: deque[bytes] = deque(maxlen=3)
        """What was said in the exchanges before."""
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
        # An answer that nobody waited for any longer may be read only now.
        self._said.append(self.wire.written)
        self.wire.written = b""
        wanted, after = str(100_000 + self.number), self.driver.mark()
        await self.driver.command("ask", n=wanted)
        found = await self.driver.wait("value", timeout=PATIENCE, after=after)
        said = b"".join((*self._said, self.wire.written))
        whole = f"value: {found.values['n']}\r".encode()  # CR alone ends a line, too
        return "" if whole in said else f"{found.values} is nothing that was said, but {said!r}"
