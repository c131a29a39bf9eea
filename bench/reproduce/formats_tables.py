"""CSV of measured values, and journald's exports (JSON lines and its export format). Never raises on any text."""

from __future__ import annotations

import contextlib
import csv
import datetime
import json
import math
import re
from collections.abc import Iterator
from typing import Final

from bench.reproduce.formats_text import Lines
from bench.reproduce.imported import Happening, Source

_COLUMNS: Final = (
    ("rsrp", re.compile(r"rsrp", re.I)),
    ("rsrq", re.compile(r"rsrq", re.I)),
    ("volts", re.compile(r"^(?:v|u|volts?|voltage|vbat\w*|vcc|supply)(?:\b|_|\[|\()", re.I)),
    ("amperes", re.compile(r"^(?:i|amps?|amperes?|current)(?:\b|_|\[|\()", re.I)),
)
_TIME: Final = re.compile(r"^(?:time\w*|timestamp|date\w*|t|ts|seconds|epoch)(?:\b|_|\[|\()", re.I)


_BLANK: Final = b" \t\r\n\x1e"
_MOST_LINES: Final = 100_000
"""Of one object of json-pretty, in which a message that is no text has a line for each byte."""


def is_table(text: str) -> bool:
    """Whether a text begins with a row of names of which one is a time or a measured value."""
    first = text.lstrip("\ufeff").partition("\n")[0]
    if not re.search(r"[,;\t]", first) or len(first) > 2000:
        return False
    names = [name.strip().strip('"') for name in re.split(r"[,;\t]", first)]
    return any(pattern.search(name) for name in names for _, pattern in _COLUMNS)


def read_table(source: Source, text: str) -> None:
    """Read a CSV: comma, semicolon or tab; decimal points, or commas where the separator is another one."""
    source.kind = "CSV"
    text = text.lstrip("\ufeff")
    first = text.partition("\n")[0]
    separator = max(";\t,", key=first.count)
    rows = csv.reader(text.replace("\0", "").splitlines(), delimiter=separator)
    names: list[str] = []
    columns: dict[int, tuple[str, float]] = {}
    moment = -1
    number = 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            number += 1
            source.ignore(number, f"no row: {error}")
            continue
        number += 1
        if not names:
            names = [name.strip() for name in row]
            moment = next((at for at, name in enumerate(names) if _TIME.search(name)), -1)
            for at, name in enumerate(names):
                kind = next((kind for kind, pattern in _COLUMNS if pattern.search(name)), "")
                if kind and at != moment:
                    columns[at] = kind, 1e-3 if re.search(r"m[VA]\b|_m[va]\b|milli", name) else 1.0
            unknown = [name for at, name in enumerate(names) if at not in columns and at != moment]
            if unknown:
                source.notes.append(f"columns ignored: {', '.join(unknown)[:300]}")
            continue
        if not any(cell.strip() for cell in row):
            continue
        time = cell_time(row[moment]) if 0 <= moment < len(row) else None
        taken = False
        for at, (kind, factor) in columns.items():
            value = _number(row[at], comma=separator != ",") if at < len(row) else None
            if value is not None:
                source.happenings.append(Happening(time, number, kind, f"{kind} {value * factor:g}", value * factor))
                taken = True
        if taken:
            source.recognised["rows of measured values"] += 1
        else:
            source.ignore(number, separator.join(row))
    if moment < 0:
        source.notes.append("no column of times: only the order is known")


def _number(text: str, *, comma: bool) -> float | None:
    text = text.strip()
    if comma:
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def cell_time(text: str) -> float | None:
    """Return a moment: seconds since 1970 or since a start, milliseconds since 1970, or a date; None for no time."""
    text = text.strip().strip('"')
    with contextlib.suppress(ValueError, OverflowError):
        value = float(text)
        if not math.isfinite(value):
            return None
        return value / 1000 if value > 1e11 else value
    with contextlib.suppress(ValueError, OverflowError):
        found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()
    return None


def is_journal(text: str) -> bool:
    """Whether a text is what ``journalctl -o`` writes as json, json-pretty, json-seq or export."""
    head = text[:4000].lstrip("\x1e")
    return "__REALTIME_TIMESTAMP" in head and (head.lstrip().startswith("{") or "__CURSOR=" in head)


def read_journal(source: Source, data: bytes) -> None:
    """Read journald's JSON lines, or its export format with binary fields (systemd, Journal Export Formats)."""
    lines = Lines(source)
    if data.lstrip(_BLANK)[:1] == b"{":
        source.kind = "journald, JSON"
        for number, line in _objects(data):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                source.ignore(number, line[:200].decode("utf-8", "replace"))
                continue
            if isinstance(entry, dict):
                _entry(lines, number, entry)
            else:
                source.ignore(number, line[:200].decode("utf-8", "replace"))
    else:
        source.kind = "journald, export"
        for number, fields in enumerate(_exported(source, data), 1):
            _entry(lines, number, fields)
    source.recognised["journal entries"] += 0


def _objects(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each object with the number of its first line: a line each, or in json-pretty from brace to brace."""
    begin, parts = 0, list[bytes]()
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.strip(_BLANK)  # json-seq: RFC 7464, each text after a record separator
        if line == b"{" or not parts:
            if parts:  # the object before it was cut off
                yield begin, b" ".join(parts)
            begin, parts = number, [line]
        else:
            parts.append(line)
        if parts[0] != b"{" or line == b"}" or len(parts) > _MOST_LINES:
            if any(parts):
                yield begin, b" ".join(parts)
            parts = []
    if any(parts):
        yield begin, b" ".join(parts)


def _entry(lines: Lines, number: int, entry: dict[str, object]) -> None:
    message = entry.get("MESSAGE")
    if isinstance(message, list):  # bytes that are no UTF-8
        with contextlib.suppress(ValueError, TypeError):
            message = bytes(message).decode("utf-8", "replace")
    time: float | None = None
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        time = int(str(entry.get("__REALTIME_TIMESTAMP"))) / 1e6
    if not isinstance(message, str):
        lines.source.ignore(number, "an entry without a message")
        return
    for line in message.splitlines():
        if line.strip():
            lines.line(number, line, time)


def _exported(source: Source, data: bytes) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    entry: dict[str, object] = {}
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            source.notes.append(f"cut off: {len(data) - at} bytes of a field")
            break
        line = data[at:end]
        at = end + 1
        if not line:
            if entry:
                found.append(entry)
            entry = {}
        elif b"=" in line:
            name, _, value = line.partition(b"=")
            entry[name.decode("ascii", "replace")] = value.decode("utf-8", "replace")
        else:  # binary: 64 bits of length, little endian, the bytes, a line end
            length = int.from_bytes(data[at : at + 8], "little")
            if at + 8 + length > len(data):
                source.notes.append(f"cut off within field {line[:40].decode('ascii', 'replace')}")
                break
            entry[line.decode("ascii", "replace")] = data[at + 8 : at + 8 + length].decode("utf-8", "replace")
            at += 8 + length + 1
    if entry:
        found.append(entry)
    return found
