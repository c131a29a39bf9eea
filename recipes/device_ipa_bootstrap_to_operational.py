"""The main job with the device's own IPA: no AT port, no reader; console, network emulator and eIM tell what it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import DeviceFailure
from bench.station.interfaces import EimOrder, ProfileOrder
from recipes.device_job import DeviceJob, Listed, PollWithin
from recipes.parameters import Boot, Download, Hold, Switch
from recipes.servers import cancel_open_orders, missing_events
from recipes.start import bootstrap_of


@recipe(
    title="Bootstrap to operational by the device's own IPA",
    needs=("power", "eim", "eim:listProfileInfo", "smdpp", "device-ipa"),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
)
async def device_ipa_bootstrap_to_operational(
    station: Station,
    profile: str = "operational",
    bootstrap_iccid: str = "",
    bootstrap_plmn: str = "00101",
    operational_plmn: str = "99970",
    operational_imsi: str = "",
    hold: Hold = 2.0,
    boot_within: Boot = 60.0,
    register_within: Annotated[float, Unit("s"), Range(1, 3600)] = 300.0,
    poll_within: PollWithin = 600.0,
    download_within: Download = 900.0,
    switch_within: Switch = 300.0,
) -> None:
    """Have the device's own firmware fetch an operational profile through the eIM and switch to it.

    Nothing is asked of the modem or the card. Power-up, boot, registration and polls are observed by the sources that
    the station has, in the order of bench.toml; what was done to the card is the eUICC's signed result at the eIM and
    its signed notifications at the SM-DP+. The identity after the switch is another one than before, as the network
    emulator sees it (``operational_imsi`` where it is known), or the ICCID that the console tells. Where nobody can
    tell, the step and the run are inconclusive. ``bootstrap_iccid`` names the bootstrap profile where the card holds
    more than one other profile; an empty PLMN accepts any. SGP.32 sections 3.2.3.2 and 3.4.1.
    """
    job = DeviceJob(station, boot_within=boot_within, register_within=register_within, poll_within=poll_within)
    async with station.step("start-state"):
        await job.power_cycle(hold)
        await job.boot()
        await job.identify()
        target = await station.smdpp.order(profile, eid=job.eid)
        station.note(f"SM-DP+ {target.smdp_address} has {target.iccid} ready as {target.matching_id}")
        await job.associate()
        orders = await cancel_open_orders(station, job.eid)
        await job.registered("register-left-over", "")
        await job.poll("first-poll")
        bootstrap = await _to_bootstrap(job, target, bootstrap_iccid, orders, switch_within)

    await job.power_cycle(hold)
    await job.boot()
    await job.registered("register-bootstrap", bootstrap_plmn)
    before = await _identity(job, "identity-bootstrap", bootstrap.iccid, _imsi("", bootstrap_plmn))

    download = await station.eim.order_download(job.eid, target.activation_code)
    await job.carry_out("download", download, "the download", within=download_within)
    enable = await station.eim.order_enable(job.eid, target.iccid, rollback=True)
    async with station.step("switch") as step:
        began = station.clock.now()
        await job.trigger()
        # The result comes on the new profile only: with it the device has registered there and reached its eIM.
        await job.ended(enable, "the switch", within=poll_within + switch_within)
        step.measure("duration", station.clock.now() - began, unit="s", source="eim")
        seen = await job.observe(
            "switched",
            timeout=switch_within,
            since=began,
            values=_imsi(operational_imsi, operational_plmn),
            order=enable.order_id,
        )
        if seen is not None:
            step.note(f"switched ({seen.source}): {seen.text}")
    wanted = _imsi(operational_imsi, operational_plmn)
    after = await _identity(job, "identity-operational", target.iccid, wanted, since=began)
    if before and before == after:
        raise DeviceFailure(
            f"the network still sees IMSI {after} after the switch",
            where="network emulator",
            hint="the device's modem did not carry out the REFRESH",
        )
    await _known_everywhere(job, target)


def _imsi(imsi: str, plmn: str) -> dict[str, str]:
    """Return which IMSI is wanted: the one known, else any of the profile's PLMN, else any."""
    return {"imsi": imsi or f"{plmn}*"} if imsi or plmn else {}


async def _identity(job: DeviceJob, name: str, iccid: str, imsi: dict[str, str], *, since: float | None = None) -> str:
    """Have the device seen with the identity of a profile; return the IMSI where the source tells it."""
    async with job.station.step(name) as step:
        values = {"iccid": iccid, **imsi}
        begin = job.booted if since is None else since
        seen = await job.observe("identity", timeout=job.register_within, since=begin, values=values)
        if seen is None:
            return ""
        step.note(f"{seen.text} ({seen.source})")
        return seen.values.get("imsi", "")


async def _to_bootstrap(
    job: DeviceJob, target: ProfileOrder, wanted: str, orders: Sequence[EimOrder], switch_within: float
) -> Listed:
    """Have the bootstrap profile enabled and the target away, by signed packages that the device fetches itself."""
    eim = job.station.eim
    profiles = await job.profiles("profiles")
    bootstrap = bootstrap_of(profiles, target.iccid, wanted, orders)
    if not bootstrap.enabled:
        back = await eim.order_enable(job.eid, bootstrap.iccid, rollback=False)
        await job.carry_out("switch-back", back, "the switch back", within=switch_within)
    if any(item.iccid == target.iccid for item in profiles):
        await job.carry_out("delete", await eim.order_delete(job.eid, target.iccid), "the delete")
    return bootstrap


async def _known_everywhere(job: DeviceJob, target: ProfileOrder) -> None:
    """Require the SM-DP+ to have the eUICC's signed notifications; the device delivers them with its polls."""
    async with job.station.step("known-everywhere") as step:
        clock = job.station.clock
        until = clock.now() + job.poll_within
        while (
            failure := await missing_events(job.station, job.eid, target.matching_id, "install", "enable")
        ) is not None:
            if clock.now() >= until:
                raise failure
            await clock.sleep(2.0)
        step.note("SM-DP+: installed, with install and enable; eIM: signed results verified")
