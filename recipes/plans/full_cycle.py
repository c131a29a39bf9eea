"""The full cycle of a soak: from the bootstrap profile to the operational profile and back, nothing left behind."""

from __future__ import annotations

from dataclasses import dataclass

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure, EimUnreachable
from bench.station.interfaces import CardProfile, ProfileOrder
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Hold, Profiles
from recipes.words import listing

NEEDS = ("power", "modem", "card", "data", "eim", "smdpp", "ipa")
EFFECTS = ("switches-profile", "deletes-profile", "consumes-profile")


@dataclass(frozen=True, slots=True)
class Begin:
    """What a cycle works with."""

    bootstrap: CardProfile
    target: ProfileOrder


@recipe(title="Full cycle", needs=NEEDS, effects=EFFECTS)
async def full_cycle(
    station: Station,
    profiles: Profiles = Profiles(),
    hold: Hold = 2.0,
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Power cycle, bootstrap registration, poll, download, switch, read-back, data, switch back, delete, notifications.

    Each result is read back: ICCID and IMSI through the modem, data over the device's path, the eUICC's signed results
    at the eIM, its install, enable, disable and delete notifications at the SM-DP+. The card ends as it began, with the
    bootstrap profile alone; where it does not begin so, it is brought there first. SGP.32 sections 3.2 and 3.4.1.
    """
    job = Job(station, profiles, deadlines)
    begin = await begin_cycle(job)
    home, away = begin.bootstrap.iccid, begin.target.iccid

    await job.power_cycle(hold)
    await job.modem_ready()
    await job.register(job.bootstrap)
    await job.open_data(job.bootstrap)
    await job.poll("poll", measured=True)

    download = await station.eim.order_download(job.eid, begin.target.activation_code)
    await job.download(download, away)
    there = await job.switch(away, job.operational)
    try:
        await job.register(job.operational)
        await job.verify_identity(away)
        await job.open_data(job.operational)
        await job.exchange_data()
        report = await job.poll("deliver-result", measured=True)
    except (DeviceFailure, EimUnreachable):
        await job.roll_back(home, job.bootstrap)
        raise
    await job.require_done(there, "the switch", report)

    back = await job.switch(home, job.bootstrap, step_name="switch-back")
    await job.settled(home, job.bootstrap, back, "the switch back", suffix="back")
    await start.delete(job, away)
    async with station.step("acknowledged") as step:
        await job.poll("closing-poll")
        left = await (await job.ipa()).notifications()
        step.measure("notifications_left", len(left), upper=0)
        await job.require_events(begin.target.matching_id, "install", "enable", "disable", "delete")
        found = await job.profiles()
        if [(item.iccid, item.enabled) for item in found] != [(home, True)]:
            raise DeviceFailure(
                f"the card does not end as it began: {listing(found)}",
                where="GetProfilesInfo",
                hint=f"only {home} should be there, enabled: lane apdu has the delete and its result",
            )
        step.measure("cycle_apdus", sum(poll.apdus for poll in job.polls))
        step.measure("cycle_bytes", sum(poll.bytes_sent + poll.bytes_received for poll in job.polls), unit="B")


async def begin_cycle(job: Job) -> Begin:
    """Know card and profiles; reach the start state only where the card is not in it."""
    station = job.station
    async with station.step("begin"):
        await job.power_on()
        await start.identify(job)
        target = await station.smdpp.order(job.package, eid=job.eid)
        await start.associate(job)
        found = await job.profiles()
        others = [profile for profile in found if profile.iccid != target.iccid]
        if len(found) == len(others) == 1 and others[0].enabled:
            return Begin(others[0], target)
    reached = await start.reach(job)
    return Begin(reached.bootstrap, reached.target)
