"""What power samples are tested on: a clock that moves when it is told to, a supply, and a sampler beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bench.engine.sampler import Sampler
from bench.run.samples import Samples, SampleWriter, read
from bench.station.clock import RealClock
from bench.station.interfaces import Identity, PowerCycle, Reading, SafeAction


class Clock(RealClock):
    """Station time of whole nanoseconds that jumps from deadline to deadline, as that of a simulated world."""

    mode = "instant"

    def __init__(self, start_ns: int = 5_000_000_000) -> None:
        self.ns = start_ns
        self.waits: list[tuple[int, asyncio.Timeout]] = []

    def now(self) -> float:
        return self.ns / 1e9

    async def sleep(self, seconds: float) -> None:
        until = self.ns + round(seconds * 1e9)
        await self.settle()
        while self.ns < until:
            self.ns = min([until, *(max(at, self.ns) for at, _ in self.waits)])
            for due in [wait for wait in self.waits if wait[0] <= self.ns]:
                due[1].reschedule(asyncio.get_running_loop().time())
                self.waits.remove(due)
            await self.settle()

    async def settle(self) -> None:
        """Let everybody do what there is to do at this moment: no task here waits for anything outside."""
        for _ in range(30):
            await asyncio.sleep(0)

    @asynccontextmanager
    async def aside(self, seconds: float | None) -> AsyncIterator[None]:
        assert seconds is not None
        until = self.ns + round(seconds * 1e9)
        assert until > self.ns, "a wait for no time at all comes back without time having passed, for ever"
        async with asyncio.timeout(None) as timeout:
            wait = (until, timeout)
            self.waits.append(wait)
            try:
                yield
            finally:
                if wait in self.waits:
                    self.waits.remove(wait)


class Supply:
    """A supply whose measurements do what a test says."""

    def __init__(self, clock: RealClock) -> None:
        self.identity = Identity("Double", "Supply", "1")
        self.clock = clock
        self.on = False
        self.behaviour: Callable[[], Awaitable[Reading]] | None = None
        self.busy = 0
        self.most_at_a_time = 0
        self.measured = 0
        self.extra = "beyond the interface"

    @asynccontextmanager
    async def _use(self) -> AsyncIterator[None]:
        self.busy += 1
        self.most_at_a_time = max(self.most_at_a_time, self.busy)
        try:
            yield
        finally:
            self.busy -= 1

    async def set_output(self, on: bool) -> None:
        async with self._use():
            await asyncio.sleep(0)
            self.on = on

    async def output(self) -> bool:
        async with self._use():
            return self.on

    async def set_voltage(self, voltage: float) -> None:
        async with self._use():
            await asyncio.sleep(0)

    async def set_current_limit(self, current: float) -> None:
        async with self._use():
            await asyncio.sleep(0)

    async def measure(self) -> Reading:
        async with self._use():
            self.measured += 1
            if self.behaviour is not None:
                return await self.behaviour()
            await asyncio.sleep(0)
            return Reading(4.0, 0.5) if self.on else Reading(0.0, 0.0)

    async def wait_dead(self, *, timeout: float) -> float:
        async with self._use():
            await asyncio.sleep(0)
            return 0.0

    async def cycle(self, *, hold: float = 2.0, timeout: float = 30.0) -> PowerCycle:
        async with self._use():
            self.on = False
            await self.clock.sleep(hold)
            self.on = True
            return PowerCycle(0.0, hold)

    def safe_action(self) -> SafeAction:
        return SafeAction("power.off", "double", {})

    async def close(self) -> None:
        pass


class Bed:
    """A sampler with its supply, clock and file."""

    def __init__(self, folder: Path, clock: RealClock, interval: float) -> None:
        self.supply = Supply(clock)
        self.clock = clock
        self.folder = folder
        self.warnings: list[str] = []
        self.sampler = Sampler(self.supply, clock, interval=interval, writer=self.writer, warn=self.warnings.append)

    def writer(self, start: float) -> SampleWriter:
        return SampleWriter.create(
            self.folder, "psu", start=start, wall_ns=time.time_ns(), interval=1.0, supply={}, channel=1
        )

    @property
    def samples(self) -> Samples:
        return read(self.folder / "power-psu.f32")


def bed(folder: Path, clock: RealClock | None = None, interval: float = 1.0) -> Bed:
    return Bed(folder, clock or Clock(), interval)
