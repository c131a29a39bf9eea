"""Reading a trace: whole, torn or still growing; and repairing a torn one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from bench.trace import blocks
from bench.trace.errors import TraceError
from bench.trace.lane import Direction
from bench.trace.parts import part

_CHUNK: Final = 1 << 16
"""Bytes read at a time: less than what the C library takes from the system and keeps a hole for ever after."""
_TORN_LIMIT: Final = 300_000
"""Our own longest block, roughly: more than this after the last whole block is damage, not a torn record."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of the trace."""

    lane: str
    time_ns: int
    """Wall clock in ns since 1970."""
    direction: Direction | None
    """None where the trace of another program does not say."""
    data: bytes
    comment: str
    """Decoded one-liner; several comments of one packet are joined with line ends."""
    dissector: str = ""
    """Wireshark's name of what is inside, empty for other link types."""
    number: int = 0
    """1 for the first packet of the file, as Wireshark counts."""
    part: int = 1
    """Which file of the trace it is in (``bench.trace.parts``)."""


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What ``repair`` found."""

    path: Path
    kept: int
    """Bytes of whole blocks."""
    dropped: int
    """Bytes of a torn record at the end, cut off."""
    blocks: int
    """Whole blocks kept."""
    packets: int
    """Packets kept."""
    saved: Path | None = None
    """Where the dropped bytes were put, when they were more than one torn record can be."""

    def __str__(self) -> str:
        if not self.dropped:
            return f"{self.path}: whole, {self.packets} packets"
        text = f"{self.path}: {self.dropped} bytes of a torn record dropped, {self.packets} packets kept"
        return f"{text}; the bytes are in {self.saved}" if self.saved else text


class TraceReader:
    """Reads what is there, and later what has come since, from part to part of a trace that grew.

    ``poll`` never waits. A block that is not whole yet is left for the next call, so a live trace, a torn one and one
    that was torn, repaired and continued all read the same way.
    """

    def __init__(self, path: str | os.PathLike[str], *, alone: bool = False) -> None:
        """``alone``: read this file only, not the parts behind it."""
        self.first = Path(path)
        self.path = self.first
        """The part that is being read."""
        self.part = 1
        self.offset = 0
        """Where the next block of this part begins; everything before it is whole."""
        self.blocks = 0
        """Of this part."""
        self.packets = 0
        """Of all parts."""
        self.secrets = 0
        """Decryption Secrets Blocks that were passed by; what is in them is nobody's business here."""
        self._alone = alone
        self._before = 0
        """Packets of the parts before this one."""
        self.damage: str | None = None
        """Why reading stopped before the end of the file, None while all is well."""
        self.torn = 0
        """Bytes after the last whole block at the last ``poll``."""
        self.section = blocks.Section()

    def poll(self, *, limit: int | None = None) -> list[Packet]:
        """Return the packets that came since the last call, at most about ``limit``. Raises TraceError.

        A file that does not exist yet has no packets.
        """
        found: list[Packet] = []
        for packet in self.packets_now():
            found.append(packet)
            if limit is not None and len(found) >= limit:
                break
        return found

    def packets_now(self) -> Iterator[Packet]:
        """Yield the packets that came since the last call, one by one. Raises TraceError."""
        while True:
            # Before it is read: a part that has a next one by then gets no more packets.
            following = part(self.first, self.part + 1)
            grown = not self._alone and following.exists()
            yield from self._advance()
            if not grown or (self.damage is not None and self.blocks == 0):
                return
            self.path, self.part = following, self.part + 1
            self.offset = self.blocks = self.torn = 0
            self._before = self.packets
            self.damage = None
            self.section = blocks.Section()

    def _advance(self) -> Iterator[Packet]:
        if self.damage is not None:
            return
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise TraceError(f"cannot read the trace: {error.strerror}", where=str(self.path)) from error
        try:
            want = _CHUNK
            while True:
                # Asked many times a second, mostly for nothing: no room for a whole chunk is made for that.
                there = max(0, os.fstat(descriptor).st_size - self.offset)
                buffer = os.pread(descriptor, min(want, there), self.offset)
                base, at = self.offset, 0
                while True:
                    try:
                        found = blocks.block_at(buffer, at, self.section.order)
                        if found is None:
                            break
                        kind, total, order = found
                        if self.blocks == 0 and kind != blocks.SECTION_HEADER:
                            raise blocks.DamagedBlock("does not begin with a section header")
                        packet = self._block(kind, order, buffer[at + 8 : at + total - 4])
                    except blocks.DamagedBlock as error:
                        self.damage = f"at byte {base + at}: {error}"
                        self.torn = os.fstat(descriptor).st_size - self.offset
                        return
                    at += total
                    self.offset = base + at
                    self.blocks += 1
                    if packet is not None:
                        yield packet
                self.torn = len(buffer) - at
                if len(buffer) < want:
                    return
                want = _CHUNK if at else want * 2  # a block longer than the chunk
        finally:
            os.close(descriptor)

    def _block(self, kind: int, order: str, body: bytes) -> Packet | None:
        if kind == blocks.ENHANCED_PACKET:
            return self._packet(blocks.parse_packet(order, body))
        if kind == blocks.INTERFACE_DESCRIPTION:
            self.section.interfaces.append(blocks.parse_interface(order, body))
        elif kind == blocks.SECTION_HEADER:
            self.section = blocks.parse_section(order, body)
        elif kind == blocks.DECRYPTION_SECRETS:
            self.secrets += 1
        return None

    def _packet(self, raw: blocks.EnhancedPacket) -> Packet:
        if raw.interface_id >= len(self.section.interfaces):
            raise blocks.DamagedBlock(f"packet of interface {raw.interface_id}, which was not described")
        interface = self.section.interfaces[raw.interface_id]
        data, direction, dissector = raw.data, raw.direction, ""
        if interface.link_type == blocks.LINKTYPE_EXPORTED_PDU:
            try:
                tags, data = blocks.split_exported_pdu(raw.data)
            except blocks.DamagedBlock:
                tags = {}
            dissector = tags.get(blocks.TAG_DISSECTOR, b"").rstrip(b"\0").decode("ascii", "replace")
            p2p = tags.get(blocks.TAG_P2P_DIRECTION)
            if p2p is not None:
                direction = int.from_bytes(p2p, "big")
        self.packets += 1
        return Packet(
            lane=interface.name,
            time_ns=interface.nanoseconds(raw.units),
            direction=Direction(direction) if direction in (0, 1) else None,
            data=data,
            comment="\n".join(raw.comments),
            dissector=dissector,
            number=self.packets - self._before,
            part=self.part,
        )


def read(path: str | os.PathLike[str]) -> Iterator[Packet]:
    """Yield every whole packet; a torn tail is left out. Raises TraceError when the path is no trace at all."""
    if not Path(path).exists():
        raise TraceError("no such trace", where=str(path))
    reader = TraceReader(path)
    yield from reader.packets_now()
    if reader.damage is not None and reader.blocks == 0 and reader.part == 1:
        raise TraceError(f"not a pcapng trace: {reader.damage}", where=str(path))


def follow(
    path: str | os.PathLike[str],
    *,
    stop: Event | None = None,
    ended: Callable[[], bool] | None = None,
    interval: float = 0.05,
) -> Iterator[Packet]:
    """Yield packets as they are written, until ``stop`` is set or ``ended()`` is true and nothing is left.

    Looks for more every ``interval`` seconds; ``stop`` ends the wait at once.
    """
    reader = TraceReader(path)
    stop = stop or Event()
    while True:
        last = stop.is_set() or (ended is not None and ended())
        yield from reader.packets_now()
        if last or reader.damage is not None:
            return
        stop.wait(interval)


def repair(path: str | os.PathLike[str]) -> RepairReport:
    """Cut the file after its last whole block.

    Without this, everything appended to a torn file is lost to Wireshark. Raises TraceError when the file is no pcapng
    trace: it is then left alone. A file torn inside its very first block becomes empty. Damage in the middle (not made
    by this writer) is cut off too, but what was behind it is kept beside the trace.
    """
    return repair_and_scan(path)[0]


def repair_and_scan(path: str | os.PathLike[str]) -> tuple[RepairReport, blocks.Section]:
    """As ``repair``; also return the last section with its interfaces, for who goes on writing."""
    where = Path(path)
    reader = TraceReader(where, alone=True)
    if not where.exists():
        raise TraceError("no such trace", where=str(where))
    for _ in reader._advance():
        pass
    size = where.stat().st_size
    if reader.blocks == 0 and size and not _born_torn(where, size):
        raise TraceError("not a pcapng trace, left alone", where=str(where), hint="choose another path")
    dropped = size - reader.offset
    saved = None
    if dropped:
        try:
            with where.open("r+b") as stream:
                stream.seek(reader.offset)
                rest = stream.read() if dropped > _TORN_LIMIT else b""
                if rest.strip(b"\0"):
                    saved = where.with_name(f"{where.name}.damaged-{reader.offset}")
                    saved.write_bytes(rest)
                stream.truncate(reader.offset)
                os.fsync(stream.fileno())
        except OSError as error:
            raise TraceError(f"cannot repair the trace: {error.strerror}", where=str(where)) from error
    return RepairReport(where, reader.offset, dropped, reader.blocks, reader.packets, saved), reader.section


def _born_torn(path: Path, size: int) -> bool:
    """Whether the file can be the beginning of our first block, or the zeros a power cut leaves."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    start = blocks.section_header()[:4]
    return size <= 4096 and (head[:4] == start[: len(head[:4])] or not head.strip(b"\0"))
