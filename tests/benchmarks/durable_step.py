"""One durable step against one write and fdatasync of the same run: JSON on stdout.

``python tests/benchmarks/durable_step.py [--steps N] [--folder PATH]``. A step is entered, measures once, and ends: two
events and their packets on the ``steps`` lane are written, the last is on the disk before the recipe goes on. The two
are measured in turns, so that a busy disk hits both. Budget: ratio of medians at most 1.5.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
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
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        result = asyncio.run(measure(Path(folder), given.steps))
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
