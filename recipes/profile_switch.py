"""Switch between two installed profiles, both directions, again and again: how long is the device away each time?"""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import Range, Station, recipe
from bench.errors import DeviceFailure, EimUnreachable
from bench.station.interfaces import EimOrder
from recipes import device_turns, start
from recipes.device_profiles import BY_DEVICE, by_device
from recipes.job import Job, Phase
from recipes.parameters import DeviceDeadlines, Profiles


@recipe(
    title="Profile switch",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa"),
    effects=("switches-profile", "consumes-profile"),
    by_device=BY_DEVICE,
)
async def profile_switch(
    station: Station,
    repetitions: Annotated[int, Range(1, 10_000)] = 1,
    profiles: Profiles = Profiles(),
    deadlines: DeviceDeadlines = DeviceDeadlines(),
) -> None:
    """Enable the operational profile and the bootstrap profile in turn by signed packages, ``repetitions`` times each.

    Each direction is proved: the device registers on the profile's network, ICCID and IMSI are read back through the
    modem, data flows, and the eUICC's signed result is verified at the eIM. The profile is downloaded when the card
    does not have it yet. SGP.32 section 3.4.1.
    """
    if by_device(station):
        await device_turns.profile_switch(station, repetitions, profiles, deadlines)
        return
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job, installed=True)
    home, away = begin.bootstrap.iccid, begin.target.iccid
    for repetition in range(1, repetitions + 1):
        async with station.step(f"round-{repetition}" if repetitions > 1 else "round"):
            await _turn(job, "there", away, job.operational, back=home, to=job.bootstrap)
            await _turn(job, "back", home, job.bootstrap, back=away, to=job.operational)


async def _turn(job: Job, name: str, iccid: str, phase: Phase, *, back: str, to: Phase) -> EimOrder:
    """Switch to a profile, measure how long the device was without service, prove it."""
    async with job.station.step(name) as step:
        before = job.station.clock.now()
        order = await job.switch(iccid, phase)
        try:
            await job.register(phase)
            step.measure("without_service", job.station.clock.now() - before, unit="s")
            await job.verify_identity(iccid)
            await job.open_data(phase)
            poll = await job.poll("deliver", measured=True)
        except (DeviceFailure, EimUnreachable):
            await job.roll_back(back, to)
            raise
        await job.require_done(order, f"the switch to {iccid}", poll)
        enabled = [profile.iccid for profile in await job.profiles() if profile.enabled]
        if enabled != [iccid]:
            raise DeviceFailure(
                f"the card lists {enabled or 'none'} as enabled, not {iccid}",
                where="GetProfilesInfo",
                hint="the signed result said ok, and the card's own list differs: 'bench euicc profiles' shows it",
            )
    return order
