"""What the screens need of the bench: a small seam over ``bench.client``, so that tests can stand in for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.errors import BenchError
from bench.trace.reader import Packet, TraceReader

TAKE = 5000
"""Packets handed to one drawing at most, so that a burst never holds the keys up."""


@dataclass(frozen=True, slots=True)
class StationRow:
    """One line of the stations table."""

    name: str
    kind: str
    """SIM or REAL."""
    held_by: str = ""
    last_run: str = ""
    last_verdict: str = ""
    last_folder: Path | None = None


class Follower:
    """Follows one run folder in a thread: journal events and trace packets, taken by the screen at its own rate."""

    def __init__(self, folder: Path, events: Callable[[threading.Event], Iterator[Mapping[str, Any]]]) -> None:
        self.folder = folder
        self.trouble = ""
        self._stop = threading.Event()
        self._events: deque[Mapping[str, Any]] = deque()
        self._trace = TraceReader(folder / "trace.pcapng")
        self._source = events
        self._thread = threading.Thread(target=self._follow, name=f"follow {folder.name}", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        try:
            for event in self._source(self._stop):
                if self._stop.is_set():
                    return
                self._events.append(event)
        except (BenchError, OSError) as error:
            self.trouble = str(error)

    def take_events(self) -> list[Mapping[str, Any]]:
        """Return the journal events that came since the last call."""
        taken = []
        while self._events:
            taken.append(self._events.popleft())
        return taken

    def take_packets(self) -> list[Packet]:
        """Return the trace packets that came since the last call, a bounded number of them."""
        try:
            return self._trace.poll(limit=TAKE)
        except BenchError as error:
            self.trouble = str(error)
            return []

    def close(self) -> None:
        """Stop following."""
        self._stop.set()


class Control(Protocol):
    """What the screens ask of the bench. Every method may block: screens call them in threads."""

    ascii: bool
    """Draw no glyph beyond ASCII."""

    def stations(self) -> tuple[list[StationRow], str]:
        """Return the stations, and a line about trouble with bench.toml (empty when there is none)."""

    def start(self, recipe: str, station: str) -> tuple[Path | None, str]:
        """Start a recipe; return the run folder, or None and why not."""

    def follow(self, folder: Path) -> Follower:
        """Follow a run folder."""

    def stop(self, folder: Path) -> str:
        """Stop a live run; return trouble, empty when it was told."""

    def safe(self, station: str | None) -> str:
        """Make a station (every one of the host when None) safe; return one line about what was done."""


class ClientControl:
    """The real seam: every call goes to ``bench.client``."""

    def __init__(self, config: str | None, *, ascii_only: bool) -> None:
        self.config = Path(config) if config else None
        self.ascii = ascii_only

    def stations(self) -> tuple[list[StationRow], str]:
        """Return the stations with owner and last run; trouble with bench.toml is a line, never an end."""
        from bench import client
        from bench.station import config, locks
        from bench.station.opened import station_key

        try:
            bench = config.load(self.config)
        except BenchError as error:
            return [], str(error)
        last: dict[str, client.RunInfo] = {}
        for info in client.runs(bench.runs, limit=200):
            last.setdefault(info.station, info)
        rows = []
        for name, station in bench.stations.items():
            owner = locks.holder(station_key(station, bench.home))
            info_or_none = last.get(name)
            rows.append(
                StationRow(
                    name,
                    "SIM" if station.simulated else "REAL",
                    str(owner) if owner else "",
                    info_or_none.run_id if info_or_none else "",
                    info_or_none.state if info_or_none else "",
                    info_or_none.folder if info_or_none else None,
                )
            )
        return rows, ""

    def start(self, recipe: str, station: str) -> tuple[Path | None, str]:
        """Start a run that goes on whatever becomes of the screen."""
        from bench import client
        from bench.station import config

        try:
            simulated = config.load(self.config).station(station).world is not None
            # A person wants to watch: simulated time runs ten times as fast as real time, not all at once.
            options = client.StartOptions(config=self.config, clock="scaled:10" if simulated else None)
            handle = client.start(recipe, station, [], options)
            handle.detach()
        except BenchError as error:
            return None, str(error)
        return handle.folder, ""

    def follow(self, folder: Path) -> Follower:
        """Follow a run folder."""
        from bench import client

        return Follower(folder, lambda stop: client.follow(folder, stop=stop))

    def stop(self, folder: Path) -> str:
        """Stop a live run."""
        from bench import client

        try:
            return "" if client.stop(folder, reason="screen") else f"{folder.name} has ended already"
        except BenchError as error:
            return str(error)

    def safe(self, station: str | None) -> str:
        """Make safe, say what was verified."""
        from bench import client

        try:
            reports = client.safe(None if station is None else [station], config=self.config)
        except BenchError as error:
            return str(error)
        if not reports:
            return "SAFE: nothing is held and nothing was left unsafe"
        return "SAFE: " + "; ".join(
            f"{report.station} {'verified' if report.safe else 'NOT DEAD: ' + report.message}" for report in reports
        )


def client_control(config: str | None, *, ascii_only: bool) -> Control:
    """Return the seam the application uses."""
    return ClientControl(config, ascii_only=ascii_only)
