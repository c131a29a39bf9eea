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
from typing import Final, NamedTuple

from bench.trace import blocks
from bench.trace.errors import TraceError
from bench.trace.held import HeldFlows
from bench.trace.parts import last_part, next_part
from bench.trace.reader import RepairReport, repair_and_scan
from bench.trace.recording import MAX_PDU, GsmtapLane, IpLane, TraceLane

__all__ = ["MAX_PDU", "PART_SIZE", "TraceLane", "TraceWriter"]

SYNC_INTERVAL: Final = 1.0
"""Seconds between two fdatasync while packets arrive."""
PART_SIZE: Final = 256 << 20
"""Bytes after which the trace goes on in another file: what Wireshark still opens at ease."""
_SMALLEST_PART: Final = 1 << 20
_TICK_WITH_KEYS: Final = 0.05
"""Seconds between two looks at what waits for its secrets."""

_EPB_HEAD: Final = struct.Struct("<IIIIIII")
_EPB_FIRST: Final = 28
"""Bytes of an Enhanced Packet Block before its data."""


_CLASSES: Final[dict[str, type[TraceLane]]] = {"ip": IpLane, "diag": GsmtapLane}
"""Of the kinds of lanes whose packets are IP as they stand."""


class _Block(NamedTuple):
    """A packet block but for its first bytes, which depend on the file it comes into."""

    lane: TraceLane
    total: int
    time_ns: int
    length: int
    rest: bytes


class TraceWriter:
    """Writes one trace, in parts where it grows. Use ``TraceWriter.open``; also a context manager."""

    def __init__(
        self, path: Path, descriptor: int, header: bytes, *, secrets: bool, session_keys: bool, part_size: int
    ) -> None:
        self.path = path
        """Of the part that is being written."""
        self.secrets = secrets
        """True: PINs and keys on AT, SCPI and APDU lanes are recorded as they are."""
        self.session_keys = session_keys
        """True: secrets of TLS and DTLS sessions are written, so that Wireshark decrypts the ``ip:`` lanes."""
        self.repaired: RepairReport | None = None
        """What was cut from an earlier, torn file when it was opened again."""
        self.packets = 0
        """Packets written since opening."""
        self.lost = 0
        """Blocks the file system refused since opening."""
        self._header = header
        self._part_size = part_size
        self._failure: OSError | None = None
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._lock = threading.Lock()
        self._lanes: dict[str, TraceLane] = {}
        self._interfaces = 0
        self._known: dict[str, int] = {}
        self._dirty = False
        self._held: HeldFlows[_Block] | None = HeldFlows() if session_keys else None
        self._told: set[bytes] = set()
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
        session_keys: bool = False,
        part_size: int = PART_SIZE,
    ) -> TraceWriter:
        """Create the trace, or go on with an earlier one, repaired first.

        Going on means the same section and the same interfaces: Wireshark 4.0 names the interfaces of a second section
        after those of the first. ``hardware`` and ``comment`` describe the device and the run in the section header.
        ``part_size`` in bytes: what would make the file longer goes into the next part (``bench.trace.parts``); 0: one
        file however long. Raises TraceError when the path cannot be written or holds something that is no trace.
        """
        where = last_part(Path(path))
        repaired, section = None, blocks.Section()
        if where.exists() and where.stat().st_size:
            repaired, section = repair_and_scan(where)
            if section.order != "<":
                raise TraceError("a trace of another program, left alone", where=str(where), hint="choose another path")
        notes = (f"run {run_id}", comment, "with the secrets of its TLS and DTLS sessions" if session_keys else "")
        header = blocks.section_header(
            comment="\n".join(part for part in notes if part),
            hardware=hardware,
            os=f"{platform.system()} {platform.release()}",
            application="esim-bench",
        )
        try:
            descriptor = _opened(where, private=session_keys)
        except OSError as error:
            raise TraceError(
                f"cannot open the trace for writing: {error.strerror}", where=str(where), hint="check the run folder"
            ) from error
        part_size = max(part_size, _SMALLEST_PART) if part_size else 0
        writer = cls(
            where, descriptor, header, secrets=secrets, session_keys=session_keys, part_size=part_size
        )  # fmt: skip
        writer.repaired = repaired
        if repaired is not None and repaired.blocks:
            writer._continue(section)
        else:
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
            if known.resolution == 9 and known.link_type == _class_of(known.name).link_type:
                self._known.setdefault(known.name, number)

    def lane(self, name: str, *, dissector: str | None = None, description: str = "") -> TraceLane:
        """Return the lane of this name; its interface is written with its first packet, or by ``declare``.

        The part of the name before the colon (``apdu``, ``at``, ``scpi``, ``console``, ``steps``, ``radio``, ``power``,
        ``esipa``, ``es9plus``, ``ip``) says how packets are shown; ``dissector`` overrules it with a Wireshark name.
        """
        with self._lock:
            lane = self._lanes.get(name)
            if lane is None:
                lane = self._lanes[name] = _class_of(name)(self, name, dissector, description)
                lane.interface = self._known.get(name)
            return lane

    def declare(self, lane: TraceLane) -> None:
        """Write the interface of a lane if this file does not have it yet (called by the lane)."""
        with self._lock:
            self._declare_locked(lane)

    def _declare_locked(self, lane: TraceLane) -> bool:
        if lane.interface is None:
            block = blocks.interface(lane.name, link_type=lane.link_type, description=lane.description)
            if not self._write_locked(block):
                return False
            lane.interface = self._interfaces
            self._interfaces += 1
        return True

    def put(self, lane: TraceLane, total: int, time_ns: int, length: int, rest: bytes) -> None:
        """Write one packet block (called by the lane): its data of ``length`` bytes, padding and options in ``rest``.

        A packet of a TLS flow whose secrets are still to come is kept for a moment.
        """
        with self._lock:
            if self._held is None or lane.link_type != blocks.LINKTYPE_RAW:
                self._put_locked(lane, total, time_ns, length, rest)
                return
            block = _Block(lane, total, time_ns, length, rest)
            for each in self._held.offer(rest[:length], block, time.monotonic()):
                self._put_locked(*each)

    def _put_locked(self, lane: TraceLane, total: int, time_ns: int, length: int, rest: bytes) -> None:
        if self._part_size and self._size + total > self._part_size:
            self._next_part()
        if lane.interface is None and not self._declare_locked(lane):
            self.lost += 1
            return
        time_ns &= 0xFFFFFFFFFFFFFFFF
        head = _EPB_HEAD.pack(
            blocks.ENHANCED_PACKET, total, lane.interface, time_ns >> 32, time_ns & 0xFFFFFFFF, length, length
        )
        if self._write_locked(head + rest):
            self.packets += 1
        else:
            self.lost += 1

    def session_secret(self, line: bytes) -> None:
        """Write one line of a TLS key log, once, and the packets that waited for it.

        Nothing is written unless the trace was opened with ``session_keys``.
        """
        line = line.strip()
        if self._held is None or not line:
            return
        with self._lock:
            if line in self._told:
                return
            self._told.add(line)
            self._write_locked(blocks.secrets(line + b"\n"))
            for each in self._held.key(line):
                self._put_locked(*each)

    @property
    def late_secrets(self) -> int:
        """Sessions whose secrets came when packets of theirs had been written: ``repair`` puts them to the front."""
        return 0 if self._held is None else self._held.late

    def _next_part(self) -> None:
        """Go on in another file, with a section of its own. A disk that has no room for it keeps this one."""
        path = next_part(self.path)
        try:
            descriptor = _opened(path, private=self.session_keys)
        except OSError as error:
            self._failure = error
            return
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._failure = error
        old, size = self._descriptor, self._size
        self._descriptor, self._size = descriptor, 0
        if not self._write_locked(self._header):
            self._descriptor, self._size = old, size
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return
        os.close(old)
        self.path = path
        self._interfaces = 0
        self._known = {}
        for lane in self._lanes.values():
            declared, lane.interface = lane.interface is not None, None
            if declared:
                self._declare_locked(lane)

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
                descriptor = os.dup(descriptor)  # the trace may go on in another file meanwhile
        if descriptor >= 0:
            try:
                os.fdatasync(descriptor)
            except OSError as error:
                failure = error
            finally:
                os.close(descriptor)
        if failure is not None:
            raise TraceError(
                f"the trace is incomplete, {self.lost} packets lost: {failure.strerror}",
                where=str(self.path),
                hint="free space in the run folder",
            ) from failure

    def _sync_loop(self) -> None:
        synced = time.monotonic()
        while not self._closing.wait(SYNC_INTERVAL if self._held is None else _TICK_WITH_KEYS):
            now = time.monotonic()
            if self._held is not None:
                with self._lock:
                    for each in self._held.expire(now):
                        self._put_locked(*each)
            if self._dirty and (self._held is None or now - synced >= SYNC_INTERVAL):
                synced = now
                try:
                    self.sync()
                except TraceError as error:  # told by the next one who asks
                    self._failure = error.__cause__ if isinstance(error.__cause__, OSError) else None

    def close(self) -> None:
        """Sync and close; packets recorded later are counted as lost. Raises TraceError as ``sync`` does."""
        if self._descriptor < 0:
            return
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30.0)
        if self._held is not None:
            with self._lock:
                for each in self._held.end():
                    self._put_locked(*each)
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


def _class_of(name: str) -> type[TraceLane]:
    return _CLASSES.get(name.partition(":")[0], TraceLane)


def _opened(path: Path, *, private: bool) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600 if private else 0o644)
    if private:
        os.fchmod(descriptor, 0o600)  # one that was there before
    return descriptor
