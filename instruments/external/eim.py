"""An eIM of the lab by its REST template: ``station.eim`` of recipes (bench.station.interfaces.EimService)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import InstrumentError
from bench.station.external import AdapterContext, announcement
from bench.station.interfaces import EimOrder
from bench.station.model import ServerConfig
from instruments.external.book import Book, Entry
from instruments.external.orders import LOST, ExternalEim, kept, made
from instruments.external.rest import Answer, NotFound, RestConnection, Unsure
from instruments.external.template import Template


class RestEim(ExternalEim):
    """Orders over REST. One event loop."""

    def __init__(self, config: ServerConfig, template: Template, context: AdapterContext) -> None:
        told = announcement("eim", config)
        book = Book(context.home, "eim", template.server.url)
        super().__init__(told["eim_id"], told["fqdn"], template.abilities, book)
        self._template = template
        self._rest = RestConnection(template, "eIM", context.lane("rest:eim"))
        self._warn = context.warn
        self._known: set[str] = set()
        self._eid = ""
        """Of the eUICC that was registered last: whom a configuration is for when nobody says it."""

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    @property
    def judge_without(self) -> tuple[str, ...]:
        """What the lab has said that the bench is to judge without."""
        return self._template.judge_without

    @property
    def settle(self) -> float:
        """Real seconds that it may take from a card's result to the order's end."""
        return self._template.server.settle

    @property
    def _operations(self) -> frozenset[str]:
        return frozenset(self._template.operations)

    # --- eUICCs -----------------------------------------------------------------------------------------------------

    async def register(self, eid: str) -> None:
        """Have the eIM serve this eUICC: ``euicc`` tells whether it does, ``register`` makes it; without both it must.

        Raises InstrumentError when it does not know the eUICC and cannot be told.
        """
        self._eid = eid
        if eid in self._known:
            return
        asked, known = self._rest.has("euicc"), False
        if asked:
            try:
                known = (await self._rest.call("euicc", {"eid": eid})).flag("known") is not False
            except NotFound:
                known = False
        if not known and self._rest.has("register"):
            await self._numbered("register", {"eid": eid})
        elif asked and not known:
            raise InstrumentError(
                f"the lab's own eIM does not know EID {eid}",
                where=self._where,
                hint="register the eUICC there, or add [operations.register] to the template",
            )
        self._known.add(eid)

    async def initial_configuration(self, eid: str = "", *, token: bool = False) -> bytes:
        """Return the EimConfigurationData (DER, tag 30) that the eIM gives out. Raises NotOffered, InstrumentError."""
        if not self._rest.has("configuration"):
            raise self._without("configuration")
        answer = await self._numbered("configuration", {"eid": eid or self._eid})
        found = _der(answer.text("configuration", needed=True))
        if found is None:
            raise answer.wrong("configuration", "no DER with tag 30", "EimConfigurationData in hex or base64")
        return found

    # --- orders -----------------------------------------------------------------------------------------------------

    async def _place(self, operation: str, eid: str, ordered: Mapping[str, Any]) -> EimOrder:
        told = {k: v for k, v in ordered.items() if k != "confirmation_code"}
        entry, before = self._book.begin(eid, operation, told)
        if entry.order_id:
            return kept(entry)
        if before:
            self._rest.check_again(operation)
        return await self._send(entry, ordered)

    async def _send(self, entry: Entry, ordered: Mapping[str, Any]) -> EimOrder:
        try:
            answer = await self._rest.call(entry.kind, {"eid": entry.eid, "key": entry.key, **ordered})
            entry.order_id = answer.text("order_id", needed=True)
        except Unsure:
            raise  # it stays in the book without a number: the next run says so
        except BaseException as error:
            if isinstance(error, InstrumentError) and not self._may_be_there(error):
                entry.state, entry.told = "cancelled", {"error": {"what": "it was not taken"}}
                self._book.write(entry)
            raise
        self._book.write(entry)
        told = answer.get("state")
        state = self._template.state(told, answer.where) if told is not None else "pending"
        return made(entry, state)

    @staticmethod
    def _may_be_there(error: InstrumentError) -> bool:
        """Whether the server may have the order all the same: it answered, and not in a way that says no."""
        return "refused" not in error.what and "let the bench in" not in error.what and "reached" not in error.what

    async def _look(self, entry: Entry) -> EimOrder:
        if not entry.order_id:
            return await self._found_again(entry)
        return self._end(entry, await self._shown(entry))

    async def _shown(self, entry: Entry) -> EimOrder:
        try:
            answer = await self._rest.call("show", {"eid": entry.eid, "order_id": entry.order_id})
        except NotFound:
            return made(entry, LOST, error={"what": f"the eIM has no order {entry.order_id}"})
        state = self._template.state(answer.need("state"), answer.where)
        error = {name: answer.text(name) for name in ("subject_code", "reason_code")}
        error["what"] = answer.text("reason")
        result: dict[str, object] = {name: answer.text(name) for name in ("iccid", "matching_id")}
        if "profiles" in answer.operation.answer:
            result["profiles"] = [_profile(item) for item in answer.items("profiles")]
        return made(
            entry,
            state,
            result={name: value for name, value in result.items() if value},
            error={name: value for name, value in error.items() if value},
            verified=answer.flag("verified"),
        )

    async def _found_again(self, entry: Entry) -> EimOrder:
        """Return an order that was on its way when its run ended: sent again where the server knows its key."""
        operation = self._template.operations.get(entry.kind)
        if operation is not None and operation.repeat == "key" and "confirmation_code" not in entry.ordered:
            await self._send(entry, entry.ordered)
            return await self._look(entry)
        self._warn(
            f"an order of an earlier run ({entry.kind} for {entry.eid}) was on its way when the run ended: whether the "
            f"lab's own eIM has it is not known; look there (repeat = 'key' would make it known)"
        )
        entry.state, entry.told = "cancelled", {"error": {"what": "it is not known whether the eIM has it"}}
        self._book.write(entry)
        return made(entry, entry.state)

    async def cancel(self, order_id: str) -> EimOrder:
        """Cancel an order; without such an operation it stays, and a warning says so."""
        entry = self._book.numbered(order_id)
        shown = await self.show(order_id)
        if entry is None or shown.final:
            return shown
        if self._rest.has("cancel"):
            try:
                await self._numbered("cancel", {"eid": entry.eid, "order_id": entry.order_id})
            except NotFound:
                pass
        else:
            self._warn(f"order {order_id} stays at the lab's own eIM: its template has no 'cancel'")
        entry.state = "cancelled"
        self._book.write(entry)
        return made(entry, "cancelled")

    async def _numbered(self, operation: str, values: Mapping[str, Any]) -> Answer:
        import uuid

        return await self._rest.call(operation, {"key": str(uuid.uuid4()), **values})

    # --- what came --------------------------------------------------------------------------------------------------

    async def notifications(self, eid: str, *, wait: float = 0.0) -> Sequence[Mapping[str, object]]:
        """Return the notifications that the eIM tells of; ``wait`` is not needed: it is asked for what it has now."""
        if not self._rest.has("notifications"):
            return ()
        found = []
        for item in (await self._rest.call("notifications", {"eid": eid})).items("items"):
            event = item.text("event")
            entry: dict[str, object] = {"event": self._template.events.get(event, event)}
            seq = item.get("seq")
            entry |= {"seq": int(seq) if str(seq).isdecimal() else None, "iccid": item.text("iccid")}
            found.append({**entry, "state": item.text("state")})
        return found

    async def state_changes(self, eid: str) -> Sequence[Mapping[str, object]]:
        """Return the changes of state that the eIM tells of. Raises NotOffered."""
        if not self._rest.has("state-changes"):
            raise self._without("state-changes")
        answer = await self._rest.call("state-changes", {"eid": eid})
        return [
            {"at": _seconds(item.get("at")), "cause": item.text("cause"), "rplmn": item.text("rplmn")}
            for item in answer.items("items")
        ]


class CountingEim(RestEim):
    """One that tells how often an eUICC's IPA has polled it (``bench.station.dut_parts.CountsPolls``)."""

    async def polls(self, eid: str) -> int:
        """Return how often the eUICC's IPA has polled. Raises InstrumentError."""
        answer = await self._rest.call("euicc", {"eid": eid})
        told = answer.get("polls", 0)
        if isinstance(told, int) and not isinstance(told, bool):
            return told
        raise answer.wrong("polls", told, "a number")


def _profile(item: Answer) -> dict[str, object]:
    from dataclasses import replace

    pointers = item.operation.answer
    names = {"iccid": "profile_iccid", "enabled": "profile_enabled", "name": "profile_name"}
    one = replace(
        item, operation=replace(item.operation, answer={k: pointers[v] for k, v in names.items() if v in pointers})
    )
    return {"iccid": one.text("iccid"), "enabled": one.flag("enabled"), "name": one.text("name")}


def _der(text: str) -> bytes | None:
    """Return EimConfigurationData (tag 30, or the list BF57's first) from hex or base64, None for what is none."""
    text = "".join(text.split())
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        try:
            raw = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            return None
    return raw if raw[:1] == b"\x30" and len(raw) > 4 else None


def _seconds(told: object) -> float:
    from datetime import datetime

    if isinstance(told, int | float) and not isinstance(told, bool):
        return float(told)
    try:
        return datetime.fromisoformat(str(told).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
