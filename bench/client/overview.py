"""What the bench is doing now: stations, who holds them, live runs, outputs that are on. Read from files alone.

Made to be asked once a second for days: a run that has ended is read once, an output is twelve bytes at the end of its
file of samples.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bench.errors import BenchError
from bench.run import folder as places
from bench.run import unsafe
from bench.run.index import RunInfo, folders, info
from bench.run.samples import ROW

if TYPE_CHECKING:
    from bench.station.config import BenchConfig
    from bench.station.locks import Owner

STALE: Final = 5.0
"""Seconds without a reading after which an output counts as unknown."""
SESSION: Final = "bench.client.session_recipe:session"
"""Recipe of manual sessions, shown as ``session``."""
KINDS: Final = ("at", "apdu", "scpi", "console", "network")
"""Of lines that a manual session takes."""
REMEMBERED: Final = 5000
"""Runs that the list holds; older ones are found by ``bench runs``."""
_ROW: Final = struct.Struct("<3f")

OutputState = Literal["on", "off", "unknown"]


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a supply that serves a station."""

    station: str
    supply: str
    """Name of the instrument or of its samples; empty when nothing has read it."""
    state: OutputState
    volts: float | None = None
    amps: float | None = None
    age: float | None = None
    """Seconds since the last reading, None when there was none."""
    by: str = ""
    """Run that reads it."""


@dataclass(frozen=True, slots=True)
class StationState:
    """One station as it is now."""

    name: str
    simulated: bool
    has: Sequence[str] = ()
    """Parts that its table names."""
    owner: Owner | None = None
    mine: bool = False
    """Held by a run of this user."""
    live: RunInfo | None = None
    """The run that holds it, where its folder is here."""
    last: RunInfo | None = None
    """Its latest run, live or ended."""
    reserved: str = ""
    """For whom it is kept and until when."""
    unsafe: bool = False
    """A run died and left it on: not safe until somebody made it so."""
    expendable: bool = False
    snippets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Lines of bench.toml for manual sessions, by their kind."""
    outputs: Sequence[Output] = ()

    @property
    def kind(self) -> str:
        """SIM or REAL."""
        return "SIM" if self.simulated else "REAL"

    @property
    def held_by(self) -> str:
        """Who holds it, for people; empty when free."""
        if self.owner is None:
            return ""
        return "you" if self.mine else f"{self.owner.user}@{self.owner.host}"


@dataclass(frozen=True, slots=True)
class Overview:
    """The bench at one moment."""

    stations: Sequence[StationState] = ()
    runs: Sequence[RunInfo] = ()
    """Newest first, at most ``REMEMBERED``."""
    trouble: str = ""
    """What is wrong with bench.toml, in one line; the stations then are those read before."""
    home: Path = field(default_factory=Path)
    runs_folder: Path = field(default_factory=Path)
    eim: str = "bundled"

    def station(self, name: str) -> StationState | None:
        """Return a station by its name."""
        return next((station for station in self.stations if station.name == name), None)

    @property
    def outputs(self) -> list[Output]:
        """Every output that is on or not known, whoever switched it."""
        return [output for station in self.stations for output in station.outputs if output.state != "off"]

    @property
    def mine(self) -> list[str]:
        """Stations that this user's runs hold."""
        return [station.name for station in self.stations if station.mine]


class Watch:
    """Asks again and again. One thread at a time."""

    def __init__(self, config: Path | None = None) -> None:
        self._path = config
        self._config: BenchConfig | None = None
        self._stamp: object = None
        self._infos: dict[str, RunInfo] = {}
        self._names: list[str] = []
        self._mtime = -1

    def read(self) -> Overview:
        """Return the bench as it is now. Raises nothing: trouble with bench.toml is told in the result."""
        trouble = ""
        try:
            self._load()
        except BenchError as error:
            trouble = str(error)
        if self._config is None:
            return Overview(trouble=trouble)
        config = self._config
        runs = self._runs(config.runs)
        stale = {run.name for run in unsafe.stale(config.runs)}
        last: dict[str, RunInfo] = {}
        left: set[str] = set()
        for run in runs:
            last.setdefault(run.station, run)
            if run.run_id in stale:
                left.add(run.station)
        stations = [self._station(config, name, last.get(name), name in left) for name in config.stations]
        kind = getattr(config.eim, "kind", "") or "bundled"
        return Overview(tuple(stations), tuple(runs), trouble, config.home, config.runs, str(kind))

    def _load(self) -> None:
        from bench.station import config as configuration

        source = configuration.find(self._path)
        stamp = (source, source.stat().st_mtime_ns) if source is not None else None
        if self._config is None or stamp != self._stamp:
            self._config = configuration.load(self._path)
            self._stamp = stamp

    def _runs(self, folder: Path) -> list[RunInfo]:
        names = []
        for number, path in enumerate(folders(folder)):
            if number >= REMEMBERED:
                break
            names.append(path.name)
            known = self._infos.get(path.name)
            if known is None or known.state == "running":
                found = info(path)
                if found is not None and found.recipe == SESSION:
                    found = replace(found, recipe="session")
                if found is not None:
                    self._infos[path.name] = found
                elif known is not None:
                    del self._infos[path.name]
        if len(self._infos) > len(names):
            kept = set(names)
            self._infos = {name: found for name, found in self._infos.items() if name in kept}
        return [self._infos[name] for name in names if name in self._infos]

    def _station(self, config: BenchConfig, name: str, last: RunInfo | None, left_on: bool) -> StationState:
        from bench.station import locks, reservations
        from bench.station.opened import station_key
        from bench.station.parts import parts

        table = config.stations[name]
        key = station_key(table, config.home)
        owner = locks.holder(key)
        kept = reservations.get(key)
        live = None
        if owner is not None:
            live = self._infos.get(owner.run) or (last if last is not None and last.state == "running" else None)
        me = locks.Owner.me()
        mine = owner is not None and owner.user == me.user and owner.host == me.host
        if mine and kept is not None and kept.owner != reservations.owner():
            mine = False  # several people share this account, and the station is kept for another of them
        has = [part.name for part in parts(table)]
        has += [part for part in ("card", "data") if getattr(table, part) is not None]
        outputs: Sequence[Output] = ()
        if table.power is not None:
            outputs = _outputs(
                name,
                live,
                held=owner is not None,
                free_is_off=table.simulated and not left_on,
                dead=table.power.dead_voltage,
            )
        return StationState(
            name=name,
            simulated=table.simulated,
            has=has,
            owner=owner,
            mine=mine,
            live=live,
            last=last,
            reserved=str(kept) if kept else "",
            unsafe=left_on,
            expendable=table.expendable,
            snippets={kind: getattr(table.snippets, kind) for kind in KINDS},
            outputs=outputs,
        )


def _outputs(station: str, live: RunInfo | None, *, held: bool, free_is_off: bool, dead: float) -> list[Output]:
    if live is None:
        # Nobody reads a supply that no run holds: only where there is no world, there is surely nothing on.
        return [Output(station, "", "off" if free_is_off and not held else "unknown")]
    found = [_output(station, path, live.run_id, dead) for path in sorted(live.folder.glob("power-*.f32"))]
    if found:
        return found
    switched = (live.folder / places.PLAN).exists()
    return [Output(station, "", "unknown" if switched else "off", by=live.run_id)]


def _output(station: str, path: Path, run: str, dead: float) -> Output:
    name = path.stem.removeprefix("power-")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            row = os.pread(fd, ROW, found.st_size - found.st_size % ROW - ROW) if found.st_size >= ROW else b""
        finally:
            os.close(fd)
    except OSError:
        return Output(station, name, "unknown", by=run)
    if len(row) < ROW:
        return Output(station, name, "unknown", by=run)
    _, volts, amps = _ROW.unpack(row)
    age = max(0.0, time.time() - found.st_mtime)
    if math.isnan(volts):
        state: OutputState = "off" if amps == 0.0 else "unknown"
        return Output(station, name, state, age=age, by=run)
    if age > STALE:
        return Output(station, name, "unknown", volts, amps, age, run)
    return Output(station, name, "on" if volts > dead else "off", volts, amps, age, run)


def write_note(home: Path, what: str, text: str, *, by: str) -> None:
    """Append a note on a run or a station (``what``) for whoever comes next. Raises OSError."""
    import json

    line = json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "by": by, "on": what, "text": text})
    fd = os.open(home / "notes.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o664)
    try:
        os.write(fd, line.encode() + b"\n")
    finally:
        os.close(fd)


def notes(home: Path, *, on: str = "", limit: int = 200) -> list[dict[str, str]]:
    """Return notes, newest first: ``at`` (UTC), ``by``, ``on``, ``text``. What cannot be read is left out."""
    import json

    found: list[dict[str, str]] = []
    with contextlib.suppress(OSError):
        lines = (home / "notes.jsonl").read_text("utf-8", "replace").splitlines()
        for line in reversed(lines):
            with contextlib.suppress(ValueError):
                item = json.loads(line)
                if isinstance(item, dict) and (not on or item.get("on") == on):
                    found.append({name: str(item.get(name, "")) for name in ("at", "by", "on", "text")})
            if len(found) >= limit:
                break
    return found
