"""Power-cycle the device and require registration: the smallest useful recipe, and the one to copy first."""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import FROM_RAT, Choices, Range, Station, Unit, recipe
from recipes import device_turns
from recipes.device_profiles import by_device


@recipe(title="Power-cycle and register", needs=("power", "modem"), by_device=("power", "device-ipa"))
async def power_cycle_and_register(
    station: Station,
    hold: Annotated[float, Unit("s"), Range(0.5, 900)] = 2.0,
    register_within: Annotated[float, Unit("s"), Range(1, 3600)] = FROM_RAT,
    kind: Annotated[str, Choices("hard", "graceful")] = "hard",
) -> None:
    """Remove power until the rail is dead, restore it, and require registration.

    ``graceful``: the modem is told to switch itself off first. The inrush peak is measured where the supply records.
    A device that polls by itself is asked nothing: console and emulator tell of it.
    """
    if by_device(station):
        await device_turns.power_cycle_and_register(station, hold, register_within, kind)
        return
    async with station.step("power-cycle") as step:
        await station.card_to("modem")  # where a SIM switch moves it
        graceful = kind == "graceful" and await station.power.output()
        cycle = await station.power.cycle(hold=hold, shutdown=station.modem.power_down if graceful else None)
        step.measure("time_to_dead", cycle.time_to_dead, unit="s")
        if cycle.inrush_peak is not None:
            step.measure("inrush_peak", cycle.inrush_peak, unit="A")
        if kind == "graceful":
            step.note("graceful" if cycle.graceful else "hard: the modem was off, or did not switch itself off")
    async with station.step("modem-ready") as step:
        step.measure("boot_time", await station.modem.wait_ready(timeout=60.0), unit="s")
        await station.modem.wait_sim_ready(timeout=60.0)
    async with station.step("register") as step:  # no timeout of its own: the modem's error names the last cause
        registration = await station.wait_registered(timeout=register_within)
        step.measure("time_to_register", registration.elapsed, unit="s", upper=register_within)
        step.note(f"{registration.rat} {registration.plmn} by {registration.source}")
