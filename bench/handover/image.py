"""A trace as one piece of memory in which bytes can be replaced, block for block where they were.

Blocks that are not needed to read the packets are left out: Decryption Secrets Blocks (session keys), name resolution,
custom and unknown blocks. Streams say which bytes belong together: what one side said on a lane, the data of APDUs
without headers and status words, the payload of a TCP connection.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.apdu.iso7816 import channel_of
from bench.trace import blocks
from bench.trace.errors import TraceError

DECRYPTION_SECRETS: Final = 0x0000000A
_SIMPLE_PACKET: Final = 3
_STATISTICS: Final = 5
_KEPT: Final = (blocks.SECTION_HEADER, blocks.INTERFACE_DESCRIPTION, blocks.ENHANCED_PACKET, _STATISTICS)
_HARDWARE_ADDRESSES: Final = (4, 5, 6, 7)
"""if_IPv4addr, if_IPv6addr, if_MACaddr, if_EUIaddr."""

TEXT_KINDS: Final = ("at", "scpi", "console", "steps", "power", "switch", "rest", "ask")
IP_LINKS: Final = (101, 228, 229)
"""LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6."""
ETHERNET: Final = 1
_AT_APDU: Final = re.compile(rb"\+(?:CSIM|CGLA|CRSM)([=:])[^\"\r\n]*\"([0-9A-Fa-f]{2,})\"?")


@dataclass(slots=True)
class Span:
    """Bytes of the image; ``coded``: they are hexadecimal digits."""

    start: int
    end: int
    coded: bool = False


@dataclass(slots=True)
class ImagePacket:
    """One packet: its lane, who said it (0 the bench, 1 the other side, -1 unknown), and where its bytes are."""

    lane: str
    direction: int
    link: int
    start: int
    end: int
    time_ns: int
    dissector: str = ""
    comments: list[Span] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The lane's name before the colon."""
        return self.lane.partition(":")[0]


@dataclass(slots=True)
class Image:
    """One file of a trace. ``texts``: comments, names and descriptions, as places in ``buffer``."""

    buffer: bytearray
    packets: list[ImagePacket] = field(default_factory=list)
    texts: list[Span] = field(default_factory=list)
    secrets: int = 0
    """Decryption Secrets Blocks that were left out."""
    unknown: int = 0
    """Other blocks that were left out."""
    torn: int = 0
    """Bytes after the last whole block."""

    def bytes_of(self, packet: ImagePacket) -> bytes:
        """Return what a packet holds now."""
        return bytes(self.buffer[packet.start : packet.end])

    def bytes_of_span(self, span: Span) -> bytes:
        """Return what is at a place now."""
        return bytes(self.buffer[span.start : span.end])

    def put(self, start: int, data: bytes) -> None:
        """Write bytes where as many were."""
        self.buffer[start : start + len(data)] = data


def load(path: Path) -> Image:
    """Read a trace. A torn end is left out. Raises TraceError when it is none or cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TraceError(f"cannot read the trace: {error.strerror}", where=str(path)) from error
    return parse(raw, where=str(path))


def parse(raw: bytes, *, where: str = "") -> Image:
    """As ``load``, for bytes."""
    image = Image(bytearray())
    section = blocks.Section()
    at = number = 0
    while True:
        try:
            found = blocks.block_at(raw, at, section.order)
            if found is None:
                break
            kind, total, order = found
            if number == 0 and kind != blocks.SECTION_HEADER:
                raise blocks.DamagedBlock("does not begin with a section header")
            body = raw[at + 8 : at + total - 4]
            if kind in _KEPT:
                place = len(image.buffer)
                image.buffer += raw[at : at + total]
                if kind == blocks.SECTION_HEADER:
                    section = blocks.parse_section(order, body)
                    image.texts.extend(_options(image.buffer, order, place + 24, place + total - 4))
                elif kind == blocks.INTERFACE_DESCRIPTION:
                    section.interfaces.append(blocks.parse_interface(order, body))
                    image.texts.extend(_options(image.buffer, order, place + 16, place + total - 4, clear=True))
                elif kind == blocks.ENHANCED_PACKET:
                    _packet(image, section, order, place, total, body)
            elif kind == DECRYPTION_SECRETS:
                image.secrets += 1
            else:
                image.unknown += 1
        except blocks.DamagedBlock as error:
            if number == 0:
                raise TraceError(f"not a pcapng trace: {error}", where=where) from error
            break
        at += total
        number += 1
    image.torn = len(raw) - at
    return image


def _packet(image: Image, section: blocks.Section, order: str, place: int, total: int, body: bytes) -> None:
    packet = blocks.parse_packet(order, body)
    if packet.interface_id >= len(section.interfaces):
        raise blocks.DamagedBlock(f"packet of interface {packet.interface_id}, which was not described")
    interface = section.interfaces[packet.interface_id]
    start, length = place + 28, len(packet.data)
    direction, dissector, link = packet.direction, "", interface.link_type
    if link == blocks.LINKTYPE_EXPORTED_PDU:
        try:
            tags, data = blocks.split_exported_pdu(packet.data)
            dissector = tags.get(blocks.TAG_DISSECTOR, b"").rstrip(b"\0").decode("ascii", "replace")
            if blocks.TAG_P2P_DIRECTION in tags:
                direction = int.from_bytes(tags[blocks.TAG_P2P_DIRECTION], "big")
            start, length = start + length - len(data), len(data)
        except blocks.DamagedBlock:
            pass
    image.packets.append(
        ImagePacket(
            interface.name,
            direction if direction in (0, 1) else -1,
            link,
            start,
            start + length,
            interface.nanoseconds(packet.units),
            dissector,
        )
    )
    options = place + 28 + len(packet.data) + (-len(packet.data) & 3)
    image.packets[-1].comments.extend(_options(image.buffer, order, options, place + total - 4))
    image.texts.extend(image.packets[-1].comments)


def _options(buffer: bytearray, order: str, start: int, end: int, *, clear: bool = False) -> Iterator[Span]:
    """Yield where the option values are that may be text; addresses of an interface are set to zero."""
    while start + 4 <= end:
        code, length = struct.unpack_from(order + "HH", buffer, start)
        if code == blocks.OPT_END or start + 4 + length > end:
            return
        if clear and code in _HARDWARE_ADDRESSES:
            buffer[start + 4 : start + 4 + length] = bytes(length)
        elif length:
            yield Span(start + 4, start + 4 + length)
        start += 4 + length + (-length & 3)


# --- what belongs together -------------------------------------------------------------------------------------------


class Stream:
    """Bytes of several packets that follow one another."""

    def __init__(self) -> None:
        self._spans: list[tuple[Image, Span]] = []

    def add(self, image: Image, span: Span) -> None:
        """Append some bytes."""
        if span.end > span.start:
            self._spans.append((image, span))

    def get(self) -> bytes:
        """Return all of it, hexadecimal parts decoded."""
        return b"".join(
            bytes.fromhex(image.buffer[span.start : span.end].decode("ascii"))
            if span.coded
            else bytes(image.buffer[span.start : span.end])
            for image, span in self._spans
        )

    def put(self, data: bytes) -> None:
        """Write all of it back, of the same length, in the same case."""
        at = 0
        for image, span in self._spans:
            length = (span.end - span.start) // 2 if span.coded else span.end - span.start
            piece = data[at : at + length]
            at += length
            if not span.coded:
                image.put(span.start, piece)
                continue
            before = bytes(image.buffer[span.start : span.end])
            text = piece.hex().encode()
            upper = before.upper() == before
            if before.lower() != text:
                image.put(span.start, text.upper() if upper else text)


def apdu_streams(images: list[Image]) -> dict[tuple[str, int, int], Stream]:
    """Return the data of APDUs by lane, direction and logical channel, without headers, Le and status words.

    On AT lanes they are in the hexadecimal text of +CSIM, +CGLA and +CRSM.
    """
    found: dict[tuple[str, int, int], Stream] = {}
    channel: dict[str, int] = {}
    for image in images:
        for packet in image.packets:
            if packet.kind in ("apdu", "sniff"):
                span = Span(packet.start, packet.end)
                _apdu(found, channel, packet.lane, image, span, packet.direction == 0)
            elif packet.kind == "at":
                data = bytes(image.buffer[packet.start : packet.end])
                for part in _AT_APDU.finditer(data):
                    length = (part.end(2) - part.start(2)) & ~1
                    start = packet.start + part.start(2)
                    span = Span(start, start + length, coded=True)
                    # An echo comes from the modem, and is a command all the same.
                    name = f"{packet.lane} {'echo' if packet.direction == 1 and part[1] == b'=' else ''}"
                    bare = data[part.start() : part.start() + 5] == b"+CRSM"
                    _apdu(found, channel, name, image, span, part[1] == b"=", bare=bare)
    return found


def _apdu(
    found: dict[tuple[str, int, int], Stream],
    channel: dict[str, int],
    lane: str,
    image: Image,
    span: Span,
    command: bool,
    *,
    bare: bool = False,
) -> None:
    unit = 2 if span.coded else 1
    start, end = span.start, span.end
    if bare:
        found.setdefault((lane, int(not command), -1), Stream()).add(image, span)
        return
    if command:
        if end - start < 5 * unit:
            return
        head = bytes(image.buffer[start : start + 5 * unit])
        head = bytes.fromhex(head.decode("ascii")) if span.coded else head
        channel[lane] = channel_of(head[0])
        if head[4] == 0 and end - start > 7 * unit:  # extended length
            start += 7 * unit
        else:
            start, end = start + 5 * unit, min(end, start + (5 + head[4]) * unit)
    else:
        end -= 2 * unit
    key = (lane, int(not command), channel.get(lane, 0))
    found.setdefault(key, Stream()).add(image, Span(start, max(start, end), span.coded))


def lane_streams(images: list[Image]) -> dict[tuple[str, int], Stream]:
    """Return everything that was said on each lane, by direction."""
    found: dict[tuple[str, int], Stream] = {}
    for image in images:
        for packet in image.packets:
            key = (packet.lane, packet.direction)
            found.setdefault(key, Stream()).add(image, Span(packet.start, packet.end))
    return found
