"""The private pcscd with scripted cards, and the driver over it. One socket a process: libpcsclite wants it so."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bench.station.clock import Clock
from bench.station.drivers import DriverOptions
from bench.trace.lane import Direction, Lane
from fixtures.sim.pcsc import Readers
from instruments.reader.pcsc import PcscReader

ATR = bytes.fromhex("3B9F96803FC7828031E073FE21176742454E43483031" + "3D")
ISD_R = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
REFRESH = bytes.fromhex("D009810301010482028182")
MORE_TIME = bytes.fromhex("D009810301020082028182")
DISPLAY_TEXT = bytes.fromhex("D009810301218082028102")

CSOCK = Path(tempfile.gettempdir()) / f"esim-pcsc-test-{os.getpid()}" / "pcscd"
"""Of this process: libpcsclite reads the name once. The folder is there while readers are."""


class ScriptedCard:
    """A T=0 card with logical channels, ISD-R, long answers by 61xx, and proactive commands on demand."""

    def __init__(self, *, atr: bytes = ATR) -> None:
        self.atr = atr
        self.commands: list[bytes] = []
        self.powers: list[str] = []
        self.channels: set[int] = set()
        self.proactive: list[bytes] = []
        """Commands that wait to be fetched."""
        self.refuse_fetch = False
        self.hidden = False
        """ISD-R shows itself only after TERMINAL CAPABILITY."""
        self.answer: bytes = b"\x90\x00"
        self.waiting = b""
        self.on_command: Callable[[bytes], None] = lambda command: None
        self._introduced = False

    def power_on(self) -> bytes:
        self.powers.append("on")
        self._introduced = False
        self.channels.clear()
        self.proactive.clear()
        self.waiting = b""
        return self.atr

    def power_off(self) -> None:
        self.powers.append("off")

    def transmit(self, command: bytes) -> bytes:
        self.commands.append(command)
        self.on_command(command)
        answer = self._answer(command)
        if answer == b"\x90\x00" and self.proactive and command[1] != 0x12:
            return bytes((0x91, len(self.proactive[0])))
        return answer

    def _answer(self, command: bytes) -> bytes:
        _, ins, p1, p2 = command[:4]
        if ins == 0xAA:
            self._introduced = True
            return b"\x90\x00"
        if ins == 0x70 and p1 == 0:
            free = next((number for number in (1, 2, 3) if number not in self.channels), None)
            if free is None:
                return b"\x6a\x81"
            self.channels.add(free)
            return bytes((free,)) + b"\x90\x00"
        if ins == 0x70:
            self.channels.discard(p2)
            return b"\x90\x00"
        if ins == 0x12:
            return b"\x6f\x00" if self.refuse_fetch or not self.proactive else self.proactive[0] + b"\x90\x00"
        if ins == 0x14:
            self.proactive.pop(0)
            return b"\x90\x00"
        if ins == 0xA4:
            if self.hidden and not self._introduced:
                return b"\x6a\x82"
            self.waiting = b"\x6f\x04\x84\x02\xa0\x00"
            return b"\x61\x06"
        if ins == 0xC0:
            size = command[4] or 256
            part, self.waiting = self.waiting[:size], self.waiting[size:]
            return part + (bytes((0x61, min(len(self.waiting), 256) & 0xFF)) if self.waiting else b"\x90\x00")
        if ins == 0xCB:  # P1 P2: so many bytes of answer
            self.waiting = bytes(n & 0xFF for n in range(p1 << 8 | p2))
            return bytes((0x61, min(len(self.waiting), 256) & 0xFF))
        return self.answer


class KeptLane:
    """A lane that keeps its packets."""

    def __init__(self) -> None:
        self.name = "apdu:card"
        self.packets: list[tuple[Direction, bytes]] = []

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        self.packets.append((direction, bytes(data)))

    @property
    def sent(self) -> list[bytes]:
        return [data for direction, data in self.packets if direction is Direction.SENT]


@contextlib.asynccontextmanager
async def readers(*cards: ScriptedCard | None) -> AsyncIterator[Readers]:
    """Run pcscd with a reader for each card; None for an empty one."""
    CSOCK.parent.mkdir(mode=0o700, exist_ok=True)
    made = Readers(len(cards), CSOCK, "test", lambda what, **fields: None)
    try:
        for slot, card in zip(made.slots, cards, strict=True):
            if card is not None:
                slot.insert(card)
        await made.start()
        yield made
    finally:
        made.close()
        CSOCK.parent.rmdir()


def options(resource: str, lane: Lane | None = None, clock: Clock | None = None, **extra: Any) -> DriverOptions:
    more: dict[str, Any] = {} if clock is None else {"clock": clock}
    return DriverOptions(
        name="reader",
        driver="pcsc",
        resource=resource,
        apdu_lane=lane or KeptLane(),
        extra={"pcsclite_csock": str(CSOCK), **extra},
        origin="bench.toml:7",
        **more,
    )


@contextlib.asynccontextmanager
async def reader(made: Readers, lane: Lane | None = None, *, slot: int = 0, **extra: Any) -> AsyncIterator[PcscReader]:
    """Open the driver on a slot."""
    opened = await PcscReader.open(options(made.slots[slot].name, lane, **extra))
    try:
        yield opened
    finally:
        await opened.close()


def run(test: Callable[[], Any], *, deadline: float = 20.0) -> None:
    """Run an async test with a deadline."""

    async def limited() -> None:
        async with asyncio.timeout(deadline):
            await test()

    asyncio.run(limited())


async def until(condition: Callable[[], bool]) -> None:
    """Give the other side its turns until it has done something; the test's deadline limits it."""
    while not condition():  # noqa: ASYNC110 - what happens in pcscd sets no event of ours
        await asyncio.sleep(0.001)
