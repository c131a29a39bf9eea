"""What eIM and SM-DP+ know in the end: the eIM acknowledges what it has stored, and forwards it in its own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from bench.engine.recipe import Station
from bench.engine.steps import current
from bench.errors import DeviceFailure
from bench.station.interfaces import EimOrder, ProfileState, is_external

FORWARDED_WITHIN = 10.0
"""Real seconds in which the eIM passes on to the SM-DP+ what it has acknowledged to the IPA."""
_LOOK_AGAIN = 0.3
"""Real seconds between two questions to a server of the lab."""


async def forwarded(station: Station, eid: str) -> str:
    """Wait until the eIM has passed on what it acknowledged; return why it could not, '' when it has."""
    if is_external(station.eim):  # what is on its way there is seen at the SM-DP+ only
        return ""
    ask = getattr(station.eim, "notifications_queued", station.eim.notifications)  # of thousands after a soak
    found = await ask(eid, wait=FORWARDED_WITHIN)
    left = [item for item in found if item.get("state") == "queued"]
    return f"the eIM could not forward {len(left)}: {left[-1].get('last_error')}" if left else ""


async def missing_events(station: Station, eid: str, matching_id: str, *events: str) -> DeviceFailure | None:
    """Return what the SM-DP+ lacks as a failure, None when it has the profile installed with these notifications.

    What is not there yet is looked for again after the eIM had time to forward it: in station time this takes none.
    """
    stuck = ""
    until = time.monotonic() + (FORWARDED_WITHIN if is_external(station.eim) or is_external(station.smdpp) else 0.0)
    last = False
    while True:
        state = await station.smdpp.state(matching_id)
        if not state.notifications_told:
            return _without_notifications(station, state)
        found = [str(notification.get("event")) for notification in state.notifications]
        missing = [event for event in events if event not in found]
        if state.state == "installed" and not missing:
            return None
        if last:
            break
        stuck = await forwarded(station, eid)
        last = time.monotonic() >= until
        if not last:
            await asyncio.sleep(_LOOK_AGAIN)
    return DeviceFailure(
        f"the SM-DP+ has the profile as {state.state} with notifications {found or 'none'}",
        where=f"matching id {matching_id}",
        hint=stuck or (f"missing: {', '.join(missing)}" if missing else "it was told of no installation: poll again"),
    )


def _without_notifications(station: Station, state: ProfileState) -> DeviceFailure | None:
    """Judge an SM-DP+ of the lab that tells of no notifications: its state, and that the rest is not known."""
    if state.state == "error":
        return DeviceFailure(
            "the SM-DP+ has the profile in error", where=f"matching id {state.matching_id}", hint="its log says why"
        )
    known = f"the lab's own SM-DP+ has the profile as {state.state}" if state.state != "unknown" else ""
    text = f"{known or 'of the profile'} and of its notifications nothing is known: the SM-DP+ does not tell"
    station.note(text)
    step = current()
    if step is not None and "notifications" not in getattr(station.smdpp, "judge_without", ()):
        step.inconclusive(text)
    return None


async def cancel_open_orders(station: Station, eid: str) -> None:
    """Cancel what an earlier run left open at the eIM."""
    for order in await open_orders(station, eid):
        await station.eim.cancel(order.order_id)
        station.note(f"cancelled eIM order {order.order_id} ({order.kind}) left by an earlier run")


async def open_orders(station: Station, eid: str) -> Sequence[EimOrder]:
    """Return the orders that are not final; these alone are asked for where that can be: a soak leaves thousands."""
    ask = getattr(station.eim, "open_orders", station.eim.orders)
    return [order for order in await ask(eid) if not order.final]


async def latest_orders(station: Station, eid: str) -> Sequence[EimOrder]:
    """Return what is known of earlier orders, oldest first: the last thousand where that many can be asked for."""
    found: Sequence[EimOrder] = await getattr(station.eim, "latest_orders", station.eim.orders)(eid)
    return found
