"""Re-programming an emulator is the bench's time: recorded, and charged to no step."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.engine.station import Station
from bench.engine.steps import current
from bench.engine.verdicts import StepTimeout
from bench.errors import InstrumentError
from bench.run.verdict import Verdict
from bench.station.clock import Extensible, RealClock

from .test_steps import Ran


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    return Ran(tmp_path / "j")


def test_the_time_inside_is_in_no_step_and_no_timeout(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("switch", timeout=0.3):
            async with station.step("refresh", timeout=0.25):
                async with station.reprogramming("cell 1 for operational"):
                    await asyncio.sleep(0.4)
                await asyncio.sleep(0.05)
                step = current()
                assert step is not None
                left = step.remaining()
                assert left is not None and 0.05 < left < 0.25

    ran.run(body)
    [event] = ran.events("reprogramming")
    assert (event["what"], event["complete"], event["step"]) == ("cell 1 for operational", True, "switch/refresh")
    assert 0.35 < event["elapsed"] < 1.0
    for step in ran.events("step-end"):
        assert step["verdict"] == "pass" and step["elapsed"] < 0.2
        assert step["uncharged"] == event["elapsed"]


def test_a_step_that_is_late_all_the_same_has_failed(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.step("switch", timeout=0.1):
            async with station.reprogramming("cell 1"):
                await asyncio.sleep(0.05)
            await asyncio.sleep(5.0)

    with pytest.raises(StepTimeout):
        ran.run(body)
    assert ran.verdicts.device is Verdict.FAIL


def test_one_that_fails_is_recorded_as_not_complete(ran: Ran) -> None:
    async def body(station: Station) -> None:
        async with station.reprogramming("cell 1"):
            raise InstrumentError("gone")

    with pytest.raises(InstrumentError):
        ran.run(body)
    [event] = ran.events("reprogramming")
    assert event["complete"] is False and event["step"] == ""


def test_scopes_of_the_host_clock_can_be_put_off() -> None:
    async def body() -> None:
        clock = RealClock()
        scope = clock.timeout(0.05)
        assert isinstance(scope, Extensible)
        async with scope:
            scope.extend(5.0)
            await asyncio.sleep(0.1)
        endless = clock.limit(None)
        async with endless:
            assert isinstance(endless, Extensible)
            endless.extend(1.0)

    asyncio.run(body())
