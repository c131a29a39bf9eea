"""Writing the trace: one ``os.write`` a block, so that kill -9 loses no finished packet.

Several threads may record at once. Data is handed to the disk (fdatasync) once a second and by ``sync``.
"""

from __future__ import annotations

import os
import platform
import struct
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from bench.trace import blocks, redact
from bench.trace.decode import one_liner
from bench.trace.dissectors import COLUMNS, PLAIN, choose
from bench.trace.errors import TraceError
from bench.trace.lane import Direction
from bench.trace.reader import RepairReport, repair_and_scan

SYNC_INTERVAL: Final = 1.0
"""Seconds between two fdatasync while packets arrive."""
MAX_PDU: Final = 250_000
"""Longest packet in bytes. Wireshark refuses a file with a packet over 262 144, so longer data is cut into parts."""
_MAX_COMMENT: Final = 2000
_LINK_TYPES: Final = {"ip": blocks.LINKTYPE_RAW, "diag": blocks.LINKTYPE_IPV4}
"""Of the kinds of lanes whose packets are IP as they stand; ``diag``: GSMTAP in UDP, untouched."""

_EPB_HEAD: Final = struct.Struct("<IIIIIII")
_OPTION_HEAD: Final = struct.Struct("<HH")
_U32: Final = struct.Struct("<I")
_EPB_FIXED: Final = 32
"""Bytes of an Enhanced Packet Block without data and options."""


class TraceLane:
    """One interface of the trace (the Lane of bench.trace.lane)."""

    def __init__(self, writer: TraceWriter, name: str, dissector: str | None, description: str) -> None:
        self.name = name
        self.kind = name.partition(":")[0]
        self.description = description
        self._writer = writer
        self._dissector = dissector
        self._interface: int | None = None
        self.link_type = _LINK_TYPES.get(self.kind, blocks.LINKTYPE_EXPORTED_PDU)
        self._raw = self.kind in _LINK_TYPES
        self._headers: dict[tuple[str, int], bytes] = {}
        self._answer_is_secret = False
        self._filter = {
            "at": self._redact_at,
            "scpi": self._redact_scpi,
            "apdu": self._redact_apdu,
        }.get(self.kind)

    def record(
        self,
        direction: Direction,
        data: bytes,
        *,
        time_ns: int | None = None,
        comment: str | None = None,
    ) -> None:
        """Write one packet now. Never raises; what a full disk refused is counted in ``TraceWriter.lost``."""
        if time_ns is None:
            time_ns = time.time_ns()
        data = bytes(data)  # drivers also hand over a bytearray or memoryview; of bytes this makes no copy
        if self._filter is not None and not self._writer.secrets:
            data = self._filter(direction, data)
        if comment is None:
            comment = one_liner(self.name, direction, data)
        if len(data) <= MAX_PDU:
            self._packet(direction, data, time_ns, comment, None)
            return
        count = -(-len(data) // MAX_PDU)
        for part in range(count):
            piece = data[part * MAX_PDU : (part + 1) * MAX_PDU]
            self._packet(direction, piece, time_ns, f"[part {part + 1}/{count}] {comment}", PLAIN)

    def record_as(
        self, dissector: str, direction: Direction, data: bytes, *, time_ns: int | None = None, comment: str = ""
    ) -> None:
        """Write one packet under the Wireshark dissector that reads it, whatever the kind of the lane. Never raises."""
        when = time.time_ns() if time_ns is None else time_ns
        self._packet(direction, bytes(data[:MAX_PDU]), when, comment, dissector)

    def _packet(self, direction: int, data: bytes, time_ns: int, comment: str, dissector: str | None) -> None:
        header = (
            b""
            if self._raw
            else self._header(dissector or self._dissector or choose(self.kind, direction, data), direction)
        )
        length = len(header) + len(data)
        if comment:
            text = comment.encode("utf-8", "replace")[:_MAX_COMMENT]
            options = b"".join(
                (
                    _OPTION_HEAD.pack(blocks.OPT_COMMENT, len(text)),
                    text,
                    blocks.PADDING[-len(text) & 3],
                    blocks.END_OF_OPTIONS,
                )
            )
        else:
            options = b""
        padding = blocks.PADDING[-length & 3]
        total = _EPB_FIXED + length + len(padding) + len(options)
        time_ns &= 0xFFFFFFFFFFFFFFFF
        if self._interface is None and not self._writer.declare(self):
            return
        self._writer.put(
            b"".join(
                (
                    _EPB_HEAD.pack(
                        blocks.ENHANCED_PACKET,
                        total,
                        self._interface,
                        time_ns >> 32,
                        time_ns & 0xFFFFFFFF,
                        length,
                        length,
                    ),
                    header,
                    data,
                    padding,
                    options,
                    _U32.pack(total),
                )
            )
        )

    def _header(self, dissector: str, direction: int) -> bytes:
        key = (dissector, direction)
        header = self._headers.get(key)
        if header is None:
            protocol = COLUMNS.get(self.kind, self.kind) if dissector.startswith("data") else ""
            header = blocks.exported_pdu_header(dissector, direction=int(direction), protocol=protocol)
            self._headers[key] = header
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


class TraceWriter:
    """Writes one pcapng file. Use ``TraceWriter.open``; also a context manager."""

    def __init__(self, path: Path, descriptor: int, *, secrets: bool) -> None:
        self.path = path
        self.secrets = secrets
        """True: PINs and keys on AT, SCPI and APDU lanes are recorded as they are."""
        self.repaired: RepairReport | None = None
        """What was cut from an earlier, torn file when it was opened again."""
        self.packets = 0
        """Packets written since opening."""
        self.lost = 0
        """Blocks the file system refused since opening."""
        self._failure: OSError | None = None
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._lock = threading.Lock()
        self._lanes: dict[str, TraceLane] = {}
        self._interfaces = 0
        self._known: dict[str, int] = {}
        self._dirty = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._sync_loop, name="trace-sync", daemon=True)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        run_id: str,
        hardware: str = "",
        comment: str = "",
        secrets: bool = False,
    ) -> TraceWriter:
        """Create the trace, or go on with an earlier one, repaired first.

        Going on means the same section and the same interfaces: Wireshark 4.0 names the interfaces of a second section
        after those of the first. ``hardware`` and ``comment`` describe the device and the run in the section header.
        Raises TraceError when the path cannot be written or holds something that is no trace.
        """
        where = Path(path)
        repaired, section = None, blocks.Section()
        if where.exists() and where.stat().st_size:
            repaired, section = repair_and_scan(where)
            if section.order != "<":
                raise TraceError("a trace of another program, left alone", where=str(where), hint="choose another path")
        try:
            descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise TraceError(
                f"cannot open the trace for writing: {error.strerror}", where=str(where), hint="check the run folder"
            ) from error
        writer = cls(where, descriptor, secrets=secrets)
        writer.repaired = repaired
        if repaired is not None and repaired.blocks:
            writer._continue(section)
        else:
            header = blocks.section_header(
                comment="\n".join(part for part in (f"run {run_id}", comment) if part),
                hardware=hardware,
                os=f"{platform.system()} {platform.release()}",
                application="esim-bench",
            )
            writer._write(header)
        if writer._failure is not None:
            os.close(descriptor)
            raise TraceError(
                f"cannot write the trace: {writer._failure.strerror}", where=str(where)
            ) from writer._failure
        writer._thread.start()
        return writer

    def _continue(self, section: blocks.Section) -> None:
        self._interfaces = len(section.interfaces)
        for number, known in enumerate(section.interfaces):
            link_type = _LINK_TYPES.get(known.name.partition(":")[0], blocks.LINKTYPE_EXPORTED_PDU)
            if known.resolution == 9 and known.link_type == link_type:
                self._known.setdefault(known.name, number)

    def lane(self, name: str, *, dissector: str | None = None, description: str = "") -> TraceLane:
        """Return the lane of this name; its interface is written with its first packet.

        The part of the name before the colon (``apdu``, ``at``, ``scpi``, ``console``, ``steps``, ``radio``, ``power``,
        ``esipa``, ``es9plus``, ``ip``) says how packets are shown; ``dissector`` overrules it with a Wireshark name.
        """
        with self._lock:
            lane = self._lanes.get(name)
            if lane is None:
                lane = self._lanes[name] = TraceLane(self, name, dissector, description)
                lane._interface = self._known.get(name)
            return lane

    def declare(self, lane: TraceLane) -> bool:
        """Write the interface of a lane before its first packet; False when the packet is lost (called by the lane)."""
        with self._lock:
            if lane._interface is None:
                if not self._write_locked(
                    blocks.interface(lane.name, link_type=lane.link_type, description=lane.description)
                ):
                    self.lost += 1
                    return False
                lane._interface = self._interfaces
                self._interfaces += 1
            return True

    def put(self, block: bytes) -> None:
        """Write one packet block (called by the lane)."""
        with self._lock:
            if self._write_locked(block):
                self.packets += 1
            else:
                self.lost += 1

    def _write(self, block: bytes) -> None:
        with self._lock:
            self._write_locked(block)

    def _write_locked(self, block: bytes) -> bool:
        if self._descriptor < 0:
            return False
        try:
            written = os.write(self._descriptor, block)
        except OSError as error:
            self._failure = error
            return False
        if written == len(block):
            self._size += written
            self._dirty = True
            return True
        # A short write: the disk is full. A torn block would hide everything written after it, so it is taken back.
        self._failure = OSError(28, "no space left on device")
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            self._failure = error
        return False

    def sync(self) -> None:
        """Hand everything to the disk. Raises TraceError when anything could not be written since the last call."""
        with self._lock:
            self._dirty = False
            descriptor, failure, self._failure = self._descriptor, self._failure, None
        if descriptor >= 0:
            try:
                os.fdatasync(descriptor)
            except OSError as error:
                failure = error
        if failure is not None:
            raise TraceError(
                f"the trace is incomplete, {self.lost} packets lost: {failure.strerror}",
                where=str(self.path),
                hint="free space in the run folder",
            ) from failure

    def _sync_loop(self) -> None:
        while not self._closing.wait(SYNC_INTERVAL):
            if self._dirty:
                self._dirty = False
                try:
                    os.fdatasync(self._descriptor)
                except OSError as error:
                    self._failure = error

    def close(self) -> None:
        """Sync and close; packets recorded later are counted as lost. Raises TraceError as ``sync`` does."""
        if self._descriptor < 0:
            return
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30.0)
        try:
            self.sync()
        finally:
            with self._lock:
                descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
