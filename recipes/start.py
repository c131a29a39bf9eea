"""The start state of a recipe, reached by the protocol whatever the last run left on card, eIM and network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.engine.recipe import Station
from bench.engine.trust import NoTrust, require_trust
from bench.errors import DeviceFailure
from bench.station.drivers import WrongInstrument
from bench.station.interfaces import CardProfile, EimOrder, ProfileOrder, offers
from recipes.job import Job
from recipes.servers import cancel_open_orders, latest_orders
from recipes.words import OnCard, listing, order_failed, results_of

P = TypeVar("P", bound=OnCard)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a recipe begins: ``bootstrap`` is enabled; ``target`` is the profile that the SM-DP+ has ready."""

    bootstrap: CardProfile
    target: ProfileOrder
    matching_id: str = ""
    """Of the download by which ``target`` came on the card, empty when it is not there or came another way."""


async def reach(job: Job, *, installed: bool = False, network: bool = False) -> Start:
    """Bring card and eIM to the bootstrap profile, the job's package removed from the card or ``installed`` (disabled).

    Pending results and notifications are delivered first, a signed switch leads back to the bootstrap profile, signed
    packages remove and restore what a run may have left: orders, fallback, immediate enabling. ``network``: the cells
    of the station's emulator are switched on before.
    """
    station = job.station
    matching_id = ""
    async with station.step("start-state") as step:
        if network:
            await cells_on(job)
        await job.power_on()
        await identify(job)
        await require_trust(station)
        # For this eUICC: an order for anybody would supersede that of a station that works at the same time.
        target = await station.smdpp.order(job.package, eid=job.eid)
        station.note(f"SM-DP+ {target.smdp_address} has {target.iccid} ready as {target.matching_id}")
        await associate(job)
        await cancel_open_orders(station, job.eid)
        orders = await latest_orders(station, job.eid)
        profiles = await job.profiles()
        start = bootstrap_of(profiles, target.iccid, job.bootstrap_iccid, orders)
        step.note(listing(profiles))
        await _to_bootstrap(job, profiles, start)
        if _immediate_enabling(orders):
            await _immediate_enabling_off(job)
        on_card = any(item.iccid == target.iccid for item in await job.profiles())
        if on_card and not installed:
            await delete(job, target.iccid)
        elif on_card:
            matching_id = _came_by(orders, target.iccid)
        elif installed:
            await job.download(await station.eim.order_download(job.eid, target.activation_code), target.iccid)
            matching_id = target.matching_id
        step.measure("polls", len(job.polls))
    return Start(start, target, matching_id)


async def powered(station: Station, boot_within: float) -> float:
    """Have the device powered, its modem answering, its card in it and ready; return the seconds until AT answered."""
    if not await station.power.output():
        await station.power.set_output(True)
    boot = await station.modem.wait_ready(timeout=boot_within)
    await station.card_to("modem")
    await station.modem.wait_sim_ready(timeout=boot_within)
    return boot


# --- network, card, eIM ---------------------------------------------------------------------------------------------


async def cells_on(job: Job) -> None:
    """Switch on the cells of the network emulator that are off: the safe sequence of the last run left them so."""
    for cell in await job.station.network.cells():
        if not await job.station.network.cell_on(cell=cell):
            await job.station.network.set_cell(True, cell=cell)


async def identify(job: Job) -> None:
    """Read the EID, compare it with the one pinned in bench.toml, and have the eIM serve it; the card stays there."""
    station = job.station
    job.eid = await (await job.ipa()).eid()
    pinned = station.config.eid
    if pinned and pinned != job.eid:
        raise WrongInstrument(
            f"the card's EID is {job.eid}, not {pinned}",
            where=station.config.card.origin if station.config.card else f"station {station.name}",
            hint="put the right card in, or correct 'eid' in bench.toml",
        )
    station.identify("eid", job.eid, source="card")
    await station.eim.register(job.eid)


async def associate(job: Job) -> None:
    """Associate the eIM with a card that has none; any other eIM is the lab's to decide about."""
    station = job.station
    ipa = await job.ipa()
    eims = await ipa.eims()
    if not eims and not offers(station.eim, "configuration"):
        raise NoTrust(
            f"no eIM is associated with the card, and the lab's own ({station.eim.eim_id}) gives out no configuration",
            where=f"card {job.eid}",
            hint="associate the card as the lab does it, or add [operations.configuration] to the eIM's template",
        )
    if not eims:
        await ipa.add_initial_eim(await station.eim.initial_configuration(job.eid))
        station.note(f"associated eIM {station.eim.eim_id} (AddInitialEim)")
    elif station.eim.eim_id not in eims:
        raise DeviceFailure(
            f"the card is associated with {', '.join(eims)}, not with {station.eim.eim_id}",
            where=f"card {job.eid}",
            hint="use the eIM the card knows, or let that eIM add this one by a signed addEim",
        )


async def delete(job: Job, *iccids: str, step_name: str = "delete") -> None:
    """Remove disabled profiles by one signed package."""
    if len(iccids) == 1:
        order = await job.station.eim.order_delete(job.eid, iccids[0])
    else:
        psmos = [{"delete": {"iccid": iccid}} for iccid in iccids]
        order = await job.station.eim.order_package(job.eid, psmos=psmos)
    await job.carry_out(step_name, order, "the delete")


# --- profiles -------------------------------------------------------------------------------------------------------


async def _to_bootstrap(job: Job, profiles: Sequence[CardProfile], start: CardProfile) -> None:
    """Register with what is enabled, deliver what is pending, switch back when it is not the bootstrap."""
    enabled = next((profile for profile in profiles if profile.enabled), None)
    if enabled is None and job.by_radio:
        raise DeviceFailure(
            "no profile is enabled: the device reaches no eIM",
            where=f"card {job.eid}: {listing(profiles)}",
            hint="enable one by another way, such as with the card in a reader on a station with data.path = 'host'",
        )
    # A profile that was left by fallback cannot be deleted before its return (returnFallbackProfile).
    fallen = enabled is not None and enabled.iccid == start.iccid and start.fallback
    if fallen and await (await job.ipa()).return_from_fallback() == "ok":
        job.station.note("returned from the fallback of an earlier run")
        await job.refresh(job.operational)
        enabled = next((profile for profile in await job.profiles() if profile.enabled), None)
    on_bootstrap = enabled is not None and enabled.iccid == start.iccid
    await job.connect(job.bootstrap if on_bootstrap else job.operational, suffix="left-over")
    # A result or notification of the last run is delivered first: the eIM discards results out of order.
    await job.poll("deliver-pending")
    if not on_bootstrap:
        await switch_back(job, start.iccid)


async def switch_back(job: Job, iccid: str, *, suffix: str = "back") -> None:
    """Return to the bootstrap profile by a signed enable without rollback, and have its result at the eIM."""
    order = await job.station.eim.order_enable(job.eid, iccid, rollback=False)
    poll = await job.poll(f"switch-{suffix}")
    if not poll.profile_changed:
        raise order_failed(await job.station.eim.show(order.order_id), poll, "the switch back")
    await job.refresh(job.bootstrap)
    await job.connect(job.bootstrap, suffix=suffix)
    await job.carry_out(f"deliver-switch-{suffix}", order, "the switch back")


def bootstrap_of(profiles: Sequence[P], target: str, wanted: str, orders: Sequence[EimOrder] = ()) -> P:
    """Return the bootstrap profile: the one named, else the only one that is not the target.

    Where there are several, those that this eIM has downloaded are none. Raises DeviceFailure when none or several are
    left.
    """
    others = [profile for profile in profiles if profile.iccid != target]
    if wanted:
        others = [profile for profile in others if profile.iccid == wanted]
    if len(others) > 1:
        downloaded = downloaded_by(orders)
        others = [profile for profile in others if profile.iccid not in downloaded]
    if len(others) == 1:
        return others[0]
    raise DeviceFailure(
        f"the card holds {len(others)} profiles that could be the bootstrap",
        where=listing(profiles),
        hint="name it: --set bootstrap_iccid=...",
    )


def downloaded_by(orders: Sequence[EimOrder]) -> set[str]:
    """Return the ICCIDs of the profiles that these orders have brought on the card."""
    return {
        str(order.result.get("iccid", "")) for order in orders if order.kind == "download" and order.state == "done"
    }


def _came_by(orders: Sequence[EimOrder], iccid: str) -> str:
    """Return the matching id of the last download of a profile, as far as the eIM tells it."""
    found = [
        str(order.result.get("matching_id", ""))
        for order in orders
        if order.kind == "download" and order.state == "done" and order.result.get("iccid") == iccid
    ]
    return found[-1] if found else ""


# --- immediate enabling ---------------------------------------------------------------------------------------------


def _immediate_enabling(orders: Sequence[EimOrder]) -> bool:
    """Return whether the last configuration that this eIM sent has switched immediate enabling on."""
    on = False
    for order in orders:
        for result in results_of(order):
            if result.get("name") == "configureImmediateEnable" and result.get("code") == 0:
                on = bool(result.get("flag"))
    return on


async def _immediate_enabling_off(job: Job) -> None:
    psmos = [{"configureImmediateEnable": {"flag": False}}]
    order = await job.station.eim.order_package(job.eid, psmos=psmos)
    await job.carry_out("immediate-enable-off", order, "switching immediate enabling off")
