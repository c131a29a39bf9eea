"""Power samples beside a recipe: they come, they break where they must, and nothing waits for them."""

from __future__ import annotations

import asyncio
import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError, InstrumentError
from bench.station.clock import RealClock
from bench.station.interfaces import Reading

from .sampler_bed import Bed, Clock, bed


def test_samples_come_at_their_interval_while_the_output_is_on(tmp_path: Path) -> None:
    async def run() -> Bed:
        b = bed(tmp_path)
        async with b.sampler.running():
            await b.clock.sleep(3.0)
            assert not b.supply.measured  # off
            await b.sampler.supply.set_output(True)
            await b.clock.sleep(10.5)
            await b.sampler.supply.set_output(False)
            await b.clock.sleep(5.0)
        return b

    b = asyncio.run(run())
    assert [round(t, 6) for t in b.samples.times] == [8.0 + n for n in range(11)] + [18.5]
    assert math.isnan(b.samples.volts[-1])  # where it was switched off
    figures = b.samples.statistics()
    assert figures.energy == pytest.approx(4.0 * 0.5 * 10.0)
    assert (figures.gaps, figures.samples) == (0, 11)
    assert b.warnings == []


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**13), st.floats(0.05, 3.0), st.lists(st.floats(0.001, 4.0), min_size=1, max_size=12))
def test_no_wait_is_ever_for_no_time_at_all(
    tmp_path_factory: pytest.TempPathFactory, start_ns: int, interval: float, sleeps: list[float]
) -> None:
    """Floats of seconds against whole nanoseconds: a wait for the last digit would never end (asserted in Clock)."""

    async def run() -> Bed:
        b = bed(tmp_path_factory.mktemp("s"), Clock(start_ns), interval)
        async with asyncio.timeout(20), b.sampler.running():
            await b.sampler.supply.set_output(True)
            for seconds in sleeps:
                await b.clock.sleep(seconds)
        return b

    b = asyncio.run(run())
    expected = sum(sleeps) / interval
    assert expected - 3 <= len(b.samples.times) <= expected + 3
    assert b.samples.statistics().gaps == 0


def test_an_output_that_is_on_already_is_sampled_from_the_start(tmp_path: Path) -> None:
    async def run() -> Bed:
        b = bed(tmp_path)
        b.supply.on = True
        async with b.sampler.running():
            await b.clock.sleep(3.5)
        return b

    assert len(asyncio.run(run()).samples.times) == 4


def test_a_power_cycle_breaks_the_curve_and_is_not_disturbed(tmp_path: Path) -> None:
    async def run() -> Bed:
        b = bed(tmp_path)
        await b.sampler.supply.set_output(True)
        async with b.sampler.running():
            await b.clock.sleep(2.5)
            await b.sampler.supply.cycle(hold=5.0)
            await b.clock.sleep(2.5)
        return b

    b = asyncio.run(run())
    figures = b.samples.statistics()
    assert figures.off == pytest.approx(5.0, abs=0.1)
    assert figures.energy == pytest.approx(2.0 * 2 * 2.0, rel=0.01)
    assert b.supply.most_at_a_time == 1


def test_the_recipes_own_readings_are_samples_but_not_those_of_a_dead_rail(tmp_path: Path) -> None:
    async def run() -> Bed:
        b = bed(tmp_path, interval=100.0)
        supply = b.sampler.supply
        async with b.sampler.running():
            await supply.measure()
            await supply.set_output(True)
            await b.clock.sleep(1.0)
            await supply.measure()
            await supply.set_output(False)
            await b.clock.sleep(7.0)
            await supply.measure()
            await supply.set_output(True)
            await b.clock.sleep(1.0)
        return b

    figures = asyncio.run(run()).samples.statistics()
    assert figures.samples == 3
    assert figures.off == pytest.approx(7.0)
    assert figures.energy == pytest.approx(2.0)


def test_failed_measurements_are_gaps_ever_rarer_and_told_once(tmp_path: Path) -> None:
    async def broken() -> Reading:
        raise InstrumentError("no answer", where="psu")

    async def run() -> Bed:
        b = bed(tmp_path)
        await b.sampler.supply.set_output(True)
        async with b.sampler.running():
            await b.clock.sleep(2.5)
            b.supply.behaviour = broken
            await b.clock.sleep(100.0)
            failed, b.supply.behaviour = b.supply.measured, None
            await b.clock.sleep(130.0)
            assert b.supply.measured > failed + 35  # it answers again, and is asked as before
        return b

    b = asyncio.run(run())
    gaps = b.samples.statistics().gaps
    assert 5 <= gaps <= 8
    assert b.sampler.gaps == gaps
    assert len(b.warnings) == 1
    assert "no answer" in b.warnings[0]


def test_a_driver_that_raises_anything_ends_nothing(tmp_path: Path) -> None:
    async def mad() -> Reading:
        raise ZeroDivisionError("of the driver")

    async def run() -> Bed:
        b = bed(tmp_path)
        b.supply.behaviour = mad
        await b.sampler.supply.set_output(True)
        async with b.sampler.running():
            await b.clock.sleep(10.0)
        return b

    b = asyncio.run(run())
    assert b.sampler.gaps >= 3
    assert "of the driver" in b.warnings[0]


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_measurement_that_hangs_delays_nobody(tmp_path: Path, stubborn: bool) -> None:
    """Neither the recipe's use of the supply nor the end of the run, even when it does not let itself be cancelled."""
    over = False

    async def hang(begun: asyncio.Event) -> Reading:
        begun.set()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if over or not stubborn:
                    raise

    async def run() -> tuple[float, float]:
        nonlocal over
        b = bed(tmp_path, RealClock(), 0.01)
        begun = asyncio.Event()
        b.supply.behaviour = lambda: hang(begun)
        await b.sampler.supply.set_output(True)
        async with b.sampler.running():
            await begun.wait()
            before = time.monotonic()
            await b.sampler.supply.set_output(False)
            switched = time.monotonic() - before
            assert b.supply.on is False
            before = time.monotonic()
        ended = time.monotonic() - before
        over = True
        return switched, ended

    switched, ended = asyncio.run(run())
    assert switched < 0.5
    assert ended < 0.5


def test_stop_is_at_once_and_for_good(tmp_path: Path) -> None:
    async def run() -> Bed:
        b = bed(tmp_path)
        await b.sampler.supply.set_output(True)
        async with b.sampler.running():
            await b.clock.sleep(2.5)
            b.sampler.stop()
            before = b.supply.measured
            await b.clock.sleep(10.0)
            assert b.supply.measured == before
            await b.sampler.supply.measure()  # the teardown's own use of the supply goes on
            await b.sampler.supply.set_output(False)
        return b

    assert len(asyncio.run(run()).samples.times) == 3


def test_what_goes_wrong_in_the_recipe_leaves_as_it_is(tmp_path: Path) -> None:
    async def run() -> None:
        b = bed(tmp_path)
        async with b.sampler.running():
            raise KeyError("of the recipe")

    with pytest.raises(KeyError, match="of the recipe"):
        asyncio.run(run())

    async def cancelled() -> None:
        b = bed(tmp_path, RealClock())

        async def job() -> None:
            async with b.sampler.running():
                await asyncio.sleep(3600)

        task = asyncio.create_task(job())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_a_disk_that_is_full_ends_the_samples_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> Bed:
        b = bed(tmp_path)
        await b.sampler.supply.set_output(True)
        async with b.sampler.running():
            await b.clock.sleep(2.5)
            monkeypatch.setattr(os, "write", lambda fd, data: (_ for _ in ()).throw(OSError(28, "No space left")))
            await b.clock.sleep(20.0)
            monkeypatch.undo()
        return b

    b = asyncio.run(run())
    assert len(b.samples.times) == 3
    assert len(b.warnings) == 1
    assert "No space left" in b.warnings[0]


def test_a_folder_that_takes_no_file_ends_the_samples_only(tmp_path: Path) -> None:
    async def run() -> Bed:
        b = bed(tmp_path / "nowhere")
        await b.sampler.supply.set_output(True)
        async with b.sampler.running():
            await b.clock.sleep(20.0)
        return b

    assert len(asyncio.run(run()).warnings) == 1


def test_an_output_that_did_not_follow_is_asked_again(tmp_path: Path) -> None:
    async def run() -> Bed:
        b = bed(tmp_path)
        supply = b.sampler.supply
        await supply.set_output(True)

        async def refuse(on: bool) -> None:
            raise InstrumentError("the output stays on")

        async with b.sampler.running():
            await b.clock.sleep(1.5)
            b.supply.set_output = refuse  # type: ignore[method-assign]
            with pytest.raises(BenchError, match="stays on"):
                await supply.set_output(False)
            await b.clock.sleep(2.5)
        return b

    samples = asyncio.run(run()).samples
    assert [math.isnan(v) for v in samples.volts] == [False, False, True, False, False, False]


def test_a_trip_is_seen_when_the_recipe_asks(tmp_path: Path) -> None:
    async def run() -> Bed:
        b = bed(tmp_path)
        await b.sampler.supply.set_output(True)
        async with b.sampler.running():
            await b.clock.sleep(1.5)
            b.supply.on = False  # a protection tripped
            assert await b.sampler.supply.output() is False
            before = b.supply.measured
            await b.clock.sleep(5.0)
            assert b.supply.measured == before
        return b

    assert math.isnan(asyncio.run(run()).samples.volts[-1])


def test_the_recipe_sees_the_supply_it_would_see_without_samples(tmp_path: Path) -> None:
    b = asyncio.run(_made(tmp_path))
    supply: Any = b.sampler.supply
    assert supply.extra == "beyond the interface"
    assert supply.identity == b.supply.identity
    assert supply.safe_action().name == "power.off"
    with pytest.raises(AttributeError):
        _ = supply.nothing_of_the_kind


async def _made(folder: Path) -> Bed:
    return bed(folder)
