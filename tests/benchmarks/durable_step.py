"""One durable step against one write and fdatasync of the same run: JSON on stdout.

``python tests/benchmarks/durable_step.py [--steps N] [--folder PATH]``. A step is entered, measures once, and ends: two
events and their packets on the ``steps`` lane are written, the last is on the disk before the recipe goes on. The two
are measured in turns, so that a busy disk hits both. Budget: ratio of medians at most 1.5.

``--openhtf PYTHON``: an interpreter with OpenHTF (pip install openhtf in an environment of its own); its phases with
one measurement each, in between, of which nothing is on the disk before the test's end. Budget: a durable step takes
no longer than such a phase, by the medians of five turns of each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.engine.record import Record
from bench.engine.station import Station
from bench.run.journal import Journal
from bench.station.config import StationConfig
from bench.trace.writer import TraceWriter

BUDGET = 1.5

OPENHTF = """
import json, sys, time
import openhtf
at = []
@openhtf.measures(openhtf.Measurement("value").with_units("V"))
def phase(test):
    at.append(time.perf_counter_ns())
    test.measurements.value = 1.0
test = openhtf.Test(*[phase] * int(sys.argv[1]))
test.configure(name="benchmark")
assert test.execute(test_start=lambda: "dut")
print(json.dumps({"version": openhtf.__version__, "us": [(b - a) / 1000 for a, b in zip(at, at[1:])]}))
"""


def compare(python: str, folder: Path, steps: int, turns: int = 5) -> dict[str, object]:
    """Return OpenHTF's phases against durable steps, measured in turns. Raises CalledProcessError."""
    ours, theirs, version = [], [], ""
    script = folder / "openhtf_phases.py"  # it reads the source of its phases: -c would not do
    script.write_text(OPENHTF, encoding="utf-8")
    for turn in range(turns):
        place = folder / f"turn{turn}"
        place.mkdir()
        ours.append(float(asyncio.run(measure(place, steps))["step_us"]["median"]))  # type: ignore[index]
        done = subprocess.run(
            [python, "-W", "ignore", str(script), str(steps)], capture_output=True, check=True, text=True, timeout=600
        )
        told = json.loads(done.stdout.strip().splitlines()[-1])
        version = told["version"]
        theirs.append(statistics.median(told["us"]))
    ratio = statistics.median(ours) / statistics.median(theirs)
    return {
        "openhtf": version,
        "durable_step_us": ours,
        "openhtf_phase_us": [round(value, 1) for value in theirs],
        "step_to_phase": round(ratio, 3),
        "ok": ratio <= 1.0,
    }


async def measure(folder: Path, steps: int) -> dict[str, object]:
    """Measure ``steps`` pairs and return the figures; times in microseconds."""
    journal = Journal.open(folder / "journal.jsonl")
    trace = TraceWriter.open(folder / "trace.pcapng", run_id="benchmark")
    record = Record(journal, steps_lane=trace.lane("steps"))
    record.set_clock(record.clock)
    station = Station(StationConfig("benchmark"), record, home=folder, seed=0, asker=None)
    reference = os.open(folder / "reference", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    line = b"x" * 299 + b"\n"
    durable, written = [], []
    for number in range(steps + 20):
        before = time.perf_counter_ns()
        os.write(reference, line)
        os.fdatasync(reference)
        between = time.perf_counter_ns()
        async with station.step("step") as step:
            step.measure("value", 1.0, unit="V")
        after = time.perf_counter_ns()
        if number >= 20:
            written.append((between - before) / 1000)
            durable.append((after - between) / 1000)
    os.close(reference)
    trace.close()
    journal.close()
    ratio = statistics.median(durable) / statistics.median(written)
    return {
        "benchmark": "durable_step",
        "steps": steps,
        "step_us": {"median": round(statistics.median(durable), 1), "p95": round(_p95(durable), 1)},
        "write_fdatasync_us": {"median": round(statistics.median(written), 1), "p95": round(_p95(written), 1)},
        "ratio": round(ratio, 3),
        "budget": BUDGET,
        "ok": ratio <= BUDGET,
    }


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def main() -> int:
    """Run and print; exit code 1 when the budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: a temporary folder)")
    parser.add_argument("--openhtf", metavar="PYTHON", help="interpreter that has OpenHTF, to compare with")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        result = asyncio.run(measure(Path(folder), given.steps))
        ok = bool(result["ok"])
        if given.openhtf:
            compared = compare(given.openhtf, Path(folder), given.steps)
            result["against"] = compared
            ok = ok and bool(compared["ok"])
    print(json.dumps(result))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
