"""IP packets around what a relay or a socket carried, and a look into packets: bytes to bytes, no I/O.

A relay has the bytes of a stream, not its packets: payload is real, headers are made, with lengths, sequence numbers
and checksums that are right, so that Wireshark reassembles (RFC 791, 8200, 9293, 768). What a link lost and sent again
is not shown as such. Datagrams are shown one for one.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bench.trace.lane import Direction

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
TCP: Final = 6
UDP: Final = 17
IPV4_TCP: Final = 40
"""Bytes of the headers of a TCP segment over IPv4, without options."""
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
_FLAGS: Final = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"))
_WINDOW: Final = 0xFFFF
_TTL: Final = 64
_DONT_FRAGMENT: Final = 0x4000
_LONGEST: Final = 0xFFFF
_HANDSHAKES: Final = {
    0: "HelloRequest",
    1: "ClientHello",
    2: "ServerHello",
    3: "HelloVerifyRequest",
    4: "NewSessionTicket",
    11: "Certificate",
    12: "ServerKeyExchange",
    14: "ServerHelloDone",
    16: "ClientKeyExchange",
    20: "Finished",
}
_RECORDS: Final = {20: "ChangeCipherSpec", 21: "Alert", 22: "Handshake", 23: "Application Data"}

Packets = list[tuple[Direction, bytes]]


class Endpoint(NamedTuple):
    """An address in text, IPv4 or IPv6, and a port."""

    host: str
    port: int


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071): the one's complement sum is the number modulo 65 535."""
    if len(data) & 1:
        data += b"\0"
    left = int.from_bytes(data, "big") % 0xFFFF
    return 0xFFFF - left if left else 0


@dataclass(slots=True)
class _Pair:
    """Both addresses of a flow; makes the headers around a segment or a datagram."""

    here: Endpoint
    there: Endpoint
    _addresses: tuple[bytes, bytes] = field(init=False)
    _identity: list[int] = field(init=False, default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        here, there = ipaddress.ip_address(self.here.host), ipaddress.ip_address(self.there.host)
        if here.version != there.version:
            raise ValueError(f"{here} and {there} are of two families")
        self._addresses = (here.packed, there.packed)

    def packet(self, direction: Direction, protocol: int, segment: bytes, checked_at: int) -> bytes:
        """Return the IP packet of a segment whose checksum field at ``checked_at`` is zero."""
        source, target = self._addresses if direction is SENT else self._addresses[::-1]
        pseudo = source + target + struct.pack(">II", len(segment), protocol)
        found = checksum(pseudo + segment)
        if not found and protocol == UDP:
            found = 0xFFFF
        segment = segment[:checked_at] + found.to_bytes(2, "big") + segment[checked_at + 2 :]
        if len(source) == 16:
            return struct.pack(">IHBB", 6 << 28, len(segment), protocol, _TTL) + source + target + segment
        self._identity[direction] = identity = self._identity[direction] + 1 & 0xFFFF
        total = 20 + len(segment)
        head = struct.pack(">BBHHHBBH", 0x45, 0, total, identity, _DONT_FRAGMENT, _TTL, protocol, 0) + source + target
        return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + segment


class TcpFlow:
    """One TCP connection as packets, seen at ``here``. ``mtu`` in bytes. Raises ValueError for what is no address."""

    def __init__(self, here: Endpoint, there: Endpoint, *, mtu: int = 1500, first: int = 1) -> None:
        self._pair = _Pair(here, there)
        self._headers = IPV4_TCP if ":" not in here.host else 60
        self.mtu = mtu
        self._next = [first << 16 & 0xFFFFFFFF, first << 16 ^ 0x40000000]
        """Sequence number of the next byte of each direction."""
        self._seen = [0, 0]
        """What each side has had from the other, as it acknowledges it."""
        self._finished = [False, False]

    def open(self) -> Packets:
        """Return the SYN."""
        packet = self._segment(SENT, SYN)
        self._next[SENT] += 1
        return [packet]

    def opened(self) -> Packets:
        """Return what answers the SYN, and what answers that."""
        self._seen[RECEIVED] = self._next[SENT]
        packet = self._segment(RECEIVED, SYN | ACK)
        self._next[RECEIVED] += 1
        self._seen[SENT] = self._next[RECEIVED]
        return [packet, self._segment(SENT, ACK)]

    def data(self, direction: Direction, payload: bytes) -> Packets:
        """Return the segments of bytes that one side has sent, as long as the MTU lets them be."""
        room = min(max(self.mtu - self._headers, 1), _LONGEST - self._headers)
        packets = []
        for at in range(0, len(payload), room):
            piece = payload[at : at + room]
            packets.append(self._segment(direction, ACK | (PSH if at + room >= len(payload) else 0), piece))
            self._next[direction] += len(piece)
        return packets

    def acknowledge(self, direction: Direction, count: int) -> Packets:
        """Return what the other side answers when ``count`` bytes of ``direction`` have come: an ACK for two segments.

        A relay that passes on what it was given in one piece gives the same ``count`` here as in ``data``.
        """
        other = RECEIVED if direction is SENT else SENT
        room = max(self.mtu - self._headers, 1)
        segments = -(-count // room)
        packets = []
        at = self._seen[other]
        for pair in range(0, segments, 2):
            self._seen[other] = at + min(count, (pair + 2) * room) & 0xFFFFFFFF
            packets.append(self._segment(other, ACK))
        return packets

    def finish(self, direction: Direction) -> Packets:
        """Return the end of one direction and what acknowledges it; nothing when it has ended before."""
        if self._finished[direction]:
            return []
        self._finished[direction] = True
        other = RECEIVED if direction is SENT else SENT
        packet = self._segment(direction, FIN | ACK)
        self._next[direction] += 1
        self._seen[other] = self._next[direction] & 0xFFFFFFFF
        return [packet, self._segment(other, ACK)]

    def reset(self, direction: Direction) -> Packets:
        """Return the reset of a connection, or of one that was refused; nothing when both sides had ended it."""
        if all(self._finished):
            return []
        self._finished = [True, True]
        if direction is RECEIVED:
            self._seen[RECEIVED] = self._seen[RECEIVED] or self._next[SENT]
        return [self._segment(direction, RST | ACK)]

    def _segment(self, direction: Direction, flags: int, payload: bytes = b"") -> tuple[Direction, bytes]:
        source, target = self._pair.here.port, self._pair.there.port
        if direction is RECEIVED:
            source, target = target, source
        head = struct.pack(
            ">HHIIBBHHH",
            source,
            target,
            self._next[direction] & 0xFFFFFFFF,
            self._seen[direction] & 0xFFFFFFFF if flags & ACK else 0,
            5 << 4,
            flags,
            _WINDOW,
            0,
            0,
        )
        return direction, self._pair.packet(direction, TCP, head + payload, 16)


class UdpFlow:
    """Datagrams between two endpoints, seen at ``here``. Raises ValueError for what is no address."""

    def __init__(self, here: Endpoint, there: Endpoint) -> None:
        self._pair = _Pair(here, there)
        self._longest = _LONGEST - (28 if ":" not in here.host else 8)

    def datagram(self, direction: Direction, payload: bytes) -> bytes:
        """Return one packet. A payload longer than UDP can carry is cut."""
        payload = payload[: self._longest]
        source, target = self._pair.here.port, self._pair.there.port
        if direction is RECEIVED:
            source, target = target, source
        head = struct.pack(">HHHH", source, target, 8 + len(payload), 0)
        return self._pair.packet(direction, UDP, head + payload, 6)


# --- looking into a packet --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parsed:
    """What is needed of a packet: addresses, ports, TCP's flags and the payload."""

    protocol: int
    source: tuple[bytes, int]
    target: tuple[bytes, int]
    flags: int
    payload: bytes

    @property
    def flow(self) -> tuple[object, ...]:
        """The same for both directions of a flow."""
        return self.protocol, *sorted((self.source, self.target))


def parse(packet: bytes) -> Parsed | None:
    """Return what is inside a packet of TCP or UDP, None for anything else. Never raises."""
    if len(packet) < 20:
        return None
    version = packet[0] >> 4
    if version == 4:
        at, protocol = (packet[0] & 15) * 4, packet[9]
        end = int.from_bytes(packet[2:4], "big")
        addresses = packet[12:16], packet[16:20]
        if int.from_bytes(packet[6:8], "big") & 0x1FFF:
            return None  # a later fragment
    elif version == 6 and len(packet) >= 40:
        at, protocol = 40, packet[6]
        end = 40 + int.from_bytes(packet[4:6], "big")
        addresses = packet[8:24], packet[24:40]
    else:
        return None
    segment = packet[at:end]
    if len(segment) < (20 if protocol == TCP else 8):
        return None
    ports = int.from_bytes(segment[:2], "big"), int.from_bytes(segment[2:4], "big")
    if protocol == TCP:
        flags, payload = segment[13], segment[(segment[12] >> 4) * 4 :]
    elif protocol == UDP:
        flags, payload = 0, segment[8:]
    else:
        return None
    return Parsed(protocol, (addresses[0], ports[0]), (addresses[1], ports[1]), flags, payload)


def client_random(parsed: Parsed) -> bytes | None:
    """Return the random of the ClientHello that a TLS or DTLS flow begins with, None for any other payload."""
    payload = parsed.payload
    record = 5 if parsed.protocol == TCP else 13
    message = record + (4 if parsed.protocol == TCP else 12)
    if len(payload) < message + 34 or payload[0] != 22 or payload[record] != 1:
        return None
    if parsed.protocol == TCP:
        if payload[1] != 3:
            return None
    elif payload[1] != 0xFE or payload[record + 6 : record + 9] != b"\0\0\0":  # not the first fragment
        return None
    return payload[message + 2 : message + 34]


def describe(packet: bytes) -> str:
    """Return a packet in one line: addresses, flags, length and the first TLS record. Never raises."""
    found = parse(packet)
    if found is None:
        return f"{len(packet)} bytes"
    name = "TCP" if found.protocol == TCP else "UDP"
    ends = " > ".join(
        f"{ipaddress.ip_address(host)}:{port}" if len(host) == 4 else f"[{ipaddress.ip_address(host)}]:{port}"
        for host, port in (found.source, found.target)
    )
    text = f"{name} {ends}"
    if found.protocol == TCP and (found.flags & (SYN | FIN | RST) or not found.payload):
        text += f" [{', '.join(word for bit, word in _FLAGS if found.flags & bit)}]"
    if found.payload:
        text += f" {len(found.payload)} bytes"
        told = _secured(found)
        text += f", {told}" if told else ""
    return text


def _secured(found: Parsed) -> str:
    """Return the first record of a TLS or DTLS payload in words, '' for any other."""
    payload, record = found.payload, 5 if found.protocol == TCP else 13
    if len(payload) < record or payload[0] not in _RECORDS:
        return ""
    if found.protocol == TCP and payload[1] == 3:
        name = "TLS"
    elif found.protocol == UDP and payload[1] == 0xFE:
        name = "DTLS"
    else:
        return ""
    encrypted = found.protocol == UDP and payload[3:5] != b"\0\0"
    if payload[0] == 22 and len(payload) > record and not encrypted and payload[record] in _HANDSHAKES:
        return f"{name} {_HANDSHAKES[payload[record]]}"
    return f"{name} {_RECORDS[payload[0]]}"
