"""Reading runs: follow a live one, read a finished one, list and find them. Files only."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of the list of runs."""

    run_id: str
    folder: Path
    recipe: str
    station: str
    started: str
    """Wall time, ISO 8601 UTC."""
    ended: str
    """Wall time, empty while running and when the record breaks off."""
    state: str
    """``running``, ``broken`` (no end, supervisor gone), else the worse of the two verdicts."""
    device: str
    bench: str
    exit_code: int | None
    simulated: bool
    label: str = ""


def follow(
    folder: Path, *, stop: threading.Event | None = None, interval: float = 0.02
) -> Iterator[Mapping[str, Any]]:
    """Yield every journal event from the first on, then new ones as they are written.

    Ends after ``run-end`` (yielded when the supervisor has released station and locks), when the supervisor is gone
    without one (last event: ``{"type": "broken", "data": {"what", "hint"}}``, made by the reader), or when ``stop`` is
    set. ``interval`` in seconds between two looks at the file. Raises BenchError when the folder is no run folder.
    """
    raise NotImplementedError


def journal(folder: Path) -> list[Mapping[str, Any]]:
    """Return the events written so far. A torn last line is left out and told by a last event of type ``torn``."""
    raise NotImplementedError


def runs(folder: Path, *, limit: int | None = None, station: str = "", recipe: str = "") -> list[RunInfo]:
    """Return the runs below the runs folder (``BenchConfig.runs``), newest first."""
    raise NotImplementedError


def find(folder: Path, text: str) -> Path:
    """Return the run folder that ``text`` names: a path, ``last``, an id or an unambiguous part of one.

    Raises ConfigurationError with what would have fitted.
    """
    raise NotImplementedError
