"""Network emulators in a campaign: those with a SCPI interface, and the Amarisoft Callbox."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import faulty_wire  # type: ignore[import-not-found]
import network_bench  # type: ignore[import-not-found]
from exchanges import Exchange, Raised  # type: ignore[import-not-found]
from subject import ERRORS, NO_LINES, PATIENCE, Subject  # type: ignore[import-not-found]

from bench.errors import InstrumentTimeout
from fixtures.sim.milenage import Subscriber
from instruments.scpi.link import ConnectionLost
from instruments.scpi.parse import AnswerError


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
