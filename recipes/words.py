"""What recipes say of orders, results and profiles that are not as they must be: every party's reason in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from bench.engine.steps import current
from bench.errors import DeviceFailure
from bench.station.interfaces import CardNotification, EimOrder, PollResult


def order_failed(order: EimOrder, poll: PollResult | None, what: str) -> DeviceFailure:
    """Return the failure with everything the eIM, the SM-DP+ and the card said about it."""
    reasons = [reason(order.error), reason(order.result)]
    if poll is not None:
        reasons += [reason(download) for download in poll.downloads if not download.get("installed")]
        reasons += [reason(result) for result in poll.results]
    text = "; ".join(dict.fromkeys(item for item in reasons if item)) or "no reason was given"
    if order.state == "done" and order.verified is None:
        return DeviceFailure(
            f"{what} failed: the lab's own eIM says that its order is done, and the card has not done it: {text}",
            where=f"eIM order {order.order_id}",
            hint="the IPA was given no package that did it: the eIM's log, and lane apdu",
        )
    return DeviceFailure(f"{what} failed: order {order.state}: {text}", where=f"eIM order {order.order_id}")


def not_verified(order: EimOrder, what: str) -> DeviceFailure:
    """Return the failure of an order whose result is there, and is not the card's by its signature."""
    return DeviceFailure(
        f"the eIM could not verify {what}",
        where=f"eIM order {order.order_id}",
        hint="does the eIM trust the card's CI? 'bench doctor --card' compares them",
    )


def require_success(order: EimOrder, poll: PollResult | None, what: str) -> None:
    """Require that the eUICC has signed that ``what`` was done. Raises DeviceFailure with every party's reason."""
    if order.state != "done":
        raise order_failed(order, poll, what)
    if order.verified is None:  # the lab's own eIM, and a card that only the device can read
        step = current()
        if step is not None:
            step.inconclusive(f"only the lab's own eIM says that {what} is done: nobody else can read the card")
        return
    if not order.verified:
        raise not_verified(order, f"the result of {what}")


def reason(data: Mapping[str, Any]) -> str:
    """Return the parts of an error mapping that tell a person why, subject and reason code first."""
    parts = []
    if data.get("subject_code"):
        parts.append(f"SM-DP+ subject {data['subject_code']} reason {data.get('reason_code', '?')}")
    if data.get("form") and str(data["form"]) != "signed":
        parts.append(f"eUICC package result {data['form']}")
    parts += [str(data[key]) for key in ("what", "error", "name", "message") if data.get(key)]
    return ", ".join(dict.fromkeys(parts))


def results_of(order: EimOrder) -> list[Mapping[str, Any]]:
    """Return the results of an order's commands, in order; none for an eIM that does not tell them."""
    found = order.result.get("results", ())
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, Sequence) else []


class OnCard(Protocol):
    """A profile on the card, whoever has told of it."""

    @property
    def iccid(self) -> str:
        """Its ICCID, 19 or 20 digits."""

    @property
    def name(self) -> str:
        """Its name, empty when it was not told."""

    @property
    def enabled(self) -> bool:
        """Whether it is the enabled one."""


def listing(profiles: Iterable[OnCard]) -> str:
    """Return the profiles of the card in one line."""
    return ", ".join(f"{p.iccid} {p.name} ({'enabled' if p.enabled else 'disabled'})" for p in profiles) or "none"


def waiting(notifications: Iterable[CardNotification]) -> str:
    """Return what waits on the card in one line."""
    return ", ".join(f"{item.seq} {item.event}" for item in notifications) or "nothing"
