"""The soaks beside a runs folder, asked again and again: of each book only what came since is read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.run import folder as places
from bench.run import liveness
from bench.run.reader import Reader, last
from bench.soak import book as books
from bench.soak.cycles import PLAN_FILE

_PORTION: Final = 1 << 22
"""Bytes of a book that are read at once."""


@dataclass(frozen=True, slots=True)
class SoakInfo:
    """One line of the list of soaks."""

    soak: str
    folder: Path
    title: str
    started: str
    state: str
    """running, broken (its owner is gone: --resume), else its verdict."""
    cycles: int
    failures: int
    told: str
    stations: tuple[str, ...] = ()
    simulated: bool = False
    planned: int | None = None
    """Cycles of all stations that the plan has; None when time ends it."""
    until: str = ""
    """Its deadline, ISO 8601 UTC."""
    counted: int = 0
    """Cycles from the baseline with a decided result."""
    trials: int = 0
    """Of these with a run of equal failures counted once: what an interval of the rate is made of."""
    events: int = 0
    """Trials that failed."""
    bench_errors: int = 0
    active: float = 0.0
    """Seconds during which it was worked on, by the host's clock."""
    seconds_per_cycle: float | None = None
    """Mean of a cycle by the host's clock."""
    stopping: str = ""
    """Why no further cycle begins."""
    runs: Path = field(default_factory=Path)
    run: str = ""
    """The run of its last cycle, or of the segment that goes on."""


class SoakWatch:
    """Reads all soaks again. One thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Path, _Followed] = {}

    def read(self, runs: Path) -> list[SoakInfo]:
        """Return the soaks beside a runs folder, newest first. A book that cannot be read has no figures."""
        folders = books.folders(runs)
        self._known = {folder: self._known.get(folder) or _Followed(folder) for folder in folders}
        return [self._known[folder].read() for folder in folders]


class _Followed:
    """One soak as far as its book was read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._about = places.read_json(folder / books.SOAK)
        self._planned = self._plan()
        self._begin()

    def _begin(self) -> None:
        self._reader = Reader()
        self._state = books.State()
        self._position = 0
        self._end: Mapping[str, Any] = {}
        self._run = ""

    def _plan(self) -> int | None:
        try:
            plan = books.plan_of(self.folder)
        except (BenchError, OSError):
            return None
        return plan.cycles * len(plan.stations) if plan.cycles is not None else None

    def read(self) -> SoakInfo:
        """Return the soak as it is now."""
        running = liveness.alive(self.folder)  # before the book: an owner that ends meanwhile has written its end
        self._grow()
        state, about, stations = self._state, self._about, self._about.get("stations")
        done = sum(item.finished for item in state.stations.values())
        spent = sum(item.real for item in state.stations.values())
        going_on = [str(item.segment.get("run", "")) for item in state.stations.values() if item.segment]
        return SoakInfo(
            soak=self.folder.name,
            folder=self.folder,
            title=str(about.get("title", "")),
            started=str(about.get("started", "")),
            state="running" if running else str(self._end.get("verdict", "broken")),
            cycles=done,
            failures=state.occurrences.failures,
            told=str(self._end.get("told", "")),
            stations=tuple(map(str, stations)) if isinstance(stations, list) else (),
            simulated=bool(about.get("simulated", False)),
            planned=self._planned,
            until=str(about.get("until", "")),
            counted=state.occurrences.cycles,
            trials=state.occurrences.trials,
            events=state.occurrences.events,
            bench_errors=sum(item.bench_errors_total for item in state.stations.values()),
            active=state.active,
            seconds_per_cycle=spent / done if done else None,
            stopping=(state.stopped or "asked to end") if running and books.stop_requested(self.folder) else "",
            runs=Path(str(about.get("runs", ""))),
            run=next((run for run in going_on if run), self._run),
        )

    def _grow(self) -> None:
        path = self.folder / books.BOOK
        try:
            if path.stat().st_size < self._position:  # cut or written anew: all of it counts again
                self._begin()
            with path.open("rb") as file:
                file.seek(self._position)
                while data := file.read(_PORTION):
                    self._position += len(data)
                    for event in self._reader.feed(data):
                        self._take(event)
        except OSError:
            return

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, data = str(event["type"]), event["data"]
        try:
            self._state.apply(kind, data)
        except (KeyError, TypeError, ValueError):
            return  # a record that says nothing: the figures are those of the others
        if kind == "soak-end":
            self._end = data
        elif kind == "resume":
            self._end = {}
        elif kind == "cycle":
            self._run = str(data.get("run", "")) or self._run


def working(runs: Path, *, mine: bool = False) -> dict[Path, tuple[str, ...]]:
    """Return the soaks that are worked on now with their stations; ``mine``: only this user's."""
    found = {}
    for folder in books.folders(runs):
        with contextlib.suppress(OSError):
            if liveness.alive(folder) and (not mine or (folder / liveness.LOCK).stat().st_uid == os.geteuid()):
                stations = places.read_json(folder / books.SOAK).get("stations")
                found[folder] = tuple(map(str, stations)) if isinstance(stations, list) else ()
    return found


def has_ended(folder: Path) -> bool:
    """Whether nobody begins a cycle any more: its owner is gone, or has written the end and makes the report."""
    if not liveness.alive(folder):
        return True
    found = last(folder / books.BOOK, "soak-end", "resume")
    return found is not None and found["type"] == "soak-end"


def findings(folder: Path) -> dict[str, Any]:
    """Return rates, times and clusters of a soak as its morning report has them. Seconds for a long soak.

    Raises BenchError, also for a folder that has lost its plan.
    """
    from bench.soak.findings import findings as found

    if not (folder / PLAN_FILE).exists():
        raise BenchError("the soak has lost its plan", where=str(folder / PLAN_FILE), hint="copy it back from the plan")
    return found(folder)
