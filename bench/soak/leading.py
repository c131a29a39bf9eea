"""What the runs of an interrupted cycle keep of it, so that it is led back to the step in progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.engine.recipe import Station
from bench.engine.retrace import Past
from bench.run import folder as places
from bench.run.reader import since

CYCLE_START: Final = "cycle-start"
CYCLE_END: Final = "cycle-end"


@dataclass(frozen=True, slots=True)
class Led:
    """An interrupted cycle: ``start`` is its last ``cycle-start``, ``runs`` are those that it has gone on in."""

    start: Mapping[str, Any]
    runs: tuple[str, ...]
    past: Past


def lead(station: Station, left: str, cycle: int) -> Led | None:
    """Return what the run ``left``, and those it went on from, keep of a cycle; None when nothing was finished."""
    return led_by(station.record.journal.path.parent.parent, left, cycle)


def led_by(runs: Path, left: str, cycle: int) -> Led | None:
    """As ``lead``, by the folder of the runs."""
    start, events = stretch(runs / left, cycle)
    if start is None:
        return None
    before = [str(name) for name in start.get("led", ())]
    stretches = [stretch(runs / name, cycle) for name in before]
    if any(begun is None for begun, _ in stretches):
        return None
    past = Past([*(found for _, found in stretches), events])
    return Led(start, (*before, left), past) if past.left else None


def stretch(run: Path, cycle: int) -> tuple[Mapping[str, Any] | None, Sequence[Mapping[str, Any]]]:
    """Return the last beginning of a cycle in a run and what came after it.

    Only that is read: a run of thousands of cycles has a journal of hundreds of megabytes.
    """
    events = since(run / places.JOURNAL, CYCLE_START)
    if not events or events[0]["data"].get("cycle") != cycle:
        return None, []
    return events[0]["data"], events[1:]
