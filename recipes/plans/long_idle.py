"""A device left alone for hours with PSM: is it still there, and does its next poll work at once?"""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import Refused
from bench.station.interfaces import PowerSaving
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Profiles
from recipes.plans.full_cycle import NEEDS


@recipe(title="Long idle", needs=NEEDS)
async def long_idle(
    station: Station,
    idle: Annotated[float, Unit("s"), Range(1, 864_000)] = 3600.0,
    periodic_tau: Annotated[float, Unit("s"), Range(2, 35_712_000)] = 7200.0,
    active_time: Annotated[float, Unit("s"), Range(0, 11_160)] = 10.0,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Register and poll, request PSM, touch nothing for ``idle``, then require registration and a poll.

    ``periodic_tau`` (T3412 extended) and ``active_time`` (T3324) are requested; what the modem took is measured. A
    modem without PSM idles without it, and says so. PSM is as before at the end. TS 24.301 section 5.3.11.
    """
    job = Job(station, profiles, deadlines)
    async with station.step("ready"):
        await job.power_on()
        await start.identify(job)
        await start.associate(job)
    await job.connect(job.bootstrap, suffix="before")
    await job.poll("poll-before", measured=True)
    kept = await _request(station, PowerSaving(True, periodic_tau, active_time))
    try:
        await station.card_to("modem")  # a device that is left alone has its card
        async with station.step("idle", polling=False) as step:
            before = station.clock.now()
            await station.clock.sleep(idle)
            step.measure("idle", station.clock.now() - before, unit="s")
        async with station.step("wake") as step:
            waited = await station.modem.wait_ready(timeout=job.boot_within)
            step.measure("answers_after", waited, unit="s")
            await station.modem.wait_sim_ready(timeout=job.boot_within)
        await job.connect(job.bootstrap, suffix="after")
        await job.poll("poll-after", measured=True)
    finally:
        if kept is not None:
            await station.modem.set_power_saving(kept)


async def _request(station: Station, wanted: PowerSaving) -> PowerSaving | None:
    """Request PSM; return what was requested before, None where the modem has no PSM."""
    async with station.step("psm") as step:
        try:
            before = await station.modem.power_saving()
            taken = await station.modem.set_power_saving(wanted)
        except Refused as error:
            step.note(f"no PSM: {error}")
            return None
        step.measure("periodic_tau", taken.periodic_tau, unit="s")
        step.measure("active_time", taken.active_time, unit="s")
    return before
