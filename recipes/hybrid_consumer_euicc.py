"""A consumer eUICC in an IoT estate: the eIM manages it through an IPA that emulates what the card lacks."""

from __future__ import annotations

from typing import Any, cast

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure, InstrumentError, Refused
from bench.station.interfaces import CardProfile, EimOrder, EuiccAdministration, PollResult, ProfileAssistant
from recipes import start
from recipes.job import Job
from recipes.parameters import Deadlines, Profiles
from recipes.servers import cancel_open_orders
from recipes.words import listing, order_failed, results_of


@recipe(
    title="Hybrid: consumer eUICC under an eIM",
    needs=("power", "modem", "card", "data", "eim", "smdpp", "ipa", "eim:emulation"),
    effects=("switches-profile", "deletes-profile", "consumes-profile", "removes-eim"),
)
async def hybrid_consumer_euicc(
    station: Station,
    replay: bool = True,
    profiles: Profiles = Profiles(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Manage an eUICC of SGP.22 by an eIM of SGP.32: download, list, enable with rollback flag, switch back, delete.

    The IPA verifies each signed package with the eIM's key, counts, and executes it by ES10c. No eUICC signs the
    results, so none of them decides: success is what the card lists, what the modem reads from it, the network the
    device registers on, and the notifications that the eUICC does sign, at the SM-DP+. ``replay``: the package of an
    order is handed out once more and must be refused. The eIM is told which card it is (emulated); in the end the
    association is forgotten again. SGP.22 sections 5.7.15 to 5.7.18, SGP.32 sections 3.3.1 and 5.9.1.
    """
    job = Job(station, profiles, deadlines)
    async with station.step("start-state") as step:
        await job.power_on()
        await start.identify(job)
        await _require_consumer(job)
        target = await station.smdpp.order(job.package, eid=job.eid)
        await _associate(job)
        await cancel_open_orders(station, job.eid)
        bootstrap = start.bootstrap_of(await job.profiles(), target.iccid, job.bootstrap_iccid)
        await _to_bootstrap(job, bootstrap, target.iccid)
        step.note(listing(await job.profiles()))
    await job.connect(job.bootstrap, suffix="bootstrap")

    await _download(job, target.activation_code, target.iccid)
    listed = await _carried_out(job, "list", await station.eim.order_list(job.eid))
    if replay:
        await _replayed(job, listed)
    enable = await job.switch(target.iccid, job.operational)
    await job.register(job.operational)
    await job.verify_identity(target.iccid)
    await job.open_data(job.operational)
    poll = await job.poll("deliver-result", measured=True)
    await _require_done(job, enable, "the switch", poll)
    async with station.step("signed-by-the-eUICC") as step:
        await job.require_events(target.matching_id, "install", "enable")
        step.note("the SM-DP+ has the eUICC's own notifications of install and enable, verified")
    await _back(job, bootstrap, target.iccid)
    async with station.step("forget"):
        await cast("ProfileAssistant", await job.ipa()).forget_emulated()


async def _require_consumer(job: Job) -> None:
    """Require a card without SGP.32: nothing has to be emulated for another one."""
    described = await cast("EuiccAdministration", await job.ipa()).describe()
    if described.selection.iot or described.info2.iot:
        raise Refused(
            "this is an eUICC of SGP.32: it needs no emulation",
            where=f"card {job.eid}",
            hint="a consumer eUICC is due; on a simulated station: --world card_mode=consumer",
        )
    job.station.note(f"consumer eUICC, SGP.22 {described.info2.svn or described.info1.svn}")


async def _associate(job: Job) -> None:
    """Let the IPA hold the eIM's configuration for the card, and the eIM know what it deals with."""
    station, ipa = job.station, await job.ipa()
    tell = getattr(station.eim, "set_euicc", None)
    if tell is None:
        station.note("this eIM cannot be told that the card is emulated: it may refuse results that nobody signs")
    else:
        await tell(job.eid, emulated=True)
    await cast("ProfileAssistant", ipa).forget_emulated()  # of an earlier run: the counter goes on at the eIM
    await cast("ProfileAssistant", ipa).associate_emulated(await station.eim.initial_configuration(job.eid))
    station.note(f"eIM {station.eim.eim_id} is associated by emulation")


async def _to_bootstrap(job: Job, bootstrap: CardProfile, target: str) -> None:
    """Bring the card where the job begins by ES10c, as an LPA does: nothing else is known of its past."""
    administration = cast("EuiccAdministration", await job.ipa())
    if not bootstrap.enabled:
        await _accepted("EnableProfile", administration.enable_profile(bootstrap.iccid))
        await job.refresh(job.bootstrap)
        administration = cast("EuiccAdministration", await job.ipa())
    if any(item.iccid == target for item in await job.profiles()):
        await _accepted("DeleteProfile", administration.delete_profile(target))


async def _accepted(function: str, call: Any) -> None:
    result = await call
    if result != "ok":
        raise DeviceFailure(f"the card answers {result}", where=f"ES10c.{function}", hint="'bench euicc profiles'")


async def _download(job: Job, activation_code: str, iccid: str) -> None:
    """Indirect download: what the eUICC signs in it, the eIM verifies as ever."""
    order = await job.station.eim.order_download(job.eid, activation_code)
    await job.download(order, iccid)


async def _require_done(job: Job, order: EimOrder, what: str, poll: PollResult | None = None) -> EimOrder:
    """Require that the eIM took the IPA's result, knowing that no eUICC signed it."""
    shown = await job.station.eim.show(order.order_id)
    if shown.state != "done":
        raise order_failed(shown, poll, what)
    if shown.verified:
        raise InstrumentError(
            f"the eIM calls the result of {what} verified, and nobody has signed it",
            where=f"eIM order {order.order_id}",
            hint="an eIM must not believe 64 zero octets",
        )
    return shown


async def _carried_out(job: Job, name: str, order: EimOrder) -> EimOrder:
    poll = await job.poll(name)
    if not poll.emulated:
        raise DeviceFailure(
            "the package was not executed by the IPA's emulation", where=name, hint="is this the consumer card?"
        )
    return await _require_done(job, order, name, poll)


async def _replayed(job: Job, order: EimOrder) -> None:
    """Hand a package out once more: its counter is used up, and the IPA has to say so."""
    async with job.station.step("replay") as step:
        again = getattr(job.station.eim, "order_replay", None)
        if again is None:
            step.note("this eIM does not hand packages out twice")
            return
        second = await again(order.order_id)
        await job.poll("poll")
        shown = await job.station.eim.show(second.order_id)
        if shown.state != "failed" or shown.error.get("name") != "replayError":
            raise DeviceFailure(
                f"a package that was executed before is {shown.state}: {shown.error or results_of(shown)}",
                where=f"eIM order {second.order_id}",
                hint="the IPA must keep the counter of the eIM over everything that happens to it",
            )
        step.note("the package handed out again was refused: replayError")


async def _back(job: Job, bootstrap: CardProfile, target: str) -> None:
    """Switch back and delete by signed packages; the card's own list decides."""
    station = job.station
    back = await station.eim.order_enable(job.eid, bootstrap.iccid, rollback=False)
    poll = await job.poll("switch-back")
    if not poll.profile_changed:
        raise order_failed(await station.eim.show(back.order_id), poll, "the switch back")
    await job.refresh(job.bootstrap)
    await job.connect(job.bootstrap, suffix="back")
    await _carried_out(job, "deliver-switch-back", back)
    await _carried_out(job, "delete", await station.eim.order_delete(job.eid, target))
    async with station.step("card-agrees") as step:
        found = await job.profiles()
        step.note(listing(found))
        if any(item.iccid == target for item in found) or not any(
            item.iccid == bootstrap.iccid and item.enabled for item in found
        ):
            raise DeviceFailure(
                "the results say that the card is as it was, and its own list says otherwise",
                where=listing(found),
                hint="what the IPA answers is not what it did: look at lane apdu",
            )
