"""What a trace shows of the card: its list of profiles before and after, and what its signed results changed.

The card is asked for its list now and then only. So the state after a run is the last list with the results applied
that the card has given since (enable, disable, delete, installed), and each says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from bench.trace.decode_rsp import first, walk
from bench.trace.lane import Direction
from bench.trace.reader import Packet

_MOST: Final = 64
"""Profiles of one list and changes that are kept: more makes no sense of a card."""
_PSMO: Final = {0xA3: "enable", 0xA4: "disable", 0xA5: "delete"}
_DIRECT: Final = {0xBF31: "enable", 0xBF32: "disable", 0xBF33: "delete"}
_RESULTS: Final = {0x83: "enable", 0x84: "disable", 0x85: "delete"}
_LOSES_TRACK: Final = {
    0xBF34: "memory reset",
    0xBF64: "memory reset",
    0xBF58: "rollback",
    0xBF5A: "immediate enabling",
    0xBF5B: "emergency profile",
    0xBF5C: "emergency profile",
    0xBF5D: "fallback",
    0xBF5E: "return from fallback",
}
"""Functions after which, when they succeed, the state is not known before the next list."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile as the card lists it; empty what it did not tell (SGP.22 section 5.7.15, SGP.32 section 5.9)."""

    iccid: str
    name: str = ""
    provider: str = ""
    kind: str = ""
    """``test``, ``provisioning`` or ``operational``."""
    enabled: bool | None = None


@dataclass(slots=True)
class Listing:
    """The profiles of a card at one moment."""

    time_ns: int
    lane: str
    profiles: list[Profile]
    since: list[str] = field(default_factory=list)
    """Results of the card that were applied to its last list."""
    uncertain: str = ""
    """What happened since that may have changed more than is known here."""


@dataclass(slots=True)
class CardFacts:
    """What is known of the cards of a run."""

    before: Listing | None = None
    after: Listing | None = None
    changes: list[tuple[int, str]] = field(default_factory=list)
    """Each change of a profile's state that the card confirmed: wall time in ns, and what."""


class Card:
    """Collects card facts while a trace is read."""

    def __init__(self) -> None:
        self.facts = CardFacts()
        self._asked: dict[str, bytearray] = {}
        """Lane to the data of the command under way, blocks joined."""
        self._answer: dict[str, bytearray] = {}

    def take(self, packet: Packet, kind: str) -> None:
        """Look at one packet of a lane of this kind. Never raises on any bytes."""
        if kind == "apdu":
            if packet.direction is Direction.RECEIVED:
                self._response(packet)
            else:
                self._command(packet)
        elif kind == "esipa" and b"\xbf\x2d" in packet.data and packet.direction is not Direction.RECEIVED:
            for value in _within(packet.data, 0xBF2D):  # listProfileInfo, signed by the card
                self._listed(value, packet)

    def _command(self, packet: Packet) -> None:
        data = packet.data
        if len(data) < 5 or data[1] == 0xC0:  # GET RESPONSE goes on with the answer
            return
        self._answer[packet.lane] = bytearray()
        if data[1] != 0xE2:
            self._asked.pop(packet.lane, None)
            return
        body = data[5 : 5 + data[4]]
        if data[3] == 0 or packet.lane not in self._asked:
            self._asked[packet.lane] = bytearray(body)
        elif len(self._asked[packet.lane]) < 1 << 16:
            self._asked[packet.lane] += body

    def _response(self, packet: Packet) -> None:
        collected = self._answer.get(packet.lane)
        asked = self._asked.get(packet.lane)
        if collected is None or asked is None or len(packet.data) < 2:
            return
        collected += packet.data[:-2]
        if packet.data[-2] == 0x61 or len(collected) > 1 << 18:
            return
        self._answer[packet.lane] = bytearray()
        if not collected:
            return
        for tag, value in walk(bytes(collected), 1):
            self._answered(tag, value, bytes(asked), packet)

    def _answered(self, tag: int, value: bytes, asked: bytes, packet: Packet) -> None:
        if tag == 0xBF2D:
            self._listed(value, packet)
        elif tag == 0xBF51:
            orders = _ordered(first(asked, 0xBF51) or b"")
            done = first(value, 0xA0, 0x30, 0x30) or first(value, 0x30, 0x30) or b""
            results = [(_RESULTS[kind], code) for kind, code in walk(done) if kind in _RESULTS]
            for (what, of), (named, code) in zip(orders, results, strict=False):
                if what == named and not any(code):
                    self._changed(what, of, packet)
        elif tag in _DIRECT and not any(first(value, 0x80) or b"\1"):
            iccid = first(asked, tag, 0xA0, 0x5A) or first(asked, tag, 0x5A)
            self._changed(_DIRECT[tag], digits(iccid), packet)
        elif tag == 0xBF37 and first(value, 0xBF27, 0xA2, 0xA0) is not None:
            self._changed("install", digits(first(value, 0xBF27, 0xBF2F, 0x5A)), packet)
        elif tag in _LOSES_TRACK and not any(first(value, 0x80) or b"\1") and self.facts.after is not None:
            self.facts.after.uncertain = _LOSES_TRACK[tag]

    def _listed(self, value: bytes, packet: Packet) -> None:
        listed = first(value, 0xA0)
        if listed is None:
            return
        found = Listing(packet.time_ns, packet.lane, [_profile(each) for tag, each in walk(listed) if tag == 0xE3])
        if self.facts.before is None:
            self.facts.before = replace(found, profiles=list(found.profiles))
        self.facts.after = found

    def _changed(self, what: str, iccid: str, packet: Packet) -> None:
        after = self.facts.after
        told = {"enable": "enabled", "disable": "disabled", "delete": "deleted", "install": "installed"}[what]
        if len(self.facts.changes) < _MOST:
            self.facts.changes.append((packet.time_ns, f"{iccid or 'a profile'} {told}"))
        if after is None:
            return
        if len(after.since) < _MOST:
            after.since.append(f"{iccid or 'a profile'} {told}")
        if not iccid:
            after.uncertain = told
            return
        others = [each for each in after.profiles if each.iccid != iccid]
        own = next((each for each in after.profiles if each.iccid == iccid), Profile(iccid))
        if what == "delete":
            after.profiles = others
        elif what == "enable":  # one profile is enabled at a time (SGP.32 section 3.3)
            after.profiles = [replace(each, enabled=each.iccid == iccid) for each in after.profiles]
            if own not in after.profiles and not any(each.iccid == iccid for each in after.profiles):
                after.profiles.append(replace(own, enabled=True))
        else:
            at = next((n for n, each in enumerate(after.profiles) if each.iccid == iccid), len(after.profiles))
            after.profiles[at : at + 1] = [replace(own, enabled=False)]


def _ordered(package: bytes) -> list[tuple[str, str]]:
    """Return the profile state commands of an eUICC package with the ICCIDs they are for, in their order."""
    psmos = first(package, 0x30, 0xA0) or b""
    return [(_PSMO[tag], digits(first(value, 0x5A))) for tag, value in walk(psmos) if tag in _PSMO]


def _within(data: bytes, wanted: int, depth: int = 6) -> list[bytes]:
    """Return the values of a tag at any depth."""
    found = []
    for tag, value in walk(data):
        if tag == wanted:
            found.append(value)
        elif depth and (tag >> 8 * ((tag.bit_length() + 7) // 8 - 1) if tag else 0) & 0x20:
            found += _within(value, wanted, depth - 1)
    return found[:_MOST]


def _profile(value: bytes) -> Profile:
    state, kind = first(value, 0x9F70), first(value, 0x95)
    name = first(value, 0x90) or first(value, 0x92) or b""
    return Profile(
        iccid=digits(first(value, 0x5A)),
        name=name.decode("utf-8", "replace"),
        provider=(first(value, 0x91) or b"").decode("utf-8", "replace"),
        kind={b"\0": "test", b"\1": "provisioning", b"\2": "operational"}.get(kind or b"", ""),
        enabled=None if state is None else any(state),
    )


def digits(value: bytes | None) -> str:
    """Return the digits of an ICCID or IMSI as the card holds them: two a byte, the first in the low half."""
    if not value:
        return ""
    return "".join(f"{octet & 15:X}{octet >> 4:X}" for octet in value[:16]).rstrip("F")
