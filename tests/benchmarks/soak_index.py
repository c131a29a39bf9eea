"""The index over 100 000 cycles: how long it takes to open, to filter, and to be made again.

    python tests/benchmarks/soak_index.py [--cycles 100000] [--per-run 50]

Budgets: opened with every run known in 1 s, filtered in 0.1 s (median of 9).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.soak.index import Index

BUDGET = {"open": 1.0, "filter": 0.1}


def journal_of(run: str, first: int, count: int) -> bytes:
    """Return the journal of a run of some cycles."""
    lines = []
    for number in range(first, first + count):
        bad = number % 50 == 7
        data = {
            "soak": f"soak{first // 20_000}", "cycle": number, "attempt": 1, "station": f"s{number % 4}",
            "recipe": "full-cycle", "label": "full-cycle", "parameters": {"hold": number % 5, "band": f"B{number % 3}"},
            "seed": number, "verdict": "fail" if bad else "pass", "device": "fail" if bad else "pass", "bench": "pass",
            "baseline": True, "elapsed": 30.0, "real": 0.4, "phases": {f"step{n}": 1.0 for n in range(20)},
            "figures": {f"step{n}:figure": 1.5 for n in range(25)}, "signature": f"step: {number % 3}" if bad else "",
            "used": {"downloads": 1}, "identities": {"eid": "89049032123451234512345678901235"},
        }  # fmt: skip
        event = {"seq": number, "type": "cycle-end", "wall": "2026-01-01T00:00:00Z", "data": data}
        lines.append(json.dumps(event).encode())
    end = {"seq": 9, "type": "run-end", "wall": "2026-01-01T00:00:00Z", "data": {"device": "pass", "bench": "pass"}}
    return b"\n".join([*lines, json.dumps(end).encode(), b""])


def timed(action: Callable[[], Any], times: int) -> float:
    """Return the median seconds of an action."""
    taken = []
    for _ in range(times):
        before = time.perf_counter()
        action()
        taken.append(time.perf_counter() - before)
    return statistics.median(taken)


def opened(runs: Path) -> None:
    """Open the index and bring it up to date."""
    with Index(runs) as index:
        index.update()


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=100_000)
    parser.add_argument("--per-run", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        for number in range(0, options.cycles, options.per_run):
            run = runs / f"20260101-{number:08d}-sim-aaaa"
            run.mkdir(parents=True)
            (run / "journal.jsonl").write_bytes(journal_of(run.name, number, options.per_run))
            (run / "run.json").write_text(json.dumps({"run": run.name, "station": "sim", "end": {"device": "pass"}}))
        made = timed(lambda: opened(runs), 1)
        again = timed(lambda: opened(runs), 5)
        with Index(runs) as index:
            filters = {
                "failures of a soak": timed(lambda: index.cycles("soak=soak1", "verdict=fail"), 9),
                "counts of a station": timed(lambda: index.count("station=s1", "soak=soak2"), 9),
                "one signature": timed(lambda: index.cycles("signature=step: 1"), 9),
                "counts of a parameter": timed(lambda: index.count("hold=3", "soak=soak1"), 9),
                "newest failed runs": timed(lambda: index.find_runs(state="pass", limit=50), 9),
            }
            parameter = timed(lambda: index.count("hold=3"), 5)
        size = (runs.parent / "index.sqlite").stat().st_size
    figures = {
        "benchmark": "soak-index", "cycles": options.cycles, "make_s": round(made, 2), "open_s": round(again, 3),
        "filter_s": {name: round(value, 4) for name, value in filters.items()},
        "by_parameter_s": round(parameter, 3), "bytes_a_cycle": round(size / options.cycles), "budget": BUDGET,
    }  # fmt: skip
    print(json.dumps(figures, indent=1))
    slowest = max([parameter, *filters.values()])
    return 0 if again <= BUDGET["open"] and slowest <= BUDGET["filter"] else 1


if __name__ == "__main__":
    sys.exit(main())
