"""What a run costs before and after its recipe: JSON on stdout.

``python tests/benchmarks/run_start.py [--runs N] [--recipe NAME]``. Runs a recipe on the simulated station in instant
time, with a bench home of its own whose first run (keys, profiles) is not counted. Seconds of wall time, medians:
``start``: until the supervisor holds the station and the run folder exists; ``services``: until the last service has
announced itself; ``first_step``; ``recipe_end``: until the safe sequence is through; ``total``: until the supervisor
has ended. ``processes``: bare interpreter, supervisor and runner with their imports. Budgets: supervisor 0.1 s, the
whole main job 2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import client
from bench.engine.spawn import python
from bench.run.reader import read

BUDGETS = {"supervisor": 0.1, "total": 2.0}
PROCESSES = {
    "python": ("pass", False),
    "supervisor": ("import bench.engine.supervisor, bench.engine.preparation, bench.run.unsafe, ctypes", True),
    "runner": ("import bench.engine.runner, bench.engine.session, faulthandler", False),
}


def one(recipe: str) -> dict[str, float]:
    """Run once and return the moments."""
    began = time.monotonic()
    handle = client.start(recipe, "sim", (), client.StartOptions(clock="instant", seed=1))
    started = time.monotonic()
    code = handle.wait(120)
    ended = time.monotonic()
    events = read(handle.folder / "journal.jsonl")
    if code != 0:
        raise SystemExit(f"{recipe} ended with {code}: {events[-1]['data']}")

    def at(kind: str, *, last: bool = False) -> float:
        moments = [event["mono_ns"] / 1e9 for event in events if event["type"] == kind]
        return float(moments[-1] if last else moments[0]) - began

    return {
        "start": started - began,
        "services": at("service-start", last=True),
        "first_step": at("step-start"),
        "recipe_end": at("safe", last=True),
        "total": ended - began,
    }


def process(code: str, bare: bool, count: int) -> float:
    """Return the median seconds of an interpreter that runs ``code``."""
    times = []
    for _ in range(count):
        began = time.monotonic()
        subprocess.run(python(code, bare=bare), check=True)
        times.append(time.monotonic() - began)
    return statistics.median(times)


def main() -> int:
    """Measure and print; exit code 1 when a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--recipe", default="bootstrap-to-operational")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["BENCH_HOME"] = home
        os.environ["BENCH_LOCKS"] = str(Path(home) / "locks")
        os.chdir(home)
        first = one(given.recipe)
        runs = [one(given.recipe) for _ in range(given.runs)]
    processes = {name: round(process(code, bare, 7), 4) for name, (code, bare) in PROCESSES.items()}
    medians: dict[str, Any] = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    ok = medians["total"] <= BUDGETS["total"] and processes["supervisor"] <= BUDGETS["supervisor"]
    print(
        json.dumps(
            {
                "benchmark": "run_start",
                "recipe": given.recipe,
                "runs": given.runs,
                "first_run_total": round(first["total"], 3),
                "seconds": medians,
                "best_total": round(min(run["total"] for run in runs), 3),
                "processes": processes,
                "budgets": BUDGETS,
                "ok": ok,
            }
        )
    )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
