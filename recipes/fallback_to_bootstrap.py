"""Loss of connectivity on the operational profile: fallback to the bootstrap profile, and the return."""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import DeviceFailure
from recipes import device_turns, start
from recipes.device_profiles import BY_DEVICE, by_device
from recipes.job import Job
from recipes.parameters import DeviceDeadlines, Profiles
from recipes.words import listing

_LOOK_AGAIN = 1.0
"""Seconds between two looks at the registration."""


@recipe(
    title="Fallback to bootstrap",
    needs=(
        "power",
        "modem",
        "card",
        "data",
        "eim",
        "smdpp",
        "ipa",
        "network",
        "eim:setFallbackAttribute",
        "eim:unsetFallbackAttribute",
        "eim:state-changes",
    ),
    effects=("switches-profile", "consumes-profile"),
    by_device=(*BY_DEVICE, "network"),
)
async def fallback_to_bootstrap(
    station: Station,
    operational_cell: Annotated[int, Range(1, 16)] = 2,
    lost_within: Annotated[float, Unit("s"), Range(5, 3600)] = 120.0,
    profiles: Profiles = Profiles(),
    deadlines: DeviceDeadlines = DeviceDeadlines(),
) -> None:
    """Give the bootstrap profile the Fallback Attribute, switch to the operational one, take its network away.

    Decisive: with ``operational_cell`` off the device loses its registration ``lost_within``. Then
    ExecuteFallbackMechanism brings it to the bootstrap profile, where it registers and tells the eIM; with the network
    back ReturnFromFallback brings it to the operational profile again. The attribute is taken away at the end. The
    bootstrap profile's metadata must allow fallback. SGP.32 sections 3.4.6 and 3.4.7.
    """
    if by_device(station):
        await device_turns.fallback_to_bootstrap(station, operational_cell, lost_within, profiles, deadlines)
        return
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job, installed=True, network=True)
    home, away = begin.bootstrap.iccid, begin.target.iccid
    await _set_attribute(job, home)
    try:
        order = await job.switch(away, job.operational)
        await job.settled(away, job.operational, order, "the switch", suffix="operational")
        await _lose_network(job, operational_cell, lost_within)
        await _fall_back(job, home)
        await station.network.set_cell(True, cell=operational_cell)
        await _return(job, away)
    finally:
        await station.network.set_cell(True, cell=operational_cell)
    unset = await station.eim.order_package(job.eid, psmos=[{"unsetFallbackAttribute": {}}])
    await job.carry_out("unset-fallback", unset, "unsetFallbackAttribute")
    await start.switch_back(job, home)


async def _set_attribute(job: Job, iccid: str) -> None:
    """Set the Fallback Attribute by a signed package, and read it back from the card."""
    order = await job.station.eim.order_package(job.eid, psmos=[{"setFallbackAttribute": {"iccid": iccid}}])
    await job.carry_out("set-fallback", order, f"setFallbackAttribute of {iccid}")
    profiles = await job.profiles()
    if [profile.iccid for profile in profiles if profile.fallback] != [iccid]:
        raise DeviceFailure(
            f"the card does not list {iccid} as Fallback Profile",
            where=listing(profiles),
            hint="the profile's metadata must allow fallback",
        )


async def _lose_network(job: Job, cell: int, within: float) -> None:
    """Take the cell away and wait until the device has lost its registration: otherwise the run has shown nothing."""
    station = job.station
    async with station.step("lose-network") as step:
        modem = await job.modem()
        before = station.clock.now()
        await station.network.set_cell(False, cell=cell)
        while True:
            seen = await modem.registration()
            if not seen.registered:
                break
            if station.clock.now() - before > within:
                raise DeviceFailure(
                    f"the device is still registered on {seen.plmn} {within:g} s after cell {cell} was switched off: "
                    "connectivity was not lost, and no fallback was needed",
                    where=f"+CEREG stat {seen.status}",
                    hint="operational_cell must be the cell that serves the operational profile",
                )
            await station.clock.sleep(_LOOK_AGAIN)
        step.measure("time_to_loss", station.clock.now() - before, unit="s")


async def _fall_back(job: Job, home: str) -> None:
    async with job.station.step("fallback") as step:
        told = await job.state_changes()
        before = job.station.clock.now()
        answer = await (await job.ipa()).execute_fallback()
        _require_ok(answer, "ES10b.ExecuteFallbackMechanism")
        await job.refresh(job.bootstrap)
        await job.register(job.bootstrap)
        step.measure("time_to_service", job.station.clock.now() - before, unit="s")
        await job.verify_identity(home)
        await job.open_data(job.bootstrap)
        await job.poll("deliver", measured=True)
        await job.require_told(told, "fallback")


async def _return(job: Job, away: str) -> None:
    async with job.station.step("return"):
        told = await job.state_changes()
        answer = await (await job.ipa()).return_from_fallback()
        _require_ok(answer, "ES10b.ReturnFromFallback")
        await job.refresh(job.operational)
        await job.register(job.operational)
        await job.verify_identity(away)
        await job.open_data(job.operational)
        await job.poll("deliver")
        await job.require_told(told, "fallback")


def _require_ok(answer: str, function: str) -> None:
    if answer != "ok":
        raise DeviceFailure(
            f"the card answered {answer}",
            where=function,
            hint="'bench euicc profiles' shows the state of each profile, and which is the fallback profile",
        )
