"""The end of a growing file of samples: only what came since is read, and a night stays small."""

from __future__ import annotations

import array
import math
import os
from pathlib import Path
from typing import Final

from bench.run.folder import read_json
from bench.run.samples import ROW

_CHUNK: Final = 1 << 16
"""Bytes read at a time."""
_LIMIT: Final = 30_000
"""Rows kept; beyond that the older half is thinned to the least and greatest of every eight."""


class SampleTail:
    """Samples of one supply as far as they are written: ``times`` in station time (s), ``volts``, ``amps``."""

    def __init__(self, path: Path) -> None:
        header = read_json(path.with_suffix(".json"))
        start = header.get("start")
        begin = start.get("t") if isinstance(start, dict) else 0.0
        self.path = path
        self.name = str(header.get("name") or path.stem.removeprefix("power-"))
        self.times: array.array[float] = array.array("d")
        self.volts: array.array[float] = array.array("f")
        self.amps: array.array[float] = array.array("f")
        self._at = float(begin) if isinstance(begin, int | float) else 0.0
        self._offset = 0

    def grow(self) -> int:
        """Read what has come, a piece at a time; return how many rows. A file that cannot be read has none."""
        before = self._offset
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            while data := os.pread(fd, _CHUNK, self._offset):
                data = data[: len(data) - len(data) % ROW]
                if not data:
                    break
                self._take(data)
        except OSError:
            pass  # what was read until then is good
        finally:
            os.close(fd)
        return (self._offset - before) // ROW

    def _take(self, data: bytes) -> None:
        self._offset += len(data)
        values = array.array("f")
        values.frombytes(data)
        for dt in values[0::3]:
            self._at += dt if 0.0 <= dt < math.inf else 0.0
            self.times.append(self._at)
        self.volts.extend(values[1::3])
        self.amps.extend(values[2::3])
        if len(self.times) > _LIMIT:
            self._thin()

    def _thin(self) -> None:
        half = len(self.times) // 2
        keep: list[int] = []
        for start in range(0, half, 8):
            rows = range(start, min(start + 8, half))
            # Switching on and off is in the breaks: they stay, as do the peaks of current.
            chosen = {row for row in rows if math.isnan(self.volts[row])}
            finite = [row for row in rows if row not in chosen]
            if finite:
                chosen |= {min(finite, key=self.volts.__getitem__), max(finite, key=self.amps.__getitem__)}
            keep += sorted(chosen)
        keep += range(half, len(self.times))
        for name in ("times", "volts", "amps"):
            values = getattr(self, name)
            setattr(self, name, array.array(values.typecode, (values[row] for row in keep)))
