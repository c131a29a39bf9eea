"""A finished run in small: ``result.json`` and ``junit.xml``, made from journal and manifest, at any time again.

``result.json`` is for programs: what is in it keeps its name, its type and its unit, and later versions only add.
``bench.report.schema`` has it as JSON Schema ('bench report --schema').
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.run import events as kinds
from bench.run import folder as places
from bench.run import samples
from bench.run.events import SCHEMA, Event
from bench.run.junit import junit
from bench.run.reader import scan
from bench.run.verdict import Verdict, parse, worst


def summarise(manifest: Mapping[str, Any], events: Iterable[Event]) -> dict[str, Any]:
    """Return the result of a run as one JSON object.

    ``steps``: in order of their start, each with ``path``, ``verdict``, ``elapsed`` (station time, s), ``real`` (s),
    ``message`` and its ``measurements``. What never ended has the verdict ``aborted``. ``results``: the last value of
    everything the run was asked to find out, by its name. ``lanes_not_recorded``: lanes that the set-up cannot record,
    and why. ``duration`` is station time and ``real`` the host's, in seconds.
    """
    steps: list[dict[str, Any]] = []
    open_steps: dict[str, list[tuple[dict[str, Any], int]]] = {}
    loose: list[Mapping[str, Any]] = []
    errors: list[Mapping[str, Any]] = []
    safe: list[Mapping[str, Any]] = []
    verdicts: dict[str, Any] = {}
    results: dict[str, Any] = {}
    end: Event | None = None
    losses: dict[str, int] = {}
    not_recorded: dict[str, str] = {}
    first = last = begin = until = None
    for event in events:
        kind, data, path = event["type"], event["data"], event["step"]
        moment = _number(event["t"])
        if moment is not None:
            begin = moment if begin is None else begin
            until = moment
        if event["mono_ns"]:
            first = event["mono_ns"] if first is None else first
            last = event["mono_ns"]
        if kind == kinds.STEP_START:
            step = {
                "path": path,
                "verdict": "aborted",
                "elapsed": None,
                "real": None,
                "message": "",
                "measurements": [],
            }
            steps.append(step)
            open_steps.setdefault(path, []).append((step, event["mono_ns"]))
        elif kind == kinds.STEP_END and open_steps.get(path):
            step, started = open_steps[path].pop()
            step["verdict"] = str(data.get("verdict", ""))
            step["elapsed"] = _number(data.get("elapsed"))
            step["real"] = round((event["mono_ns"] - started) / 1e9, 6) if event["mono_ns"] and started else None
            step["message"] = str(data.get("message") or "")
        elif kind == kinds.MEASUREMENT:
            running = open_steps.get(path)
            (running[-1][0]["measurements"] if running else loose).append(dict(data))
        elif kind == kinds.ERROR:
            errors.append(dict(data))
        elif kind == kinds.SAFE:
            safe.append(dict(data))
        elif kind == kinds.VERDICT:
            verdicts.update({key: data[key] for key in ("device", "bench") if data.get(key)})
        elif kind == kinds.RESULT:
            results[str(data.get("name", ""))] = data.get("value")
        elif kind == kinds.OBSERVATION_LOSS:
            lane = str(data.get("lane", data.get("service", "?")))
            count = data.get("count")
            losses[lane] = losses.get(lane, 0) + (count if isinstance(count, int) else 0)
        elif kind == kinds.LANE_MISSING:
            not_recorded[str(data.get("lane", "?"))] = str(data.get("why", ""))
        elif kind == kinds.RUN_END:
            end = event
    ending = dict(end["data"]) if end is not None else {}
    device = str(ending.get("device") or verdicts.get("device") or Verdict.INCONCLUSIVE)
    bench = str(ending.get("bench") or (Verdict.BENCH_ERROR if end is None else Verdict.PASS))
    both = [verdict for verdict in (parse(device), parse(bench)) if verdict is not None]
    return {
        "schema": SCHEMA,
        "run": str(manifest.get("run") or ""),
        "recipe": str(manifest.get("recipe") or ""),
        "station": str(manifest.get("station") or ""),
        "simulated": bool(manifest.get("simulated", False)),
        "started": str(manifest.get("started") or ""),
        "ended": end["wall"] if end is not None else "",
        "device": device,
        "bench": bench,
        "verdict": worst(both).value,
        "exit_code": code if isinstance(code := ending.get("exit_code"), int) and not isinstance(code, bool) else None,
        "summary": str(ending.get("summary") or ("" if end else "the record breaks off")),
        "real": round((last - first) / 1e9, 6) if first is not None and last is not None else None,
        "duration": round(until - begin, 6) if begin is not None and until is not None else None,
        "clock": str(manifest.get("clock") or ""),
        "label": str(manifest.get("label") or ""),
        "seed": seed if isinstance(seed := manifest.get("seed"), int) and not isinstance(seed, bool) else None,
        "parameters": _table(manifest.get("parameters")),
        "identities": {str(name): str(value) for name, value in _table(manifest.get("identities")).items()},
        "steps": steps,
        "measurements": loose,
        "results": results,
        "errors": errors,
        "safe": safe,
        "observations_lost": losses,
        "lanes_not_recorded": not_recorded,
    }


def _number(value: object) -> float | None:
    """Return a finite number, None for everything else: a damaged record may hold anything."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _table(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def result(folder: Path) -> dict[str, Any]:
    """Return the result of a run folder, with energy and currents where they were sampled. Raises BenchError."""
    found = summarise(places.manifest(folder), scan(folder / places.JOURNAL))
    power = samples.summary(folder)
    made: dict[str, Any] = _plain({**found, "power": power} if power else found)
    return made


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: no infinity and no NaN, which strict readers refuse the whole file for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def derive(folder: Path) -> dict[str, Any]:
    """Write ``result.json`` and ``junit.xml`` of a run folder; return the result. Raises BenchError, OSError."""
    found = result(folder)
    places.write_json(folder / places.RESULT, found)
    places.write_atomic(folder / places.JUNIT, junit(found).encode("utf-8", "replace"))
    return found
