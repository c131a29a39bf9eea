"""Sampled volts and amperes of a run: ``power-NAME.f32`` with its header ``power-NAME.json``.

The data file is rows of three little-endian float32, and nothing else:

======  ====  ==========================================================================================================
column  unit
======  ====  ==========================================================================================================
dt      s     station time since the row before; since ``start`` of the header for the first row
volts   V     measured
amps    A     measured
======  ====  ==========================================================================================================

Time is kept as differences because station time may advance by any step (a simulated world jumps), and because a
float32 second of a long run would be too coarse. The writer carries the rounding of every row into the next one, so
that the sum, in float64, stays within half a unit in the last place of the longest ``dt`` of the true time however
long the run is. A row without volts (NaN) breaks the curve: with ``amps`` NaN a measurement failed there (a gap),
with ``amps`` 0 the output was switched off there. Nothing is integrated across a break.

Read it elsewhere: ``a = numpy.fromfile(name, "<f4").reshape(-1, 3); t = a[:, 0].cumsum(dtype="f8")``.
"""

from __future__ import annotations

import array
import math
import os
import re
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.run import folder as places
from bench.run.events import boot_id, wall_text
from bench.run.sample_statistics import Statistics, statistics

SCHEMA: Final = 1
KIND: Final = "power-samples"
FORMAT: Final = "<f4"
COLUMNS: Final = (("dt", "s"), ("volts", "V"), ("amps", "A"))
ROW: Final = 12
"""Bytes of one row."""
_ROW = struct.Struct("<3f")
_NAN: Final = math.nan
_LONGEST_GAP: Final = 3.0e38


def data_path(folder: Path, name: str) -> Path:
    """Return where the samples of the supply ``name`` are; characters that a file name cannot have become ``_``."""
    return folder / f"power-{re.sub(r'[^A-Za-z0-9_.-]+', '_', name) or 'supply'}.f32"


class SampleWriter:
    """Appends rows; each call is one ``os.write``, so that kill -9 costs nothing that was written."""

    def __init__(self, path: Path, fd: int, start: float, at: float) -> None:
        self.path = path
        self.rows = 0
        """Written by this writer."""
        self.failure: OSError | None = None
        """The first refusal of the file system: rows after it are missing."""
        self._fd = fd
        self._start = start
        self._at = at  # the time that a reader adds up to, in float64, relative to start

    @classmethod
    def create(
        cls,
        folder: Path,
        name: str,
        *,
        start: float,
        wall_ns: int,
        interval: float,
        supply: Mapping[str, Any],
        channel: int,
        more: Mapping[str, Any] | None = None,
    ) -> SampleWriter:
        """Make the header and an empty data file.

        ``start``: station time in seconds of time 0, which was wall time ``wall_ns``; ``interval``: seconds between two
        samples as intended, 0 where there is no such; ``supply``: its identity, as text. ``more`` goes into the header
        as it is. Raises BenchError.
        """
        path = data_path(folder, name)
        header = {
            "schema": SCHEMA,
            "kind": KIND,
            "name": name,
            "data": path.name,
            "format": FORMAT,
            "columns": [{"name": column, "unit": unit} for column, unit in COLUMNS],
            "rows": "dt is station time since the row before; NaN volts break the curve (amps NaN: gap, amps 0: off)",
            "start": {"t": start, "wall": wall_text(wall_ns), "wall_ns": wall_ns, "boot": boot_id()},
            "interval": interval,
            "supply": dict(supply),
            "channel": channel,
            **(more or {}),
        }
        try:
            places.write_json(path.with_suffix(".json"), header)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BenchError(f"the samples cannot be written: {error.strerror}", where=str(path)) from error
        return cls(path, fd, start, 0.0)

    @classmethod
    def resume(cls, path: Path) -> SampleWriter:
        """Go on with a data file after its last whole row. Raises BenchError without a header or when unwritable."""
        start = _number(_table(places.read_json(path.with_suffix(".json")).get("start")).get("t"))
        if start is None:
            raise BenchError("the samples have no header", where=str(path.with_suffix(".json")))
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            size = os.fstat(fd).st_size
            os.ftruncate(fd, size - size % ROW)
        except OSError as error:
            raise BenchError(f"the samples cannot be written: {error.strerror}", where=str(path)) from error
        at = 0.0
        for dt, _, _ in _rows(path):
            at += dt
        return cls(path, fd, start, at)

    def append(self, t: float, volts: float, amps: float) -> bool:
        """Append one sample, measured at station time ``t`` in seconds. Never raises: False when it was refused."""
        return self.extend(((t, volts, amps),))

    def gap(self, t: float) -> bool:
        """Note that a measurement failed at ``t``."""
        return self.extend(((t, _NAN, _NAN),))

    def off(self, t: float) -> bool:
        """Note that the output is switched off at ``t``."""
        return self.extend(((t, _NAN, 0.0),))

    def extend(self, samples: Iterable[tuple[float, float, float]]) -> bool:
        """Append a batch of (station time, volts, amps) with one write. Never raises: False when it was refused.

        Time that goes back counts as none passing. A value that float32 cannot hold is recorded as a gap.
        """
        if self._fd < 0 or self.failure is not None:
            return False
        batch, at, rows = bytearray(), self._at, 0
        for t, volts, amps in samples:
            dt = t - self._start - at
            if not 0.0 <= dt < _LONGEST_GAP:  # NaN too
                dt = 0.0
            try:
                row = _ROW.pack(dt, volts, amps)
            except (OverflowError, struct.error):
                row = _ROW.pack(dt, _NAN, _NAN)
            at += _ROW.unpack(row)[0]
            batch += row
            rows += 1
        if not batch:
            return True
        try:
            written = os.write(self._fd, batch)
            if written != len(batch):  # the disk is full: half a row would shift all that follow
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
                raise OSError(28, "no space left on device")
        except OSError as error:
            self.failure = error
            return False
        self._at = at
        self.rows += rows
        return True

    def close(self) -> None:
        """Close the file; later rows are refused."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one supply channel as far as they can be read."""

    name: str
    header: Mapping[str, Any]
    """Empty when it is not there or cannot be read; times then count from 0."""
    times: Sequence[float]
    """Station time in seconds of every row, never going back."""
    volts: Sequence[float]
    amps: Sequence[float]
    torn: int = 0
    """Bytes of a torn last row, left out."""
    unread: str = ""
    """Why data cannot be read, empty while all is well."""

    @property
    def interval(self) -> float:
        """Seconds between two samples as intended, 0 when unknown."""
        return _number(self.header.get("interval")) or 0.0

    def statistics(self, since: float = -math.inf, until: float = math.inf) -> Statistics:
        """Return statistics of the samples within a span of station time; the curve is cut at its ends."""
        return statistics(self.times, self.volts, self.amps, since, until)

    def segments(self) -> Iterator[tuple[int, int]]:
        """Yield first and last row (both included) of every stretch without a break."""
        first: int | None = None
        for row, volts in enumerate(self.volts):
            if math.isfinite(volts) and math.isfinite(self.amps[row]):
                first = row if first is None else first
            elif first is not None:
                yield first, row - 1
                first = None
        if first is not None:
            yield first, len(self.volts) - 1


def read(path: Path) -> Samples:
    """Return the samples of a data file (``.f32``). Never raises: what is missing is told in the result."""
    header = places.read_json(path.with_suffix(".json"))
    name = header.get("name")
    name = name if isinstance(name, str) and name else path.stem.removeprefix("power-")
    schema = header.get("schema", SCHEMA)
    foreign = schema != SCHEMA or header.get("format", FORMAT) != FORMAT or _names(header) != _names({})
    if header and foreign:
        return Samples(name, header, (), (), (), unread=f"the header describes another format (schema {schema})")
    try:
        torn = path.stat().st_size % ROW
        values = _values(path)
    except OSError as error:
        return Samples(name, header, (), (), (), unread=f"{path.name}: {error.strerror}")
    at = _number(_table(header.get("start")).get("t")) or 0.0
    total, times = 0.0, array.array("d")
    for dt in values[0::3]:
        total += dt if 0.0 <= dt < math.inf else 0.0
        times.append(at + total)
    return Samples(name, header, times, values[1::3], values[2::3], torn=torn)


def read_all(folder: Path) -> list[Samples]:
    """Return the samples of every supply of a run folder, in the order of their names. Never raises."""
    try:
        return [read(path) for path in sorted(folder.glob("power-*.f32"))]
    except OSError:
        return []


# --- below --------------------------------------------------------------------------------------------------------


def _values(path: Path) -> array.array[float]:
    """Return the numbers of all whole rows; four bytes each, because a night has a million of them."""
    values = array.array("f")
    data = path.read_bytes()
    values.frombytes(data[: len(data) - len(data) % ROW])
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _rows(path: Path) -> Iterator[tuple[float, float, float]]:
    values = _values(path)
    for dt, volts, amps in zip(values[0::3], values[1::3], values[2::3], strict=True):
        yield dt if 0.0 <= dt < math.inf else 0.0, volts, amps


def _names(header: Mapping[str, Any]) -> list[object]:
    columns = header.get("columns")
    if not isinstance(columns, list):
        return [column for column, _ in COLUMNS]
    return [_table(column).get("name") for column in columns]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def summary(folder: Path) -> dict[str, Any]:
    """Return the statistics of every supply of a run for ``result.json``, by name; empty without samples."""
    return {
        samples.name: {
            **samples.statistics().as_dict(),
            "interval_s": samples.interval,
            "channel": samples.header.get("channel"),
        }
        for samples in read_all(folder)
        if not samples.unread
    }
