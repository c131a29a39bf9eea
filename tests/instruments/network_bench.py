"""Simulated emulators in this process, on real sockets, with a driver each: what the network tests have in common."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from instrument_doubles import MemoryLane

from bench.station.drivers import DriverOptions, load_driver
from fixtures.sim import emulators
from fixtures.sim.clock import WorldClock
from fixtures.sim.emulator_side import DeviceSide
from fixtures.sim.kernel import Kernel, Streams
from fixtures.sim.milenage import Subscriber
from fixtures.sim.network import Cell, Network
from fixtures.sim.worldlog import WorldLog

IMSI, IMEI = "001010000000001", "490154203237518"
TARGETS = {
    "cmw500": "instruments.network.cmw500:RsCmw500",
    "mt8821c": "instruments.network.mt8821c:AnritsuMt8821c",
    "uxm": "instruments.network.uxm:KeysightUxm",
    "amarisoft": "instruments.network.amarisoft:AmarisoftCallbox",
}


@dataclass
class Done:
    """What the emulator did to the device."""

    paged: list[int] = field(default_factory=list)
    detached: list[int] = field(default_factory=list)
    messages: list[tuple[int, str]] = field(default_factory=list)

    def message(self, cell: Cell, text: str) -> bool:
        self.messages.append((cell.number, text))
        return True


@dataclass
class Emulated:
    """An emulator that listens. ``state`` is what the cell shows of the device: ON, ATT, CEST."""

    kind: str
    network: Network
    server: Any
    done: Done
    state: str = "ON"

    @property
    def cells(self) -> tuple[int, ...]:
        return tuple(cell.number for cell in self.network.cells)

    def attach(self, cell: int = 1, *, connected: bool = False) -> str:
        """Attach the device and return its address."""
        found = self.network.cell(cell)
        self.state = "CEST" if connected else "ATT"
        return self.network.attach(found, next(iter(found.hss.values())), IMEI, "bootstrap.iot").address

    def options(self, lane: MemoryLane | None = None, **changes: Any) -> DriverOptions:
        extra = changes.pop("extra", {})
        told = self.server.announcement()
        if self.kind == "amarisoft":
            extra = {"mme": told["mme"], "full_power": -85.0, "apn": "bootstrap.iot", **extra}
        given = {"resource": told["resource"], "cells": self.cells, **changes}
        return DriverOptions(
            name="emu", driver=told["driver"], lane=lane or MemoryLane("scpi:emu"), extra=extra, **given
        )

    async def open(self, lane: MemoryLane | None = None, **changes: Any) -> Any:
        return await load_driver(TARGETS[self.kind]).open(self.options(lane, **changes))

    def safe_options(self) -> dict[str, Any]:
        return {"resource": self.server.announcement()["resource"], "cells": list(self.cells)}


@contextlib.asynccontextmanager
async def emulated(kind: str, folder: Path, *, cells: int = 2, start: float = 0.05) -> AsyncIterator[Emulated]:
    """An emulator of ``kind`` with ``cells`` cells that are off, each with one subscriber."""
    kernel = Kernel()
    log = WorldLog(kernel, None)
    clock = WorldClock(kernel, "real")
    network = Network(kernel, Streams(0), log)
    network.start_time = start
    for number, plmn in enumerate(("00101", "99970")[: min(cells, emulators.CELLS[kind])], 1):
        cell = Cell(number, plmn, tac=number)
        cell.hss[IMSI] = Subscriber(IMSI, bytes(16), bytes(16), ("bootstrap.iot",))
        network.cells.append(cell)
    done = Done()
    made = Emulated(kind, network, None, done)
    side = DeviceSide(
        lambda cell: done.detached.append(cell.number), lambda cell: done.paged.append(cell.number), done.message
    )
    made.server = emulators.make(kind, network, clock, lambda cell: made.state if cell.ues else "ON", log, side)
    await clock.start(folder / "clock", folder / "now")
    await made.server.start()
    try:
        yield made
    finally:
        made.server.close()
        await clock.close()


def run(body: Any, *, seconds: float = 30.0) -> Any:
    """Run a test's coroutine function within a deadline."""

    async def bounded() -> Any:
        async with asyncio.timeout(seconds):
            return await body()

    return asyncio.run(bounded())
