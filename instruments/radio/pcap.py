"""Classic pcap files that another program is still writing: whole packets as they come. Reads only."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_HEADER: Final = 24
_MAGIC: Final = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}
_LONGEST: Final = 1 << 20
_IPV4, _RAW, _ETHERNET = 228, 101, 1


class PcapTail:
    """Reads a growing file; what is not whole yet is left for the next time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ""
        self._offset = 0
        self._order = "<"
        self._link = _IPV4

    def poll(self) -> Iterator[bytes]:
        """Yield the IPv4 packets that have come since the last call. Never raises."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return
        at = 0
        if self._offset == 0:
            if len(data) < _HEADER:
                return
            order = _MAGIC.get(data[:4])
            if order is None:
                self.damage = "no pcap file"
                return
            self._order = order
            self._link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
            at = self._offset = _HEADER
        begin = at
        while len(data) - at >= 16:
            length = struct.unpack_from(self._order + "I", data, at + 8)[0]
            if length > _LONGEST:
                self.damage = f"a packet of {length} bytes"
                return
            if len(data) - at < 16 + length:
                break
            packet = data[at + 16 : at + 16 + length]
            at += 16 + length
            self._offset += at - begin
            begin = at
            if self._link == _ETHERNET:
                packet = packet[14:]
            yield packet
