"""Captures: pcap and pcapng with GSMTAP (SIM, LTE NAS and RRC) or exported PDUs. Never raises on any bytes.

Classic pcap in both byte orders, microseconds and nanoseconds; link types Ethernet, Linux cooked (1 and 2), raw IP,
loopback, IEEE 802.15 upper PDU (252). A capture that is cut off is read as far as it is whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.reproduce.imported import Happening, Source
from bench.reproduce.rrc_nas import GSMTAP_CHANNELS, Channel, carried
from bench.trace.lane import Direction

GSMTAP_PORT: Final = 4729
_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6), b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9), b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}  # fmt: skip
PCAPNG: Final = b"\x0a\x0d\x0d\x0a"
_MOST: Final = 1 << 24
_SIM, _LTE_RRC, _LTE_NAS = 4, 13, 18
_EMM: Final = {
    0x41: "ATTACH REQUEST", 0x42: "ATTACH ACCEPT", 0x43: "ATTACH COMPLETE", 0x44: "ATTACH REJECT",
    0x45: "DETACH REQUEST", 0x46: "DETACH ACCEPT", 0x48: "TAU REQUEST", 0x49: "TAU ACCEPT", 0x4B: "TAU REJECT",
    0x4C: "EXTENDED SERVICE REQUEST", 0x4E: "SERVICE REJECT", 0x50: "GUTI REALLOCATION COMMAND",
    0x52: "AUTHENTICATION REQUEST", 0x53: "AUTHENTICATION RESPONSE", 0x54: "AUTHENTICATION REJECT",
    0x5C: "AUTHENTICATION FAILURE", 0x55: "IDENTITY REQUEST", 0x56: "IDENTITY RESPONSE",
    0x5D: "SECURITY MODE COMMAND", 0x5E: "SECURITY MODE COMPLETE", 0x5F: "SECURITY MODE REJECT", 0x61: "EMM INFORMATION",  # noqa: E501
}  # fmt: skip
"""TS 24.301 table 9.8.1."""


def is_capture(head: bytes) -> bool:
    """Whether a file begins as a capture does."""
    return head[:4] in _MAGICS or head[:4] == PCAPNG


def read_capture(source: Source, path: Path) -> None:
    """Read a capture into its source."""
    with path.open("rb") as file:
        head = file.read(4)
    if head == PCAPNG:
        _pcapng(source, path)
    else:
        _pcap(source, path.read_bytes())
    if not source.recognised["NAS messages"]:  # scat and QCSuper with --decrypt-nas write both
        for number, time, message in source.carried:
            nas(source, number, time, message)


def _pcapng(source: Source, path: Path) -> None:
    from bench.errors import BenchError
    from bench.trace.reader import TraceReader

    source.kind = "pcapng"
    reader = TraceReader(path, alone=True)
    try:
        packets = list(reader.packets_now())
    except (BenchError, ValueError, struct.error) as error:
        source.notes.append(f"damaged: {error}")
        packets = []
    if reader.damage:
        source.notes.append(f"damaged after {reader.packets} packets: {reader.damage}")
    if reader.torn:
        source.notes.append(f"cut off: {reader.torn} bytes after the last whole block")
    for packet in packets:
        kind = packet.lane.partition(":")[0]
        if kind in ("apdu", "sniff", "at", "esipa", "es9plus", "es2plus", "steps", "console"):
            source.packets.append(packet)
            source.recognised[f"packets of lane {packet.lane}"] += 1
            continue
        direction = packet.direction or Direction.SENT
        time = packet.time_ns / 1e9
        dissector = packet.dissector.lower()
        if dissector.startswith(("nas-eps", "nas_eps")):
            nas(source, packet.number, time, packet.data)
        elif dissector.startswith("gsm_sim"):
            received = dissector.endswith("response") or direction is Direction.RECEIVED
            _card(
                source,
                packet.number,
                time,
                packet.data,
                whole=not dissector.endswith(("command", "response")),
                received=received,
            )
        elif dissector.startswith(("lte_rrc", "lte-rrc")):
            _rrc(source, packet.number, time, packet.data, _channel(dissector))
        elif not _ip_any(source, packet.number, time, packet.data):
            source.ignore(packet.number, f"lane {packet.lane}: {len(packet.data)} bytes {packet.dissector}")


def _pcap(source: Source, data: bytes) -> None:
    source.kind = "pcap"
    if len(data) < 24:
        source.notes.append("cut off within the header")
        return
    order, unit = _MAGICS[data[:4]]
    link = struct.unpack_from(f"{order}I", data, 20)[0] & 0x0FFFFFFF
    at, number = 24, 0
    while at + 16 <= len(data):
        seconds, part, length, _ = struct.unpack_from(f"{order}IIII", data, at)
        if length > _MOST:
            source.notes.append(f"damaged after {number} packets: a packet of {length} bytes")
            return
        if at + 16 + length > len(data):
            break
        number += 1
        body = data[at + 16 : at + 16 + length]
        at += 16 + length
        time = seconds + part * unit
        if not (_upper(source, number, time, body) if link == 252 else _link(source, number, time, body, link)):
            source.ignore(number, f"{len(body)} bytes of link type {link}")
    if at < len(data):
        source.notes.append(f"cut off: {len(data) - at} bytes after packet {number}")


def _link(source: Source, number: int, time: float, body: bytes, link: int) -> bool:
    header = {1: 14, 113: 16, 276: 20, 0: 4, 108: 4}.get(link, 0)
    if link == 1 and body[12:14] == b"\x81\x00":
        header = 18
    return _ip(source, number, time, body[header:])


def _ip_any(source: Source, number: int, time: float, body: bytes) -> bool:
    return any(_ip(source, number, time, body[skip:]) for skip in (0, 14, 16, 20, 4) if len(body) > skip)


def _ip(source: Source, number: int, time: float, data: bytes) -> bool:
    payload = _udp(data)
    if payload is None:
        return False
    return gsmtap(source, number, time, payload)


def _udp(data: bytes) -> bytes | None:
    """Return the payload of a GSMTAP datagram, None for everything else."""
    if len(data) < 28:
        return None
    if data[0] >> 4 == 4 and data[9] == 17:
        at = (data[0] & 0x0F) * 4
    elif data[0] >> 4 == 6 and len(data) >= 48 and data[6] == 17:
        at = 40
    else:
        return None
    if at < 20 or at + 8 > len(data):
        return None
    source, target, length, _ = struct.unpack_from("!HHHH", data, at)
    if GSMTAP_PORT not in (source, target) or length < 8:
        return None
    return data[at + 8 : at + length]


def gsmtap(source: Source, number: int, time: float, data: bytes) -> bool:
    """Read one GSMTAP datagram (version 2; Osmocom gsmtap.h)."""
    if len(data) < 16 or data[0] != 2 or not 4 <= data[1] <= 16 or len(data) <= data[1] * 4:
        return False
    kind, body = data[2], data[data[1] * 4 :]
    if kind == _SIM:
        _card(source, number, time, body, whole=True, received=False)
    elif kind == _LTE_NAS:
        nas(source, number, time, body)
    elif kind == _LTE_RRC:
        _rrc(source, number, time, body, GSMTAP_CHANNELS.get(data[12]))
    else:
        source.ignore(number, f"GSMTAP type {kind}")
    return True


def _card(source: Source, number: int, time: float, body: bytes, *, whole: bool, received: bool) -> None:
    """Take an APDU: a command with its answer in one (``whole``, as SIMtrace sends it), or one of the two."""
    source.recognised["APDUs"] += 1
    if not whole:
        source.add("apdu:sim", time, number, Direction.RECEIVED if received else Direction.SENT, body)
        return
    if len(body) < 7:
        source.add("apdu:sim", time, number, Direction.SENT, body)
        return
    command, answer = split_tpdu(body)
    source.add("apdu:sim", time, number, Direction.SENT, command)
    if answer:
        source.add("apdu:sim", time, number, Direction.RECEIVED, answer)


def split_tpdu(body: bytes) -> tuple[bytes, bytes]:
    """Return command and answer of a T=0 TPDU as SIMtrace puts them together (ISO 7816-3 section 10.3)."""
    length = body[4]
    incoming = body[1] in _CASE3 or (body[1] not in _CASE2 and len(body) == 5 + length + 2)
    if incoming and len(body) >= 5 + length + 2:
        return body[: 5 + length], body[5 + length :]
    return body[:5], body[5:]


_CASE3: Final = frozenset((0xA4, 0xD6, 0xDC, 0x20, 0x24, 0x2C, 0x88, 0x14, 0x10, 0xC2, 0xE2, 0x82, 0x32))
_CASE2: Final = frozenset((0xB0, 0xB2, 0xC0, 0xF2, 0x12, 0xCA, 0x70))


def nas(source: Source, number: int, time: float, data: bytes) -> None:
    """Read one NAS message of LTE (TS 24.301 section 9): plain, or integrity protected and not ciphered."""
    source.recognised["NAS messages"] += 1
    security = data[0] >> 4 if data else 0
    protected = security in (1, 3)
    plain = data[6:] if protected else data
    if len(plain) < 2 or plain[0] & 0x0F != 7 or plain[0] >> 4 or security in (2, 4):
        return
    name = _EMM.get(plain[1])
    if name is None:
        return
    cause = (
        plain[2]
        if name in ("ATTACH REJECT", "TAU REJECT", "SERVICE REJECT", "AUTHENTICATION FAILURE") and len(plain) > 2
        else None
    )
    if name.endswith("REJECT"):
        told = f"cause {cause}" if cause is not None else name
        source.happenings.append(Happening(time, number, "reject", told, None if cause is None else float(cause)))
    elif name in ("ATTACH ACCEPT", "TAU ACCEPT"):
        source.happenings.append(Happening(time, number, "nas", name))
    else:
        source.happenings.append(Happening(time, number, "nas", name))


def _rrc(source: Source, number: int, time: float, body: bytes, channel: Channel | None) -> None:
    source.recognised["RRC messages"] += 1
    message = carried(channel, body) if channel is not None else b""
    if message:
        source.carried.append((number, time, message))


def _channel(dissector: str) -> Channel | None:
    """Return the channel by Wireshark's name: lte_rrc.dl_dcch, also with hyphens and dots."""
    words = dissector.replace("-", "_").replace(".", "_")
    return "dl" if words.endswith("dl_dcch") else "ul" if words.endswith("ul_dcch") else None


def _upper(source: Source, number: int, time: float, body: bytes) -> bool:
    """Read an exported PDU: tags with the dissector's name, then the PDU."""
    name = ""
    for tag, value, rest in _tags(body):
        if tag == 12:
            name = value.rstrip(b"\0").decode("ascii", "replace")
        if tag == 0:
            if name.startswith("nas"):
                nas(source, number, time, rest)
            elif name.startswith("gsm_sim"):
                _card(source, number, time, rest, whole=name == "gsm_sim", received=name.endswith("response"))
            elif name.startswith("gsmtap"):
                return gsmtap(source, number, time, rest)
            elif "rrc" in name:
                _rrc(source, number, time, rest, _channel(name))
            else:
                return False
            return True
    return False


def _tags(body: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    at = 0
    while at + 4 <= len(body):
        tag, length = struct.unpack_from("!HH", body, at)
        yield tag, body[at + 4 : at + 4 + length], body[at + 4 + length :]
        if tag == 0:
            return
        at += 4 + length
