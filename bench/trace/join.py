"""What belongs together across lanes: one download, one eUICC Package, from the eIM's order to its acknowledgement.

ES10 on the card, ESipa and ES9+ name the same thing by the same values: transactionId, eimTransactionId, the challenge
that a session begins with, eimId with counterValue, the sequence number of a notification or result. Exchanges that
share one are joined. An exchange that carries several (a list of notifications) belongs to each of them, and joins
none with another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.trace.calls import RSP_LANES, Exchange
from bench.trace.tree import Field

Key = tuple[str, str]
"""Kind (``transaction``, ``challenge``, ``counter``, ``sequence``) and value."""

_SESSION: Final = ("transactionId", "eimTransactionId")
_CHALLENGE: Final = "euiccChallenge"
_SEQUENCES: Final = ("seqNumber", "SequenceNumber")
_SCOPES: Final = frozenset(
    (
        "euiccPackageSigned",
        "euiccPackageResultDataSigned",
        "euiccPackageErrorDataSigned",
        "euiccPackageErrorUnsigned",
        "profileInstallationResultData",
        "compactProfileInstallationResult",
    )
)
"""Structures whose values are about one thing: what stands in one of them is the same transaction."""
_DOWNLOAD: Final = frozenset(
    ("AuthenticateServer", "PrepareDownload", "LoadBoundProfilePackage", "InitiateAuthentication", "AuthenticateClient")
)


@dataclass(slots=True)
class Row:
    """One exchange of a transaction, without its bytes."""

    lane: str
    function: str
    start_ns: int
    end_ns: int
    first: int
    """Number of its first packet."""
    result: str
    ok: bool | None
    packets: int
    sent: int
    received: int
    step: str

    @classmethod
    def of(cls, made: Exchange) -> Row:
        """Return the row of an exchange."""
        return cls(
            made.lane,
            made.function,
            made.start_ns,
            made.end_ns,
            made.first,
            made.result,
            made.ok,
            made.packets,
            made.sent,
            made.received,
            made.step,
        )


@dataclass(slots=True)
class Transaction:
    """Everything that belongs to one download or one package."""

    kind: str
    """``download``, ``package``, ``notification`` or ``session``."""
    keys: list[Key]
    rows: list[Row] = field(default_factory=list)
    """In order of their beginning."""

    @property
    def start_ns(self) -> int:
        """When it began, ns since 1970."""
        return self.rows[0].start_ns

    @property
    def seconds(self) -> float:
        """From its first packet to its last."""
        return (max(row.end_ns for row in self.rows) - self.rows[0].start_ns) / 1e9

    @property
    def lanes(self) -> list[str]:
        """Lanes that it was seen on, in order."""
        return list(dict.fromkeys(row.lane for row in self.rows))

    def title(self) -> str:
        """Return it in a line: ``package eim.example #5``, ``download 4F2A...``."""
        wanted = {"package": "counter", "notification": "sequence"}.get(self.kind, "transaction")
        values = [value for kind, value in self.keys if kind == wanted] or [value for _, value in self.keys]
        return f"{self.kind} {values[0]}" if values else self.kind


def keys_of(made: Exchange) -> tuple[list[Key], list[list[Key]]]:
    """Return the keys of an exchange in order, and those of them that are about one thing, group by group."""
    request, answer = made.fields()
    found: dict[Key, None] = {}
    groups: list[list[Key]] = []
    for tree in (request, answer):
        if tree is not None:
            _walk(tree, found, groups)
    singles = [_of_kind(found, kind) for kind in ("transaction", "challenge", "counter")]
    together = [keys[0] for keys in singles if len(keys) == 1]
    # A session has one transactionId; an order's eimTransactionId may stand beside it.
    if len(_of_kind(found, "transaction")) == 2 and len(_of_kind(found, "challenge")) <= 1 and not singles[2]:
        together += singles[0]
    return list(found), [*groups, together]


def _of_kind(found: dict[Key, None], kind: str) -> list[Key]:
    return [key for key in found if key[0] == kind]


def _walk(tree: Field, found: dict[Key, None], groups: list[list[Key]]) -> None:
    here: list[Key] = []
    eim = tree.find("eimId")
    for child in tree.children:
        key: Key | None = None
        if child.children:
            inner: dict[Key, None] = {}
            _walk(child, inner, groups)
            found.update(inner)
            if child.name in _SCOPES:
                groups.append(list(inner))
            continue
        if child.raw is None or not child.raw or len(child.raw) > 64:
            continue
        if child.name in _SESSION:
            key = "transaction", child.raw.hex()
        elif child.name == _CHALLENGE:
            key = "challenge", child.raw.hex()
        elif child.name == "counterValue" and eim is not None and tree.name != "EimConfigurationData":
            key = "counter", f"{eim.text} #{child.text}"
        elif child.name in _SEQUENCES or (child.kind == "INTEGER" and tree.name == "EimAcknowledgements"):
            key = "sequence", child.text
        if key is not None:
            found[key] = None
            here.append(key)
    if tree.name in _SCOPES and here:
        groups.append(here)


class Joiner:
    """Takes exchanges one by one; ``transactions`` tells what they make."""

    def __init__(self) -> None:
        self._parent: dict[Key, Key] = {}
        self._rows: dict[Key, list[Row]] = {}

    def add(self, made: Exchange) -> None:
        """Take one exchange; those without a key are left out."""
        if made.kind != "card" and made.lane.partition(":")[0] not in RSP_LANES:
            return
        if made.kind == "card" and made.header[1:2] != b"\xe2":
            return
        keys, groups = keys_of(made)
        row = Row.of(made)
        for key in keys:
            self._parent.setdefault(key, key)
            self._rows.setdefault(key, []).append(row)
        for group in groups:
            for key in group[1:]:
                self._unite(group[0], key)

    def _root(self, key: Key) -> Key:
        while self._parent[key] != key:
            self._parent[key] = self._parent[self._parent[key]]
            key = self._parent[key]
        return key

    def _unite(self, one: Key, other: Key) -> None:
        self._parent[self._root(other)] = self._root(one)

    def transactions(self) -> list[Transaction]:
        """Return what was joined so far, in order of beginning."""
        keys: dict[Key, list[Key]] = {}
        for key in self._parent:
            keys.setdefault(self._root(key), []).append(key)
        found = []
        for members in keys.values():
            rows = {id(row): row for key in members for row in self._rows.get(key, ())}
            ordered = sorted(rows.values(), key=lambda row: (row.start_ns, row.first))
            found.append(Transaction(_kind(members, ordered), members, ordered))
        return sorted(found, key=lambda item: (item.start_ns, item.rows[0].first))


def _kind(keys: list[Key], rows: list[Row]) -> str:
    kinds = {kind for kind, _ in keys}
    if "counter" in kinds:
        return "package"
    if any(row.function in _DOWNLOAD for row in rows):
        return "download"
    return "notification" if kinds == {"sequence"} else "session"


def transactions(exchanges: Iterable[Exchange]) -> list[Transaction]:
    """Return the transactions of a trace in order of beginning."""
    joiner = Joiner()
    for made in exchanges:
        joiner.add(made)
    return joiner.transactions()


def rows(found: Iterable[Transaction]) -> Iterator[tuple[Transaction, Row]]:
    """Yield every row with its transaction."""
    for transaction in found:
        for row in transaction.rows:
            yield transaction, row
