"""What the soaks of these tests do on a supply: on for a moment, off."""

from __future__ import annotations

from bench.engine.recipe import Station, recipe


@recipe(title="A moment of power", needs=("power",))
async def moment(station: Station, hold: float = 0.1) -> None:
    async with station.step("on"):
        await station.power.set_output(True)
        station.note("on")
        await station.clock.sleep(hold)
    async with station.step("off") as step:
        await station.power.set_output(False)
        step.measure("draw", station.random.random())
