"""Follows one run folder in threads: journal events, packets, samples; the screen takes them at its own rate."""

from __future__ import annotations

import bisect
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bench.client.growing import Growing, Rows
from bench.client.packets import TraceIndex
from bench.client.view import RunView
from bench.errors import BenchError

_LOOK: Final = 0.1
"""Seconds between two looks for packets."""
_CHUNK: Final = 1000
"""Packets taken before other threads get their turn: a long trace is loaded while keys are answered."""
_NONE: Final[list[Mapping[str, Any]]] = []
"""Of every step whose measurements are dropped: thousands of them share it."""
_MEASURED: Final = 8
"""Steps, and measurements of a step, that the findings are made of; a night's steps keep their results alone."""
Source = Callable[[threading.Event], Iterator[Mapping[str, Any]]]


class Moments(Rows[tuple[int, float]]):
    """Wall clock (ns since 1970) and station time (s), both growing; sixteen bytes each."""

    def __init__(self) -> None:
        self._walls: Growing[int] = Growing("q")
        self._times: Growing[float] = Growing("d")

    def append(self, wall: int, time: float) -> None:
        """Add one."""
        self._walls.append(wall)
        self._times.append(time)

    def __len__(self) -> int:
        return len(self._walls)

    def row(self, at: int) -> tuple[int, float]:
        """Return one moment."""
        return self._walls.row(at), self._times.row(at)


class RunFeed:
    """One run as far as it is known. ``take`` belongs to the screen; the threads only append."""

    def __init__(self, folder: Path, source: Source) -> None:
        self.folder = folder
        self.view = RunView()
        self.index = TraceIndex(folder / "trace.pcapng")
        self.trouble = ""
        self.manifest: dict[str, Any] = {}
        self.moments = Moments()
        """Of events: what a packet's time is in station time."""
        self.questions: dict[int, Mapping[str, Any]] = {}
        """Open questions of the run to a person."""
        self.failures: list[tuple[int, str]] = []
        """Wall clock (ns) and line of what went wrong."""
        self.broken = ""
        self._events: deque[Mapping[str, Any]] = deque()
        self._stop = threading.Event()
        self._source = source
        self._ended = threading.Event()
        for name, target in (("journal", self._follow), ("trace", self._index)):
            threading.Thread(target=target, name=f"{name} {folder.name}", daemon=True).start()

    def _follow(self) -> None:
        try:
            for event in self._source(self._stop):
                if self._stop.is_set():
                    return
                self._events.append(event)
        except (BenchError, OSError) as error:
            self.trouble = str(error)
        finally:
            self._ended.set()

    def _index(self) -> None:
        while not self._stop.is_set():
            last = self._ended.is_set()
            if self.index.grow(_CHUNK) >= _CHUNK:
                time.sleep(0.001)
                continue
            if last:
                return
            self._stop.wait(_LOOK)

    def take(self) -> bool:
        """Take what has come of the journal; False when nothing has."""
        came = bool(self._events)
        while self._events:
            event = self._events.popleft()
            self._time(event)
            kind, data = event.get("type"), event.get("data") or {}
            before = len(self.view.errors)
            self.view.apply(event)
            if kind in ("measurement", "step-start"):
                self._forget()
            if kind == "ask" and isinstance(data.get("id"), int):
                self.questions[data["id"]] = data
            elif kind == "answer":
                self.questions.pop(int(data.get("id") or 0), None)
            elif kind == "broken":
                self.broken = str(data.get("what", ""))
                self.view.errors.append(self.broken)
                self.view.lines.append(f"! {self.broken}; {data.get('hint', '')}")
            elif kind == "run-end":
                self.questions.clear()
            if len(self.view.errors) > before and self.moments:
                self.failures += [(self.moments[-1][0], line) for line in self.view.errors[before:]]
        return came

    def _forget(self) -> None:
        """Drop measurements that nothing shows any more; the journal keeps them."""
        steps = self.view.steps
        for step in steps[-_MEASURED:]:
            del step.measurements[:-_MEASURED]
        if len(steps) > _MEASURED:
            old = steps[-_MEASURED - 1]
            if old.state == "running":  # an outer step: more may come for it
                old.measurements.clear()
            else:
                old.measurements = _NONE

    def _time(self, event: Mapping[str, Any]) -> None:
        t, wall = event.get("t"), event.get("wall")
        if not isinstance(t, int | float) or not isinstance(wall, str):
            return
        ns = wall_ns(wall)
        if ns and (not self.moments or (ns > self.moments[-1][0] and t >= self.moments[-1][1])):
            self.moments.append(ns, float(t))

    def station_time(self, wall: int) -> float | None:
        """Return the station time (s) of a wall clock moment, None before anything is known."""
        if not self.moments:
            return None
        at = bisect.bisect_right(self.moments, wall, key=lambda moment: moment[0])
        if at == 0:
            return self.moments[0][1] - (self.moments[0][0] - wall) / 1e9
        before = self.moments[at - 1]
        if at == len(self.moments):
            return before[1] + (0.0 if self.ended else (wall - before[0]) / 1e9 * self._rate())
        after = self.moments[at]
        share = (wall - before[0]) / ((after[0] - before[0]) or 1)
        return before[1] + share * (after[1] - before[1])

    def _rate(self) -> float:
        if len(self.moments) < 2:
            return 1.0
        first, last = self.moments[0], self.moments[-1]
        return (last[1] - first[1]) / (((last[0] - first[0]) / 1e9) or 1)

    @property
    def ended(self) -> bool:
        """Whether nothing will come any more."""
        return self.view.ended or bool(self.broken)

    def close(self) -> None:
        """Stop following; the run goes on."""
        self._stop.set()


def wall_ns(text: str) -> int:
    """Return ISO 8601 wall time as ns since 1970, 0 when it is none."""
    import datetime

    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round(moment.timestamp() * 1e6) * 1000
