"""What runs while the kills campaign strikes: work on every wire, and three ways to hang."""

from __future__ import annotations

import time

from bench.apdu.es10 import Es10
from bench.engine.recipe import Station, recipe
from bench.station.routes import ask_world

NEEDS = ("power", "modem", "network", "card")


@recipe(title="SCPI, AT and APDU without end", needs=NEEDS)
async def busy(station: Station) -> None:
    """Switch on, wait for the modem, then read from every instrument until stopped."""
    async with station.step("on"):
        await station.power.set_output(True)
    while True:
        async with station.step("ready"):
            await station.modem.wait_ready(timeout=60.0)
            await station.modem.wait_sim_ready(timeout=60.0)
        for _ in range(20):
            async with station.step("read") as step:
                step.measure("voltage", (await station.power.measure()).voltage, unit="V")
                await station.modem.registration()
                es10 = await Es10.open(station.card)
                try:
                    await es10.eid()
                finally:
                    await es10.close()


async def _ready(station: Station) -> None:
    await station.power.set_output(True)
    await station.modem.wait_ready(timeout=60.0)
    await station.modem.wait_sim_ready(timeout=60.0)


@recipe(title="Block the event loop", needs=NEEDS)
async def blocks(station: Station) -> None:
    """Switch on, then sleep in C: nothing in this process can react."""
    async with station.step("block"):
        await station.power.set_output(True)
        station.note("hanging")
        time.sleep(3600)  # noqa: ASYNC251 - this is the fault


@recipe(title="A VISA read that waits", needs=NEEDS)
async def visa_waits(station: Station, control: str) -> None:
    """Switch on, silence the emulator, ask it."""
    async with station.step("wait"):
        await station.power.set_output(True)
        await ask_world(control, [{"op": "fault", "at": "now", "do": "scpi-silent", "instrument": "network"}])
        station.note("hanging")
        while True:
            await station.network.cell_on()


@recipe(title="An APDU that hangs", needs=NEEDS)
async def apdu_hangs(station: Station, control: str) -> None:
    """Switch on, mute the card, send it a command."""
    async with station.step("hang"):
        await _ready(station)
        es10 = await Es10.open(station.card)
        await ask_world(control, [{"op": "fault", "at": "now", "do": "card-mute"}])
        station.note("hanging")
        await es10.eid()
