"""IP packets of a trace: addresses replaced in their headers, checksums made again, payloads by connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.handover.image import ETHERNET, IP_LINKS, Image, ImagePacket, Span, Stream

TCP: Final = 6
UDP: Final = 17
ICMPV6: Final = 58
_ETHER_TYPES: Final = (b"\x08\x00", b"\x86\xdd")


def ip_start(image: Image, packet: ImagePacket) -> int | None:
    """Return where the IP header of a packet begins, None when it holds none."""
    start = packet.start
    if packet.link == ETHERNET:
        if packet.end - start < 34 or bytes(image.buffer[start + 12 : start + 14]) not in _ETHER_TYPES:
            return None
        start += 14
    elif packet.link not in IP_LINKS:
        return None
    version = image.buffer[start] >> 4 if packet.end > start else 0
    least = {4: 20, 6: 40}.get(version)
    return start if least is not None and packet.end - start >= least else None


def addresses(image: Image, start: int) -> tuple[bytes, bytes]:
    """Return source and destination, packed."""
    if image.buffer[start] >> 4 == 4:
        return bytes(image.buffer[start + 12 : start + 16]), bytes(image.buffer[start + 16 : start + 20])
    return bytes(image.buffer[start + 8 : start + 24]), bytes(image.buffer[start + 24 : start + 40])


def _transport(image: Image, start: int, end: int) -> tuple[int, int, int]:
    """Return protocol, where its header begins, and where the packet ends; protocol 0 for a later fragment."""
    buffer = image.buffer
    if buffer[start] >> 4 == 4:
        total = int.from_bytes(buffer[start + 2 : start + 4], "big")
        fragment = int.from_bytes(buffer[start + 6 : start + 8], "big") & 0x1FFF
        stop = min(end, start + total) if total else end
        return (0 if fragment else buffer[start + 9]), start + 4 * (buffer[start] & 15), stop
    length = int.from_bytes(buffer[start + 4 : start + 6], "big")
    return buffer[start + 6], start + 40, min(end, start + 40 + length) if length else end


def _payload(image: Image, protocol: int, start: int, end: int) -> int:
    if protocol == TCP and end - start >= 20:
        return min(end, start + 4 * (image.buffer[start + 12] >> 4))
    if protocol == UDP and end - start >= 8:
        return start + 8
    return end if protocol in (TCP, UDP) else start


def flows(images: list[Image]) -> dict[tuple[str, bytes], Stream]:
    """Return the payload of every connection, each direction on its own."""
    found: dict[tuple[str, bytes], Stream] = {}
    for image in images:
        for packet in image.packets:
            start = ip_start(image, packet)
            if start is None:
                continue
            source, destination = addresses(image, start)
            protocol, at, end = _transport(image, start, packet.end)
            ports = bytes(image.buffer[at : at + 4]) if protocol in (TCP, UDP) else b""
            key = (packet.lane, bytes((protocol,)) + source + destination + ports)
            found.setdefault(key, Stream()).add(image, Span(_payload(image, protocol, at, end), end))
    return found


def finish(images: list[Image], known: Mapping[bytes, bytes]) -> None:
    """Replace the addresses in all headers, and in DNS answers; make the checksums of changed packets again."""
    for image in images:
        for packet in image.packets:
            start = ip_start(image, packet)
            if start is not None:
                _finish(image, packet, start, known)


def _finish(image: Image, packet: ImagePacket, start: int, known: Mapping[bytes, bytes]) -> None:
    if packet.link == ETHERNET:
        image.put(packet.start, b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02")  # MAC addresses, locally administered
    source, destination = addresses(image, start)
    size = len(source)
    place = start + (12 if size == 4 else 8)
    image.put(place, known.get(source, source) + known.get(destination, destination))
    protocol, at, end = _transport(image, start, packet.end)
    if protocol == UDP and 53 in (_port(image, at), _port(image, at + 2)):
        payload = bytes(image.buffer[at + 8 : end])
        for one, two in known.items():
            payload = payload.replace(b"\0" + bytes((len(one),)) + one, b"\0" + bytes((len(two),)) + two)
        image.put(at + 8, payload)
    if size == 4:
        image.put(start + 10, b"\0\0")
        image.put(start + 10, _checksum(bytes(image.buffer[start:at])).to_bytes(2, "big"))
    offset = {TCP: 16, UDP: 6, ICMPV6: 2}.get(protocol)
    if offset is None or at + offset + 2 > end:
        return
    if protocol == UDP and image.buffer[at + offset : at + offset + 2] == b"\0\0":
        return  # there was none
    image.put(at + offset, b"\0\0")
    pseudo = bytes(image.buffer[place : place + 2 * size]) + (end - at).to_bytes(4, "big") + bytes((0, 0, 0, protocol))
    value = _checksum(pseudo + bytes(image.buffer[at:end]))
    image.put(at + offset, (value or 0xFFFF if protocol == UDP else value).to_bytes(2, "big"))


def _port(image: Image, at: int) -> int:
    return int.from_bytes(image.buffer[at : at + 2], "big")


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
