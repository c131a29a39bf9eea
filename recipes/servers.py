"""What eIM and SM-DP+ know in the end: the eIM acknowledges what it has stored, and forwards it in its own time."""

from __future__ import annotations

from collections.abc import Sequence

from bench.engine.recipe import Station
from bench.errors import DeviceFailure
from bench.station.interfaces import EimOrder

FORWARDED_WITHIN = 10.0
"""Real seconds in which the eIM passes on to the SM-DP+ what it has acknowledged to the IPA."""


async def forwarded(station: Station, eid: str) -> str:
    """Wait until the eIM has passed on what it acknowledged; return why it could not, '' when it has."""
    found = await station.eim.notifications(eid, wait=FORWARDED_WITHIN)
    left = [item for item in found if item.get("state") == "queued"]
    return f"the eIM could not forward {len(left)}: {left[-1].get('last_error')}" if left else ""


async def missing_events(station: Station, eid: str, matching_id: str, *events: str) -> DeviceFailure | None:
    """Return what the SM-DP+ lacks as a failure, None when it has the profile installed with these notifications.

    What is not there yet is looked for again after the eIM had time to forward it: in station time this takes none.
    """
    stuck = ""
    for last in (False, True):
        state = await station.smdpp.state(matching_id)
        found = [str(notification.get("event")) for notification in state.notifications]
        missing = [event for event in events if event not in found]
        if state.state == "installed" and not missing:
            return None
        if not last:
            stuck = await forwarded(station, eid)
    return DeviceFailure(
        f"the SM-DP+ has the profile as {state.state} with notifications {found or 'none'}",
        where=f"matching id {matching_id}",
        hint=stuck or (f"missing: {', '.join(missing)}" if missing else "it was told of no installation: poll again"),
    )


async def cancel_open_orders(station: Station, eid: str) -> Sequence[EimOrder]:
    """Cancel what an earlier run left open at the eIM; return all orders, oldest first."""
    orders = await station.eim.orders(eid)
    for order in orders:
        if not order.final:
            await station.eim.cancel(order.order_id)
            station.note(f"cancelled eIM order {order.order_id} ({order.kind}) left by an earlier run")
    return orders
