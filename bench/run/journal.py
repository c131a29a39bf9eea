"""Writing the journal: one ``os.write`` an event, so that kill -9 costs no finished event.

Events reach the disk (fdatasync) where ``sync`` is asked for, at the end of every step, and otherwise once a second.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.run.events import boot_id, wall_text
from bench.run.folder import sync_folder

SYNC_INTERVAL: Final = 1.0
"""Seconds between two fdatasync while events arrive."""
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, default=str, separators=(",", ":")
).encode


class Journal:
    """The writer of ``journal.jsonl``; there is one at a time. Threads may share it."""

    def __init__(self, path: Path, fd: int, *, seq: int, cut: int) -> None:
        self.path = path
        self.seq = seq
        """Of the last event written."""
        self.cut = cut
        """Bytes of a torn last line that were cut off at opening."""
        self.failure: OSError | None = None
        """The first refusal of the file system; events after it may be missing."""
        self.on_failure: Callable[[OSError], None] | None = None
        """Called once, at the first failure, in the thread that wrote."""
        self.clock: Callable[[], float] | None = None
        """Gives station time, None as long as there is no clock."""
        self._fd = fd
        self._size = os.fstat(fd).st_size
        self._head = f'"boot":{json.dumps(boot_id())},"mono_ns":'
        self._lock = threading.Lock()
        self._second = (-1, "")
        self._dirty = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def open(cls, path: Path, *, background: bool = True) -> Journal:
        """Create the journal or go on with it, after cutting off a torn last line.

        ``background``: sync once a second by a thread; without it only ``sync=True`` reaches the disk. Raises
        BenchError when the file cannot be written.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BenchError(
                f"the journal cannot be written: {error.strerror}", where=str(path), hint="check the runs folder"
            ) from error
        try:
            size = os.fstat(fd).st_size
            if not size:
                sync_folder(path.parent)
            whole, seq = _end(fd, size) if size else (0, 0)
            if whole < size:
                os.ftruncate(fd, whole)
            journal = cls(path, fd, seq=seq, cut=size - whole)
        except BaseException:
            os.close(fd)
            raise
        if background:
            journal._thread = threading.Thread(target=journal._sync_loop, name="journal-sync", daemon=True)
            journal._thread.start()
        return journal

    def write(self, kind: str, data: Mapping[str, Any], *, step: str = "", sync: bool = False) -> bool:
        """Append one event; ``sync``: return when it is on the disk. Never raises: False when it was refused."""
        body = _body(kind, step, data)
        with self._lock:
            if self._fd < 0:
                return False
            clock = self.clock
            t = "null" if clock is None else f"{clock():.9f}"
            line = (
                f'{{"seq":{self.seq + 1},{self._head}{time.monotonic_ns()},"wall":"{self._wall()}","t":{t},{body}}}\n'
            ).encode("utf-8", "backslashreplace")
            if not self._append(line):
                return False
            self.seq += 1
            if not sync:
                self._dirty = True
                return True
            return self._sync_locked()

    def sync(self) -> bool:
        """Hand everything to the disk."""
        with self._lock:
            return self._fd >= 0 and self._sync_locked()

    def close(self) -> None:
        """Sync and close; later events are refused."""
        self._closing.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10.0)
        with self._lock:
            if self._fd < 0:
                return
            self._sync_locked()
            fd, self._fd = self._fd, -1
            os.close(fd)

    # --- below ----------------------------------------------------------------------------------------------------

    def _wall(self) -> str:
        ns = time.time_ns()
        seconds, rest = divmod(ns, 1_000_000_000)
        if self._second[0] != seconds:
            self._second = (seconds, wall_text(ns)[:20])
        return f"{self._second[1]}{rest // 1000:06d}Z"

    def _append(self, line: bytes) -> bool:
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            return self._failed(error)
        if written == len(line):
            self._size += written
            return True
        # A short write: the disk is full. A torn line in the middle would spoil the next one, so it is taken back.
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            return self._failed(error)
        return self._failed(OSError(28, "no space left on device"))

    def _sync_locked(self) -> bool:
        self._dirty = False
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            return self._failed(error)
        return True

    def _failed(self, error: OSError) -> bool:
        if self.failure is None:
            self.failure = error
            if self.on_failure is not None:
                self.on_failure(error)
        return False

    def _sync_loop(self) -> None:
        while not self._closing.wait(SYNC_INTERVAL):
            if not self._dirty:
                continue
            self._dirty = False
            fd = self._fd
            try:
                # Outside the lock: an event must not wait for a slow disk. The descriptor closes after this thread.
                os.fdatasync(fd)
            except OSError as error:
                self._failed(error)


def _body(kind: str, step: str, data: Mapping[str, Any]) -> str:
    try:
        return f'"type":{_encode(kind)},"step":{_encode(step)},"data":{_encode(dict(data))}'
    except (ValueError, TypeError, RecursionError):  # not finite, circular, odd keys: rare, so looked at only now
        return f'"type":{_encode(str(kind))},"step":{_encode(str(step))},"data":{_encode(_plain(dict(data)))}'


def _plain(value: Any, depth: int = 0) -> Any:
    """Return what JSON can hold: numbers that are not finite as text, other keys and objects as text."""
    if depth > 32:
        return "..."
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _end(fd: int, size: int) -> tuple[int, int]:
    """Return the length of the file up to its last whole line, and the ``seq`` of its last event."""
    whole: int | None = None
    position, tail = size, b""
    while position > 0:
        start = max(0, position - 65536)
        tail = os.pread(fd, position - start, start) + tail
        position = start
        if whole is None:
            cut = tail.rfind(b"\n")
            if cut < 0 and position > 0:
                continue
            whole = position + cut + 1
            tail = tail[: cut + 1]
        lines = tail.split(b"\n")
        for line in reversed(lines if position == 0 else lines[1:]):
            try:
                seq = json.loads(line)["seq"]
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            if isinstance(seq, int) and not isinstance(seq, bool) and seq >= 0:
                return whole, seq
    return whole or 0, 0
