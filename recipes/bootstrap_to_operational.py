"""The main job: from the bootstrap profile to an operational profile through the eIM, read back at every layer."""

from __future__ import annotations

from dataclasses import asdict

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure, EimUnreachable
from bench.station.interfaces import EimOrder, PollResult
from recipes import start
from recipes.device_ipa_bootstrap_to_operational import device_ipa_bootstrap_to_operational
from recipes.device_profiles import BY_DEVICE, by_device
from recipes.job import Job
from recipes.parameters import DeviceDeadlines, Hold, Profiles


@recipe(
    title="Bootstrap to operational",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa"),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
    by_device=BY_DEVICE,
)
async def bootstrap_to_operational(
    station: Station,
    profiles: Profiles = Profiles(),
    hold: Hold = 2.0,
    deadlines: DeviceDeadlines = DeviceDeadlines(),
) -> None:
    """Take the device from its bootstrap profile to an operational profile and prove it at every layer.

    The start state is reached by the protocol whatever the last run left: what is pending on the card is delivered,
    a signed switch leads back to the bootstrap profile and a signed delete removes the profile to be downloaded.
    Success is read back: ICCID and IMSI from the card through the modem, a PDP context and an HTTPS exchange on the
    new profile, the eUICC's signed result at the eIM, its notifications at the SM-DP+.
    ``bootstrap_iccid`` names the bootstrap profile where the card holds more than one other profile; empty RAT and
    PLMN accept any. Where the device polls by itself this is ``device-ipa-bootstrap-to-operational``.
    SGP.32 sections 3.2.3.2 and 3.4.1.
    """
    if by_device(station):
        await device_ipa_bootstrap_to_operational(
            station,
            profile=profiles.profile,
            bootstrap_iccid=profiles.bootstrap_iccid,
            bootstrap_plmn=profiles.bootstrap_plmn,
            operational_plmn=profiles.operational_plmn,
            hold=hold,
            **asdict(deadlines),
        )
        return
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job)
    target = begin.target

    await job.power_cycle(hold)
    await job.modem_ready()
    await job.register(job.bootstrap)
    await job.open_data(job.bootstrap)

    async with station.step("order") as step:
        download = await station.eim.order_download(job.eid, target.activation_code)
        step.note(f"eIM order {download.order_id}")
    await job.download(download, target.iccid)
    enable = await job.switch(target.iccid, job.operational)
    try:
        await job.register(job.operational)
        await job.verify_identity(target.iccid)
        await job.open_data(job.operational)
        await job.exchange_data()
        report = await job.poll("deliver-result", measured=True)
    except (DeviceFailure, EimUnreachable):
        # The rollback is armed until the eIM's next package: without it the device would stay out of reach.
        await job.roll_back(begin.bootstrap.iccid, job.bootstrap)
        raise
    await _known_everywhere(job, download, enable, target.matching_id, report)


async def _known_everywhere(
    job: Job, download: EimOrder, enable: EimOrder, matching_id: str, report: PollResult
) -> None:
    """Require that eIM and SM-DP+ know what happened, from what the card signed."""
    async with job.station.step("known-everywhere") as step:
        await job.require_done(enable, "the switch", report)
        await job.require_done(download, "the download")
        await job.require_events(matching_id, "install", "enable")
        step.note("SM-DP+: installed, with install and enable; eIM: signed results verified")
        step.measure("provisioning_apdus", sum(poll.apdus for poll in job.polls))
        step.measure("esipa_bytes", sum(poll.bytes_sent + poll.bytes_received for poll in job.polls), unit="B")
