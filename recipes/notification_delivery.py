"""Notifications reach the SM-DP+ through the eIM, also those that arose while the eIM was out of reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from bench.engine.recipe import Range, Station, Unit, recipe
from bench.errors import DeviceFailure, EimUnreachable
from bench.station.interfaces import CardNotification, EimOrder
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Hold, Profiles
from recipes.servers import forwarded
from recipes.words import waiting


@recipe(
    title="Notification delivery",
    needs=(
        "power",
        "modem",
        "card",
        "data",
        "eim",
        "smdpp",
        "ipa",
        "network",
        "eim:notifications",
        "smdpp:notifications",
    ),
    effects=("switches-profile", "deletes-profile", "consumes-profile"),
)
async def notification_delivery(
    station: Station,
    operational_cell: Annotated[int, Range(1, 16)] = 2,
    patience: Annotated[float, Unit("s"), Range(5, 3600)] = 60.0,
    hold: Hold = 2.0,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Install, enable, disable and delete a profile and follow each notification to the SM-DP+.

    The switch to the operational profile happens with its network (``operational_cell``) off. Decisive: within
    ``patience`` the device does not register then, the eIM is out of reach, and what waits on the card still waits
    after a power cycle. With the network back all is delivered in the order of its sequence numbers and removed from
    the card. Where the IPA's traffic does not take the radio, the eIM cannot be taken away so: it is not polled then.
    SGP.32 section 3.7.
    """
    job = Job(station, profiles, deadlines)
    begin = await start.reach(job, network=True)
    target = begin.target
    await job.download(await station.eim.order_download(job.eid, target.activation_code), target.iccid)
    await _none_left(job, "install-delivered")
    await job.require_events(target.matching_id, "install")
    try:
        async with station.step("network-off"):
            await station.network.set_cell(False, cell=operational_cell)
        enable = await job.switch(target.iccid, job.operational, rollback=False)
        kept = await _kept(job, target.iccid)
        await _not_delivered(job, patience)
        await job.power_cycle(hold)
        await job.modem_ready()
        await _same(job, kept)
    finally:
        await station.network.set_cell(True, cell=operational_cell)
    await job.register(job.operational)
    await job.open_data(job.operational)
    await _deliver(job, enable, kept)
    await start.switch_back(job, begin.bootstrap.iccid)
    await start.delete(job, target.iccid)
    await _none_left(job, "all-delivered")
    await _at_the_server(job, target.matching_id)


async def _waiting(job: Job) -> list[CardNotification]:
    return list(await (await job.ipa()).notifications())


async def _none_left(job: Job, name: str) -> None:
    """Require that nothing waits on the card any more."""
    async with job.station.step(name):
        left = await _waiting(job)
        if left:
            raise DeviceFailure(
                f"after the poll {waiting(left)} still waits on the card",
                where="ES10b.ListNotification",
                hint="the IPA removes what was acknowledged (ES10b.RemoveNotificationFromList): look at lane apdu",
            )


async def _kept(job: Job, iccid: str) -> Sequence[CardNotification]:
    """Require that the switch has left its notifications and its result on the card."""
    async with job.station.step("kept") as step:
        kept = await _waiting(job)
        step.note(f"waiting: {waiting(kept)}")
        missing = [
            event
            for event in ("enable", "package-result")
            if not any(item.event == event and item.iccid in ("", iccid) for item in kept)
        ]
        if missing:
            raise DeviceFailure(
                f"the card does not keep {' and '.join(missing)} of the switch",
                where=f"waiting: {waiting(kept)}",
                hint="the profile's metadata says which notifications it makes (notificationConfigurationInfo)",
            )
    return kept


async def _not_delivered(job: Job, patience: float) -> None:
    """Require that the eIM is out of reach now: otherwise nothing has to be kept, and the run has shown nothing."""
    async with job.station.step("eim-out-of-reach") as step:
        reachable = True
        try:
            await job.modem()
            await job.station.wait_registered(timeout=patience)
            await job.station.modem.activate_pdp(job.operational.apn)
        except DeviceFailure as error:
            step.note(f"no service within {patience:g} s: {error.what}")
            reachable = False
        if not job.by_radio:
            step.note("the IPA's traffic does not take the radio: the eIM is not polled instead")
        else:
            try:
                await job.station.ipa.poll(timeout=job.download_within)
            except EimUnreachable as error:
                step.note(str(error))
            else:
                reachable = True
        if reachable:
            raise DeviceFailure(
                "the network of the new profile is there, and the eIM in reach: nothing had to be kept",
                where=f"{job.operational.name} profile",
                hint="operational_cell must be the cell that serves the operational profile",
            )


async def _same(job: Job, kept: Sequence[CardNotification]) -> None:
    """Require that what waited on the card before the power cycle still waits there, in the same order."""
    async with job.station.step("kept-over-power-cycle"):
        now = await _waiting(job)
        if [(item.seq, item.event) for item in now] != [(item.seq, item.event) for item in kept]:
            raise DeviceFailure(
                f"after the power cycle the card keeps {waiting(now)}, before {waiting(kept)}",
                hint="what waits must survive a power cycle: 'bench euicc info' lists it under notifications",
            )


async def _deliver(job: Job, enable: EimOrder, kept: Sequence[CardNotification]) -> None:
    """Poll with the network back: everything arrives at the eIM in order, and only then it is gone from the card."""
    poll = await job.poll("deliver", measured=True)
    await job.require_done(enable, "the switch", poll)
    await _none_left(job, "delivered")
    async with job.station.step("in-order") as step:
        expected = [item.seq for item in kept if item.event != "package-result"]
        at_eim = [int(str(item.get("seq"))) for item in await job.station.eim.notifications(job.eid)]
        arrived = [seq for seq in at_eim if seq in expected]
        if arrived != sorted(expected):
            raise DeviceFailure(
                f"the eIM received {arrived or 'none'}, the card kept {sorted(expected)}",
                where="ESipa",
                hint="the IPA sends them in the order of their sequence numbers: look at lane esipa",
            )
        step.note(f"arrived in order: {', '.join(map(str, arrived))}")


async def _at_the_server(job: Job, matching_id: str) -> None:
    """Require install, enable, disable and delete at the SM-DP+, in the order in which the card made them."""
    async with job.station.step("at-the-server"):
        stuck = await forwarded(job.station, job.eid)
        found = (await job.station.smdpp.state(matching_id)).notifications
        events = [str(item.get("event")) for item in sorted(found, key=lambda item: int(str(item.get("seq"))))]
        if events != ["install", "enable", "disable", "delete"]:
            raise DeviceFailure(
                f"the SM-DP+ has the notifications {', '.join(events) or 'none'}, not install, enable, disable, delete",
                where=f"matching id {matching_id}",
                hint=stuck,
            )
        arrived = [str(item.get("event")) for item in found]
        if arrived != events:
            raise DeviceFailure(
                f"they arrived in the order {', '.join(arrived)}",
                where=f"matching id {matching_id}",
                hint="is the forwarding of the eIM, or a second SM-DP+, slower for some? look at lane es9plus",
            )
