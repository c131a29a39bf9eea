"""A lane as the writer of a trace has it: from the bytes of a driver to the rest of a packet block."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

from bench.trace import blocks, clocks, ip, keylog, redact
from bench.trace.decode import one_liner
from bench.trace.dissectors import COLUMNS, DESCRIPTIONS, PLAIN, choose
from bench.trace.lane import Direction

if TYPE_CHECKING:
    from bench.trace.writer import TraceWriter

MAX_PDU: Final = 250_000
"""Longest packet in bytes. Wireshark refuses a file with a packet over 262 144, so longer data is cut into parts."""
_MAX_COMMENT: Final = 2000
_MEMO: Final = 512
"""Packets of a lane that are kept made."""
_MEMO_LONGEST: Final = 300
"""Bytes."""
_Made = tuple[int, int, bytes]
"""Length of the block, of what is captured, and the block behind its head."""

_OPTION_HEAD: Final = struct.Struct("<HH")
_U32: Final = struct.Struct("<I")
_EPB_FIXED: Final = 32
"""Bytes of an Enhanced Packet Block without data and options."""


def kind_of(name: str) -> str:
    """Return what is before the colon of a lane's name, or before its first dot: ``apdu:card``, ``radio.nas``."""
    return name.partition(":")[0].partition(".")[0]


class TraceLane:
    """One interface of the trace (the Lane of bench.trace.lane)."""

    link_type = blocks.LINKTYPE_EXPORTED_PDU

    def __init__(self, writer: TraceWriter, name: str, dissector: str | None, description: str) -> None:
        self.name = name
        self.kind = kind_of(name)
        self.description = description or DESCRIPTIONS.get(self.kind, "")
        if clocks.parse(self.description) is None:  # whose clock its times are of: every lane states it
            stated = clocks.default(name).describe()
            self.description = f"{self.description}; {stated}" if self.description else stated
        self.interface: int | None = None
        """Number in the file that is being written, None before the first packet there (the writer's)."""
        self._writer = writer
        self._dissector = dissector
        self._headers: dict[tuple[str, int], bytes] = {}
        self._memo: dict[tuple[int, bytes], _Made] = {}
        """What was made of packets that had nothing to hide, or of what was left of them."""
        self._repeats = self.kind != "scpi"
        """What is hidden on this lane depends on the packet alone."""
        self._answer_is_secret = False
        self._filter = {
            "at": self._redact_at,
            "scpi": self._redact_scpi,
            "apdu": self._redact_apdu,
        }.get(self.kind)

    def declare(self) -> None:
        """Have the lane in the file before its first packet: a reader sees that it was recorded and had nothing."""
        self._writer.declare(self)

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        """Write one packet now. Never raises; what a full disk refused is counted in ``TraceWriter.lost``.

        ``dissector``: Wireshark's name of what is inside, where this packet is another thing than its lane's others
        (``nas-eps_plain``, ``lte_rrc.ul_ccch``, ``iso7816.atr``).
        """
        if time_ns is None:
            time_ns = time.time_ns()
        data = bytes(data)  # drivers also hand over a bytearray or memoryview; of bytes this makes no copy
        if self._repeats and comment is None and dissector is None:
            known = self._memo.get((direction, data))
            if known is not None:
                self._writer.put(self, known[0], time_ns, known[1], known[2])
                return
        if self._filter is not None and not self._writer.secrets:
            data = self._filter(direction, data)
        if comment is None and dissector is None and len(data) <= _MEMO_LONGEST:
            made = self._memo.get((direction, data)) or self._made(direction, data)
            self._writer.put(self, made[0], time_ns, made[1], made[2])
            return
        if comment is None:
            comment = one_liner(self.name, direction, data)
        if len(data) <= MAX_PDU:
            self._packet(direction, data, time_ns, comment, dissector)
            return
        count = -(-len(data) // MAX_PDU)
        for part in range(count):
            piece = data[part * MAX_PDU : (part + 1) * MAX_PDU]
            self._packet(direction, piece, time_ns, f"[part {part + 1}/{count}] {comment}", PLAIN)

    def _made(self, direction: int, data: bytes) -> _Made:
        """Return all of a packet's block that is the same each time; polling repeats itself."""
        name = self._dissector or choose(self.kind, direction, data)
        header = self._headers.get((name, direction)) or self._header(name, direction)
        comment = one_liner(self.name, direction, data)
        made = _finished(header, data, _commented(comment) if comment else b"")
        if len(self._memo) >= _MEMO:
            self._memo.clear()
        self._memo[direction, data] = made
        return made

    def _packet(self, direction: int, data: bytes, time_ns: int, comment: str, dissector: str | None) -> None:
        name = dissector or self._dissector or choose(self.kind, direction, data)
        header = self._headers.get((name, direction)) or self._header(name, direction)
        self._put(header, data, time_ns, _commented(comment) if comment else b"")

    def _put(self, header: bytes, data: bytes, time_ns: int, options: bytes) -> None:
        total, length, rest = _finished(header, data, options)
        self._writer.put(self, total, time_ns, length, rest)

    def _header(self, dissector: str, direction: int) -> bytes:
        protocol = COLUMNS.get(self.kind, self.kind) if dissector.startswith("data") else ""
        header = blocks.exported_pdu_header(dissector, direction=int(direction), protocol=protocol)
        self._headers[dissector, direction] = header
        return header

    def _redact_at(self, _direction: int, data: bytes) -> bytes:
        return redact.at_line(data)

    def _redact_scpi(self, direction: int, data: bytes) -> bytes:
        if direction == Direction.SENT:
            data, self._answer_is_secret = redact.scpi_line(data)
            return data
        if self._answer_is_secret:
            self._answer_is_secret = False
            return b"*" * len(data.rstrip()) + data[len(data.rstrip()) :]
        return redact.scpi_line(data)[0]

    def _redact_apdu(self, direction: int, data: bytes) -> bytes:
        return redact.command(data) if direction == Direction.SENT else redact.response(data)


class IpLane(TraceLane):
    """A lane of whole IP packets. With session secrets a TLS flow waits for its own (``bench.trace.held``)."""

    link_type = blocks.LINKTYPE_RAW
    _flags: Final = (blocks.packet_flags(0), blocks.packet_flags(1))

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        """Write one IP packet, or have it wait. What is longer than one can be is cut."""
        if time_ns is None:
            time_ns = time.time_ns()
        data = bytes(data)[:MAX_PDU]
        if comment is None:
            comment = ip.describe(data)
        options = self._flags[1 if direction else 0] + (_commented(comment) if comment else blocks.END_OF_OPTIONS)
        if self._writer.session_keys:
            keylog.drain()  # before the writer's lock: what comes out of it is written
        self._put(b"", data, time_ns, options)


class GsmtapLane(TraceLane):
    """A lane of GSMTAP in UDP in IPv4 as another program has sent it; to Wireshark it is what the program meant."""

    link_type = blocks.LINKTYPE_IPV4

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
        dissector: str | None = None,
    ) -> None:
        """Write one IPv4 packet as it is."""
        when = time.time_ns() if time_ns is None else time_ns
        self._put(b"", bytes(data)[:MAX_PDU], when, _commented(comment) if comment else b"")


def _finished(header: bytes, data: bytes, options: bytes) -> _Made:
    length = len(header) + len(data)
    padding = blocks.PADDING[-length & 3]
    total = _EPB_FIXED + length + len(padding) + len(options)
    return total, length, b"".join((header, data, padding, options, _U32.pack(total)))


def _commented(comment: str) -> bytes:
    text = comment.encode("utf-8", "replace")[:_MAX_COMMENT]
    return b"".join(
        (
            _OPTION_HEAD.pack(blocks.OPT_COMMENT, len(text)),
            text,
            blocks.PADDING[-len(text) & 3],
            blocks.END_OF_OPTIONS,
        )
    )
