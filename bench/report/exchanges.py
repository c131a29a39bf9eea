"""The exchanges around a failure, as a report shows them: what ``bench.trace.calls`` makes of the lanes' last packets.

Nothing is put together here. A row says what was called, what came back, how long it took and how many bytes it was;
functions of cards and servers have their named fields besides. Polling is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, dropwhile
from typing import Final

from bench.trace import redact
from bench.trace.calls import RSP_LANES, Exchange, Exchanges
from bench.trace.clocks import Clocks
from bench.trace.decode import one_liner
from bench.trace.lane import Direction
from bench.trace.reader import Packet
from bench.trace.tree import Field

SHOWN: Final = 20
"""Exchanges shown before a failure."""
SHOWN_AFTER: Final = 5
KEPT: Final = 200
"""Packets of each lane from which they are made: repeated ones are counted, and no lane crowds out another."""
KEPT_OF_CARD: Final = 1200
"""Of a card's lane: one Bound Profile Package of 100 kB has 800, and is one exchange."""
AFTER: Final = 30
"""Packets kept after a failure, all lanes together; ``SHOWN_AFTER`` exchanges of them are shown."""

_CARD_LANES: Final = ("apdu", "sniff")
_FIELDS: Final = 40
"""Lines of named fields of one exchange; deeper levels are told by their number where there are more."""
_LONGEST_LINE: Final = 120
_LONGEST_RAW: Final = 384
"""Bytes of a request or an answer that are shown; the trace has all."""
_LONGEST_SAID: Final = 240
_AUTHENTICATE: Final = 0x88


@dataclass(slots=True)
class Row:
    """One exchange as a line of a report; ``count`` times the same in a row."""

    lane: str
    time_ns: int
    """Wall clock of its first packet in ns since 1970, by the clock of its lane."""
    function: str
    result: str
    ok: bool | None = None
    seconds: float = 0.0
    """From its first packet to its last."""
    sent: int = 0
    """Bytes on the wire towards the device or server."""
    received: int = 0
    count: int = 1
    fields: list[str] = field(default_factory=list)
    """Request and answer as named fields, a line each, of card commands, ESipa, ES9+ and ES2+."""
    raw: list[str] = field(default_factory=list)
    """Bytes as hexadecimal text with the direction in front, of cards and ESipa."""


def kept(kind: str) -> int:
    """Return how many packets of a lane of this kind are to be kept."""
    return KEPT_OF_CARD if kind in _CARD_LANES else KEPT


def rows_around(
    before: Mapping[str, Sequence[Packet]],
    after: Iterable[Packet] = (),
    *,
    clocks: Clocks | None = None,
    goes_on: bool = False,
    shown: int = SHOWN,
) -> tuple[list[Row], list[Row]]:
    """Return the last exchanges that began before a moment, and the first ones after it, in the order of time.

    ``before``: the last packets of each lane. ``goes_on``: the trace has more behind ``after``; what is open there is
    not said to be without an answer. What an AT lane says of card commands is left out where a card's lane says it.
    """
    clocks = clocks or Clocks()
    following: dict[str, list[Packet]] = {}
    for packet in after:
        following.setdefault(packet.lane, []).append(packet)
    lanes = dict.fromkeys(chain(before, following))
    calls = Exchanges(relayed=not any(_kind(lane) in _CARD_LANES for lane in lanes))
    begun: list[Exchange] = []
    behind: list[Exchange] = []
    for lane in lanes:
        early = before.get(lane, ())
        if len(early) >= kept(_kind(lane)):  # what its first answers belong to is not kept any more
            early = list(dropwhile(lambda packet: packet.direction is Direction.RECEIVED, early)) or early
        for number, packet in enumerate(chain(early, following.get(lane, ())), 1):
            calls.function(_numbered(packet, number))
        for made in chain(calls.take(), _open(calls, lane, goes_on)):
            (begun if made.first <= len(early) else behind).append(made)
    return _rows(begun, clocks)[-shown:], _rows(behind, clocks)[:SHOWN_AFTER]


def _kind(lane: str) -> str:
    return lane.partition(":")[0]


def _numbered(packet: Packet, number: int) -> Packet:
    """Number a packet by its place in its lane: numbers of files begin again with every part of a trace."""
    return Packet(packet.lane, packet.time_ns, packet.direction, packet.data, packet.comment, packet.dissector, number)


def _open(calls: Exchanges, lane: str, goes_on: bool) -> list[Exchange]:
    found = [made for made in calls.close() if made.lane == lane]
    if goes_on:
        for made in found:
            made.result, made.ok = ("not over yet", None) if made.answer is None else (made.result, made.ok)
            made.note = ""
    return found


def _rows(found: Iterable[Exchange], clocks: Clocks) -> list[Row]:
    """Return rows in the order of time; rounds of polling are found lane by lane."""
    lanes: dict[str, list[Exchange]] = {}
    for made in found:
        if not made.relayed or made.ok is False:  # a card command that the modem refused to carry has no other line
            lanes.setdefault(made.lane, []).append(made)
    rounds = [counted for each in lanes.values() for counted in _rounds(sorted(each, key=lambda made: made.first))]
    rounds.sort(key=lambda counted: clocks.of(counted[0].lane).host_ns(counted[0].start_ns))
    return [_row(made, count) for made, count in rounds]


def _rounds(found: Iterable[Exchange], longest: int = 6) -> list[tuple[Exchange, int]]:
    """Count rounds of polling, a few requests again and again, instead of keeping each; the last answers are kept."""
    counted: list[tuple[Exchange, int]] = []
    for made in found:
        counted.append((made, 1))
        for length in range(1, min(longest, len(counted) // 2) + 1):
            last, before = counted[-length:], counted[-2 * length : -length]
            if all(_again(one, other) for (one, _), (other, _) in zip(last, before, strict=True)):
                counted[-2 * length :] = [(one, n + m) for (one, n), (_, m) in zip(last, before, strict=True)]
                break
    return counted


def _again(one: Exchange, other: Exchange) -> bool:
    """Whether two exchanges are the same question; of cards, servers and what comes unasked, the same answer too."""
    if (one.kind, one.function, one.header, one.request) != (other.kind, other.function, other.header, other.request):
        return False
    if one.kind in ("at", "scpi") and one.request:
        return True
    return (one.answer, one.status, one.result) == (other.answer, other.status, other.result)


def _row(made: Exchange, count: int) -> Row:
    row = Row(
        made.lane, made.start_ns, made.function, made.result, made.ok, made.seconds, made.sent, made.received, count
    )
    if made.kind in ("at", "urc", "scpi"):
        row.function, row.result = _line(made)
    elif made.kind == "packet":
        data = made.request or made.answer or b""
        said = made.result or one_liner(made.lane, made.answer is not None, data) or f"{len(data)} bytes"
        row.function, row.result = (said, "") if made.answer is None else ("", said)
    else:
        row.fields = named_fields(made)
    if made.channel:
        row.function = f"ch{made.channel} {row.function}"
    if made.note:
        row.result = f"{row.result}; {made.note}" if row.result else made.note
    row.raw = _raw(made)
    return row


def _line(made: Exchange) -> tuple[str, str]:
    """Return question and answer of a line as the one-liners of the trace say them."""
    asked = one_liner(made.lane, 0, made.request) if made.request else ""
    if made.kind == "scpi":
        return asked or made.function, made.result
    told: list[str] = []
    for line in made.lines:
        told.append(one_liner(made.lane, 1, line.encode("utf-8", "replace")) or line)
        if sum(map(len, told)) > _LONGEST_SAID:
            told.append("…")
            break
    if made.kind == "at" and made.result:
        told.append(made.result)
    return asked, " | ".join(told)


def named_fields(made: Exchange, most: int = _FIELDS) -> list[str]:
    """Return request and answer as lines, indented; at most about ``most``: then deep levels are only counted."""
    if made.kind != "card" and made.kind not in RSP_LANES:
        return []
    request, answer = made.fields()
    trees = [("→", request)] if made.request else []
    trees += [("←", answer)] if answer is not None and (made.answer or made.status is not None) else []
    lines: list[str] = []
    for depth in (24, 8, 6, 5, 4, 3, 2, 1):
        lines = [line for arrow, tree in trees for line in _told(tree, f"{arrow} ", depth)]
        if len(lines) <= most:
            return lines
    return [*lines[:most], f"… {len(lines) - most} more lines"]


def _told(tree: Field, indent: str, depth: int) -> Iterable[str]:
    value = f": {tree.text}" if tree.text else ""
    line = f"{indent}{tree.name}{value}"
    if tree.children and depth == 0:
        line += f" … {sum(1 for _ in tree.leaves())} fields"
    yield f"{line[: _LONGEST_LINE - 1]}…" if len(line) > _LONGEST_LINE else line
    if depth:
        for child in tree.children:
            yield from _told(child, " " * len(indent) + "  " * (indent[:1] == " "), depth - 1)


def _raw(made: Exchange) -> list[str]:
    """Return the bytes; a trace that was recorded with secrets must not put them into what is handed on."""
    if made.kind == "esipa":
        pairs = [("→", made.request, ""), ("←", made.answer or b"", "")]
    elif made.kind == "card" and made.header:
        data, answer = made.request, made.answer or b""
        length = bytes((len(data),)) if data and len(data) < 256 else b""
        word = made.status.to_bytes(2, "big") if made.status is not None else b""
        asked = redact.command(made.header + length + data) if length else made.header + data
        if made.header[1] == _AUTHENTICATE and answer[:1] != b"\xdc":  # CK, IK and Kc, whatever their form
            answer = b""
        blocks = f" ({made.blocks} blocks)" if made.blocks > 1 else ""
        pairs = [("→", asked, blocks), ("←", redact.response(answer + word) if word else b"", "")]
    else:
        return []
    return [
        f"{arrow} {data[:_LONGEST_RAW].hex().upper()}"
        + (f" … {len(data)} bytes" if len(data) > _LONGEST_RAW else "")
        + more
        for arrow, data, more in pairs
        if data
    ]
