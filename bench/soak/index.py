"""The index: one SQLite file over the run folders, made again from them at any time.

``runs`` has a line a run folder, ``cycles`` a line a finished cycle with the whole ``cycle-end`` as JSON. ``update``
reads only journals that have changed since.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.run import folder as places
from bench.run.index import folders, info
from bench.run.reader import only
from bench.soak.cycles import CYCLE_END

_VERSION: Final = 4
_SCHEMA: Final = """
CREATE TABLE runs (
  run TEXT PRIMARY KEY, size INTEGER, changed INTEGER, station TEXT, recipe TEXT, started TEXT, ended TEXT, state TEXT,
  device TEXT, bench TEXT, simulated INTEGER, label TEXT, soak TEXT, cycles INTEGER, failures INTEGER
) WITHOUT ROWID;
CREATE TABLE cycles (
  id INTEGER PRIMARY KEY, run TEXT, soak TEXT, station TEXT, cycle INTEGER, attempt INTEGER, label TEXT, recipe TEXT,
  verdict TEXT, device TEXT, bench TEXT, baseline INTEGER, elapsed REAL, real REAL, wall TEXT, signature TEXT,
  sample TEXT, firmware TEXT, data TEXT, UNIQUE (run, cycle, attempt)
);
CREATE TABLE parameters (
  name TEXT, value TEXT, id INTEGER, PRIMARY KEY (name, value, id)
) WITHOUT ROWID;
CREATE INDEX parameters_cycle ON parameters (id);
CREATE TRIGGER parameters_forgotten AFTER DELETE ON cycles BEGIN DELETE FROM parameters WHERE id = old.id; END;
CREATE INDEX cycles_soak ON cycles (soak, station, cycle);
CREATE INDEX cycles_counts ON cycles (station, soak, verdict);
CREATE INDEX cycles_verdict ON cycles (verdict, soak, station, cycle);
CREATE INDEX cycles_signature ON cycles (signature, soak, station, cycle);
CREATE INDEX cycles_id ON cycles (id, verdict);
CREATE INDEX runs_state ON runs (state, run);
CREATE INDEX runs_soak ON runs (soak, run);
"""
_COLUMNS: Final = (
    "station",
    "label",
    "recipe",
    "verdict",
    "device",
    "bench",
    "sample",
    "firmware",
    "signature",
    "soak",
    "run",
)
FILTERS: Final = (*_COLUMNS, "baseline")
"""Keys of ``KEY=VALUE`` filters; every other key names a parameter of the cycles."""


@dataclass(frozen=True)
class Cycle:
    """A finished cycle."""

    run: str
    soak: str
    station: str
    cycle: int
    label: str
    verdict: str
    device: str
    bench: str
    baseline: bool
    elapsed: float
    real: float
    wall: str
    signature: str
    sample: str
    firmware: str
    text: str
    """``data`` as JSON."""

    @functools.cached_property
    def data(self) -> Mapping[str, Any]:
        """The whole ``cycle-end``; read when it is asked for."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    @property
    def counts(self) -> bool:
        """Whether it stands in the rates: from the baseline, with a result of the device."""
        return self.baseline and self.device in ("pass", "fail")

    @property
    def failed(self) -> bool:
        """Whether the device failed."""
        return self.device == "fail"


class Index:
    """The open index of a runs folder. Not for several threads."""

    def __init__(self, runs: Path, *, file: Path | None = None) -> None:
        """Open it, or make it. Raises BenchError."""
        self.runs = runs
        self.path = file or runs.parent / "index.sqlite"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._opened()
        except (sqlite3.Error, OSError) as error:
            raise BenchError(
                f"the index cannot be opened: {error}", where=str(self.path), hint="it can be deleted: it is made again"
            ) from error

    def _opened(self) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(self.path, timeout=20.0)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # it can be made again: only never half
            version = db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError:
            version, db = -1, sqlite3.connect(":memory:")
        if version != _VERSION:
            db.close()
            if version != 0:
                for suffix in ("", "-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            db = sqlite3.connect(self.path, timeout=20.0)
            db.execute("PRAGMA journal_mode = WAL")
            with db:
                db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        db.execute("PRAGMA recursive_triggers = ON")  # what REPLACE removes is forgotten as well
        return db

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- filling --------------------------------------------------------------------------------------------------

    def update(self) -> int:
        """Read the journals that changed; forget runs that are gone. Returns how many were read."""
        known = {row[0]: (row[1], row[2]) for row in self._db.execute("SELECT run, size, changed FROM runs")}
        count = 0
        for folder in folders(self.runs):
            try:
                stat = (folder / places.JOURNAL).stat()
            except OSError:
                continue
            stamp = (stat.st_size, stat.st_mtime_ns)
            if known.pop(folder.name, None) == stamp:
                continue
            with contextlib.suppress(BenchError):
                self._take(folder, stamp)
                count += 1
        with self._db:
            for run in known:
                self._db.execute("DELETE FROM cycles WHERE run = ?", (run,))
                self._db.execute("DELETE FROM runs WHERE run = ?", (run,))
        return count

    def rebuild(self) -> int:
        """Forget everything and read every run folder again; return how many."""
        with self._db:
            self._db.execute("DELETE FROM cycles")
            self._db.execute("DELETE FROM runs")
        return self.update()

    def _take(self, folder: Path, stamp: tuple[int, int]) -> None:
        found = info(folder)
        if found is None:
            return
        ends = list(only(folder / places.JOURNAL, CYCLE_END))
        soak = str(ends[0]["data"].get("soak", "")) if ends else ""
        failures = sum(event["data"].get("device") == "fail" for event in ends)
        with self._db:
            self._db.execute("DELETE FROM cycles WHERE run = ?", (folder.name,))
            self._db.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    folder.name, *stamp, found.station, found.recipe, found.started, found.ended, found.state,
                    found.device, found.bench, int(found.simulated), found.label, soak, len(ends), failures,
                ),
            )  # fmt: skip
            self.add(folder.name, ((event["data"], event["wall"]) for event in ends))

    def add(self, run: str, ends: Iterator[tuple[Mapping[str, Any], str]]) -> None:
        """Add the cycles of a run."""
        self._db.executemany(
            "INSERT OR REPLACE INTO cycles (run, soak, station, cycle, attempt, label, recipe, verdict, device, bench,"
            " baseline, elapsed, real, wall, signature, sample, firmware, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_row(run, end, wall) for end, wall in ends),
        )
        self._db.execute(
            "INSERT OR IGNORE INTO parameters SELECT key, CAST(value AS TEXT), cycles.id"
            " FROM cycles, json_each(data, '$.parameters') WHERE run = ? AND value IS NOT NULL",
            (run,),
        )

    # --- asking ---------------------------------------------------------------------------------------------------

    def cycles(self, *filters: str, limit: int | None = None) -> list[Cycle]:
        """Return the cycles that fit all ``KEY=VALUE`` filters, in the order of soak, station and number.

        Of a cycle that was repeated after a crash, only the finished attempt is there. Raises BenchError.
        """
        where, values = _where(filters)
        limited = "" if limit is None else f" LIMIT {int(limit)}"
        rows = self._db.execute(f"{_SELECT} {where} ORDER BY soak, station, cycle, attempt{limited}", values)
        return [_cycle(row) for row in rows]

    def simulated(self, cycles: Sequence[Cycle]) -> set[bool]:
        """Return whether the runs of these cycles were simulated: one answer, or both."""
        runs = {cycle.run for cycle in cycles}
        rows = self._db.execute("SELECT run, simulated FROM runs")
        return {bool(simulated) for run, simulated in rows if run in runs}

    def count(self, *filters: str) -> dict[str, int]:
        """Return how many cycles fit, by verdict."""
        where, values = _where(filters)
        return dict(self._db.execute(f"SELECT verdict, count(*) FROM cycles {where} GROUP BY verdict", values))

    def find_runs(
        self, *, state: str = "", soak: str = "", station: str = "", recipe: str = "", since: str = "", limit: int = 20
    ) -> list[str]:
        """Return ids of runs, newest first; an empty filter fits everything. ``since``: ISO 8601 or its beginning."""
        given = {"state": state, "soak": soak, "station": station, "recipe": recipe}
        kept = {key: value for key, value in given.items() if value}
        parts = [f"{key} = ?" for key in kept] + (["started >= ?"] if since else [])
        where = f"WHERE {' AND '.join(parts)}" if parts else ""
        values = [*kept.values(), *([since] if since else []), limit]
        rows = self._db.execute(f"SELECT run FROM runs {where} ORDER BY run DESC LIMIT ?", values)
        return [row[0] for row in rows]


_FIELDS: Final = (
    "run, soak, station, cycle, label, verdict, device, bench, baseline, elapsed, real, wall, signature, sample,"
    " firmware, data"
)
_SELECT: Final = f"SELECT {_FIELDS} FROM cycles"


def _row(run: str, end: Mapping[str, Any], wall: str) -> tuple[Any, ...]:
    identities = end.get("identities") or {}
    sample = identities.get("eid") or identities.get("imei") or ""
    return (
        run, end.get("soak", ""), end.get("station", ""), end.get("cycle", 0), end.get("attempt", 1),
        end.get("label", ""), end.get("recipe", ""), end.get("verdict", ""), end.get("device", ""),
        end.get("bench", ""), int(bool(end.get("baseline", True))), end.get("elapsed", 0.0), end.get("real", 0.0), wall,
        end.get("signature", ""), sample, identities.get("firmware", ""),
        json.dumps(end, ensure_ascii=False, separators=(",", ":"), default=str),
    )  # fmt: skip


def _cycle(row: Sequence[Any]) -> Cycle:
    values = dict(zip((item.name for item in fields(Cycle)), row, strict=True))
    return Cycle(**{**values, "baseline": bool(values["baseline"])})


def _where(filters: Sequence[str]) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    for text in filters:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise BenchError(f"'{text}' is no filter", where="bench", hint="write KEY=VALUE, such as label=old")
        if key == "baseline":
            parts.append("baseline = ?")
            values.append(int(value.lower() in ("1", "yes", "true")))
        elif key in _COLUMNS:
            parts.append(f"{key} = ?")
            values.append(value)
        else:
            if not key.replace("_", "a").isalnum():
                raise BenchError(f"'{key}' is no parameter", where=text, hint=f"known: {', '.join(FILTERS)}")
            parts.append("id IN (SELECT id FROM parameters WHERE name = ? AND value = ?)")
            values += [key, value]
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values
