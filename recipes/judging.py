"""What became of an order at an eIM of the lab: the card is asked, and the eIM's word is compared with it.

The bundled eIM's results are signed by the eUICC and verified by the bench's own code. Of the lab's own only its
operator's side is known: that counts where the card agrees, and a contradiction is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from bench.engine.recipe import Station
from bench.engine.steps import current
from bench.errors import DeviceFailure
from bench.station.interfaces import CardProfile, EimOrder, PollResult
from recipes.words import listing, not_verified, order_failed, reason

_LOOK_AGAIN = 0.5
"""Real seconds between two questions about an order that the eIM works on."""


def on_card(order: EimOrder, polls: Sequence[PollResult], profiles: Sequence[CardProfile]) -> bool | None:
    """Return whether the card has done what was ordered, by its own list and its signed results; None: cannot tell.

    ``polls``: those of the run, the last one last.
    """
    command = str(order.ordered.get("command", order.kind))
    iccid = str(order.ordered.get("iccid", ""))
    listed = next((profile for profile in profiles if profile.iccid == iccid), None)
    if order.kind == "download":
        installed = {str(item.get("iccid", "")) for poll in polls for item in poll.downloads if item.get("installed")}
        return any(profile.iccid in installed for profile in profiles)
    if order.kind == "delete":
        return listed is None
    if order.kind in ("enable", "disable"):
        return listed is not None and listed.enabled is (order.kind == "enable")
    if command in ("setFallbackAttribute", "unsetFallbackAttribute"):
        wanted = iccid if command == "setFallbackAttribute" else ""
        return next((profile.iccid for profile in profiles if profile.fallback), "") == wanted
    return _signed(polls[-1]) if polls else None


def _signed(poll: PollResult) -> bool | None:
    """Whether the last poll's packages were executed and signed; None when there was none."""
    if not poll.results:
        return None
    return all(result.get("form") == "signed" and not _codes(result) for result in poll.results)


def _codes(result: object) -> list[object]:
    """Return the results of a package that are codes other than 0; listProfileInfo and getRAT give lists."""
    found = result.get("results", ()) if isinstance(result, Mapping) else ()
    items = found if isinstance(found, Sequence) else ()
    return [item for item in items if isinstance(item, tuple) and isinstance(item[-1], int) and item[-1] != 0]


async def settled(station: Station, order_id: str) -> EimOrder:
    """Return an order as the lab's own eIM shows it, when it has had its time (``settle``) to work on a result."""
    until = time.monotonic() + float(getattr(station.eim, "settle", 0.0))
    while True:
        shown = await station.eim.show(order_id)
        if shown.state not in ("sent", "running") or time.monotonic() >= until:
            return shown
        await asyncio.sleep(_LOOK_AGAIN)


def judge(
    station: Station,
    order: EimOrder,
    what: str,
    polls: Sequence[PollResult],
    profiles: Sequence[CardProfile],
) -> None:
    """Judge ``what`` was ordered by the card; the eIM's word is compared with it (``order``: as it shows it now).

    The step is inconclusive where card and eIM contradict each other in what the card has done, or where nobody but the
    eIM knows. Raises DeviceFailure when the card has not done it, whatever the eIM says.
    """
    done = on_card(order, polls, profiles)
    where = f"eIM order {order.order_id}"
    if done is False and order.state == "done":
        raise DeviceFailure(
            f"the lab's own eIM says that {what} is done, and the card has not done it",
            where=f"{where}; the card: {listing(profiles)}",
            hint="the eIM believes a result that is not this card's, or was never sent: its log, and lane apdu",
        )
    if done is False or (done is None and order.state in ("failed", "cancelled", "expired")):
        raise order_failed(order, polls[-1] if polls else None, what)
    if order.verified is False:
        raise not_verified(order, f"the result of {what}")
    if order.state == "done":
        if done is None:
            _unknown(station, f"{what}: the lab's own eIM says that it is done, and nothing of it can be read back")
        return
    if order.state == "unknown":
        _missing(station, "state", f"{what}: the card has done it; whether the lab's own eIM knows is not known", where)
        return
    told = reason(order.error)
    says = f"{order.state}" + (f" ({told})" if told else "")
    _unknown(station, f"{what}: the card has done it, and the lab's own eIM has the order as {says}", where)


def _missing(station: Station, waived: str, text: str, where: str = "") -> None:
    """Say that something is not known: a note where the lab's template judges without it."""
    if waived in getattr(station.eim, "judge_without", ()):
        station.note(f"{text} (judge_without)")
    else:
        _unknown(station, text, where)


def _unknown(station: Station, text: str, where: str = "") -> None:
    step = current()
    text = f"{where}: {text}" if where else text
    station.note(text)
    if step is not None:
        step.inconclusive(text)
