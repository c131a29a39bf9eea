"""Reading runs: follow a live one, read a finished one, list and find them. Files only."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.run import follow as following
from bench.run import index
from bench.run.folder import JOURNAL, manifest
from bench.run.index import RunInfo
from bench.run.reader import read

__all__ = ["RunInfo", "find", "follow", "journal", "runs"]


def follow(
    folder: Path, *, stop: threading.Event | None = None, interval: float = following.INTERVAL
) -> Iterator[Mapping[str, Any]]:
    """Yield every journal event from the first on, then new ones as they are written.

    Ends after ``run-end`` (yielded when the supervisor has released station and locks), when the supervisor is gone
    without one (last event: ``{"type": "broken", "data": {"what", "hint"}}``, made by the reader), or when ``stop`` is
    set. ``interval`` in seconds between two looks at the file. Raises BenchError when the folder is no run folder.
    """
    return following.follow(folder, stop=stop, interval=interval)


def journal(folder: Path) -> list[Mapping[str, Any]]:
    """Return the events written so far. A torn last line is left out and told by a last event of type ``torn``.

    Raises BenchError when the folder is no run folder.
    """
    manifest(folder)
    return list(read(folder / JOURNAL))


def runs(folder: Path, *, limit: int | None = None, station: str = "", recipe: str = "") -> list[RunInfo]:
    """Return the runs below the runs folder (``BenchConfig.runs``), newest first."""
    return index.runs(folder, limit=limit, station=station, recipe=recipe)


def find(folder: Path, text: str) -> Path:
    """Return the run folder that ``text`` names: a path, ``last``, an id or an unambiguous part of one.

    Raises ConfigurationError with what would have fitted.
    """
    return index.find(folder, text)
