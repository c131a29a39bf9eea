"""pcapng blocks: building and walking, standard library only.

Built here: Section Header, Interface Description, Enhanced Packet and Decryption Secrets Blocks, little endian, time
in nanoseconds.
Understood here: both byte orders and every time resolution, so that traces of other programs can be read.
Nothing here opens a file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE_DESCRIPTION: Final = 1
ENHANCED_PACKET: Final = 6
DECRYPTION_SECRETS: Final = 10
TLS_KEY_LOG: Final = 0x544C534B
"""Secrets type of lines of an NSS key log, for TLS and DTLS."""

BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
MAX_BLOCK: Final = 16 << 20
"""Longest block taken for real, in bytes; a longer one is damage. (Wireshark 4.0 stops at the same figure.)"""

LINKTYPE_RAW: Final = 101
"""IPv4 or IPv6 packets with no header in front."""
LINKTYPE_IPV4: Final = 228
"""IPv4 packets with no header in front: GSMTAP as other programs send it."""
LINKTYPE_EXPORTED_PDU: Final = 252
"""LINKTYPE_WIRESHARK_UPPER_PDU: tags, among them the dissector's name, then the PDU."""

OPT_END: Final = 0
OPT_COMMENT: Final = 1
_SHB_HARDWARE: Final = 2
_SHB_OS: Final = 3
_SHB_USERAPPL: Final = 4
_IF_NAME: Final = 2
_IF_DESCRIPTION: Final = 3
_IF_TSRESOL: Final = 9
_EPB_FLAGS: Final = 2

TAG_END: Final = 0
TAG_DISSECTOR: Final = 12
TAG_COLUMN_PROTOCOL: Final = 33
TAG_P2P_DIRECTION: Final = 35

PADDING: Final = (b"", b"\0", b"\0\0", b"\0\0\0")
MAX_OPTION: Final = 0xFFFF
END_OF_OPTIONS: Final = b"\0\0\0\0"


class DamagedBlock(ValueError):
    """The bytes at this place are no pcapng block."""


def option(code: int, value: bytes) -> bytes:
    """Return one option, padded to 32 bits. A value over 65 535 bytes is cut."""
    value = value[:MAX_OPTION]
    return struct.pack("<HH", code, len(value)) + value + PADDING[-len(value) & 3]


def block(block_type: int, body: bytes) -> bytes:
    """Return one block around ``body`` (a multiple of 4 bytes)."""
    total = 12 + len(body)
    return struct.pack("<II", block_type, total) + body + struct.pack("<I", total)


def _options(*pairs: tuple[int, str]) -> bytes:
    built = b"".join(option(code, text.encode("utf-8", "replace")) for code, text in pairs if text)
    return built + END_OF_OPTIONS if built else b""


def section_header(*, comment: str = "", hardware: str = "", os: str = "", application: str = "") -> bytes:
    """Return a Section Header Block of unknown section length."""
    fixed = struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1)
    return block(
        SECTION_HEADER,
        fixed
        + _options((OPT_COMMENT, comment), (_SHB_HARDWARE, hardware), (_SHB_OS, os), (_SHB_USERAPPL, application)),
    )


def interface(name: str, *, link_type: int, description: str = "") -> bytes:
    """Return an Interface Description Block with nanosecond time stamps and no length limit."""
    fixed = struct.pack("<HHI", link_type, 0, 0)
    options = option(_IF_NAME, name.encode("utf-8", "replace"))
    if description:
        options += option(_IF_DESCRIPTION, description.encode("utf-8", "replace"))
    return block(INTERFACE_DESCRIPTION, fixed + options + option(_IF_TSRESOL, b"\x09") + END_OF_OPTIONS)


def secrets(key_log: bytes) -> bytes:
    """Return a Decryption Secrets Block with whole lines of a key log."""
    body = struct.pack("<II", TLS_KEY_LOG, len(key_log)) + key_log + PADDING[-len(key_log) & 3]
    return block(DECRYPTION_SECRETS, body)


def packet_flags(direction: int) -> bytes:
    """Return the epb_flags option that says which way a packet went (``direction`` 0 sent, 1 received)."""
    return option(_EPB_FLAGS, struct.pack("<I", 1 if direction else 2))


def exported_pdu_header(dissector: str, *, direction: int | None = None, protocol: str = "") -> bytes:
    """Return the tags in front of an exported PDU (big endian; ``direction`` 0 sent, 1 received)."""

    def tag(code: int, value: bytes) -> bytes:
        padded = value + PADDING[-len(value) & 3]
        return struct.pack(">HH", code, len(padded)) + padded

    header = tag(TAG_DISSECTOR, dissector.encode("ascii"))
    if direction is not None:
        header += tag(TAG_P2P_DIRECTION, struct.pack(">I", direction))
    if protocol:
        header += tag(TAG_COLUMN_PROTOCOL, protocol.encode("ascii", "replace"))
    return header + struct.pack(">HH", TAG_END, 0)


def split_exported_pdu(data: bytes) -> tuple[dict[int, bytes], bytes]:
    """Return the tags and the PDU of an exported PDU packet. Raises DamagedBlock."""
    tags: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(">HH", data, at)
        at += 4
        if code == TAG_END:
            return tags, data[at + length :]
        tags[code] = data[at : at + length]
        at += length
    raise DamagedBlock("exported PDU without end tag")


@dataclass(slots=True)
class Interface:
    """What a reader keeps of an Interface Description Block."""

    name: str
    link_type: int
    description: str = ""
    resolution: int = 6
    """if_tsresol: power of ten, or of two with bit 7 set."""

    def nanoseconds(self, units: int) -> int:
        """Return the time stamp in ns."""
        if self.resolution & 0x80:
            return (units * 1_000_000_000) >> (self.resolution & 0x7F)
        if self.resolution <= 9:
            return units * int(10 ** (9 - self.resolution))
        return units // int(10 ** (self.resolution - 9))


@dataclass(slots=True)
class EnhancedPacket:
    """One Enhanced Packet Block."""

    interface_id: int
    units: int
    data: bytes
    comments: list[str] = field(default_factory=list)
    direction: int | None = None
    """0 outbound, 1 inbound by the epb_flags option; None without it."""


@dataclass(slots=True)
class Section:
    """Byte order and interfaces of the section a walker is in."""

    order: str = "<"
    interfaces: list[Interface] = field(default_factory=list)
    comment: str = ""


def iterate_options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield option code and value; stops quietly where the bytes end or make no sense."""
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(order + "HH", data, at)
        if code == OPT_END or at + 4 + length > len(data):
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length + (-length & 3)


def block_at(buffer: bytes, at: int, order: str) -> tuple[int, int, str] | None:
    """Look at the block that begins at ``at``: type, total length and byte order.

    Returns None when the buffer ends before the block does. Raises DamagedBlock when no block can begin like this.
    """
    left = len(buffer) - at
    if left < 12:
        return None
    (kind,) = struct.unpack_from("<I", buffer, at)
    if kind == SECTION_HEADER:
        magic = buffer[at + 8 : at + 12]
        if magic == b"\x4d\x3c\x2b\x1a":
            order = "<"
        elif magic == b"\x1a\x2b\x3c\x4d":
            order = ">"
        else:
            raise DamagedBlock("section header without byte-order magic")
    kind, total = struct.unpack_from(order + "II", buffer, at)
    minimum = 28 if kind == SECTION_HEADER else 12
    if total < minimum or total % 4 or total > MAX_BLOCK:
        raise DamagedBlock(f"block length {total}")
    if left < total:
        return None
    (again,) = struct.unpack_from(order + "I", buffer, at + total - 4)
    if again != total:
        raise DamagedBlock(f"block length {total} at the front, {again} at the end")
    return kind, total, order


def parse_section(order: str, body: bytes) -> Section:
    """Return the section that begins with this Section Header Block."""
    comments = [value for code, value in iterate_options(order, body[16:]) if code == OPT_COMMENT]
    return Section(order, [], "\n".join(text.decode("utf-8", "replace") for text in comments))


def parse_interface(order: str, body: bytes) -> Interface:
    """Return an Interface Description Block. Raises DamagedBlock."""
    if len(body) < 8:
        raise DamagedBlock("interface description too short")
    (link_type,) = struct.unpack_from(order + "H", body)
    found = Interface("", link_type)
    for code, value in iterate_options(order, body[8:]):
        if code == _IF_NAME:
            found.name = value.decode("utf-8", "replace")
        elif code == _IF_DESCRIPTION:
            found.description = value.decode("utf-8", "replace")
        elif code == _IF_TSRESOL and value:
            found.resolution = value[0]
    return found


def parse_packet(order: str, body: bytes) -> EnhancedPacket:
    """Return an Enhanced Packet Block. Raises DamagedBlock."""
    if len(body) < 20:
        raise DamagedBlock("packet block too short")
    interface_id, high, low, captured, _ = struct.unpack_from(order + "IIIII", body)
    if 20 + captured > len(body):
        raise DamagedBlock("packet longer than its block")
    packet = EnhancedPacket(interface_id, high << 32 | low, body[20 : 20 + captured])
    for code, value in iterate_options(order, body[20 + captured + (-captured & 3) :]):
        if code == OPT_COMMENT:
            packet.comments.append(value.decode("utf-8", "replace"))
        elif code == _EPB_FLAGS and len(value) == 4:
            (flags,) = struct.unpack(order + "I", value)
            packet.direction = {1: 1, 2: 0}.get(flags & 3)
    return packet
