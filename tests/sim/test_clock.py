"""Both ends of the clock socket against a reference discrete-event simulation."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import InstrumentError
from bench.station.clock import PortCounter, SocketClock

from .clock_world import ClockWorld

NS = 1_000_000_000


@dataclass(frozen=True)
class Step:
    kind: str  # sleep, timeout, echo, busy
    first: int  # ns: the sleep, or the echo's delay
    limit: int  # ns


def reference(plans: list[list[Step]]) -> list[tuple[int, int, int, str]]:
    """What a discrete-event simulation of the plans gives: (time, task, step, outcome) in order of time."""
    expected = []
    for task, plan in enumerate(plans):
        now = 0
        for number, step in enumerate(plan):
            outcome = "done"
            if step.kind == "sleep":
                now += step.first
            elif step.kind != "busy":
                outcome = "done" if step.first <= step.limit else "timeout"
                now += min(step.first, step.limit)
            expected.append((now, task, number, outcome))
    return sorted(expected)


class Echo:
    """Client of the echo port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counter: PortCounter) -> None:
        self.writer, self.counter = writer, counter
        self.waiting: dict[bytes, asyncio.Future[None]] = {}
        self.task = asyncio.create_task(self._read(reader))

    @classmethod
    async def connect(cls, clock: SocketClock, path: str) -> Echo:
        counter = clock.port(path)
        reader, writer = await asyncio.open_unix_connection(path)
        return cls(reader, writer, counter)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.counter.received(len(line))
            future = self.waiting.pop(line.strip(), None)
            if future is not None and not future.done():
                future.set_result(None)

    async def ask(self, name: bytes, delay: int) -> None:
        future = self.waiting[name] = asyncio.get_running_loop().create_future()
        data = b"%s %d\n" % (name, delay)
        self.writer.write(data)
        self.counter.sent(len(data))
        await future

    async def close(self) -> None:
        self.task.cancel()
        self.writer.close()


async def play(world: ClockWorld, plans: list[list[Step]], parties: int) -> list[tuple[int, int, int, str]]:
    clocks = [await SocketClock.connect(world.clock_path, party=f"p{number}") for number in range(parties)]
    echoes = [await Echo.connect(clock, world.port_path) for clock in clocks]
    start = round(clocks[0].now() * NS)
    seen: list[tuple[int, int, int, str]] = []

    async def run(task: int, plan: list[Step]) -> None:
        clock, echo = clocks[task % parties], echoes[task % parties]
        for number, step in enumerate(plan):
            outcome = "done"
            if step.kind == "sleep":
                await clock.sleep(step.first / NS)
            elif step.kind == "busy":
                async with clock.timeout(1e-9):  # would be over at once if time moved
                    with clock.busy():
                        await asyncio.sleep(0.002)
            else:
                try:
                    async with clock.timeout(1e6), clock.limit(2e6), clock.timeout(step.limit / NS):
                        if step.kind == "timeout":
                            await clock.sleep(step.first / NS)
                        else:
                            await echo.ask(b"%d.%d" % (task, number), step.first)
                except TimeoutError:
                    outcome = "timeout"
            seen.append((round(clock.now() * NS) - start, task, number, outcome))

    async def party(number: int) -> None:
        try:
            await asyncio.gather(*(run(task, plan) for task, plan in enumerate(plans) if task % parties == number))
        finally:  # a party that has nothing more to wait for would hold time for all
            await echoes[number].close()
            await clocks[number].close()

    async with asyncio.timeout(30):
        await asyncio.gather(*(party(number) for number in range(parties)))
    return seen


def distinct(plans: list[list[tuple[str, int, int]]], seed: int) -> list[list[Step]]:
    """Make all moments distinct: the order of equal times is no property of the clock."""
    noise = random.Random(seed)
    # float seconds carry microseconds exactly enough: whole microseconds, spread
    return [
        [
            Step(kind, (a * 1000 + noise.randrange(1000)) * 1000, (b * 1000 + noise.randrange(1000)) * 1000)
            for kind, a, b in plan
        ]
        for plan in plans
    ]


steps = st.tuples(st.sampled_from(["sleep", "timeout", "echo", "busy"]), st.integers(1, 5000), st.integers(1, 5000))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(steps, min_size=1, max_size=6), min_size=1, max_size=6),
    st.integers(0, 1 << 30),
    st.integers(1, 3),
)
def test_same_order_and_times_as_a_reference_simulation(
    plans: list[list[tuple[str, int, int]]], seed: int, parties: int
) -> None:
    made = distinct(plans, seed)
    with ClockWorld() as world:
        seen = asyncio.run(play(world, made, parties))
    expected = reference(made)
    assert [(task, number, outcome) for _, task, number, outcome in seen if made[task][number].kind != "busy"] == [
        (task, number, outcome) for _, task, number, outcome in expected if made[task][number].kind != "busy"
    ]
    for got, want in zip(sorted(seen), expected, strict=True):
        assert abs(got[0] - want[0]) <= 20  # ns of float seconds
        assert got[1:] == want[1:]


def test_thousands_of_jumps_a_second() -> None:
    async def main(world: ClockWorld) -> float:
        clock = await SocketClock.connect(world.clock_path)
        echo = await Echo.connect(clock, world.port_path)
        begin = time.perf_counter()
        for number in range(500):
            await clock.sleep(1.0)
            async with clock.timeout(10):
                await echo.ask(b"%d" % number, NS)
        elapsed = time.perf_counter() - begin
        assert abs(clock.now() - 1000) < 1  # a little real time passed before the first party
        await echo.close()
        await clock.close()
        return elapsed

    with ClockWorld() as world:
        elapsed = asyncio.run(main(world))
        assert world.clock.stalls == 0
    assert elapsed < 5.0  # 1000 jumps; the margin is for a loaded machine


def test_time_stands_still_while_a_party_works() -> None:
    async def main(world: ClockWorld) -> None:
        clock = await SocketClock.connect(world.clock_path)
        other = await SocketClock.connect(world.clock_path, party="other")  # never waits: runs
        before = clock.now()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await clock.sleep(5)
        assert clock.now() == before
        await other.close()
        await clock.sleep(5)
        assert clock.now() == pytest.approx(before + 5)
        await clock.close()

    with ClockWorld() as world:
        asyncio.run(main(world))


def test_a_passive_limit_does_not_move_time_but_ends_with_it() -> None:
    async def main(world: ClockWorld) -> None:
        clock = await SocketClock.connect(world.clock_path)
        before = clock.now()
        async with clock.limit(5):
            await asyncio.sleep(0.1)  # real work
        assert clock.now() == before
        with pytest.raises(TimeoutError):
            async with clock.limit(5):
                await clock.sleep(7)
        assert clock.now() == pytest.approx(before + 5)
        await clock.close()

    with ClockWorld() as world:
        asyncio.run(main(world))


def test_a_deadline_beside_the_run_is_met_on_the_way_and_moves_nothing() -> None:
    async def main(world: ClockWorld) -> None:
        clock = await SocketClock.connect(world.clock_path)
        before = clock.now()
        looked: list[float] = []

        async def sample() -> None:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with clock.aside(0.1):
                        await asyncio.Event().wait()
                looked.append(clock.now() - before)

        sampler = asyncio.create_task(sample())
        await asyncio.sleep(0.05)  # real work: time stands still
        assert looked == []
        await clock.sleep(1.05)
        assert looked == [pytest.approx(0.1 * count) for count in range(1, 11)]
        assert clock.now() == pytest.approx(before + 1.05)
        sampler.cancel()
        await asyncio.gather(sampler, return_exceptions=True)
        await clock.close()

    with ClockWorld() as world:
        asyncio.run(main(world))


def test_nested_scopes_end_the_right_one() -> None:
    async def main(world: ClockWorld) -> None:
        clock = await SocketClock.connect(world.clock_path)
        inner = outer = False
        try:
            async with clock.timeout(5):
                try:
                    async with clock.timeout(3):
                        await clock.sleep(10)
                except TimeoutError:
                    inner = True
                await clock.sleep(10)
        except TimeoutError:
            outer = True
        assert (inner, outer) == (True, True)
        with pytest.raises(TimeoutError):
            async with clock.timeout(0):
                await asyncio.sleep(1)
        task = asyncio.create_task(clock.sleep(100))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await clock.close()

    with ClockWorld() as world:
        asyncio.run(main(world))


def test_unequal_counts_hold_time_for_the_stall_and_no_longer() -> None:
    async def main(world: ClockWorld) -> None:
        clock = await SocketClock.connect(world.clock_path)
        counter = clock.port(world.port_path)
        await clock.sleep(1)
        counter.sent(5)  # never written: the port was flushed, or someone else's
        begin = time.perf_counter()
        await clock.sleep(1)
        assert 0.45 < time.perf_counter() - begin < 10.0
        await clock.close()

    with ClockWorld() as world:
        asyncio.run(main(world))
        assert world.clock.stalls == 1


def test_the_end_of_the_world_is_an_instrument_error() -> None:
    async def main(world: ClockWorld) -> None:
        clock = await SocketClock.connect(world.clock_path)
        hold = await SocketClock.connect(world.clock_path, party="holds time")

        async def scope() -> None:
            async with clock.timeout(5):
                await asyncio.Event().wait()

        tasks = [asyncio.create_task(scope()), asyncio.create_task(clock.sleep(5))]
        await asyncio.sleep(0.05)
        await asyncio.to_thread(world.stop)
        for task in tasks:
            with pytest.raises(InstrumentError, match="gone"):
                await task
        with pytest.raises(InstrumentError):
            await clock.sleep(1)
        await hold.close()

    with ClockWorld() as world:
        asyncio.run(main(world))


def test_no_world_is_a_clear_error(tmp_path: object) -> None:
    with pytest.raises(InstrumentError, match="no clock"):
        asyncio.run(SocketClock.connect(f"{tmp_path}/nothing"))


@pytest.mark.parametrize("mode", ["real", "scaled:20"])
def test_running_modes(mode: str) -> None:
    async def main(world: ClockWorld) -> None:
        clock = await SocketClock.connect(world.clock_path)
        assert clock.mode == mode
        echo = await Echo.connect(clock, world.port_path)
        factor = 20 if mode.startswith("scaled") else 1
        begin, station = time.perf_counter(), clock.now()
        await clock.sleep(0.1 * factor)
        async with clock.timeout(5 * factor):
            await echo.ask(b"1", NS // 10 * factor)
        with pytest.raises(TimeoutError):
            async with clock.timeout(0.05 * factor):
                await echo.ask(b"2", NS * factor)
        real = time.perf_counter() - begin
        assert 0.24 < real < 2.0
        assert clock.now() - station == pytest.approx(real * factor, rel=0.2)
        await echo.close()
        await clock.close()

    with ClockWorld(mode) as world:
        asyncio.run(main(world))


def test_without_a_party_instant_time_is_real() -> None:
    with ClockWorld() as world:
        before = world.kernel.now
        time.sleep(0.1)
        assert 0.09 < world.kernel.now - before < 1.0
