"""What was ordered at a server of the lab, kept in the bench's home: no order is lost with a run, or placed twice.

One file a server, one JSON object a line, each change appended durably before and after the call that makes it. An
order without number (``order_id``) was on its way when the run ended: whether the server has it is not known.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.station.order_key import order_key

_KEPT: Final = 1000
"""Orders that are kept when the file is written anew."""
_LINES: Final = 5000


@dataclass(slots=True)
class Entry:
    """One order as the bench knows it."""

    key: str
    eid: str
    kind: str
    ordered: dict[str, Any] = field(default_factory=dict)
    order_id: str = ""
    """The server's number, empty while it is not known."""
    state: str = ""
    """Set when it is final, or given up."""
    told: dict[str, Any] = field(default_factory=dict)
    """What the server told of it at its end: iccid, matching_id ..."""
    at: float = 0.0
    """Seconds since 1970."""


class Book:
    """The orders of one server."""

    def __init__(self, home: Path, role: str, server: str) -> None:
        """``server``: what tells it from others, such as its address."""
        digest = hashlib.sha256(server.encode()).hexdigest()[:12]
        self.path = home / "external" / f"{role}-{digest}.jsonl"
        self._entries: dict[str, Entry] = {}
        self._lines = 0
        self._begin = b"\n"
        """Before the first line: whatever a crash has cut off ends here."""
        self._read()

    def begin(self, eid: str, kind: str, ordered: Mapping[str, Any]) -> tuple[Entry, bool]:
        """Note an order before it is sent; return it with its key, and whether it was noted before an interruption.

        Then it has the server's number where the bench got to know it; what was certainly not taken begins anew.
        """
        key = order_key()
        known = self.known(key)
        if known is not None and known.state != "cancelled":
            return known, True
        entry = Entry(key, eid, kind, dict(ordered), at=time.time())
        self._entries[entry.key] = entry
        self.write(entry)
        return entry, False

    def write(self, entry: Entry) -> None:
        """Note what is known now, durably. Raises BenchError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            line = self._begin + json.dumps(asdict(entry)).encode() + b"\n"
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, line)
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise BenchError(
                f"the orders cannot be kept: {error.strerror}", where=str(self.path), hint="free space, or BENCH_HOME"
            ) from error
        self._begin = b""
        self._lines += 1

    def known(self, key: str) -> Entry | None:
        """Return the order with this key."""
        return self._entries.get(key)

    def of(self, eid: str) -> list[Entry]:
        """Return the orders of an eUICC, oldest first."""
        return [entry for entry in self._entries.values() if entry.eid == eid]

    def numbered(self, order_id: str) -> Entry | None:
        """Return the latest order with the server's number."""
        found = [entry for entry in self._entries.values() if order_id and order_id in (entry.order_id, entry.key)]
        return found[-1] if found else None

    def _read(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        for line in text.splitlines():
            self._lines += 1
            entry = _entry(line)
            if entry is not None:
                self._entries[entry.key] = entry
        if self._lines > _LINES:
            self._shorten()

    def _shorten(self) -> None:
        kept = list(self._entries.values())[-_KEPT:]
        scratch = self.path.with_suffix(".new")
        with contextlib.suppress(OSError):  # then it stays long
            scratch.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in kept))
            scratch.chmod(0o600)
            scratch.replace(self.path)
            self._lines = len(kept)


def _entry(line: str) -> Entry | None:
    """Return what a line says, None for one that was cut off in the writing."""
    try:
        raw = json.loads(line)
        known = {item.name: raw[item.name] for item in fields(Entry) if item.name in raw}
        entry = Entry(**known)
    except (ValueError, TypeError, RecursionError):
        return None
    good = isinstance(entry.ordered, dict) and isinstance(entry.told, dict) and isinstance(entry.key, str)
    return entry if good else None
