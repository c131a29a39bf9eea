"""Marks of stations that may still be switched on: made before a run switches anything, removed when it is safe.

A mark whose run no longer lives means that supervisor and runner both died (or the host did): the station counts as
unsafe until somebody carries out the plan in the run folder.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from bench.run.folder import sync_folder
from bench.run.liveness import alive

_FOLDER: Final = ".unsafe"


def mark(folder: Path) -> None:
    """Mark the station of a run folder as possibly switched on, durably: the host may die next. Raises OSError."""
    place = folder.parent / _FOLDER
    if not place.is_dir():
        place.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    (place / folder.name).touch()
    sync_folder(place)


def unmark(folder: Path) -> None:
    """Remove the mark: the station is safe. No mark is no error."""
    with contextlib.suppress(OSError):
        (folder.parent / _FOLDER / folder.name).unlink()


def marked(runs: Path) -> list[Path]:
    """Return the run folders that are marked, live ones included; a mark without its folder is removed."""
    found = []
    with contextlib.suppress(OSError):
        for entry in sorted((runs / _FOLDER).iterdir()):
            folder = runs / entry.name
            if folder.is_dir():
                found.append(folder)
            else:
                entry.unlink(missing_ok=True)
    return found


def stale(runs: Path) -> list[Path]:
    """Return the marked run folders whose supervisor is gone."""
    return [folder for folder in marked(runs) if not alive(folder)]
