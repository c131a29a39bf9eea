"""The list of runs: one line a run folder, newest first, and finding one by what a person types."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ConfigurationError
from bench.run import folder as places
from bench.run.events import RUN_END
from bench.run.liveness import alive
from bench.run.reader import last
from bench.run.verdict import Verdict, parse, worst


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


def info(folder: Path) -> RunInfo | None:
    """Return what the list shows of one run folder, None when it is none."""
    manifest = places.read_json(folder / places.MANIFEST)
    if not manifest and not (folder / places.JOURNAL).exists():
        return None
    end = manifest.get("end")
    if not isinstance(end, dict):
        event = last(folder / places.JOURNAL, RUN_END)
        end = {**event["data"], "wall": event["wall"]} if event else {}
    device, bench = str(end.get("device", "")), str(end.get("bench", ""))
    if not end:
        state = "running" if alive(folder) else "broken"
    else:
        known = [verdict for verdict in (parse(device), parse(bench)) if verdict is not None]
        state = worst(known).value if known else Verdict.BENCH_ERROR.value
    code = end.get("exit_code")
    return RunInfo(
        run_id=folder.name,
        folder=folder,
        recipe=str(manifest.get("recipe", "")),
        station=str(manifest.get("station", "")),
        started=str(manifest.get("started", "")),
        ended=str(end.get("wall", "")),
        state=state,
        device=device,
        bench=bench,
        exit_code=code if isinstance(code, int) else None,
        simulated=bool(manifest.get("simulated", False)),
        label=str(manifest.get("label", "")),
    )


def folders(runs: Path) -> Iterator[Path]:
    """Yield what may be run folders, newest first: run ids sort by time. A folder that is not there holds none."""
    try:
        with os.scandir(runs) as entries:
            names = sorted((entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."), reverse=True)
    except OSError:
        return
    for name in names:
        yield runs / name


def runs(runs_folder: Path, *, limit: int | None = None, station: str = "", recipe: str = "") -> list[RunInfo]:
    """Return the runs, newest first, of one station or recipe when named."""
    found: list[RunInfo] = []
    for folder in folders(runs_folder):
        if limit is not None and len(found) >= limit:
            break
        run = info(folder)
        if run is None or (station and run.station != station) or (recipe and run.recipe != recipe):
            continue
        found.append(run)
    return found


def find(runs_folder: Path, text: str) -> Path:
    """Return the run folder that ``text`` names: a path, ``last``, an id or an unambiguous part of one.

    Raises ConfigurationError with what would have fitted.
    """
    as_path = Path(text)
    if text and (os.sep in text or as_path.is_absolute() or (as_path / places.JOURNAL).is_file()):
        if info(as_path) is not None:
            return as_path
        raise ConfigurationError("this is no run folder", where=text, hint="bench runs lists them")
    candidates = [folder for folder in folders(runs_folder) if info(folder) is not None]
    if text in ("last", ""):
        if candidates:
            return candidates[0]
        raise ConfigurationError("there is no run yet", where=str(runs_folder), hint="bench run RECIPE makes one")
    exact = [folder for folder in candidates if folder.name == text]
    fitting = exact or [folder for folder in candidates if text in folder.name]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise ConfigurationError(f"no run is named '{text}'", where=str(runs_folder), hint="bench runs lists them")
    shown = ", ".join(folder.name for folder in fitting[:4]) + (" ..." if len(fitting) > 4 else "")
    raise ConfigurationError(f"'{text}' fits {len(fitting)} runs: {shown}", where=str(runs_folder), hint="write more")
