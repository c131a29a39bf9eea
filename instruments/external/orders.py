"""What every eIM of the lab has in common for recipes: orders as calls of ``_place`` and ``_look``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.errors import ConfigurationError, Refused
from bench.station.interfaces import EimOrder
from instruments.external.book import Book, Entry

_KINDS: Final = {"listProfileInfo": "list", "direct-download": "download"}
"""What the bench calls an order where that is not the operation's name."""
FINAL: Final = ("done", "failed", "cancelled", "expired")
LOST: Final = "unknown"


class NotOffered(Refused):
    """The server of the lab does not offer what a recipe asks of it."""


class ExternalEim(ABC):
    """The recipe's side of ``bench.station.interfaces.EimService``; who asks the server, a subclass knows."""

    external = True

    def __init__(self, eim_id: str, fqdn: str, abilities: frozenset[str], book: Book) -> None:
        self.eim_id = eim_id
        self.fqdn = fqdn
        self.abilities = abilities
        self._book = book

    async def close(self) -> None:  # noqa: B027 - one that asks the person has nothing to close
        """Close what is open."""

    # --- what a subclass does ---------------------------------------------------------------------------------------

    @abstractmethod
    async def _place(self, operation: str, eid: str, ordered: Mapping[str, Any]) -> EimOrder:
        """Place an order for the eUICC ``eid`` and return it; ``operation`` is one of the template's."""

    @abstractmethod
    async def _look(self, entry: Entry) -> EimOrder:
        """Return an order as the server shows it now."""

    # --- orders -----------------------------------------------------------------------------------------------------

    async def order_download(
        self, eid: str, activation_code: str, *, confirmation_code: str = "", direct: bool = False
    ) -> EimOrder:
        """Order a download, indirect or ``direct``. Raises NotOffered for an empty code: the default SM-DP+."""
        parts = activation_code.removeprefix("LPA:").split("$")
        if len(parts) < 3:
            raise NotOffered("a download without activation code", where=self._where, hint="use the bundled eIM")
        ordered = {"activation_code": activation_code, "smdp_address": parts[1], "matching_id": parts[2]}
        if confirmation_code:
            ordered["confirmation_code"] = confirmation_code
        return await self._offered("direct-download" if direct else "download", eid, ordered)

    async def order_enable(self, eid: str, iccid: str, *, rollback: bool) -> EimOrder:
        """Order a signed PSMO enable."""
        return await self._offered("enable", eid, {"iccid": iccid, "rollback": rollback})

    async def order_disable(self, eid: str, iccid: str) -> EimOrder:
        """Order a signed PSMO disable."""
        return await self._offered("disable", eid, {"iccid": iccid})

    async def order_delete(self, eid: str, iccid: str) -> EimOrder:
        """Order a signed PSMO delete."""
        return await self._offered("delete", eid, {"iccid": iccid})

    async def order_list(self, eid: str) -> EimOrder:
        """Order a signed PSMO listProfileInfo."""
        return await self._offered("listProfileInfo", eid, {})

    async def order_package(
        self, eid: str, *, psmos: Sequence[Mapping[str, object]] = (), ecos: Sequence[Mapping[str, object]] = ()
    ) -> EimOrder:
        """Order commands: one by its own operation, several (or one without) by ``package``. Raises NotOffered."""
        commands = [*psmos, *ecos]
        name = next(iter(commands[0]), "") if len(commands) == 1 else ""
        if name in self._operations:
            values = commands[0][name]
            return await self._offered(name, eid, _plain(values) if isinstance(values, Mapping) else {})
        lists = {"psmos": _plain(list(psmos)), "ecos": _plain(list(ecos))}
        return await self._offered("package", eid, {key: value for key, value in lists.items() if value})

    async def order_replay(self, order_id: str) -> EimOrder:
        """An old package handed out again: no operator's interface offers that. Raises NotOffered."""
        raise self._without("replay")

    @property
    def _operations(self) -> frozenset[str]:
        return self.abilities

    @property
    def _where(self) -> str:
        return f"the lab's own eIM {self.fqdn}"

    def _without(self, what: str) -> NotOffered:
        return NotOffered(f"the lab's own eIM does not offer '{what}'", where=self._where, hint="use the bundled eIM")

    async def _offered(self, operation: str, eid: str, ordered: Mapping[str, Any]) -> EimOrder:
        if operation not in self._operations:
            raise self._without(operation)
        return await self._place(operation, eid, ordered)

    async def show(self, order_id: str) -> EimOrder:
        """Return the order as the server shows it; one that is final as it was."""
        entry = self._book.numbered(order_id)
        if entry is None:
            raise ConfigurationError(f"the bench has placed no order {order_id}", where=self._where)
        return kept(entry) if entry.state else await self._look(entry)

    async def orders(self, eid: str) -> Sequence[EimOrder]:
        """Return the orders that the bench has placed for an eUICC, oldest first; those of others are not its affair.

        What was final is told as it was; the rest is asked for.
        """
        return [kept(entry) if entry.state else await self._look(entry) for entry in self._book.of(eid)]

    def _end(self, entry: Entry, shown: EimOrder) -> EimOrder:
        """Keep what is final."""
        if shown.state in FINAL:
            entry.state = shown.state
            entry.told = {"result": dict(shown.result), "error": dict(shown.error), "verified": shown.verified}
            self._book.write(entry)
        return shown


def made(entry: Entry, state: str, **more: Any) -> EimOrder:
    """Return an order of the book as recipes see it."""
    kind = _KINDS.get(entry.kind, entry.kind)
    if kind not in ("download", "enable", "disable", "delete", "list"):
        kind = "package"
    return EimOrder(
        entry.order_id or entry.key, entry.eid, kind, state, **{"verified": None, **more}, ordered=_of(entry)
    )


def kept(entry: Entry) -> EimOrder:
    """Return an order as it ended, or as one that was taken and not asked for since."""
    result, error = entry.told.get("result"), entry.told.get("error")
    verified = entry.told.get("verified")
    return made(
        entry,
        entry.state or "pending",
        result=result if isinstance(result, dict) else {},
        error=error if isinstance(error, dict) else {},
        verified=verified if isinstance(verified, bool) else None,
    )


def _of(entry: Entry) -> dict[str, object]:
    return {"command": entry.kind, **entry.ordered}


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: bytes in hexadecimal."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
