"""A finished run in small: ``result.json`` and ``junit.xml``, made from journal and manifest, at any time again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from bench.run import events as kinds
from bench.run import folder as places
from bench.run import samples
from bench.run.events import SCHEMA, Event
from bench.run.reader import read
from bench.run.verdict import Verdict, parse, worst


def summarise(manifest: Mapping[str, Any], events: Iterable[Event]) -> dict[str, Any]:
    """Return the result of a run as one JSON object.

    ``steps``: in order of their start, each with ``path``, ``verdict``, ``elapsed`` (station time, s), ``real`` (s),
    ``message`` and its ``measurements``. What never ended has the verdict ``aborted``. ``results``: the last value of
    everything the run was asked to find out, by its name. ``lanes_not_recorded``: lanes that the set-up cannot record,
    and why.
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
    first = last = None
    for event in events:
        kind, data, path = event["type"], event["data"], event["step"]
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
            step["elapsed"] = data.get("elapsed")
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
        "run": manifest.get("run", ""),
        "recipe": manifest.get("recipe", ""),
        "station": manifest.get("station", ""),
        "simulated": bool(manifest.get("simulated", False)),
        "started": manifest.get("started", ""),
        "ended": end["wall"] if end is not None else "",
        "device": device,
        "bench": bench,
        "verdict": worst(both).value,
        "exit_code": ending.get("exit_code"),
        "summary": str(ending.get("summary") or ("" if end else "the record breaks off")),
        "real": round((last - first) / 1e9, 6) if first is not None and last is not None else None,
        "steps": steps,
        "measurements": loose,
        "results": results,
        "errors": errors,
        "safe": safe,
        "observations_lost": losses,
        "lanes_not_recorded": not_recorded,
    }


_FAILED = ("fail", "inconclusive")
_CONTROL = {number: "�" for number in range(32) if number not in (9, 10, 13)} | {0xFFFE: "�", 0xFFFF: "�"}


def _text(value: object) -> str:
    """Return text that XML 1.0 can hold."""
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return text.translate(_CONTROL)


def junit(result: Mapping[str, Any]) -> str:
    """Return the result as JUnit XML: a test case a step, one for the run itself, measurements as properties."""
    suite = _text(f"{result['recipe']} on {result['station']}")
    cases: list[str] = []
    counts = {"failures": 0, "errors": 0, "skipped": 0}
    for step in result["steps"]:
        cases.append(_case(suite, step["path"], step["elapsed"], step["verdict"], step["message"], counts))
    told = "; ".join(str(error.get("what", "")) for error in result["errors"]) or result["summary"]
    cases.append(_case(suite, "run", result["real"], result["verdict"], told, counts))
    properties = [("run", result["run"]), ("device", result["device"]), ("bench", result["bench"])]
    properties.append(("simulated", str(result["simulated"]).lower()))
    for step in result["steps"]:
        for measured in step["measurements"]:
            unit = f" {measured['unit']}" if measured.get("unit") else ""
            properties.append((f"{step['path']}: {measured.get('name')}", f"{measured.get('value')}{unit}"))
    listed = "".join(
        f"   <property name={quoteattr(_text(name))} value={quoteattr(_text(value))}/>\n" for name, value in properties
    )
    head = f'tests="{len(cases)}" failures="{counts["failures"]}" errors="{counts["errors"]}"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
        f' <testsuite name={quoteattr(suite)} {head} skipped="{counts["skipped"]}"'
        f' time="{result["real"] or 0}" timestamp={quoteattr(_text(result["started"])[:19])}>\n'
        f"  <properties>\n{listed}  </properties>\n{''.join(cases)} </testsuite>\n</testsuites>\n"
    )


def _case(suite: str, name: str, seconds: object, verdict: str, message: str, counts: dict[str, int]) -> str:
    time = f' time="{seconds}"' if isinstance(seconds, int | float) else ""
    head = f"  <testcase classname={quoteattr(suite)} name={quoteattr(_text(name))}{time}"
    if verdict == "pass":
        return head + "/>\n"
    kind, count = ("failure", "failures") if verdict in _FAILED else ("error", "errors")
    counts[count] += 1
    text = _text(message)
    first = text.splitlines()[0] if text else verdict
    return (
        f"{head}>\n   <{kind} type={quoteattr(_text(verdict))} message={quoteattr(first)}>"
        f"{escape(text)}</{kind}>\n  </testcase>\n"
    )


def result(folder: Path) -> dict[str, Any]:
    """Return the result of a run folder, with energy and currents where they were sampled. Raises BenchError."""
    found = summarise(places.manifest(folder), read(folder / places.JOURNAL))
    power = samples.summary(folder)
    return {**found, "power": power} if power else found


def derive(folder: Path) -> dict[str, Any]:
    """Write ``result.json`` and ``junit.xml`` of a run folder; return the result. Raises BenchError, OSError."""
    found = result(folder)
    places.write_json(folder / places.RESULT, found)
    places.write_atomic(folder / places.JUNIT, junit(found).encode("utf-8", "replace"))
    return found
