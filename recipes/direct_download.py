"""A profile downloaded by the device's own IPA from the SM-DP+: the eIM only says where it is."""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import Choices, Station, recipe
from bench.errors import DeviceFailure
from bench.station.interfaces import PollResult, ProfileState
from recipes import device_turns, start
from recipes.device_profiles import BY_DEVICE, by_device
from recipes.job import Job
from recipes.parameters import DeviceDeadlines, Profiles
from recipes.words import listing, reason


@recipe(
    title="Direct download",
    needs=(
        "power",
        "modem",
        "card",
        "data",
        "eim",
        "smdpp",
        "ipa",
        "eim:direct-download",
        "eim:setDefaultDpAddress",
        "eim:notifications",
        "smdpp:notifications",
    ),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
    by_device=BY_DEVICE,
)
async def direct_download(
    station: Station,
    source: Annotated[str, Choices("activation-code", "default-smdp")] = "activation-code",
    enable: bool = True,
    profiles: Profiles = Profiles(),
    deadlines: DeviceDeadlines = DeviceDeadlines(),
) -> None:
    """Let the eIM trigger a direct download, and require that IPA, card, eIM and SM-DP+ have done their parts.

    Decisive: the IPA speaks ES9+ over the device's data path; the card lists the profile; the eIM has the result that
    the eUICC signed in a ProfileDownloadTriggerResult, verified; the SM-DP+ has it from the IPA as a notification, and
    nothing is left on the card. With ``source`` default-smdp the card's default SM-DP+ address is set and the trigger
    names no activation code. ``enable``: the profile is then enabled by a signed package, and the device registers with
    it. SGP.32 section 3.2.3.1.
    """
    if by_device(station):
        await device_turns.direct_download(station, source, enable, profiles, deadlines)
        return
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job)
    target = begin.target
    code = target.activation_code
    if source == "default-smdp":
        code = ""
        await _default_smdp(job, target.smdp_address)
    await job.connect(job.bootstrap, suffix="bootstrap")

    async with station.step("order") as step:
        order = await station.eim.order_download(job.eid, code, direct=True)
        step.note(f"eIM order {order.order_id}: direct, {source}")
    async with station.step("direct-download", timeout=job.download_within) as step:
        poll = await job.poll("poll", measured=True)
        step.measure("es9plus_bytes", poll.smdpp_sent + poll.smdpp_received, unit="B")
        _require_direct(poll)
        shown = await job.require_done(order, "the direct download", poll)
        if shown.result.get("iccid") not in (None, target.iccid):
            raise DeviceFailure(
                f"the eIM was told of {shown.result['iccid']}, ordered was {target.iccid}",
                where=f"eIM order {order.order_id}",
                hint="does another order of the SM-DP+ wait for this EID?",
            )
        on_card = await job.profiles()
        if not any(item.iccid == target.iccid and not item.enabled for item in on_card):
            raise DeviceFailure(
                f"eIM and SM-DP+ have an installation result, but the card does not list {target.iccid} as disabled",
                where=listing(on_card),
                hint="the eUICC reported success, and its own list differs: 'bench euicc profiles' shows it",
            )
        step.note(listing(on_card))
    await _known_to_both(job, target.matching_id)
    if not enable:
        return
    switched = await job.switch(target.iccid, job.operational)
    await job.settled(target.iccid, job.operational, switched, "the switch", suffix="operational")
    async with station.step("known-everywhere"):
        await job.require_events(target.matching_id, "install", "enable")


async def _default_smdp(job: Job, address: str) -> None:
    """Have the card name the SM-DP+ by a signed package."""
    order = await job.station.eim.order_package(job.eid, psmos=[{"setDefaultDpAddress": {"address": address}}])
    await job.carry_out("default-smdp", order, "setDefaultDpAddress")


def _require_direct(poll: PollResult) -> None:
    """Require that the IPA itself has downloaded. Raises DeviceFailure with what it says."""
    if not poll.downloads:
        raise DeviceFailure(
            "the poll brought no download", where="ESipa.GetEimPackage", hint="does the eIM hand the order out?"
        )
    report = poll.downloads[-1]
    if not report.get("direct"):
        raise DeviceFailure(
            "the IPA downloaded through the eIM although the trigger names the SM-DP+",
            where="ProfileDownloadTriggerRequest (BF54)",
            hint="is its option trigger_with_data 'indirect'?",
        )
    if not report.get("installed"):
        raise DeviceFailure(
            f"the direct download failed: {reason(report)}",
            where="ES9+",
            hint="the steps of the session are in lane apdu; what the SM-DP+ saw is in lane es9plus",
        )


async def _known_to_both(job: Job, matching_id: str) -> None:
    """Require that the SM-DP+ has the result, that it came from the IPA, and that the card keeps nothing of it."""
    async with job.station.step("result-at-the-server") as step:
        state: ProfileState = await job.station.smdpp.state(matching_id)
        if state.state != "installed":
            raise DeviceFailure(
                f"the SM-DP+ has the profile as {state.state}: it was not told of the installation",
                where=f"matching id {matching_id}",
                hint="ES9+.handleNotification is the IPA's own in a direct download; its result stays on the card",
            )
        passed = await job.station.eim.notifications(job.eid)
        installs = [item for item in passed if item.get("event") == "install" and item.get("iccid") == state.iccid]
        if installs and installs[-1].get("forwarded"):
            raise DeviceFailure(
                "the installation result came to the SM-DP+ from the eIM, not from the IPA",
                where=f"matching id {matching_id}",
                hint="the eIM forwards results of sessions that it has relayed (SGP.32 section 5.7.4)",
            )
        left = await (await job.ipa()).notifications()
        if left:
            raise DeviceFailure(
                f"{len(left)} notifications are left on the card after both servers have the result",
                where=", ".join(f"{item.seq} {item.event}" for item in left),
                hint="the IPA removes a result when eIM and SM-DP+ both have it",
            )
        step.note("SM-DP+ and eIM have the result; nothing is left on the card")
