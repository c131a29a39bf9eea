"""A recipe for a station that is nothing but a reader: provisioning without a device."""

from __future__ import annotations

from bench.engine.recipe import Station, recipe
from bench.errors import DeviceFailure


@recipe(
    title="Provision in the reader",
    needs=("card", "reader", "data", "eim", "smdpp", "ipa"),
    effects=("switches-profile", "consumes-profile"),
)
async def provision_in_reader(station: Station, profile: str = "operational") -> None:
    """Download and enable a profile, and require that everybody knows."""
    await station.card_to("reader")  # nothing to move here
    async with station.step("look") as step:
        eid = await station.ipa.eid()
        step.note(f"{station.reader.name}: ATR {station.reader.atr.hex()}, EID {eid}")
    await station.eim.register(eid)
    if not await station.ipa.eims():
        await station.ipa.add_initial_eim(await station.eim.initial_configuration())
    order = await station.smdpp.order(profile, eid=eid)
    orders = [await station.eim.order_download(eid, order.activation_code)]
    orders.append(await station.eim.order_enable(eid, order.iccid, rollback=False))
    async with station.step("provision"):
        if not (await station.ipa.poll()).profile_changed:
            raise DeviceFailure("the profile did not change", where=eid)
    async with station.step("deliver"):
        await station.ipa.poll()
    async with station.step("known"):
        enabled = [found.iccid for found in await station.ipa.profiles() if found.enabled]
        states = [(await station.eim.show(item.order_id)).state for item in orders]
        if enabled != [order.iccid] or states != ["done", "done"]:
            raise DeviceFailure(f"enabled {enabled}, orders {states}", where=eid)
