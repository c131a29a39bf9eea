"""Time the main job on the simulated bench in instant time: wall seconds of the whole command and of its parts.

Prints JSON. ``whole``: the command from start to exit, every process start included. ``job``: run-start to run-end.
``provisioning``: first poll of the download to the last acknowledgement, with the switch and the registration between.

    python tests/benchmarks/main_job.py [--runs 10] [--home FOLDER]
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
from datetime import datetime
from pathlib import Path
from typing import Any

BENCH = [sys.executable, "-m", "bench.cli.main"]
BUDGET = {"whole": 2.0, "provisioning": 0.25}


def once(home: Path) -> dict[str, float]:
    """Run the main job once, return its wall times in seconds."""
    began = time.monotonic()
    done = subprocess.run(
        [*BENCH, "run", "bootstrap-to-operational", "--json"],
        env={**os.environ, "BENCH_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    whole = time.monotonic() - began
    folder = Path(json.loads(done.stdout.splitlines()[-1])["folder"])
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]

    def at(kind: str, step: str = "") -> float:
        return float(next(e["mono_ns"] for e in events if e["type"] == kind and (e.get("step") or "") == step)) / 1e9

    return {
        "whole": whole,
        "job": at("run-end") - at("run-start"),
        "until_recipe": at("step-start", "start-state") - at("run-start"),
        "start_state": at("step-end", "start-state") - at("step-start", "start-state"),
        "download": at("step-end", "download") - at("step-start", "download"),
        "switch": at("step-end", "switch") - at("step-start", "switch"),
        "deliver_result": at("step-end", "deliver-result") - at("step-start", "deliver-result"),
        "provisioning": at("step-end", "deliver-result") - at("step-start", "download/poll"),
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder) / "home"
        once(home)  # makes certificates and profiles; what follows finds what the last run left
        runs = [once(home) for _ in range(options.runs)]
    figures: dict[str, Any] = {
        name: {
            "median": round(statistics.median(run[name] for run in runs), 3),
            "min": round(min(run[name] for run in runs), 3),
            "max": round(max(run[name] for run in runs), 3),
            **({"budget": BUDGET[name]} if name in BUDGET else {}),
        }
        for name in runs[0]
    }
    print(
        json.dumps(
            {
                "benchmark": "main-job",
                "unit": "s",
                "runs": options.runs,
                "at": datetime.now().astimezone().isoformat(timespec="seconds"),
                **figures,
            },
            indent=1,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
