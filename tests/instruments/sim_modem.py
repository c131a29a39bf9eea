"""A simulated modem of any model, its world in a thread of this process, with a driver opened on its port."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from instrument_doubles import MemoryLane

from bench.station.clock import SocketClock
from bench.station.drivers import DriverOptions
from bench.station.interfaces import PowerCycle
from fixtures.sim.at_models import MODELS
from fixtures.sim.world import World, WorldOptions
from instruments.modem.modem import AtModem

T = TypeVar("T")


class WorldThread:
    """A world on an event loop of its own: its clock stops the loop that it runs on, so it is never the driver's."""

    def __init__(self, options: WorldOptions) -> None:
        self._options = options
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        try:
            self.world = World(self._options)
            self.announcement = await self.world.start()
        except BaseException as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        try:
            await self._end.wait()
        finally:
            await self.world.close()

    def __enter__(self) -> WorldThread:
        self._thread.start()
        assert self._ready.wait(30.0)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30.0)
        assert not self._thread.is_alive()

    async def do(self, action: Callable[[World], T]) -> T:
        """Do something to the world, on its own loop."""

        async def there() -> T:
            return action(self.world)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), self.loop))


@dataclass
class Bench:
    """What a test has. ``world`` is only looked at from here; ``do`` changes it."""

    thread: WorldThread
    modem: AtModem
    clock: SocketClock

    @property
    def world(self) -> World:
        return self.thread.world

    async def do(self, action: Callable[[World], T]) -> T:
        with self.clock.busy():  # station time must not jump over what is done outside of it
            return await self.thread.do(action)

    async def cycle(self, *, hold: float = 2.0, timeout: float = 30.0) -> PowerCycle:
        """The supply as far as ``recover`` asks it."""
        await self.do(lambda world: world.channel.switch(False, "test"))
        await self.clock.sleep(hold)
        await self.do(lambda world: world.channel.switch(True, "test"))
        return PowerCycle(0.1, hold)


@contextlib.asynccontextmanager
async def bench(
    home: Path, model: str, *, driver: type[AtModem] = AtModem, extra: Any = None, **options: Any
) -> AsyncIterator[Bench]:
    """Start a world with this model, switch its supply on, and open a driver on its port."""
    chosen = WorldOptions(
        home, station=f"m-{model}", modem=model, rat=MODELS[model].rats[0].lower(), profile="unit", pace=0, **options
    )
    with WorldThread(chosen) as thread:
        parts = thread.announcement["stations"][chosen.station]["modem"]
        clock = await SocketClock.connect(thread.announcement["clock"])
        modem = await driver.open(
            DriverOptions(
                name="modem",
                port=parts["port"],
                lane=MemoryLane("at:modem"),
                apdu_lane=MemoryLane("apdu:card"),
                clock=clock,
                extra=extra if extra is not None else {"second_port": parts["second_port"]},
            )
        )
        try:
            found = Bench(thread, modem, clock)
            await found.do(lambda world: world.channel.rail.configure(voltage=3.8, limit=2.0))
            await found.do(lambda world: world.channel.switch(True, "test"))
            yield found
        finally:
            await modem.close()
            await clock.close()


def run(body: Any, *, within: float = 60.0) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(within):
            return await body()

    return asyncio.run(bounded())
