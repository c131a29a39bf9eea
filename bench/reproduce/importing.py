"""``bench import``: files of any kind, in folders and archives, to what they tell. Never raises on any bytes."""

from __future__ import annotations

import json
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.reproduce import formats_capture, formats_diag, formats_tables
from bench.reproduce.alignment import align
from bench.reproduce.course import course_of
from bench.reproduce.errors import ReproduceError
from bench.reproduce.formats_text import Lines
from bench.reproduce.imported import Imported, Source
from bench.reproduce.station_table import modem_facts
from bench.run import folder as places

_BUNDLE: Final = ("README.txt", "replaced.json")
_MOST_BYTES: Final = 1 << 30
"""Of one archive, unpacked."""
_MOST_MEMBERS: Final = 5_000
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, RuntimeError, EOFError, ValueError)
"""What a damaged, encrypted or strange archive raises."""
_MOST_TEXT: Final = 256 << 20


def read_files(paths: Sequence[Path]) -> Imported:
    """Read files, run folders, folders of files, and archives (zip: bundles). Raises ReproduceError for no file."""
    sources: list[Source] = []
    for path in paths:
        if not path.exists():
            raise ReproduceError("there is no such file", where=str(path), hint="a log, a capture, a run folder, a zip")
        sources += _read(path, path.name)
    align(sources)
    return Imported(sources)


def _read(path: Path, name: str) -> Iterator[Source]:
    if path.is_dir():
        if (path / places.JOURNAL).exists() or (path / "run.json").exists():
            yield _run(path, name)
            return
        files = sorted(item for item in path.rglob("*") if item.is_file() and not item.is_symlink())
        runs = sorted({item.parent for item in files if item.name == "run.json"})
        for run in runs:
            yield _run(run, str(run.relative_to(path)) if run != path else name)
        for item in files:
            if runs and item.parent == path and item.name in _BUNDLE:
                yield Source(item.name, "of the bundle", Counter({"descriptions": 1}), aligned="no times")
            elif not any(run in item.parents for run in runs):
                yield _guarded(item, str(item.relative_to(path)))
        return
    if zipfile.is_zipfile(path):
        yield from _archive(path, name)
        return
    yield _guarded(path, name)


def _archive(path: Path, name: str) -> Iterator[Source]:
    place = Path(tempfile.mkdtemp(prefix="esim-bench-import-"))
    try:
        broken = Source(name, "archive")
        try:
            _unpack(path, place, broken)
        except _BROKEN as error:
            broken.notes.append(f"damaged: {error}")
        found = list(_read(place, name)) if any(place.iterdir()) else []
        if broken.notes or broken.ignored or not found:
            yield broken
        yield from found
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _unpack(path: Path, place: Path, told: Source) -> None:
    left = _MOST_BYTES
    with zipfile.ZipFile(path) as archive:
        for number, member in enumerate(archive.infolist(), 1):
            try:
                target = (place / member.filename).resolve()
            except _BROKEN as error:
                told.ignore(number, f"{member.filename!r}: {error}")
                continue
            if not member.filename or number > _MOST_MEMBERS or not target.is_relative_to(place.resolve()):
                told.ignore(number, f"{member.filename}: outside of the archive, or too many")
                continue
            if member.is_dir():
                continue
            if member.file_size > left:
                told.ignore(number, f"{member.filename}: too large")
                continue
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as stream, target.open("wb") as file:
                    while chunk := stream.read(1 << 20):
                        left -= len(chunk)
                        if left < 0:
                            told.ignore(number, f"{member.filename}: too large")
                            break
                        file.write(chunk)
            except _BROKEN as error:
                told.notes.append(f"{member.filename} is damaged: {error}")


def _run(folder: Path, name: str) -> Source:
    source = Source(name, "run folder")
    try:
        source.course = course_of(folder)
        manifest = places.manifest(folder)
    except (BenchError, OSError, ValueError) as error:
        source.notes.append(f"cannot be read as a run: {error}")
        return source
    source.recognised["steps"] = len(source.course.steps)
    source.recognised["calls"] = len(source.course.calls)
    order = manifest.get("order")
    source.order = order if isinstance(order, dict) else {}
    found = manifest.get("identities")
    source.facts.update(modem_facts(found if isinstance(found, dict) else {}))
    return source


def _guarded(path: Path, name: str) -> Source:
    source = Source(name)
    try:
        read_one(source, path)
    except OSError as error:
        source.notes.append(f"cannot be read: {error.strerror or error}")
    return source


def read_one(source: Source, path: Path) -> None:
    """Read one plain file into its source, by what is in it and not by its name."""
    with path.open("rb") as file:
        head = file.read(8192)
    if formats_capture.is_capture(head):
        formats_capture.read_capture(source, path)
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        data = file.read(_MOST_TEXT)
    if size > _MOST_TEXT:
        source.notes.append(f"only the first {_MOST_TEXT >> 20} MB of {size >> 20} are read")
    if not data:
        source.kind, source.notes = "empty", ["an empty file"]
        return
    read_bytes(source, data)


def read_bytes(source: Source, data: bytes) -> None:
    """Read a text in whatever encoding; a file that is none is listed as ignored."""
    if formats_diag.is_dlf(data):
        formats_diag.read_dlf(source, data)
        return
    text = _decoded(source, data)
    if text is None:
        source.kind = "no text"
        source.ignore(1, f"{len(data)} bytes that are no text and no capture")
        return
    if formats_diag.is_json(text):
        formats_diag.read_json(source, text)
        return
    if formats_tables.is_journal(text):
        formats_tables.read_journal(source, data)
        return
    if formats_tables.is_table(text):
        formats_tables.read_table(source, text)
        return
    lines = Lines(source)
    lines.text(text)
    lines.close()
    known = source.recognised
    if known["APDUs"] > known["AT lines"]:
        source.kind = "APDU log"
    elif known["AT lines"]:
        source.kind = "AT log"
    else:
        source.kind = "log" if source.understood else "text"


def _decoded(source: Source, data: bytes) -> str | None:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8")):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    control = sum(byte < 9 or (13 < byte < 32 and byte != 27) for byte in data[:65536])
    if control > len(data[:65536]) // 10:
        return None
    source.notes.append("not UTF-8: bytes above 127 are taken as they are")
    return data.decode("latin-1")


def plain(value: Any) -> Any:
    """Return a value as JSON has it, with nothing in it that TOML has no form for (None is left out)."""
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value if item is not None]
    return value if isinstance(value, str | int | float | bool) else json.dumps(value, default=str)
