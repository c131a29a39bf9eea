"""Reading the journal: tolerant of a torn last line, of unknown types and of every earlier schema."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from bench.errors import BenchError
from bench.run.events import RUN_START, SCHEMA, TORN, UNREADABLE, normalise

_CHUNK: Final = 1 << 20
_WINDOW: Final = 1 << 18
"""Bytes of the end of a file in which is looked first."""


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

    def event(self, line: bytes) -> dict[str, Any] | None:
        """Return the event of one whole line, None for a line that is none."""
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if isinstance(raw, dict) and raw.get("type") == RUN_START and isinstance(raw.get("data"), dict):
            schema = raw["data"].get("schema")
            if isinstance(schema, int) and not isinstance(schema, bool):
                self.schema = schema
        return normalise(raw, schema=self.schema)

    def _event(self, line: bytes, start: int) -> dict[str, Any]:
        event = self.event(line)
        if event is None:
            event = normalise({"type": UNREADABLE, "data": {"offset": start, "length": len(line)}})
            assert event is not None
        return event


def scan(path: Path) -> Iterator[dict[str, Any]]:
    """Yield all events of a journal; a torn last line is left out and told by a last event of type ``torn``.

    A journal that is not there is an empty one. Raises BenchError when it cannot be read.
    """
    reader = Reader()
    for chunk in _chunks(path):
        yield from reader.feed(chunk)
    torn = reader.torn()
    if torn is not None:
        yield torn


def read(path: Path) -> list[dict[str, Any]]:
    """Return all events of a journal at once, as ``scan`` yields them: some 2 kB of memory each. Raises BenchError."""
    return list(scan(path))


def only(path: Path, *wanted: str) -> Iterator[dict[str, Any]]:
    """Yield the events of these types; lines without them are not parsed: 1 s for 1 GB. Raises BenchError.

    A torn last line is left out and not told.
    """
    reader, mark, rest, begun = Reader(), _mark(wanted), b"", False
    for chunk in _chunks(path):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if not newline:
            continue
        if not begun:
            begun = True
            next(reader.feed(whole.partition(b"\n")[0] + b"\n"), None)  # its run-start: the schema
        end = 0
        for found in mark.finditer(whole):
            if found.start() < end:
                continue  # a second one in the same line
            start = whole.rfind(b"\n", 0, found.start()) + 1
            end = whole.find(b"\n", found.end())
            end = end if end >= 0 else len(whole)
            event = reader.event(whole[start:end])
            if event is not None and event["type"] in wanted:
                yield event


def since(path: Path, kind: str) -> list[dict[str, Any]]:
    """Return the events from the last of a type on, none when there is none; what is before it is not read.

    A torn last line is told by a last event of type ``torn``. A journal that is not there is an empty one. Raises
    BenchError when it cannot be read.
    """
    mark = _mark([kind])
    try:
        with path.open("rb") as file:
            reader, window = _of(file), _WINDOW
            while True:
                start, data, begin = _end_of(file, window)
                found = _last_in(data, begin, mark, reader, kind)
                if found is not None:
                    line, _ = found
                    reader.offset = start + line
                    events = list(reader.feed(data[line:]))
                    torn = reader.torn()
                    return [*events, torn] if torn is not None else events
                if not start:
                    return []
                window *= 4
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path, error) from error


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BenchError:
    return BenchError(f"the journal cannot be read: {error.strerror}", where=str(path))


def _mark(wanted: Sequence[str]) -> re.Pattern[bytes]:
    """Return what a line with an event of these types has somewhere, as every version of the journal writes it."""
    named = b"|".join(re.escape(json.dumps(kind).encode()) for kind in wanted)
    return re.compile(rb'"type": ?(?:%s)' % named)


def _of(file: BinaryIO) -> Reader:
    """Return a reader that knows the schema, from the run-start at the beginning of a journal."""
    file.seek(0)
    reader = Reader()
    next(reader.feed(file.readline()), None)
    reader.drop_pending()
    return reader


def last(path: Path, *wanted: str) -> dict[str, Any] | None:
    """Return the last event of these types within the last 256 kB of a journal, None when there is none."""
    try:
        with path.open("rb") as file:
            reader = _of(file)
            _, data, begin = _end_of(file, _WINDOW)
    except OSError:
        return None
    found = _last_in(data, begin, _mark(wanted), reader, *wanted)
    return found[1] if found is not None else None


def _end_of(file: BinaryIO, window: int) -> tuple[int, bytes, int]:
    """Return where the last ``window`` bytes of a file begin, what is there, and where in it the first line does."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - window)
    file.seek(start)
    data = file.read(size - start)
    return start, data, (data.find(b"\n") + 1 or len(data)) if start else 0


def _last_in(
    data: bytes, begin: int, mark: re.Pattern[bytes], reader: Reader, *wanted: str
) -> tuple[int, dict[str, Any]] | None:
    """Return the last event of these types whose line is whole, and where that begins; None when there is none."""
    for found in reversed(list(mark.finditer(data, begin))):
        line = data.rfind(b"\n", begin, found.start()) + 1 or begin
        end = data.find(b"\n", found.end())
        event = reader.event(data[line:end]) if end >= 0 else None
        if event is not None and event["type"] in wanted:
            return line, event
    return None
