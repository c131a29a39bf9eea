"""What runs beside a recipe: traffic and its figures; a fault of it ends the recipe at once, under its own name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from recipe_bench import Bench

from bench.errors import DeviceFailure, InstrumentError, InstrumentTimeout
from recipes.probes import Traffic, beside

pytestmark = pytest.mark.timeout(60)

Work = Coroutine[Any, Any, object]


async def breaks() -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError("interval of nothing")


async def for_ever() -> None:
    await asyncio.Event().wait()


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(for_ever())
        group.create_task(breaks())


async def supply_gone() -> None:
    raise InstrumentTimeout("no answer within 5 s", where="psu1", hint="is it on?")


@pytest.mark.parametrize("work", [breaks, in_a_group])
def test_a_fault_ends_the_block_at_once_and_is_named(work: Callable[[], Work]) -> None:
    async def scenario() -> None:
        other: list[asyncio.Task[object]] = []
        with pytest.raises(InstrumentError) as caught:
            async with asyncio.timeout(5), beside({"probe udp": work(), "probe tcp": for_ever()}) as tasks:
                other.append(tasks[1])
                await for_ever()
        assert caught.value.what == "the probe udp broke: ZeroDivisionError: interval of nothing"
        assert caught.value.where.startswith(f"{__file__}:") and "fault of the bench" in caught.value.hint
        assert other[0].cancelled()
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0
        await asyncio.sleep(0)  # nothing of the cancellation is left over

    asyncio.run(scenario())


def test_an_error_with_words_of_its_own_stays_as_it_is() -> None:
    async def scenario() -> None:
        with pytest.raises(InstrumentTimeout, match="psu1: no answer within 5 s"):
            async with beside({"meter": supply_gone()}):
                await for_ever()

    asyncio.run(scenario())


def test_a_fault_that_comes_while_it_is_waited_for_is_raised_once() -> None:
    async def scenario() -> None:
        with pytest.raises(InstrumentTimeout):
            async with beside({"meter": supply_gone()}) as (task,):
                await task
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_a_block_that_fails_keeps_its_error() -> None:
    async def scenario() -> None:
        tasks: list[asyncio.Task[object]] = []
        with pytest.raises(DeviceFailure, match="not registered"):
            async with beside({"probe udp": for_ever()}) as running:
                tasks += running
                raise DeviceFailure("not registered", hint="is its cell on?")
        assert tasks[0].cancelled()

    asyncio.run(scenario())


def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    """Ctrl-C while a probe breaks in the same turn: the run is aborted, not blamed on the probe."""

    async def block(started: asyncio.Event, go: asyncio.Event) -> None:
        async def breaks_then() -> None:
            await go.wait()
            raise ZeroDivisionError

        async with beside({"probe udp": breaks_then()}):
            started.set()
            await for_ever()

    async def scenario(together: bool) -> None:
        started, go = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(block(started, go))
        await started.wait()
        if together:
            go.set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario(together=False))
    asyncio.run(scenario(together=True))


def test_a_recipe_whose_probe_breaks_ends_at_once(tmp_path: Path) -> None:
    """It would have waited ten minutes and said that the echo server does not answer."""
    run = Bench(tmp_path).run(str(Path(__file__).with_name("broken_probe.py")), "sim")
    assert (run.verdict, run.found["device"], run.found["bench"]) == ("bench-error", "inconclusive", "bench-error")
    assert "the probe udp broke: ZeroDivisionError: interval of nothing" in run.errors, run.errors
    assert re.search(r"broken_probe.py:[0-9]+: the probe", run.errors)
    assert "a fault of the bench, not of the device" in run.errors
    assert "no udp answer before the switch" not in run.errors
    assert run.steps["before"]["elapsed"] < 30 and "switch" not in run.steps


def test_traffic() -> None:
    traffic = Traffic("udp")
    traffic.sent = {number: float(number) for number in range(1, 11)}
    traffic.answered = {1: 1.1, 2: 2.1, 6: 6.3, 7: 7.1, 8: 8.1}
    assert traffic.outage(0.0) == (2.1, 6.3)
    assert traffic.outage(6.5) == (7.1, 8.1)
    assert traffic.outage(20.0) is None
    assert traffic.lost(1.0, 11.0) == (5, 10)
    assert traffic.lost(3.0, 6.0) == (3, 3)
    assert traffic.answered_since(8.0)
    assert not traffic.answered_since(8.5)
