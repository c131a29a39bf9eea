"""Log packets of Qualcomm's DIAG protocol, as modems send them and as programs keep them. Bytes to values, no I/O."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

_GPS_EPOCH_NS: Final = 315_964_800 * 1_000_000_000
HEADER: Final = 12
"""Octets of a log packet before its body: length (of both), code, time stamp."""

RRC_OTA: Final = 0xB0C0
ESM_IN, ESM_OUT, EMM_IN, EMM_OUT = 0xB0E2, 0xB0E3, 0xB0EC, 0xB0ED
"""Plain NAS of LTE: four octets of versions, then the message as TS 24.301 has it."""
NAS_HEADER: Final = 4


@dataclass(frozen=True, slots=True)
class LogPacket:
    """One log packet."""

    code: int
    device_ns: int
    """The modem's time in ns since 1970."""
    body: bytes

    @property
    def nas(self) -> bytes:
        """The NAS message of a plain NAS log; empty of any other."""
        return self.body[NAS_HEADER:] if self.code in (ESM_IN, ESM_OUT, EMM_IN, EMM_OUT) else b""


def device_time(stamp: int) -> int:
    """Return a DIAG time stamp in ns since 1970: units of 1.25 ms since 1980 above 16 bits of 1/40 960 ms."""
    return _GPS_EPOCH_NS + (stamp >> 16) * 1_250_000 + (stamp & 0xFFFF) * 1_000_000 // 40_960


def log_packet(data: bytes, at: int = 0) -> LogPacket | None:
    """Return the log packet that begins at an octet; None where there is none, or not all of it."""
    if len(data) < at + HEADER:
        return None
    length, code, stamp = struct.unpack_from("<HHQ", data, at)
    if not HEADER <= length <= len(data) - at:
        return None
    return LogPacket(code, device_time(stamp), data[at + HEADER : at + length])
