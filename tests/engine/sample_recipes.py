"""Recipes that the tests run in real processes."""

import asyncio
import os
import time
from asyncio.sslproto import SSLProtocol
from typing import Annotated

from bench import buffers
from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import DeviceFailure, InstrumentError
from bench.station.power import Protection


@recipe(title="On and measure", needs=("power",))
async def quick(station: Station, volts: Annotated[float, Unit("V"), Range(0, 10)] = 3.0) -> None:
    async with station.step("on") as step:
        await station.power.set_output(True)
        step.measure("voltage", (await station.power.measure()).voltage, unit="V", lower=volts)
        print("hello from the recipe")
    assert SSLProtocol.max_size == buffers.STREAM, "a runner that goes on for days reads little at once"


@recipe(title="On for long", needs=("power",))
async def long(station: Station, seconds: float = 60.0) -> None:
    async with station.step("on"):
        await station.power.set_output(True)
        station.note("on")
        await station.clock.sleep(seconds)


@recipe(title="Block the loop", needs=("power",))
async def blocks(station: Station, seconds: float = 60.0) -> None:
    async with station.step("on"):
        await station.power.set_output(True)
        station.note("on")
        time.sleep(seconds)  # noqa: ASYNC251


@recipe(title="The supply never answers", needs=("power",))
async def hangs(station: Station) -> None:
    async with station.step("on"):
        await station.power.set_output(True)
        station.note("on")
        await station.power.ask("hang")  # type: ignore[attr-defined]


@recipe(title="Swallow the stop", needs=("power",))
async def stubborn(station: Station) -> None:
    await station.power.set_output(True)
    station.note("on")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            station.note("I do not care")


@recipe(title="Orderly teardown that takes its time", needs=("power",), teardown_within=8.0)
async def careful(station: Station, seconds: float = 2.5) -> None:
    await station.power.set_output(True)
    station.note("on")
    try:
        await station.clock.sleep(60)
    finally:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await station.power.measure()  # shows progress on the wire
            await asyncio.sleep(0.2)
        station.note("torn down")


@recipe(title="Device fails, then the bench", needs=("power",))
async def fails_then_breaks(station: Station) -> None:
    await station.power.set_output(True)
    try:
        async with station.step("device") as step:
            step.fail("it did not answer", where="AT port", hint="look at the cable")
    except DeviceFailure:
        pass
    async with station.step("bench"):
        raise InstrumentError("fuse blown", where="psu1")


@recipe(title="Wrong", needs=("power",))
async def wrong(station: Station) -> None:
    async with station.step("oops"):
        raise KeyError("nothing")


@recipe(title="Nothing seen", needs=("power",))
async def nothing(station: Station) -> None:
    await station.power.set_output(True)


@recipe(title="Die at once", needs=("power",))
async def dies(station: Station) -> None:
    await station.power.set_output(True)
    async with station.step("dying"):
        os._exit(9)


@recipe(title="Ask", needs=("power", "person"))
async def asks(station: Station) -> None:
    async with station.step("ask") as step:
        step.measure("answer", await station.ask("Is the lamp on?", ("yes", "no"), timeout=30))


@recipe(title="Consumes", needs=("power",), effects=("consumes-profile",))
async def consumes(station: Station) -> None:
    await quick(station)


@recipe(title="With teardown", needs=("power",))
async def with_teardown(station: Station) -> None:
    async with station.step("on"):
        await station.power.set_output(True)
        raise DeviceFailure("no")


@with_teardown.teardown
async def afterwards(station: Station) -> None:
    station.note(f"teardown sees output {await station.power.output()}")


@recipe(title="Teardown that hangs", needs=("power",), teardown_within=1.0)
async def bad_teardown(station: Station) -> None:
    async with station.step("on"):
        await station.power.set_output(True)


@bad_teardown.teardown
async def hanging(station: Station) -> None:
    await asyncio.sleep(60)


@recipe(title="Leaves a child", needs=("power",))
async def leaves_child(station: Station) -> None:
    async with station.step("child"):
        child = await asyncio.create_subprocess_exec("sleep", "300", start_new_session=True)
        station.note(str(child.pid))


@recipe(title="A task nobody awaits", needs=("power",))
async def forgets(station: Station) -> None:
    async with station.step("s"):
        task = asyncio.ensure_future(_raises())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task


async def _raises() -> None:
    raise LookupError("forgotten")


@recipe(title="Crash in C", needs=("power",))
async def crashes(station: Station) -> None:
    await station.power.set_output(True)
    os.abort()


async def _trip(station: Station) -> None:
    """Have the over-voltage protection trip: a hand at the front lowers its level below the voltage."""
    assert station.config.power is not None
    host, port = station.config.power.resource.split("::")[1:3]
    await station.power.set_output(True)
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"VOLT:PROT 3.0,(@1)\n")
    await writer.drain()
    async with station.clock.timeout(5):
        while await station.power.trip() is None:
            await station.clock.sleep(0.01)
    writer.close()


@recipe(title="A trip is cleared", needs=("power",))
async def trips(station: Station) -> None:
    async with station.step("trip") as step:
        await _trip(station)
        step.measure("cause", await station.power.clear_trip() or "none")


@recipe(title="A trip is cleared in the teardown", needs=("power",))
async def trips_at_the_end(station: Station) -> None:
    async with station.step("trip"):
        await _trip(station)


@trips_at_the_end.teardown
async def clears(station: Station) -> None:
    await station.power.clear_trip()


@recipe(title="It trips again", needs=("power",))
async def trips_again(station: Station) -> None:
    async with station.step("first"):
        await _trip(station)
        await station.power.clear_trip()
    async with station.step("second"):
        await station.power.set_protection(Protection(over_voltage=4.2))
        await _trip(station)
        await station.power.clear_trip()


@recipe(title="Register, measure, leave the modem alone", needs=("power", "modem"))
async def leaves_alone(station: Station, seconds: float = 60.0) -> None:
    async with station.step("on"):
        await station.power.set_output(True)
        await station.modem.wait_ready(timeout=60.0)
        await station.wait_registered(timeout=300.0)
    async with station.step("measured") as step:
        found = await station.radio.measure()
        step.measure("rsrp", found.rsrp, unit="dBm", lower=-120.0)
    async with station.step("asleep", polling=False):
        await station.clock.sleep(seconds)
    async with station.step("awake"):
        await station.clock.sleep(seconds)
        latest = station.radio.latest
        assert latest is not None
        step.measure("polled", latest.seq > found.seq, unit="")
