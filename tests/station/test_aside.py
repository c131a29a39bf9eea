"""Deadlines beside the run (``Clock.aside``) against a scripted world: time neither moves nor waits for them."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bench.station.clock import RealClock, SocketClock


class World:
    """The clock socket of a world that does nothing but what a test says."""

    def __init__(self, folder: Path, *, offers: bool) -> None:
        self.path = folder / "clock"
        self.shm = folder / "now"
        self.offers = offers
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._writer: asyncio.StreamWriter | None = None
        self.set(1_000_000_000)

    def set(self, now_ns: int) -> None:
        with self.shm.open("r+b" if self.shm.exists() else "wb") as file:
            file.write(struct.pack("<q", now_ns))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        while line := await reader.readline():
            message = json.loads(line)
            if message["op"] == "hello":
                more = {"aside": True} if self.offers else {}
                hello = {"mode": "instant", "factor": 1.0, "now_ns": 1_000_000_000, "shm": str(self.shm), **more}
                writer.write(json.dumps(hello).encode() + b"\n")
            else:
                await self.messages.put(message)

    async def waiting(self) -> dict[str, Any]:
        """Return the next announcement that the party waits."""
        while True:
            message = await self.messages.get()
            if message["op"] == "wait":
                return message

    def wake(self, now_ns: int) -> None:
        assert self._writer is not None
        self.set(now_ns)
        self._writer.write(b'{"op":"wake","id":0}\n')


def in_two_loops(folder: Path, offers: bool, party: Callable[[SocketClock], Awaitable[None]], script: Any) -> None:
    """Run the world in a thread of its own: the party's loop must be able to block."""
    import threading

    ready = threading.Event()
    world = World(folder, offers=offers)
    failures: list[BaseException] = []

    async def serve() -> None:
        server = await asyncio.start_unix_server(world.serve, str(world.path))
        ready.set()
        async with server, asyncio.timeout(10):
            await script(world)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(5)

    async def take_part() -> None:
        clock = await SocketClock.connect(world.path)
        async with asyncio.timeout(10):
            await party(clock)
        await clock.close()

    try:
        asyncio.run(take_part())
    finally:
        thread.join(15)
    assert not failures, failures


async def _expires(clock: SocketClock, seconds: float, log: list[float]) -> None:
    try:
        async with clock.aside(seconds):
            await asyncio.Event().wait()
    except TimeoutError:
        log.append(clock.now())


def test_it_is_announced_apart_and_ends_when_the_world_wakes_for_it(tmp_path: Path) -> None:
    log: list[float] = []

    async def party(clock: SocketClock) -> None:
        aside = asyncio.create_task(_expires(clock, 1.5, log))
        await clock.sleep(10.0)
        assert log == [2.5]
        await aside

    async def script(world: World) -> None:
        message = await world.waiting()
        assert message["until_ns"] == 11_000_000_000  # time moves for the sleep, not for what is beside it
        assert message["aside_ns"] == 2_500_000_000
        world.wake(2_500_000_000)
        message = await world.waiting()
        assert message["until_ns"] == 11_000_000_000
        assert "aside_ns" not in message
        world.wake(11_000_000_000)

    in_two_loops(tmp_path, True, party, script)


def test_a_world_that_does_not_know_of_it_is_not_told_and_it_ends_late(tmp_path: Path) -> None:
    log: list[float] = []

    async def party(clock: SocketClock) -> None:
        aside = asyncio.create_task(_expires(clock, 1.5, log))
        await clock.sleep(3.0)
        await clock.sleep(3.0)
        assert log == [4.0]
        await aside

    async def script(world: World) -> None:
        for deadline in (4_000_000_000, 7_000_000_000):
            message = await world.waiting()
            assert message["until_ns"] == deadline
            assert "aside_ns" not in message
            world.wake(deadline)

    in_two_loops(tmp_path, False, party, script)


def test_alone_it_does_not_count_as_waiting(tmp_path: Path) -> None:
    log: list[float] = []

    async def party(clock: SocketClock) -> None:
        aside = asyncio.create_task(_expires(clock, 0.001, log))
        await asyncio.sleep(0.1)  # real work: station time stands still
        assert log == []
        aside.cancel()
        with pytest.raises(asyncio.CancelledError):
            await aside
        await clock.sleep(1.0)

    async def script(world: World) -> None:
        message = await world.waiting()
        assert message["until_ns"] == 2_000_000_000
        assert "aside_ns" not in message
        assert world.messages.empty()
        world.wake(2_000_000_000)

    in_two_loops(tmp_path, True, party, script)


def test_in_real_time_it_is_a_timeout() -> None:
    async def run() -> float:
        clock = RealClock()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with clock.aside(0.02):
                await asyncio.Event().wait()
        return time.monotonic() - began

    assert asyncio.run(run()) < 1
