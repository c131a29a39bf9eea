"""A downloaded profile is enabled at once, without an order for it."""

from __future__ import annotations

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure
from recipes import device_turns, start
from recipes.device_profiles import BY_DEVICE, by_device
from recipes.job import Job
from recipes.parameters import DeviceDeadlines, Profiles
from recipes.words import listing


@recipe(
    title="Immediate enable",
    needs=(
        "power",
        "modem",
        "card",
        "data",
        "eim",
        "smdpp",
        "ipa",
        "eim:configureImmediateEnable",
        "eim:state-changes",
    ),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
    by_device=BY_DEVICE,
)
async def immediate_enable(
    station: Station,
    profiles: Profiles = Profiles(),
    deadlines: DeviceDeadlines = DeviceDeadlines(),
) -> None:
    """Configure immediate enabling by a signed package, download a profile, and require that it is enabled at once.

    Decisive: no enable is ordered, and after the download the card lists the new profile as enabled. The device
    registers with it; the eIM has the installation result and is told of the change (immediateEnableProfile); the
    SM-DP+ has the notifications of install and enable. Immediate enabling is switched off at the end. SGP.32 sections
    3.4.4 and 5.9.17.
    """
    if by_device(station):
        await device_turns.immediate_enable(station, profiles, deadlines)
        return
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job)
    target = begin.target
    await _configure(job, on=True, address=target.smdp_address)
    told = await job.state_changes()
    async with station.step("download") as step:
        order = await station.eim.order_download(job.eid, target.activation_code)
        poll = await job.poll("poll", measured=True)
        if not any(download.get("installed") for download in poll.downloads):
            await job.require_done(order, "the download", poll)
        if poll.immediate_enabled:
            await job.refresh(job.operational)  # before it the card answers no question about its profiles
        on_card = await job.profiles()
        step.note(listing(on_card))
        if not poll.immediate_enabled or not any(p.iccid == target.iccid and p.enabled for p in on_card):
            raise DeviceFailure(
                f"{target.iccid} was installed but not enabled at once",
                where=listing(on_card),
                hint="does the IPA call ES10b.ImmediateEnable, and does the card allow it for this SM-DP+?",
            )
    # There is no way back from here: an immediate enable gives no authorisation to roll back (SGP.32 section 3.3.2).
    await job.register(job.operational)
    await job.verify_identity(target.iccid)
    await job.open_data(job.operational)
    delivered = await job.poll("deliver-result", measured=True)
    await job.require_done(order, "the download", delivered)
    async with station.step("known-everywhere"):
        await job.require_told(told, "immediateEnableProfile")
        await job.require_events(target.matching_id, "install", "enable")
    await _configure(job, on=False)  # after a failure the next run's start state does it


async def _configure(job: Job, *, on: bool, address: str = "") -> None:
    """Switch immediate enabling on (for downloads from ``address`` only) or off by a signed package."""
    values: dict[str, object] = {"flag": on} | ({"smdpAddress": address} if address else {})
    order = await job.station.eim.order_package(job.eid, psmos=[{"configureImmediateEnable": values}])
    await job.carry_out(f"configure-{'on' if on else 'off'}", order, "configureImmediateEnable")
