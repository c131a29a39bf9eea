"""An SM-DP+ of the lab by its REST template: ``station.smdpp`` of recipes (bench.station.interfaces.SmdppService)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.errors import InstrumentError
from bench.station.external import AdapterContext
from bench.station.interfaces import ProfileOrder, ProfileState
from bench.station.model import ServerConfig
from instruments.external.book import Book, Entry
from instruments.external.rest import RestConnection, Unsure
from instruments.external.template import Template

_STEPS: Final = ("order", "confirm", "release")
_TOLD: Final = ("iccid", "matching_id", "smdp_address", "activation_code")


class RestSmdpp:
    """Makes profiles ready over REST: ``order``, and ``confirm`` and ``release`` where the template has them."""

    external = True

    def __init__(self, config: ServerConfig, template: Template, context: AdapterContext) -> None:
        self.address = config.advertise
        self.abilities = template.abilities
        self.judge_without = template.judge_without
        self._template = template
        self._rest = RestConnection(template, "SM-DP+", context.lane("rest:smdpp"))
        self._book = Book(context.home, "smdpp", template.server.url)

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def order(self, profile: str, *, eid: str = "") -> ProfileOrder:
        """Make a profile ready (SGP.22 section 5.3). ``profile``: as [profiles] of the template translates it.

        Raises InstrumentError; what was reached by then is in the bench's book, and in the message.
        """
        values: dict[str, Any] = {"profile": self._template.profiles.get(profile, profile), "eid": eid or None}
        entry, before = self._book.begin(eid, "order", {"profile": profile})
        reached = entry.told.get("step")
        if before and not reached:
            self._rest.check_again("order")
        values |= {name: entry.told.get(name) for name in _TOLD if reached}
        for step in _STEPS[_STEPS.index(reached) + 1 if reached in _STEPS else 0 :]:
            if not self._rest.has(step):
                continue
            try:
                answer = await self._rest.call(step, {**values, "key": entry.key})
                for name in _TOLD:
                    values[name] = answer.text(name) or values.get(name)
            except InstrumentError as error:
                if isinstance(error, Unsure):
                    pass  # it stays in the book as it is
                elif values.get("matching_id") or values.get("iccid"):
                    error.hint = f"{error.hint}; {self._left(values)}".lstrip("; ")
                raise
            self._note(entry, values, step)
        return self._made(entry, values)

    def _left(self, values: Mapping[str, Any]) -> str:
        known = ", ".join(f"{name} {values[name]}" for name in ("iccid", "matching_id") if values.get(name))
        return f"the order is left there: {known}"

    def _note(self, entry: Entry, values: Mapping[str, Any], step: str) -> None:
        entry.order_id = str(values.get("matching_id") or "")
        entry.told = {name: values.get(name) for name in _TOLD} | {"step": step}
        self._book.write(entry)

    def _made(self, entry: Entry, values: Mapping[str, Any]) -> ProfileOrder:
        code = str(values.get("activation_code") or "")
        parts = code.removeprefix("LPA:").split("$")
        coded = len(parts) >= 3 and parts[0] == "1"
        address = str(values.get("smdp_address") or (parts[1] if coded else "") or self.address)
        matching_id = str(values.get("matching_id") or (parts[2] if coded else ""))
        iccid = str(values.get("iccid") or "")
        missing = [name for name, value in (("iccid", iccid), ("matching_id", matching_id)) if not value]
        if missing:
            raise InstrumentError(
                f"the lab's own SM-DP+ has not told the {' and '.join(missing)} of the profile it made ready",
                where=f"SM-DP+ {self.address}",
                hint=f"the answer of order, confirm or release must have it: {self._template.origin}",
            )
        if code and not coded:
            raise InstrumentError(
                f"'{code[:60]}' is no activation code", where=f"SM-DP+ {self.address}", hint="LPA:1$address$matchingId"
            )
        entry.order_id = matching_id
        entry.told |= {"iccid": iccid}
        self._book.write(entry)
        full = f"LPA:{code.removeprefix('LPA:')}" if code else f"LPA:1${address}${matching_id}"
        return ProfileOrder(iccid.rstrip("Ff"), matching_id, address, full)

    async def state(self, matching_id: str) -> ProfileState:
        """Return what became of an order, as far as the server tells."""
        entry = self._book.numbered(matching_id)
        told = entry.told if entry is not None else {}
        eid = entry.eid if entry is not None else ""
        iccid = str(told.get("iccid") or "")
        values = {"matching_id": matching_id, "iccid": iccid or None, "eid": eid or None}
        values["smdp_address"] = told.get("smdp_address") or self.address
        state = "unknown"
        if self._rest.has("state"):
            answer = await self._rest.call("state", values)
            if "state" in answer.operation.answer:
                state = self._template.state(answer.need("state"), answer.where)
            iccid, eid = answer.text("iccid") or iccid, answer.text("eid") or eid
        found: list[Mapping[str, object]] = []
        if self._rest.has("notifications"):
            for item in (await self._rest.call("notifications", values)).items("items"):
                event = item.text("event")
                seq = item.get("seq")
                found.append(
                    {
                        "event": self._template.events.get(event, event),
                        "seq": int(seq) if str(seq).isdecimal() else None,
                        "iccid": item.text("iccid") or iccid,
                    }
                )
        told_of = self._rest.has("notifications")
        return ProfileState(matching_id, state, iccid, eid, tuple(found), notifications_told=told_of)

    async def cancel(self, matching_id: str) -> None:
        """Cancel an order where the template can."""
        if self._rest.has("cancel"):
            entry = self._book.numbered(matching_id)
            iccid = entry.told.get("iccid") if entry is not None else None
            await self._rest.call("cancel", {"matching_id": matching_id, "iccid": iccid})
