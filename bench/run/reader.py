"""Reading the journal: tolerant of a torn last line, of unknown types and of every earlier schema."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.run.events import RUN_START, SCHEMA, TORN, UNREADABLE, normalise

_CHUNK: Final = 1 << 20


class Reader:
    """Turns bytes of a journal into events, in any portions."""

    def __init__(self) -> None:
        self.schema = SCHEMA
        """Of the journal, known from its run-start."""
        self.offset = 0
        """Bytes of the whole lines taken so far."""
        self._rest = b""

    @property
    def pending(self) -> int:
        """Bytes of a line that has not ended yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yield the events of all lines that are whole now; a line that is no event as ``unreadable``."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            start = self.offset
            self.offset += len(line) + 1
            if line.strip():
                yield self._event(line, start)

    def drop_pending(self) -> None:
        """Forget the line that has not ended: the file was cut there."""
        self._rest = b""

    def torn(self) -> dict[str, Any] | None:
        """Return the event that reports the torn last line, None when the journal ends with a whole one."""
        if not self._rest:
            return None
        return normalise({"type": TORN, "data": {"offset": self.offset, "length": len(self._rest)}})

    def _event(self, line: bytes, start: int) -> dict[str, Any]:
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError):
            raw = None
        if isinstance(raw, dict) and raw.get("type") == RUN_START and isinstance(raw.get("data"), dict):
            schema = raw["data"].get("schema")
            if isinstance(schema, int) and not isinstance(schema, bool):
                self.schema = schema
        event = normalise(raw, schema=self.schema)
        if event is None:
            event = normalise({"type": UNREADABLE, "data": {"offset": start, "length": len(line)}})
            assert event is not None
        return event


def read(path: Path) -> list[dict[str, Any]]:
    """Return all events of a journal; a torn last line is left out and told by a last event of type ``torn``.

    A journal that is not there is an empty one. Raises BenchError when it cannot be read.
    """
    reader = Reader()
    events: list[dict[str, Any]] = []
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                events.extend(reader.feed(chunk))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BenchError(f"the journal cannot be read: {error.strerror}", where=str(path)) from error
    torn = reader.torn()
    return [*events, torn] if torn is not None else events


def last(path: Path, *wanted: str) -> dict[str, Any] | None:
    """Return the last event of these types within the last 256 kB of a journal, None when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - (1 << 18)))
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return None
    marks = [f'"{kind}"'.encode() for kind in wanted]
    for line in reversed(lines):
        if not any(mark in line for mark in marks):
            continue
        try:
            event = normalise(json.loads(line))
        except (ValueError, RecursionError):
            continue
        if event is not None and event["type"] in wanted:
            return event
    return None
