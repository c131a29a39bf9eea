"""A card made of a recording: it answers commands with what the card in the trace answered.

A command is looked for as it was sent, whole (blocks joined, channel and Le left out), then by class, instruction, P1,
P2 and the tag of its data; what was recorded several times is given in its order, the last one again and again.
Channels, SELECT of what was selected, GET RESPONSE and block sizes are the tape's own, so that a client with another
reader than the recording one gets along. It cannot compute: a client that checks a signature over its own challenge
stops at AuthenticateServer, as it must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from bench.apdu.iso7816 import ApduError, Command, channel_of, class_on_channel
from bench.trace.card_commands import (
    GET_RESPONSE,
    MANAGE_CHANNEL,
    SELECT,
    STORE_DATA,
    CardCommand,
    card_commands,
    context_after,
)
from bench.trace.errors import TraceError
from bench.trace.reader import Packet

DEFAULT_ATR: Final = bytes.fromhex("3B9F96803FC7828031E073FE21176742454E434830313D")
"""Of an eUICC by T=0 (SGP.22 section 5.7.1), where the recording has none."""
_CHANNELS: Final = range(1, 4)
_NOT_RECORDED: Final = 0x6A88
_FETCH_AND_POLL: Final = (0x12, 0x14, 0x10, 0xC2)
"""FETCH, TERMINAL RESPONSE, TERMINAL PROFILE, ENVELOPE: the recording's terminal had its own of these."""

_Key = tuple[object, ...]


class _Answers:
    """The answers recorded for one kind of command, in their order."""

    def __init__(self) -> None:
        self._found: list[CardCommand] = []
        self._next = 0

    def add(self, exchange: CardCommand) -> None:
        self._found.append(exchange)

    def rewind(self) -> None:
        self._next = 0

    def take(self) -> CardCommand:
        exchange = self._found[min(self._next, len(self._found) - 1)]
        self._next += 1
        return exchange


class Tape:
    """One recorded card. ``transmit`` takes and gives APDUs with channel, blocks and GET RESPONSE as on a T=0 line.

    ``missed`` is called with every command that is not on the tape.
    """

    def __init__(
        self,
        recorded: Iterable[CardCommand],
        *,
        atr: bytes = b"",
        missed: Callable[[bytes], None] = lambda command: None,
    ) -> None:
        """Raises TraceError when nothing was recorded."""
        self.atr = atr or DEFAULT_ATR
        self.count = 0
        """Exchanges on the tape."""
        self._missed = missed
        self._tables: list[dict[_Key, _Answers]] = [{}, {}, {}, {}]
        self._aids: dict[bytes, CardCommand] = {}
        for exchange in recorded:
            if not exchange.status_word or exchange.ins in (MANAGE_CHANNEL, GET_RESPONSE):
                continue
            self.count += 1
            if exchange.ins == SELECT and exchange.p1 == 0x04:
                self._aids.setdefault(exchange.data, exchange)
            for table, key in zip(self._tables, _keys(exchange), strict=True):
                table.setdefault(key, _Answers()).add(exchange)
        if not self.count:
            raise TraceError("the trace holds no APDU with an answer", hint="bench trace show lists its lanes")
        self._channels: dict[int, bytes] = {}
        self._pending: dict[int, bytes] = {}
        self._words: dict[int, int] = {}
        self._blocks: dict[int, bytes] = {}
        self._le: dict[int, tuple[bytes, bytes]] = {}

    @classmethod
    def read(
        cls, packets: Iterable[Packet], lane: str = "", *, missed: Callable[[bytes], None] = lambda command: None
    ) -> Tape:
        """Make a tape of a trace; its ATR is taken from there too. Raises TraceError."""
        kept = list(packets)
        atr = next((p.data for p in kept if p.dissector == "iso7816.atr" or _is_atr(p)), b"")
        return cls(card_commands(kept, lane), atr=atr, missed=missed)

    # --- the card -------------------------------------------------------------------------------------------------

    def power_on(self) -> bytes:
        """Supply and reset; the tape begins anew. Returns the ATR."""
        self.power_off()
        for table in self._tables:
            for answers in table.values():
                answers.rewind()
        self._channels = {0: b""}
        return self.atr

    def power_off(self) -> None:
        """Forget channels and what was not fetched."""
        self._channels.clear()
        self._pending.clear()
        self._blocks.clear()
        self._le.clear()

    def transmit(self, raw: bytes) -> bytes:
        """Exchange one APDU; ``b""`` without power. Never raises on any bytes."""
        if not self._channels:
            return b""
        try:
            command = Command.parse(raw)
        except ApduError:
            return b"\x67\x00"
        channel = channel_of(command.cla)
        if command.ins == MANAGE_CHANNEL:
            return self._manage(command)
        if channel not in self._channels:
            return b"\x68\x81"
        if command.ins == GET_RESPONSE:
            return self._response(channel, command.le or 256)
        self._pending.pop(channel, None)
        if command.ins == STORE_DATA:
            return self._store(channel, command, raw)
        again = self._le.pop(channel, None)
        if again is not None and again[0] == raw[:4] and command.le == len(again[1]) - 2:
            return again[1]
        return self._give(channel, command, command.data, raw)

    # --- what it does by itself -----------------------------------------------------------------------------------

    def _manage(self, command: Command) -> bytes:
        if command.p1 == 0x80:
            if command.p2 in self._channels and command.p2:
                del self._channels[command.p2]
                return b"\x90\x00"
            return b"\x6a\x86"
        number = command.p2 or next((n for n in _CHANNELS if n not in self._channels), 0)
        if number not in _CHANNELS or number in self._channels:
            return b"\x6a\x81"
        self._channels[number] = b""
        return bytes((number, 0x90, 0x00)) if command.p2 == 0 else b"\x90\x00"

    def _response(self, channel: int, length: int) -> bytes:
        pending = self._pending.pop(channel, b"")
        if not pending:
            return b"\x69\x85"
        piece, rest = pending[:length], pending[length:]
        if rest:
            self._pending[channel] = rest
            return piece + bytes((0x61, min(len(rest), 256) & 0xFF))
        return piece + self._words.get(channel, 0x9000).to_bytes(2, "big")

    def _store(self, channel: int, command: Command, raw: bytes) -> bytes:
        whole = command.data if command.p2 == 0 else self._blocks.get(channel, b"") + command.data
        if not command.p1 & 0x80:
            self._blocks[channel] = whole
            return b"\x90\x00"
        self._blocks.pop(channel, None)
        return self._give(channel, command, whole, raw)

    def _give(self, channel: int, command: Command, data: bytes, raw: bytes) -> bytes:
        context = self._channels[channel]
        asked = CardCommand(
            0,
            0,
            "",
            channel,
            class_on_channel(command.cla, 0) if command.cla != 0xFF else 0xFF,
            command.ins,
            command.p1,
            0 if command.ins == STORE_DATA else command.p2,
            data,
            context=context,
        )
        if command.ins == SELECT:
            return self._select(channel, command, asked, raw)
        found = next((t[k].take() for t, k in zip(self._tables, _keys(asked), strict=True) if k in t), None)
        if found is None:
            return self._not_there(command, raw)
        if command.ins not in _FETCH_AND_POLL and command.ins != STORE_DATA and not data and command.le is not None:
            if found.answer and command.le < len(found.answer):  # a part of what was read then
                return found.answer[: command.le] + found.status_word.to_bytes(2, "big")
            if found.answer and command.le > len(found.answer) and command.le != 256:
                self._le[channel] = (raw[:4], found.answer + found.status_word.to_bytes(2, "big"))
                return bytes((0x6C, len(found.answer) & 0xFF))
            return found.answer + found.status_word.to_bytes(2, "big")
        return self._announce(channel, found)

    def _not_there(self, command: Command, raw: bytes) -> bytes:
        self._missed(raw)
        if command.ins in _FETCH_AND_POLL or command.ins == 0xAA:  # TERMINAL CAPABILITY: what a terminal says of itself
            return b"\x90\x00"
        return (0x6A82 if command.ins == SELECT else _NOT_RECORDED).to_bytes(2, "big")

    def _select(self, channel: int, command: Command, asked: CardCommand, raw: bytes) -> bytes:
        found = self._aids.get(asked.data) if command.p1 == 0x04 else None
        if found is None:
            tables = self._tables if command.p1 != 0x04 else self._tables[:2]
            found = next((t[k].take() for t, k in zip(tables, _keys(asked), strict=False) if k in t), None)
        if found is None:
            return self._not_there(command, raw)
        if found.status_word >> 8 in (0x90, 0x91, 0x62):
            self._channels[channel] = context_after(self._channels[channel], command.p1, asked.data)
        return self._announce(channel, found)

    def _announce(self, channel: int, found: CardCommand) -> bytes:
        """Give a status word, and the data by GET RESPONSE as a T=0 card does."""
        word = 0x9000 if found.status_word >> 8 == 0x91 else found.status_word  # the proactive command is not here
        if not found.answer:
            return word.to_bytes(2, "big")
        self._pending[channel], self._words[channel] = found.answer, word
        return bytes((0x61, min(len(found.answer), 256) & 0xFF))


def _keys(exchange: CardCommand) -> tuple[_Key, _Key, _Key, _Key]:
    """Return how an exchange is looked for, the strictest first."""
    head = (exchange.cla & 0x80, exchange.ins, exchange.p1 & 0x7F if exchange.ins == STORE_DATA else exchange.p1)
    return (
        (exchange.context, *head, exchange.p2, exchange.data),
        (*head, exchange.p2, exchange.data),
        (exchange.context, *head, exchange.p2, exchange.tag, bool(exchange.data)),
        # Of files the answer belongs to what is selected: without that, only functions are alike.
        (*head, exchange.p2, exchange.tag, True)
        if exchange.data
        else ("by itself", *head, exchange.p2, exchange.context),
    )


def _is_atr(packet: Packet) -> bool:
    return (
        packet.lane.startswith(("apdu", "sniff"))
        and packet.direction == 1
        and packet.data[:1] in (b"\x3b", b"\x3f")
        and packet.comment.startswith("ATR")
    )
