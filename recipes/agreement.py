"""What several recipes require of servers and orders, whoever has looked at the card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.engine.recipe import Station
from bench.errors import DeviceFailure
from bench.station.interfaces import EimOrder, PollResult
from recipes.words import OnCard, order_failed, results_of

LAST_EIM_DELETED: Final = 2
"""Result code of deleteEim (SGP.32 section 5.9.1)."""


async def eim_agrees(station: Station, eid: str, on_card: Sequence[OnCard]) -> None:
    """Require that the notifications the eIM received lead to the state that the card has."""
    there: dict[str, bool] = {}
    enabled: dict[str, bool] = {}
    found = await station.eim.notifications(eid)
    for item in sorted(found, key=lambda item: int(str(item.get("seq")))):
        iccid, event = str(item.get("iccid")), str(item.get("event"))
        if event == "install" and item.get("installed") is False:
            continue
        there[iccid] = event != "delete"
        enabled[iccid] = event == "enable"
    card = {item.iccid: item for item in on_card}
    for iccid, expected in there.items():
        if expected != (iccid in card):
            what = "is not on it" if expected else "is on it"
            raise DeviceFailure(
                f"by its notifications to the eIM the card differs: {iccid} {what}",
                where="eIM",
                hint="was the card used with another eIM or LPA since? 'bench euicc profiles' shows it",
            )
        if expected and enabled[iccid] != card[iccid].enabled:
            state = "enabled" if card[iccid].enabled else "disabled"
            raise DeviceFailure(
                f"by its notifications to the eIM the card differs: {iccid} is {state}",
                where="eIM",
                hint="was the card used with another eIM or LPA since? 'bench euicc profiles' shows it",
            )


def require_refused(executed: EimOrder, shown: EimOrder, error: str, poll: PollResult | None = None) -> None:
    """Require that a package handed out again was refused: ``unsigned``, or with this signed error."""
    if shown.state == "done" or results_of(shown):
        raise DeviceFailure(
            "the card executed a package a second time",
            where=f"eIM orders {executed.order_id} and {shown.order_id}",
            hint="counterValue is not checked: anybody who recorded a package can repeat it",
        )
    refusal = "unsigned" if shown.error.get("unsigned") else str(shown.error.get("name", ""))
    if shown.state != "failed" or refusal != error or (error != "unsigned" and not shown.verified):
        raise order_failed(shown, poll, f"the refusal ({error}) of a package that was executed before")
