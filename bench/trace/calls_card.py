"""Exchanges of a card: APDUs of one lane, put together to the function that they carry.

ISO 7816-3 and -4, ETSI TS 102 221 sections 7.3 and 11.1, GlobalPlatform STORE DATA, SGP.22 section 2.5.5.
``bench.trace.card_commands`` puts commands together for replay, the recorded card and exports; why there are two is
said there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.apdu.iso7816 import channel_of
from bench.rsp import names
from bench.trace import decode_cat, decode_files
from bench.trace.calls import Emit, Exchange
from bench.trace.card_commands import GET_RESPONSE, STORE_DATA, TO_FETCH, WRONG_LE
from bench.trace.decode import INSTRUCTIONS, status_word
from bench.trace.decode_rsp import es10
from bench.trace.decode_values import aid
from bench.trace.lane import Direction
from bench.trace.tree import nodes

if TYPE_CHECKING:
    from bench.trace.reader import Packet

_FETCH: Final = 0x12
_SEGMENTS: Final = frozenset((0xBF23, 0xA0, 0xA1, 0xA2, 0xA3, 0x86, 0x87, 0x88))
"""Tags that a segment of a Bound Profile Package begins with, after the first (BF36)."""
_PACKAGE: Final = 0xBF36
_LOAD: Final = "LoadBoundProfilePackage"
_MOST: Final = 4 << 20
"""Bytes of one function that are kept; a package has at most a few hundred kB."""


def command_data(apdu: bytes) -> bytes:
    """Return the data field of a command, short or extended length."""
    if len(apdu) > 7 and apdu[4] == 0:
        return apdu[7 : 7 + int.from_bytes(apdu[5:7], "big")]
    return apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""


class _Channel:
    """What one logical channel has selected, and what runs on it."""

    def __init__(self) -> None:
        self.directory = "MF"
        self.file = "MF"
        self.open: Exchange | None = None
        self.loading: Exchange | None = None
        """A Bound Profile Package whose segments go on."""
        self.instruction = 0
        """Of the command that was sent last."""
        self.block = 0
        """P2 of that."""
        self.last_block = True
        """Whether that was the last block of a STORE DATA chain."""
        self.next_block: int | None = None
        """P2 of the block that a chain goes on with; None when none is expected."""
        self.expects = 0
        """Instruction of the command that goes on with ``open``: GET RESPONSE, or the same again after 6Cxx."""


class CardLane:
    """Follows the APDUs of one card (a Tracker)."""

    def __init__(self, name: str, emit: Emit) -> None:
        self._name = name
        self._emit = emit
        self._channels: dict[int, _Channel] = {}
        self._now: _Channel | None = None
        """Channel of the command that waits for its response."""
        self._alone: Exchange | None = None

    def packet(self, packet: Packet) -> str:
        """Take one packet; return the function that it belongs to."""
        if packet.direction == Direction.RECEIVED:
            return self._response(packet)
        return self._command(packet)

    def close(self) -> None:
        """Emit what is still open."""
        if self._now is not None and self._now.open is not None and self._now.open.answer is None:
            self._finish(self._now, None)
        for channel in self._channels.values():
            self._settle(channel)

    # --- commands

    def _command(self, packet: Packet) -> str:
        apdu = packet.data
        if self._now is not None:  # the one before was never answered
            self._lost(self._now)
        if len(apdu) < 4:
            self._single(packet, packet.comment.partition("\n")[0] or "incomplete command")
            return "incomplete command"
        channel = self._channels.setdefault(channel_of(apdu[0]), _Channel())
        self._now = channel
        open_, instruction = channel.open, apdu[1]
        channel.instruction, channel.block = instruction, apdu[3]
        if open_ is not None:
            if channel.expects and instruction == channel.expects:
                return self._more(open_, packet)
            if channel.next_block is not None and instruction == STORE_DATA and apdu[3] == channel.next_block:
                return self._block(channel, open_, packet)
            self._settle(channel)
        if channel.loading is not None:
            if self._is_segment(apdu):
                channel.open = channel.loading
                return self._block(channel, channel.loading, packet)
            self._settle(channel)
        return self._begin(channel, packet)

    @staticmethod
    def _more(open_: Exchange, packet: Packet) -> str:
        open_.packets += 1
        open_.sent += len(packet.data)
        open_.end_ns, open_.last = packet.time_ns, packet.number
        return open_.function

    def _block(self, channel: _Channel, open_: Exchange, packet: Packet) -> str:
        """Take the next block of a chain, or the next segment of a package."""
        if len(open_.request) < _MOST:
            open_.request += command_data(packet.data)
        open_.blocks += 1
        channel.last_block = bool(packet.data[2] & 0x80)
        channel.next_block, channel.expects = None, 0
        return self._more(open_, packet)

    @staticmethod
    def _is_segment(apdu: bytes) -> bool:
        if apdu[1] != STORE_DATA or apdu[3] != 0:
            return False
        found = nodes(command_data(apdu)[:8])[0]
        return bool(found) and found[0].tag in _SEGMENTS

    def _begin(self, channel: _Channel, packet: Packet) -> str:
        apdu = packet.data
        data = command_data(apdu)
        made = Exchange(
            packet.lane, "card", "", packet.time_ns, packet.time_ns, packet.number, packet.number, header=apdu[:4]
        )
        made.channel, made.sent, made.request = channel_of(apdu[0]), len(apdu), data
        made.function = self._function(channel, apdu, data, made)
        channel.open, channel.loading = made, None
        channel.last_block = bool(apdu[2] & 0x80) or apdu[1] != STORE_DATA
        channel.next_block, channel.expects = None, 0
        if made.function == _LOAD:
            channel.loading = made
        return made.function

    def _function(self, channel: _Channel, apdu: bytes, data: bytes, made: Exchange) -> str:
        instruction, p1, p2 = apdu[1], apdu[2], apdu[3]
        name = INSTRUCTIONS.get(instruction, f"INS {instruction:02X}")
        if instruction == STORE_DATA:
            found = nodes(data[:8])[0]
            if found and found[0].tag == _PACKAGE:
                return _LOAD
            return (names.function(found[0].tag) or f"STORE DATA {found[0].tag:X}") if found else name
        if instruction == 0xA4:
            made.file = self._selected(channel, p1, data)
            return f"SELECT {made.file}"
        if (instruction in (0xB0, 0xD6) and p1 & 0x80) or (instruction in (0xB2, 0xDC, 0xA2) and p2 >> 3):
            short = p1 & 0x1F if instruction in (0xB0, 0xD6) else p2 >> 3
            made.file = decode_files.short_name(short, channel.directory)
            return f"{name} {made.file}"
        if instruction in (0xB0, 0xD6, 0xB2, 0xDC, 0xA2, 0x04, 0x44, 0x32):
            made.file = channel.file
            return f"{name} {made.file}"
        if instruction == 0x70:
            return f"{name} {'close' if p1 == 0x80 else 'open'}"
        if instruction == 0x14:
            return f"TERMINAL RESPONSE {decode_cat.terminal_response_name(data).partition(':')[0]}".rstrip()
        if instruction == 0xC2:
            return f"ENVELOPE {decode_cat.envelope_name(data)}"
        if instruction == 0x20 and not data:
            return "VERIFY PIN tries left"
        return name

    @staticmethod
    def _selected(channel: _Channel, p1: int, data: bytes) -> str:
        if p1 == 4:
            return aid(data) if data else "current"
        text = data.hex().upper() or "3F00"
        parts = [text[at : at + 4] for at in range(0, min(len(text), 64), 4)]
        directory, told = ("MF" if p1 == 8 else channel.directory), []
        for part in parts:
            name = decode_files.name(part, directory)
            if name == "current ADF" and p1 != 8 and channel.directory not in ("MF", ""):
                name = channel.directory
            told.append(name)
            directory = name if decode_files.is_directory(name) and len(part) == 4 else directory
        return "/".join(told)

    # --- responses

    def _response(self, packet: Packet) -> str:
        channel, self._now = self._now, None
        open_ = channel.open if channel is not None else None
        if channel is None or open_ is None:
            text = packet.comment.partition("\n")[0]
            self._single(packet, "ATR" if text.startswith("ATR") else "response")
            return "ATR" if text.startswith("ATR") else ""
        data = packet.data
        open_.packets += 1
        open_.received += len(data)
        open_.end_ns, open_.last = packet.time_ns, packet.number
        if len(data) < 2:
            self._finish(channel, None)
            return open_.function
        word = data[-2] << 8 | data[-1]
        if len(data) > 2 and len(open_.answer or b"") < _MOST:
            open_.answer = (open_.answer or b"") + data[:-2]
        if data[-2] in TO_FETCH:
            channel.expects, open_.status = GET_RESPONSE, word
            return open_.function
        if data[-2] == WRONG_LE:
            channel.expects, open_.status = channel.instruction, word
            return open_.function
        channel.expects = 0
        if not self._goes_on(channel, open_, word):
            self._finish(channel, word)
        return open_.function

    @staticmethod
    def _goes_on(channel: _Channel, open_: Exchange, word: int) -> bool:
        """Whether this ends a block or a segment only, not the function."""
        if channel.instruction != STORE_DATA or open_.answer or not (word == 0x9000 or word >> 8 == 0x91):
            return False
        open_.status = word
        if not channel.last_block:
            channel.next_block = (channel.block + 1) & 0xFF
            return True
        if channel.loading is open_:
            channel.open = None
            return True
        return False

    def _finish(self, channel: _Channel, word: int | None) -> None:
        """The function on this channel is over."""
        made = channel.open or channel.loading
        channel.open = channel.loading = channel.next_block = None
        channel.expects = 0
        if made is None:
            return
        if word is None:
            made.result, made.ok = "no answer", False
        else:
            made.status = word
            made.answer = made.answer or b""
            self._told(channel, made, word)
        self._emit(made)

    def _told(self, channel: _Channel, made: Exchange, word: int) -> None:
        fine = word in (0x9000,) or word >> 8 in (0x91, 0x61, 0x9F)
        instruction = made.header[1]
        text = status_word(word)
        if instruction == STORE_DATA and made.answer:
            told = es10(made.answer, answer=True).partition(": ")[2]
            text = f"{told} - {text}" if told else text
            made.ok = fine and not _refused(told)
        else:
            made.ok = fine or (word >> 8 in (0x62, 0x63) and word & 0xFFF0 != 0x63C0)
        if instruction == _FETCH and made.answer:
            made.function = f"FETCH {decode_cat.proactive_name(made.answer)}".rstrip()
        elif instruction == 0x14:
            text = f"{decode_cat.terminal_response_name(made.request).partition(': ')[2]} - {text}"
        elif instruction == 0xA4 and fine and made.file != "current":
            last = made.file.rpartition("/")[2]
            channel.file = last
            if decode_files.is_directory(last):
                channel.directory = last
            elif "/" in made.file:
                channel.directory = made.file.split("/")[-2]
        elif instruction == 0x70 and fine and made.header[2] == 0 and made.answer:
            self._channels[made.answer[0]] = _Channel()
        made.result = text

    def _settle(self, channel: _Channel) -> None:
        """Emit what has an answer already but was waiting for more: 61xx not fetched, a package that broke off."""
        made = channel.open or channel.loading
        if made is not None:
            if made is channel.loading and made.status is not None:
                made.note = "the package was not loaded to its end"
            elif made.status is not None and made.status >> 8 in TO_FETCH:
                made.note = "the answer was not fetched"
            elif channel.next_block is not None:
                made.note = "the chain broke off"
            self._finish(channel, made.status)

    def _lost(self, channel: _Channel) -> None:
        self._now = None
        if channel.open is not None:
            self._finish(channel, None)

    def _single(self, packet: Packet, function: str) -> None:
        made = Exchange(packet.lane, "card", function, packet.time_ns, packet.time_ns, packet.number, packet.number)
        if packet.direction == Direction.RECEIVED:
            made.answer, made.received = packet.data, len(packet.data)
        else:
            made.request, made.sent = packet.data, len(packet.data)
        made.result = packet.comment.partition("\n")[0]
        self._emit(made)


def _refused(told: str) -> bool:
    """Whether the short result of an ES10 answer tells a failure."""
    if told.startswith(("error", "signed error", "unsigned error", "PIR failed", "PIR ?")):
        return True
    # A code that is not ok has its number behind its name: profileNotInDisabledState(2); lastEimDeleted is a success.
    return told.endswith(")") and "(" in told and "lastEimDeleted" not in told
