"""The book of a soak: its folder, its journal, and the state that both give back after any crash.

::

    <soaks>/<id>/
      plan.toml      the plan as it was when the soak began
      soak.json      id, seed, plan, stations, configuration; atomic
      soak.jsonl     journal: soak-start, segment-start, segment-run, cycle, interrupted, segment-end, bench-error,
                     quarantine, station-end, alert, control, stop, resume, soak-end; fdatasync before anything goes on
      cycles.py      the recipe that its runs carry out
      stop           while no further cycle is to begin
      report.html, junit.xml, summary.json   derived

What a cycle found stands in the run's journal (``cycle-end``), which is written first; the book has its outline. After
a crash the runs of the open segments are read again, so nothing finished is lost between the two.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from bench.engine.retrace import Past
from bench.errors import ConfigurationError
from bench.report.statistics import Occurrences
from bench.run import folder as places
from bench.run.journal import Journal
from bench.run.reader import only, scan
from bench.soak import plan as plans
from bench.soak.cycles import CYCLE_END, CYCLE_START, PLAN_FILE, STOP_FILE
from bench.soak.leading import stretch
from bench.soak.plan import Plan

SOAK: Final = "soak.json"
BOOK: Final = "soak.jsonl"
RECIPE: Final = "cycles.py"
OWNER_LOG: Final = "owner.log"
ATTEMPTS: Final = 3
"""So often a cycle is begun that does not get on; then it is left out, as a bench error."""
_MOST_ATTEMPTS: Final = 12
"""So often a cycle is begun at all, also one that gets on a little every time."""
_RECIPE_TEXT: Final = '''"""The cycles of this soak, by the plan beside this file."""

from pathlib import Path

from bench.soak.cycles import segment_recipe

cycles = segment_recipe(str(Path(__file__).with_name("plan.toml")))
'''


def soaks_folder(runs: Path) -> Path:
    """Return where soaks are kept: beside the runs."""
    return runs.parent / "soaks"


def create(runs: Path, plan_file: Path, plan: Plan, seed: int, **more: Any) -> Path:
    """Make the folder of a new soak with a copy of its plan. Raises BenchError, OSError."""
    soaks = soaks_folder(runs)
    soaks.mkdir(parents=True, exist_ok=True)
    folder = places.create(soaks, "soak")
    places.write_atomic(folder / PLAN_FILE, plan_file.read_bytes())
    places.write_atomic(folder / RECIPE, _RECIPE_TEXT.encode())
    places.write_json(
        folder / SOAK,
        {
            "schema": 1,
            "soak": folder.name,
            "title": plan.name,
            "plan": str(plan_file),
            "seed": seed,
            "runs": str(runs),
            "started": _now(),
            **more,
        },
    )
    return folder


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def folders(runs: Path) -> list[Path]:
    """Return the soaks, newest first."""
    try:
        found = [entry for entry in soaks_folder(runs).iterdir() if (entry / SOAK).is_file()]
    except OSError:
        return []
    return sorted(found, key=lambda path: path.name, reverse=True)


def find(runs: Path, text: str) -> Path:
    """Return the soak that ``text`` names: ``last``, a folder, an id or a part of one. Raises ConfigurationError."""
    path = Path(text)
    if os.sep in text and (path / SOAK).is_file():
        return path
    known = folders(runs)
    fitting = known[:1] if text in ("last", "") else [item for item in known if text in item.name]
    if len(fitting) == 1:
        return fitting[0]
    what = f"'{text}' fits {len(fitting)} soaks" if fitting else f"there is no soak '{text}'"
    raise ConfigurationError(what, where=str(soaks_folder(runs)), hint="bench soak --list shows them")


@dataclass
class StationState:
    """How far one station is."""

    next: int = 0
    """Number of the cycle that comes."""
    attempt: int = 1
    stuck: int = 0
    """So often in a row the cycle was interrupted without a further finished step."""
    left: str = ""
    """The run in which the cycle that comes was interrupted."""
    finished: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    off_baseline: int = 0
    bench_errors: int = 0
    """In a row at the end."""
    bench_errors_total: int = 0
    interrupted: int = 0
    set_aside: int = 0
    """Failures right after an interruption, whose cycles were begun again."""
    used: dict[str, float] = field(default_factory=dict)
    quarantined: str = ""
    ended: str = ""
    """Why it does no more cycles."""
    segment: Mapping[str, Any] | None = None
    """The segment that has no end yet."""
    real: float = 0.0
    """Seconds of its cycles, for the estimate."""
    sample: str = ""
    """EID, or IMEI where no EID is known, of its last cycle."""


@dataclass
class State:
    """What the book says, up to now."""

    stations: dict[str, StationState] = field(default_factory=dict)
    occurrences: Occurrences = field(default_factory=Occurrences)
    """Of the cycles that count for rates."""
    stopped: str = ""
    ended: str = ""
    resumes: int = 0
    codes: set[str] = field(default_factory=set)
    """Activation codes that were used, or are with a run that goes on: none of them is given out again."""
    active: float = 0.0
    """Seconds during which it was worked on, by the host's monotonic clock: no step of the wall clock counts."""
    energy: float = 0.0
    """Joules of all its runs that ended."""

    def station(self, name: str) -> StationState:
        """Return the state of a station."""
        return self.stations.setdefault(name, StationState())

    def apply(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take one record of the book."""
        name = str(data.get("station", ""))
        if kind == "segment-start":
            state = self.station(name)
            state.segment = dict(data)
            self.codes.update(map(str, data.get("codes", ())))
        elif kind == "segment-run":
            state = self.station(name)
            state.segment = {**(state.segment or {}), "run": data.get("run", "")}
        elif kind == "segment-end":
            state = self.station(name)
            self.energy += float(data.get("energy") or 0.0)
            state.segment = None
            self.codes.difference_update(map(str, data.get("codes_returned", ())))
        elif kind == "cycle":
            self._cycle(self.station(name), name, data)
        elif kind == "interrupted":
            state = self.station(name)
            state.interrupted += 1
            state.attempt += 1
            state.stuck = 0 if int(data.get("steps") or 0) > 0 else state.stuck + 1
            state.left = str(data.get("run", ""))
            if state.stuck >= ATTEMPTS or state.attempt > _MOST_ATTEMPTS:
                state.next += 1
                state.attempt, state.stuck, state.left = 1, 0, ""
                state.bench_errors_total += 1
        elif kind == "bench-error":
            state = self.station(name)
            state.bench_errors += 1
            state.bench_errors_total += 1
        elif kind == "quarantine":
            self.station(name).quarantined = str(data.get("why", "quarantined"))
        elif kind == "station-end":
            self.station(name).ended = str(data.get("why", "ended"))
        elif kind == "stop":
            self.stopped = self.stopped or str(data.get("why", "stopped"))
        elif kind == "resume":
            self.resumes += 1
            self.stopped = self.ended = ""
            for state in self.stations.values():
                state.quarantined = state.ended = ""
                state.bench_errors = 0
        elif kind == "soak-end":
            self.ended = str(data.get("why", "ended"))
        self.active = max(self.active, float(data.get("active") or 0.0))

    def _cycle(self, state: StationState, name: str, data: Mapping[str, Any]) -> None:
        index = int(data["cycle"])
        if index < state.next:
            return  # it is known: the same record, read a second time after a crash
        verdict = str(data["verdict"])
        state.next, state.attempt, state.stuck, state.left = index + 1, 1, 0, ""
        state.finished += 1
        state.set_aside += len(data.get("set_aside", ()))
        state.real += float(data.get("real", 0.0))
        state.sample = str(data.get("sample", "")) or state.sample
        state.verdicts[verdict] = state.verdicts.get(verdict, 0) + 1
        for key, count in data.get("used", {}).items():
            state.used[key] = state.used.get(key, 0) + count
        if verdict in ("bench-error", "error", "aborted") and data.get("device") != "fail":
            state.bench_errors += 1
            state.bench_errors_total += 1
            return
        state.bench_errors = 0
        if not data.get("baseline", True):
            state.off_baseline += 1
            return
        if data.get("device") in ("pass", "fail"):
            self.occurrences.add(name, str(data.get("signature") or "?") if data["device"] == "fail" else "")


def outline(end: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Return what the book keeps of a run's ``cycle-end``."""
    identities = end.get("identities") or {}
    kept = {
        key: end.get(key) for key in ("station", "cycle", "attempt", "recipe", "label", "verdict", "device", "bench")
    }
    return {
        **kept,
        "baseline": bool(end.get("baseline", True)),
        **({"set_aside": end["set_aside"]} if end.get("set_aside") else {}),
        "signature": end.get("signature", ""),
        "real": end.get("real", 0.0),
        "elapsed": end.get("elapsed", 0.0),
        "used": end.get("used", {}),
        "sample": identities.get("eid") or identities.get("imei") or "",
        "run": run,
    }


class Book:
    """The open journal of a soak, with the state it gives. One writer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = places.read_json(folder / SOAK)
        self.plan = plan_of(folder)
        self.state = state_of(folder)
        self.journal = Journal.open(folder / BOOK)

    def write(self, kind: str, data: Mapping[str, Any]) -> bool:
        """Append a record, on the disk on return, and take it into the state; False when the disk refuses it."""
        done = self.journal.write(kind, data, sync=True)
        self.state.apply(kind, data)
        return done

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()


def plan_of(folder: Path) -> Plan:
    """Return the plan of a soak, with the stations it was started for. Raises ConfigurationError."""
    plan = plans.load(folder / PLAN_FILE)
    stations = places.read_json(folder / SOAK).get("stations")
    return replace(plan, stations=tuple(map(str, stations))) if isinstance(stations, list) and stations else plan


def state_of(folder: Path) -> State:
    """Return the state that a book gives."""
    state = State()
    for event in scan(folder / BOOK):
        state.apply(event["type"], event["data"])
    return state


def cycles_in(run: Path) -> tuple[list[Mapping[str, Any]], Mapping[str, Any] | None, int]:
    """Return the finished cycles of a run, the one that was in progress, and how many began."""
    ends: list[Mapping[str, Any]] = []
    begun: Mapping[str, Any] | None = None
    starts = 0
    for event in only(run / places.JOURNAL, CYCLE_START, CYCLE_END):
        if event["type"] == CYCLE_START:
            begun = event["data"]
            starts += 1
        else:
            ends.append(event["data"])
            begun = None
    return ends, begun, starts


def steps_finished(run: Path, cycle: int) -> int:
    """Return how many steps of an interrupted cycle this run has finished: by so much the next one is further."""
    begun, events = stretch(run, cycle)
    return Past([events]).steps if begun is not None else 0


def stop_requested(folder: Path) -> bool:
    """Whether no further cycle is to begin."""
    return (folder / STOP_FILE).exists()


def request_stop(folder: Path, why: str, station: str = "") -> None:
    """Have no further cycle begin, on one station or on all; those in progress are finished.

    An empty file does, so that a full disk does not keep a soak from being stopped. Raises OSError.
    """
    path = folder / (f"{STOP_FILE}-{station}" if station else STOP_FILE)
    path.touch()
    with contextlib.suppress(OSError):
        path.write_text(why, encoding="utf-8")


def clear_stop(folder: Path) -> None:
    """Let cycles begin again."""
    for path in [folder / STOP_FILE, *folder.glob(f"{STOP_FILE}-*")]:
        path.unlink(missing_ok=True)
