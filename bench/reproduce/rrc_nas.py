"""NAS as RRC of LTE carries it (TS 36.331, unaligned PER): in information transfers, and as a connection is set up.

What an attach, update or service is refused with comes in one of these; what a reconfiguration carries (the attach
accept) stands behind its measurements and is not looked for. Never raises on any bytes.
"""

from __future__ import annotations

from typing import Final, Literal

Channel = Literal["dl", "ul"]
"""DL-DCCH or UL-DCCH."""
_DL_INFORMATION, _UL_INFORMATION, _SETUP_COMPLETE = 1, 9, 4
"""Numbers of the alternatives of c1 (TS 36.331 section 6.2.1)."""
GSMTAP_CHANNELS: Final[dict[int, Channel]] = {1: "dl", 3: "ul"}
"""GSMTAP_LTE_RRC_SUB_DL_DCCH_Message and ..._UL_DCCH_Message (Osmocom gsmtap.h)."""


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise EOFError
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def octets(self) -> bytes:
        """Take an OCTET STRING without size constraint (X.691 section 11.9); none that is fragmented."""
        length = self.take(8)
        if length & 0x80:
            if length & 0x40:
                raise EOFError
            length = (length & 0x3F) << 8 | self.take(8)
        return self.take(8 * length).to_bytes(length, "big")


def carried(channel: Channel, data: bytes) -> bytes:
    """Return the NAS message that an RRC message carries, empty where it carries none."""
    try:
        return _carried(channel, _Bits(data))
    except EOFError:
        return b""


def _carried(channel: Channel, bits: _Bits) -> bytes:
    if bits.take(1):  # messageClassExtension
        return b""
    kind = bits.take(4)
    if (channel, kind) not in (("dl", _DL_INFORMATION), ("ul", _UL_INFORMATION), ("ul", _SETUP_COMPLETE)):
        return b""
    if (channel, kind) != ("ul", _UL_INFORMATION):
        bits.take(2)  # rrc-TransactionIdentifier
    if bits.take(1) or bits.take(2):  # criticalExtensionsFuture, or another c1 than r8
        return b""
    if kind == _SETUP_COMPLETE:
        registered = bits.take(2) >> 1  # nonCriticalExtension stands behind the NAS
        bits.take(3)  # selectedPLMN-Identity
        if registered:
            _registered_mme(bits)
    else:
        bits.take(1)
        if bits.take(2):  # of CDMA2000
            return b""
    return bits.octets()


def _registered_mme(bits: _Bits) -> None:
    if bits.take(1):  # plmn-Identity
        if bits.take(1):
            bits.take(12)  # mcc
        bits.take(12 if bits.take(1) else 8)  # mnc
    bits.take(16 + 8)  # mmegi, mmec
