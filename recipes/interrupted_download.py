"""A download that is cut in the middle leaves nothing behind, and completes on a new session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from bench.engine.recipe import Choices, Range, Station, recipe
from bench.errors import BenchError, DeviceFailure, Refused
from bench.station.interfaces import CardProfile, PollResult
from recipes import start
from recipes.interruption import cut_power, polled
from recipes.job import Job
from recipes.parameters import Deadlines, Hold, Profiles
from recipes.words import listing

_REGISTERED_AGAIN = 5.0
"""Seconds that a cut link stays cut, so that whatever was under way has noticed it."""


@recipe(
    title="Interrupted download",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa", "network", "eim:listProfileInfo"),
    effects=("cuts-power-during-write", "switches-profile", "deletes-profile", "consumes-profile"),
)
async def interrupted_download(
    station: Station,
    cut: Annotated[str, Choices("power", "link")] = "power",
    share: Annotated[float, Range(0.01, 1.5)] = 0.5,
    attempts: Annotated[int, Range(1, 8)] = 4,
    bootstrap_cell: Annotated[int, Range(1, 16)] = 1,
    hold: Hold = 2.0,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Cut power or link after ``share`` of the APDUs that an undisturbed download took; then download again.

    The profile is downloaded once undisturbed and deleted, so that their number is known. A download that is complete
    before the cut is deleted and tried again with half the share, ``attempts`` times in all. ``cut`` is ``power``: of
    the device, or of the card alone where a SIM switch holds it in a reader; or ``link``: ``bootstrap_cell`` of the
    emulator goes off. Decisive: the download was not complete at the cut. Nothing may be half installed: the card lists
    the profiles of before (a card that had the whole package when the link went may list the profile, its result is
    delivered then). With power and link back the eIM's order ends, and a new one installs the profile. SGP.32 sections
    3.2.3.2 and 5.9.1, SGP.22 section 3.1.5.
    """
    job = Job(station, profiles, deadlines)
    if cut == "link" and not job.by_radio:
        raise Refused(
            "the IPA's traffic does not take the radio: no cell can cut it",
            where=f"data path {station.data.bearer}",
            hint="use cut=power on this station",
        )
    begin = await start.reach(job, network=True)
    # A new eUICC is asked for its certificates before its first package: that is not to be counted.
    await job.carry_out("signed-list", await station.eim.order_list(job.eid), "listProfileInfo")
    whole = await _undisturbed(job, begin.target.activation_code, begin.target.iccid)
    await start.delete(job, begin.target.iccid, step_name="delete-undisturbed")
    for attempt in range(1, attempts + 1):
        # What a relay or a supply takes to switch is long for a card that works fast: then earlier.
        after = max(1, round(share * whole / 2 ** (attempt - 1)))
        async with station.step(f"attempt-{attempt}") as step:
            if await _attempt(job, _Cut(cut, after, bootstrap_cell, hold)):
                return
            step.note("the download was complete before the cut: nothing was interrupted")
    raise DeviceFailure(
        "the download was complete before the cut: nothing was interrupted",
        where=f"cut={cut} after {after} of {whole} APDUs",
        hint="choose a smaller share",
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """What is cut and when: after ``apdus``; the emulator's ``cell``; ``hold`` in seconds."""

    kind: str
    apdus: int
    cell: int
    hold: float


async def _undisturbed(job: Job, activation_code: str, iccid: str) -> int:
    """Return how many APDUs a whole download takes here."""
    async with job.station.step("undisturbed") as step:
        order = await job.station.eim.order_download(job.eid, activation_code)
        ipa = await job.ipa()
        before, started = ipa.apdus, job.station.clock.now()
        poll = await ipa.poll(timeout=job.download_within)
        apdus = ipa.apdus - before
        step.measure("duration", job.station.clock.now() - started, unit="s")
        step.measure("apdus", apdus)
        await job.require_done(order, "the undisturbed download", poll)
        if not any(profile.iccid == iccid for profile in await job.profiles()):
            raise DeviceFailure(
                f"{iccid} was not installed",
                where="GetProfilesInfo",
                hint="the eIM has a good result, the card's own list differs: 'bench euicc profiles' shows it",
            )
    return apdus


async def _attempt(job: Job, cut: _Cut) -> bool:
    """Interrupt a download and complete it; False when there was nothing to interrupt: all is as before then."""
    station = job.station
    before = await job.profiles()
    target = await station.smdpp.order(job.package, eid=job.eid)
    order = await station.eim.order_download(job.eid, target.activation_code)
    try:
        interrupted = await _interrupted(job, cut)
    finally:
        await station.network.set_cell(True, cell=cut.cell)
        await station.power.set_output(True)
    if not interrupted:
        await start.delete(job, target.iccid, step_name="delete-complete")
        return False
    await station.card_to("modem")
    await job.modem_ready()
    listed = await _nothing_half_installed(job, target.iccid, before)
    await job.connect(job.bootstrap, suffix="again")
    async with station.step("first-order-ends") as step:
        await job.poll("poll")
        ended = await station.eim.show(order.order_id)
        if not ended.final:
            ended = await station.eim.cancel(order.order_id)
        step.note(f"the interrupted order is {ended.state}: {ended.error.get('what', 'no error')}")
        if listed and ended.state != "done":
            raise DeviceFailure(
                f"the card lists {target.iccid} and has no installation result for it: it is half installed",
                where=f"eIM order {order.order_id}",
                hint="the eUICC must remove what was not installed to its end (SGP.22 section 3.1.5)",
            )
    if listed and cut.kind == "power":
        await start.delete(job, target.iccid, step_name="delete-complete")
        return False
    if ended.state != "done":
        target = await station.smdpp.order(job.package, eid=job.eid)
        await job.download(await station.eim.order_download(job.eid, target.activation_code), target.iccid)
    await job.require_events(target.matching_id, "install")
    after = await job.profiles()
    if [item.iccid for item in after if item.iccid == target.iccid] != [target.iccid]:
        raise DeviceFailure(
            f"{target.iccid} is not on the card exactly once",
            where=listing(after),
            hint="the eUICC reported success; its own list differs: 'bench euicc profiles' shows it",
        )
    return True


async def _nothing_half_installed(job: Job, iccid: str, before: Sequence[CardProfile]) -> bool:
    """Require that the card lists the profiles of before; return whether it lists the new one as well."""
    async with job.station.step("nothing-half-installed") as step:
        now = await job.profiles()
        step.note(listing(now))
        listed = [item for item in now if item.iccid == iccid]
        if [item for item in now if item not in listed] != list(before) or any(item.enabled for item in listed):
            raise DeviceFailure(
                f"after the cut the card lists {listing(now)}, before {listing(before)}",
                where="GetProfilesInfo",
                hint="the eUICC must restore the state of before the download (SGP.22 section 3.1.5)",
            )
    return bool(listed)


async def _interrupted(job: Job, cut: _Cut) -> bool:
    """Poll, and cut after some APDUs; return whether that has ended the poll, and not the poll itself."""
    station = job.station
    ipa = await job.ipa()
    async with station.step("interrupted") as step:
        begun = ipa.apdus
        async with polled(job, ipa, cut.apdus) as polling:
            if polling.done():
                return False
            step.note(f"{cut.kind} cut after {ipa.apdus - begun} APDUs")
            if cut.kind == "link":
                await station.network.set_cell(False, cell=cut.cell)
            else:
                await cut_power(job)
            outcome = await polling
        await station.clock.sleep(_REGISTERED_AGAIN if cut.kind == "link" else cut.hold)
        step.measure("apdus", ipa.apdus - begun)
        step.note(f"the poll ended with: {outcome}" if isinstance(outcome, BenchError) else "the poll ended by itself")
        return not (isinstance(outcome, PollResult) and any(item.get("installed") for item in outcome.downloads))
