"""What was said to the card in a trace: commands with their whole answers, whatever carried them.

From ``apdu:`` lanes, and from +CSIM and +CGLA lines of ``at:`` lanes where a modem carried the APDUs and there is no
lane of their own. Blocks of STORE DATA are one command, GET RESPONSE and a repetition after 6Cxx belong to the command
before them, and the logical channel is taken out of the class byte: what is left is the same on every carrier.

Replay, the recorded card and exports need the commands themselves, with what was selected when they came;
``bench.trace.calls_card`` is the view for people, by function. There are two, since what each puts together differs:
a function there is a whole Bound Profile Package (here each segment is a command, with an answer of its own to give),
one that was begun but not finished counts there (here a command without its answer cannot be replayed as one), and no
block is kept there as it was sent, with Le (here a card gets each again). To keep blocks there too would have every
``bench trace show`` pay for what it does not show. What is equal, they share: channels, instructions, and the status
words by which an answer goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.apdu.iso7816 import ApduError, Command, channel_of, class_on_channel
from bench.trace.lane import Direction
from bench.trace.reader import Packet

GET_RESPONSE: Final = 0xC0
SELECT: Final = 0xA4
MANAGE_CHANNEL: Final = 0x70
STORE_DATA: Final = 0xE2
TO_FETCH: Final = (0x61, 0x9F)
"""First byte of the status words after which GET RESPONSE fetches the answer (ISO 7816-4, TS 51.011)."""
WRONG_LE: Final = 0x6C
"""First byte of the status word after which the same command comes again, with the Le that the second byte names."""
_AT_APDU: Final = re.compile(rb"\+(?:CSIM|CGLA)([=:])[^\"\r\n]*\"([0-9A-Fa-f]{4,})\"")
_OPENED: Final = re.compile(rb"AT\+CCHO=\"?([0-9A-Fa-f]+)", re.IGNORECASE)


@dataclass(slots=True)
class CardCommand:
    """One command and its whole answer.

    ``command``: header and data as on the basic channel, without Le; for STORE DATA the data of all blocks.
    ``context``: what was selected on the channel, by the AID or the file identifiers of the SELECTs since.
    """

    number: int
    """Of the packet with its first command."""
    time_ns: int
    lane: str
    channel: int
    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    answer: bytes = b""
    status_word: int = 0
    context: bytes = b""
    aid: bytes = b""
    blocks: list[bytes] = field(default_factory=list)
    """The commands as they were sent, class byte as on the basic channel, with Le."""

    @property
    def tag(self) -> int:
        """Tag of the TLV that the data begins with, 0 where there is none."""
        if not self.data:
            return 0
        if self.data[0] & 0x1F != 0x1F or len(self.data) < 2:
            return self.data[0]
        return self.data[0] << 8 | self.data[1]


def apdus(packets: Iterable[Packet], lane: str = "") -> Iterator[tuple[Packet, bytes, bytes]]:
    """Yield every command APDU with its response APDU, in order; one without a response has an empty one.

    ``lane``: only of this lane. Without one: of the lane ``apdu:...`` that comes first, else of AT lanes.
    """
    waiting: dict[str, tuple[Packet, bytes]] = {}
    chosen = lane
    for packet in packets:
        kind = packet.lane.partition(":")[0]
        if (lane and packet.lane != lane) or packet.direction is None:
            continue
        if kind in ("apdu", "sniff"):
            found = [(packet.direction == Direction.SENT, packet.data)]
        elif kind == "at" and (lane or not chosen):
            found = [
                (match[1] == b"=", bytes.fromhex(match[2].decode()))
                for match in _AT_APDU.finditer(packet.data)
                if len(match[2]) % 2 == 0 and (match[1] == b"=") == (packet.direction == Direction.SENT)
            ]
            if not found and packet.direction == Direction.SENT and (opened := _OPENED.search(packet.data)):
                aid = opened[1][: len(opened[1]) & ~1].decode()
                yield packet, b"\x00\xa4\x04\x00" + bytes((len(aid) // 2,)) + bytes.fromhex(aid), b"\x90\x00"
        else:
            continue
        if kind != "at":
            chosen = chosen or packet.lane
            if packet.lane != chosen:
                continue
        for command, data in found:
            before = waiting.pop(packet.lane, None)
            if command:
                if before is not None:
                    yield (*before, b"")
                waiting[packet.lane] = (packet, data)
            elif before is not None:
                yield (*before, data)
    for left in waiting.values():
        yield (*left, b"")


def card_commands(packets: Iterable[Packet], lane: str = "") -> Iterator[CardCommand]:
    """Yield the commands of a trace in order with their whole answers; what is no APDU is left out. Never raises."""
    merger = _Merger()
    for packet, command, response in apdus(packets, lane):
        done = merger.add(packet, command, response)
        if done is not None:
            yield done
    if merger.open is not None:
        yield merger.open


class _Merger:
    def __init__(self) -> None:
        self.open: CardCommand | None = None
        self._context: dict[int, bytes] = {}
        self._aids: dict[int, bytes] = {}

    def add(self, packet: Packet, raw: bytes, response: bytes) -> CardCommand | None:
        try:
            command = Command.parse(raw)
        except ApduError:
            return None
        channel, bare = channel_of(command.cla), _bare(raw)
        body, word = response[:-2], int.from_bytes(response[-2:], "big") if len(response) >= 2 else 0
        before = self.open
        if before is not None and before.channel == channel:
            if command.ins == GET_RESPONSE and before.status_word >> 8 in TO_FETCH:
                before.answer += body
                before.status_word = word
                return None
            same = (command.ins, command.p1, command.p2, command.data) == (
                before.ins,
                before.p1,
                before.p2,
                before.data,
            )
            if before.status_word >> 8 == WRONG_LE and same:
                before.answer, before.status_word = body, word
                before.blocks[-1] = bare
                return None
            goes_on = before.ins == command.ins == STORE_DATA and not before.p1 & 0x80 and command.p2 != 0
            if goes_on and before.status_word == 0x9000:
                before.data += command.data
                before.p1 = command.p1
                before.blocks.append(bare)
                before.answer, before.status_word = body, word
                return None
        self._select(before)
        self.open = CardCommand(
            packet.number,
            packet.time_ns,
            packet.lane,
            channel,
            bare[0],
            command.ins,
            command.p1,
            0 if command.ins == STORE_DATA else command.p2,
            command.data,
            body,
            word,
            self._context.get(channel, b""),
            self._aids.get(channel, b""),
            [bare],
        )
        return before

    def _select(self, done: CardCommand | None) -> None:
        """Remember what a SELECT that is over has selected."""
        if done is None:
            return
        if done.ins == MANAGE_CHANNEL:
            number = done.p2 if done.p1 == 0x80 else (done.answer[:1] or b"\0")[0]
            self._context.pop(number, None)
            self._aids.pop(number, None)
        elif done.ins == SELECT and done.status_word >> 8 in (0x90, 0x61, 0x91, 0x9F, 0x62):
            known = self._context.get(done.channel, b"")
            self._context[done.channel] = context_after(known, done.p1, done.data)
            if done.p1 == 0x04:
                self._aids[done.channel] = done.data


def context_after(context: bytes, p1: int, data: bytes) -> bytes:
    """Return what is selected after SELECT with ``p1`` and ``data`` on a channel where ``context`` was."""
    if p1 == 0x04 or not data or data[:2] == b"\x3f\x00":
        return data or b"\x3f\x00"
    if p1 in (0x08, 0x09):
        return data
    if len(data) == 2 and data[0] in (0x3F, 0x5F, 0x7F):
        return data
    directory = context if len(context) >= 5 or context[:1] in (b"\x5f", b"\x7f", b"\x3f") else b""
    return (directory[:16] if len(directory) >= 5 else directory[:2]) + data


def _bare(raw: bytes) -> bytes:
    try:
        return bytes((class_on_channel(raw[0], 0),)) + raw[1:]
    except ApduError:
        return raw
