"""The main job with the device's own IPA: no AT port, no reader; console, network emulator and eIM tell what it did."""

from __future__ import annotations

from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import DeviceFailure
from recipes.device_profiles import BY_DEVICE, DeviceProfiles
from recipes.parameters import Boot, DeviceDeadlines, Download, Hold, PollWithin, Profiles, Switch


@recipe(
    title="Bootstrap to operational by the device's own IPA",
    needs=BY_DEVICE,
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
    profiles = Profiles(profile, bootstrap_iccid, bootstrap_plmn=bootstrap_plmn, operational_plmn=operational_plmn)
    deadlines = DeviceDeadlines(boot_within, register_within, download_within, switch_within, poll_within)
    job = DeviceProfiles(station, profiles, deadlines)
    begin = await job.reach(hold=hold)
    target = begin.target

    await job.power_cycle(hold)
    await job.boot()
    await job.registered("register-bootstrap", bootstrap_plmn)
    before = await job.identity("identity-bootstrap", begin.bootstrap.iccid, bootstrap_plmn)

    await job.download(await station.eim.order_download(job.eid, target.activation_code))
    began = station.clock.now()
    await job.switch(target.iccid, operational_plmn, known=operational_imsi)
    after = await job.identity(
        "identity-operational", target.iccid, operational_plmn, since=began, known=operational_imsi
    )
    if before and before == after:
        raise DeviceFailure(
            f"the network still sees IMSI {after} after the switch",
            where="network emulator",
            hint="the device's modem did not carry out the REFRESH",
        )
    await job.known_everywhere(target.matching_id, "install", "enable")
