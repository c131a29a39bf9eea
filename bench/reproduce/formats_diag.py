"""What QCSuper keeps of a modem's DIAG port: DLF (log packets one after another) and JSON. Never raises on any bytes.

NAS is read; its RRC is counted, and listed is every log packet of another kind. A DLF file has nothing to know it by
but that each packet begins where the one before it says that it ends.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from typing import Final

from bench.reproduce.formats_capture import nas
from bench.reproduce.imported import Source
from bench.trace.diag import HEADER, RRC_OTA, LogPacket, log_packet

_EARLIEST, _LATEST = 946_684_800, 4_102_444_800
"""2000 and 2100: a modem without a network tells a time of 1980."""
_GPS_EPOCH: Final = 315_964_800
_LOOKED_AT: Final = 4
_CODES: Final = range(0x1000, 0xD000)
"""Equipment identifiers 1 (CDMA) to 12; 11 is LTE."""


def is_dlf(data: bytes) -> bool:
    """Whether bytes are a DLF file: its first packets follow each other, or the only one is the whole file."""
    at = found = 0
    while found < _LOOKED_AT and at + HEADER <= len(data):
        length, code = struct.unpack_from("<HH", data, at)
        if length < HEADER or code not in _CODES:
            return False
        packet = log_packet(data, at)
        if packet is not None and not _plausible(packet):
            return False
        at, found = at + length, found + 1
    return found > 1 or (found == 1 and at == len(data))


def _plausible(packet: LogPacket) -> bool:
    seconds = packet.device_ns / 1e9
    return _EARLIEST < seconds < _LATEST or _GPS_EPOCH <= seconds < _GPS_EPOCH + 366 * 86_400


def read_dlf(source: Source, data: bytes) -> None:
    """Read a DLF file as far as it is whole; times are the modem's."""
    source.kind = "QCSuper, DLF"
    at = number = 0
    while at < len(data):
        packet = log_packet(data, at)
        if packet is None:
            source.notes.append(f"cut off or damaged: {len(data) - at} bytes after packet {number}")
            return
        number += 1
        at += HEADER + len(packet.body)
        _take(source, number, packet.device_ns / 1e9, packet)


def is_json(text: str) -> bool:
    """Whether a text is what ``--json-geo-dump`` writes: a line of JSON for each log packet or position."""
    first = text.lstrip()[:4096].partition("\n")[0].strip()
    return first.startswith("{") and ('"log_frame"' in first or all(f'"{key}"' in first for key in ("lat", "lng")))


def read_json(source: Source, text: str) -> None:
    """Read the lines of JSON; times are the host's."""
    source.kind = "QCSuper, JSON"
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            source.ignore(number, line)
        elif "lat" in entry and "lng" in entry:
            source.recognised["positions"] += 1
        else:
            packet, time = _packet(entry.get("log_frame")), entry.get("timestamp")
            if packet is None or isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) < _LATEST:
                source.ignore(number, line)
            else:
                _take(source, number, float(time), packet)


def _packet(frame: object) -> LogPacket | None:
    try:
        return log_packet(base64.b64decode(frame, validate=True)) if isinstance(frame, str) else None
    except (binascii.Error, ValueError):
        return None


def _take(source: Source, number: int, time: float, packet: LogPacket) -> None:
    if packet.nas:
        nas(source, number, time, packet.nas)
    elif packet.code == RRC_OTA:
        source.recognised["RRC messages"] += 1
    else:
        source.ignore(number, f"log packet 0x{packet.code:04X} of {len(packet.body)} bytes")
