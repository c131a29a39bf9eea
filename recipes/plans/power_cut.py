"""Power away after a given APDU of a download, a switch or a delete: what the card must look like afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from bench.engine.recipe import Choices, Range, Station, recipe
from bench.errors import BenchError, DeviceFailure
from bench.station.interfaces import CardProfile, EimOrder
from recipes.interruption import cut_power, polled
from recipes.job import Job
from recipes.parameters import Deadlines, Hold, Profiles
from recipes.plans.full_cycle import NEEDS, Begin, begin_cycle
from recipes.words import listing


@dataclass(frozen=True, slots=True)
class _Cut:
    phase: str
    apdu: int
    hold: float


@recipe(
    title="Power cut at an APDU",
    needs=(*NEEDS, "eim:results"),
    effects=("cuts-power-during-write", "switches-profile", "deletes-profile", "consumes-profile"),
)
async def power_cut(
    station: Station,
    phase: Annotated[str, Choices("download", "switch", "delete")] = "download",
    apdu: Annotated[int, Range(1, 5000)] = 10,
    profiles: Profiles = Profiles(),
    hold: Hold = 2.0,
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Take the power away as soon as ``apdu`` APDUs of one ``phase`` have gone to the card; look at what it kept.

    With power back the card must list the state of before the phase or the one after it, nothing between; it must
    reach the eIM with the profile that is enabled, and the eIM must know the order's end as the card has it. A phase
    that takes fewer APDUs is not cut: measurement ``cut`` is 0 then. The power is the device's, or the card's alone
    where a SIM switch holds it in a reader. SGP.22 section 3.1.5, SGP.32 section 3.4.1.
    """
    job = Job(station, profiles, deadlines)
    begin = await begin_cycle(job)
    cut = _Cut(phase, apdu, hold)
    away = begin.target.iccid
    await job.connect(job.bootstrap, suffix="begin")
    if phase != "download":
        await job.download(await station.eim.order_download(job.eid, begin.target.activation_code), away)
    before = await job.profiles()
    if phase == "download":
        order = await station.eim.order_download(job.eid, begin.target.activation_code)
    elif phase == "switch":
        order = await station.eim.order_enable(job.eid, away, rollback=True)
    else:
        order = await station.eim.order_delete(job.eid, away)
    try:
        was_cut = await _interrupted(job, cut)
    finally:
        await station.power.set_output(True)
    await station.card_to("modem")
    if not was_cut:
        if phase == "switch":  # it is complete: nothing was to be seen, and the baseline leads back
            await job.refresh(job.operational)
        return
    await _kept(job, begin, cut, order, before)


async def _interrupted(job: Job, cut: _Cut) -> bool:
    station = job.station
    ipa = await job.ipa()
    async with station.step("interrupted") as step:
        begun = ipa.apdus
        async with polled(job, ipa, cut.apdu) as polling:
            was_cut = not polling.done()
            if was_cut:
                await cut_power(job)
            outcome = await polling
        step.measure("cut", int(was_cut))
        step.measure("apdus", ipa.apdus - begun)
        if isinstance(outcome, BenchError):
            step.note(f"the poll ended with: {outcome}")
        if was_cut:
            await station.clock.sleep(cut.hold)
    return was_cut


async def _kept(job: Job, begin: Begin, cut: _Cut, order: EimOrder, before: Sequence[CardProfile]) -> None:
    """Require a whole state on the card, and that eIM and card agree about it."""
    station = job.station
    home, away = begin.bootstrap.iccid, begin.target.iccid
    await job.modem_ready()
    async with station.step("kept") as step:
        now = await job.profiles()
        step.note(listing(now))
        state = {item.iccid: item.enabled for item in now}
        done = {
            "download": {home: True, away: False},
            "switch": {home: False, away: True},
            "delete": {home: True},
        }[cut.phase]
        undone = {item.iccid: item.enabled for item in before}
        if state not in (done, undone):
            raise DeviceFailure(
                f"after a cut at APDU {cut.apdu} of the {cut.phase} the card lists {listing(now)}",
                where="GetProfilesInfo",
                hint=f"before: {listing(before)}; the eUICC must have done the {cut.phase} or not begun it",
            )
        step.measure("carried_out", int(state == done))
    enabled = job.operational if state.get(away) else job.bootstrap
    await job.connect(enabled, suffix="after-cut")
    async with station.step("told") as step:
        poll = await job.poll("poll")
        if poll.profile_changed:  # the order was still there, and is carried out now
            other = job.bootstrap if enabled is job.operational else job.operational
            await job.refresh(other)
            await job.connect(other, suffix="carried-out")
        await job.poll("poll-again")
        ended = await station.eim.show(order.order_id)
        step.note(f"the order is {ended.state}")
        listed = [item.iccid for item in await job.profiles()]
        if ended.state == "done" and cut.phase == "download" and away not in listed:
            raise DeviceFailure(
                f"the eIM has the result of an installation of {away}, the card does not list it",
                where=f"eIM order {order.order_id}",
                hint="lane esipa has the result, lane apdu the list",
            )
        if not ended.final:
            await station.eim.cancel(order.order_id)
