"""The last exchanges of the lanes before and just after a moment: answers beside their requests, polling counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Final

from bench.report.decoding import told
from bench.trace import redact
from bench.trace.lane import Direction
from bench.trace.reader import Packet

SHOWN: Final = 20
"""Exchanges shown before a failure."""
KEPT: Final = 200
"""Packets of each lane from which they are made: repeated ones are counted, and no lane crowds out another."""
AFTER: Final = 12
"""Packets kept after a failure, all lanes together; ``SHOWN_AFTER`` exchanges of them are shown."""
SHOWN_AFTER: Final = 5

_RELAYED: Final = re.compile(r"^(?:AT)?\+(?:CGLA|CSIM)\b")
_GET_RESPONSE: Final = re.compile(r"(?:ch\d+ )?GET RESPONSE\b")
_TO_FETCH: Final = re.compile(r"(?:61|9F)[0-9A-F]{2} \d+ bytes to fetch")
_RAW: Final = ("apdu", "esipa")
"""Kinds of lanes whose bytes are shown beside their decoding: what a card or eIM vendor wants to see first."""
_LONGEST_RAW: Final = 384
"""Bytes of one packet that are shown; the trace has all."""


@dataclass(slots=True)
class Exchange:
    """A request and its answer on one lane, or one of them; ``count`` times the same request in a row."""

    lane: str
    time_ns: int
    sent: str = ""
    received: str = ""
    count: int = 1
    raw: list[str] = field(default_factory=list)
    """Bytes as hexadecimal text with the direction in front, of cards and ESipa."""


def exchanges(lanes: Iterable[Iterable[Packet]], shown: int = SHOWN) -> list[Exchange]:
    """Return the last exchanges of some lanes in the order of time.

    What an AT lane says of card commands is left out where an APDU lane says the same.
    """
    found = _all(lanes)
    return found[-shown:]


def following(lanes: Iterable[Iterable[Packet]], shown: int = SHOWN_AFTER) -> list[Exchange]:
    """Return the first exchanges of some lanes in the order of time."""
    return _all(lanes)[:shown]


def _all(lanes: Iterable[Iterable[Packet]]) -> list[Exchange]:
    kept = [list(packets) for packets in lanes]
    decoded = any(packets and packets[0].lane.startswith("apdu") for packets in kept)
    found = [exchange for packets in kept for exchange in _rounds(_of_lane(packets, decoded))]
    found.sort(key=lambda exchange: exchange.time_ns)
    return found


def _of_lane(packets: Sequence[Packet], decoded: bool) -> list[Exchange]:
    found: list[Exchange] = []
    asked: Exchange | None = None
    relaying = False
    if len(packets) == KEPT:  # what its first answers belong to is not kept any more
        packets = list(dropwhile(lambda packet: packet.direction is Direction.RECEIVED, packets)) or packets
    for packet in packets:
        comment = told(packet)
        at = decoded and packet.lane.startswith("at:")
        if packet.direction is not Direction.RECEIVED:
            if asked is not None and _GET_RESPONSE.match(comment) and _TO_FETCH.fullmatch(asked.received):
                asked.received = ""  # the answer comes in parts: it is one exchange (ISO 7816-3 section 12.2.1)
                asked.raw += _raw("→", packet)
                continue
            relaying = at and _RELAYED.match(comment) is not None
            asked = None
            if not relaying:
                asked = Exchange(packet.lane, packet.time_ns, sent=comment, raw=_raw("→", packet))
                found.append(asked)
        elif relaying and (_RELAYED.match(comment) or comment == "OK"):
            continue
        elif asked is not None and comment == asked.sent and not asked.received:
            continue  # the echo
        elif asked is not None and len(asked.received) < 240:
            asked.received = f"{asked.received} | {comment}" if asked.received else comment
            asked.raw += _raw("←", packet)
        else:
            found.append(Exchange(packet.lane, packet.time_ns, received=comment, raw=_raw("←", packet)))
    return found


def _raw(arrow: str, packet: Packet) -> list[str]:
    kind = packet.lane.partition(":")[0]
    if kind not in _RAW or not packet.data:
        return []
    data = packet.data
    if kind == "apdu":  # a trace that was recorded with secrets must not put them into what is handed on
        data = redact.response(data) if packet.direction is Direction.RECEIVED else redact.command(data)
    more = f" … {len(data)} bytes" if len(data) > _LONGEST_RAW else ""
    return [f"{arrow} {data[:_LONGEST_RAW].hex().upper()}{more}"]


def _rounds(found: list[Exchange], longest: int = 6) -> list[Exchange]:
    """Count rounds of polling, a few requests again and again, instead of keeping each; the last answers are kept."""
    kept: list[Exchange] = []
    for exchange in found:
        kept.append(exchange)
        for length in range(1, min(longest, len(kept) // 2) + 1):
            last, before = kept[-length:], kept[-2 * length : -length]
            if all(_again(one, other) for one, other in zip(last, before, strict=True)):
                for one, other in zip(last, before, strict=True):
                    one.count += other.count
                del kept[-2 * length : -length]
                break
    return kept


def _again(one: Exchange, other: Exchange) -> bool:
    """Whether two exchanges are the same question; of card commands and what comes unasked, the same answer too."""
    if one.sent != other.sent:
        return False
    return one.received == other.received or (bool(one.sent) and not one.lane.startswith("apdu"))
