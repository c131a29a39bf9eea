"""GSMTAP frames, versions 2 and 3, as scat, QCSuper and simtrace2-sniff send them. Bytes to values, no I/O.

Version 2 passes through untouched: Wireshark 4.0 reads it. Version 3 (NR always, LTE on channels above 16383) it shows
as malformed, so those are taken apart and told which dissector reads what is inside.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

PORT: Final = 4729
SIM, LTE_RRC, LTE_NAS = 4, 13, 18
"""Types of version 2."""
_V3_SIM, _V3_LTE_RRC, _V3_NAS_EPS, _V3_NR_RRC, _V3_NAS_5GS = 0x0001, 0x0403, 0x0404, 0x0503, 0x0504
_END: Final = 0xFFFE

LTE_RRC_CHANNELS: Final = (
    "DL-CCCH", "DL-DCCH", "UL-CCCH", "UL-DCCH", "BCCH-BCH", "BCCH-DL-SCH", "PCCH", "MCCH", "BCCH-BCH-MBMS",
    "BCCH-DL-SCH-BR", "BCCH-DL-SCH-MBMS", "SC-MCCH", "SBCCH-SL-BCH", "SBCCH-SL-BCH-V2X", "DL-CCCH-NB", "DL-DCCH-NB",
    "UL-CCCH-NB", "UL-DCCH-NB", "BCCH-BCH-NB", "BCCH-BCH-TDD-NB", "BCCH-DL-SCH-NB", "PCCH-NB", "SC-MCCH-NB",
)  # fmt: skip
"""Sub types of type 13."""
_V3_LTE_CHANNELS: Final = {
    1: "BCCH-BCH", 3: "BCCH-DL-SCH", 4: "BCCH-DL-SCH-BR", 6: "MCCH", 7: "PCCH", 8: "DL-CCCH", 9: "DL-DCCH",
    10: "UL-CCCH", 11: "UL-DCCH",
}  # fmt: skip
_V3_NR_CHANNELS: Final = {
    1: "BCCH-BCH", 2: "BCCH-DL-SCH", 3: "DL-CCCH", 4: "DL-DCCH", 5: "MCCH", 6: "PCCH", 7: "UL-CCCH", 8: "UL-CCCH1",
    9: "UL-DCCH",
}  # fmt: skip
_NR_DISSECTORS: Final = {
    "BCCH-BCH": "nr-rrc.bcch.bch", "BCCH-DL-SCH": "nr-rrc.bcch.dl.sch", "DL-CCCH": "nr-rrc.dl.ccch",
    "DL-DCCH": "nr-rrc.dl.dcch", "PCCH": "nr-rrc.pcch", "UL-CCCH": "nr-rrc.ul.ccch", "UL-CCCH1": "nr-rrc.ul.ccch1",
    "UL-DCCH": "nr-rrc.ul.dcch",
}  # fmt: skip
_LTE_DISSECTORS: Final = {
    "BCCH-BCH": "lte_rrc.bcch_bch", "BCCH-DL-SCH": "lte_rrc.bcch_dl_sch", "BCCH-DL-SCH-BR": "lte_rrc.bcch_dl_sch_br",
    "MCCH": "lte_rrc.mcch", "PCCH": "lte_rrc.pcch", "DL-CCCH": "lte_rrc.dl_ccch", "DL-DCCH": "lte_rrc.dl_dcch",
    "UL-CCCH": "lte_rrc.ul_ccch", "UL-DCCH": "lte_rrc.ul_dcch",
}  # fmt: skip


class NoGsmtap(ValueError):
    """The bytes are no GSMTAP of a version that is known."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One GSMTAP frame."""

    version: int
    layer: str
    """``LTE RRC``, ``LTE NAS``, ``NR RRC``, ``NR NAS``, ``SIM``, or ``type N``."""
    channel: str
    """Of RRC, else empty."""
    payload: bytes
    sub_type: int = 0
    channel_number: int | None = None
    """EARFCN or NR-ARFCN; version 2 has 14 bits for it."""
    dissector: str = ""
    """Wireshark's name for the payload, where it is known."""


def parse(data: bytes) -> Frame:
    """Read one frame. Raises NoGsmtap."""
    if len(data) >= 16 and data[0] == 2:
        head = data[1] * 4
        if not 16 <= head <= len(data):
            raise NoGsmtap(f"header of {head} bytes in {len(data)}")
        return _version_2(data, head)
    if len(data) >= 8 and data[0] == 3:
        return _version_3(data)
    raise NoGsmtap(f"version {data[0] if data else 'none'}, {len(data)} bytes")


def _version_2(data: bytes, head: int) -> Frame:
    kind, sub_type = data[2], data[12]
    number = int.from_bytes(data[4:6], "big") & 0x3FFF
    payload = data[head:]
    if kind == LTE_RRC:
        channel = LTE_RRC_CHANNELS[sub_type] if sub_type < len(LTE_RRC_CHANNELS) else f"channel {sub_type}"
        return Frame(2, "LTE RRC", channel, payload, sub_type, number or None, _LTE_DISSECTORS.get(channel, ""))
    if kind == LTE_NAS:
        return Frame(2, "LTE NAS", "", payload, sub_type, number or None, "nas-eps" if sub_type else "nas-eps_plain")
    if kind == SIM:
        return Frame(2, "SIM", "", payload, sub_type)
    return Frame(2, f"type {kind}", "", payload, sub_type, number or None)


def _version_3(data: bytes) -> Frame:
    _, _, words, kind, sub_type = struct.unpack_from("!BBHHH", data)
    at, number = 8, None
    while True:
        if at + 2 > len(data):
            raise NoGsmtap("metadata without an end")
        (tag,) = struct.unpack_from("!H", data, at)
        if tag == _END:
            at += 2
            break
        if at + 4 > len(data):
            raise NoGsmtap("metadata cut off")
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if at + 4 + length > len(data):
            raise NoGsmtap("metadata cut off")
        if tag == 2 and length == 4:
            number = int.from_bytes(data[at + 4 : at + 8], "big")
        at += 4 + length
    # The header's own length counts whole words; scat writes the payload right behind the metadata.
    payload = data[at:] if abs(words * 4 - at) < 4 else data[words * 4 :]
    if kind == _V3_LTE_RRC:
        channel = _V3_LTE_CHANNELS.get(sub_type, f"channel {sub_type}")
        return Frame(3, "LTE RRC", channel, payload, sub_type, number, _LTE_DISSECTORS.get(channel, ""))
    if kind == _V3_NAS_EPS:
        return Frame(3, "LTE NAS", "", payload, sub_type, number, "nas-eps" if sub_type else "nas-eps_plain")
    if kind == _V3_NR_RRC:
        channel = _V3_NR_CHANNELS.get(sub_type, f"channel {sub_type}")
        return Frame(3, "NR RRC", channel, payload, sub_type, number, _NR_DISSECTORS.get(channel, ""))
    if kind == _V3_NAS_5GS:
        return Frame(3, "NR NAS", "", payload, sub_type, number, "nas-5gs")
    if kind == _V3_SIM:
        return Frame(3, "SIM", "", payload, sub_type)
    return Frame(3, f"type {kind:#06x}", "", payload, sub_type, number)


def in_ip(data: bytes, *, source: int = 0) -> bytes:
    """Return a datagram as an IPv4 packet to port 4729 of the loopback address (LINKTYPE_IPV4), the payload untouched.

    ``source``: UDP port it came from.
    """
    total = 28 + len(data)
    head = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0x4000, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1"))
    value = sum(struct.unpack("!10H", head))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    head[10:12] = (~value & 0xFFFF).to_bytes(2, "big")
    return bytes(head) + struct.pack("!HHHH", source or PORT, PORT, 8 + len(data), 0) + data


def out_of_ip(packet: bytes) -> bytes | None:
    """Return the payload of an IPv4 packet with UDP to port 4729, None for every other packet."""
    if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != 17:
        return None
    at = (packet[0] & 15) * 4
    if len(packet) < at + 8 or int.from_bytes(packet[at + 2 : at + 4], "big") != PORT:
        return None
    return packet[at + 8 : at + int.from_bytes(packet[at + 4 : at + 6], "big")]
