"""Ten simulated stations run the main job at once on one bench home: ``python tests/benchmarks/stations.py``.

Each station has a world of its own (supply, modem, emulator, a card with an EID of its own) and shares eIM, SM-DP+ and
CI of the home with the others. Prints JSON: ``wall`` from the first start to the last exit, ``run`` the seconds of each
command, and what went wrong with a run that did not pass. Exit code 1 when one did not pass.

    python tests/benchmarks/stations.py [--stations 10] [--recipe NAME] [--fresh] [--home FOLDER]

``--fresh``: no run before, so that ten runs at once make certificates, stores and profile packages of a new home.
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
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

BENCH = [sys.executable, "-m", "bench.cli.main"]
RECIPE = "bootstrap-to-operational"
DEADLINE = 300.0
BUDGET = 60.0
"""Seconds for ten stations on two cores, one home."""

STATION = """
[stations.{name}]
ipa = "bench"
world = {{ service = "sim" }}
clock = "unix:$world.clock"
power = {{ driver = "keysight-e36300", resource = "$world.power.resource", channel = 1, voltage = 3.8, \
current_limit = 2.0, voltage_max = 4.3, dead_voltage = 0.3 }}
modem = {{ driver = "at-modem", port = "$world.modem.port" }}
network = {{ driver = "rs-cmw500", resource = "$world.network.resource", cells = [1, 2] }}
card = {{ at = "modem" }}
data = {{ path = "proxy:$world.data.proxy" }}
safe = ["network.off", "power.off"]
expendable = true
"""


def bench_toml(stations: int) -> str:
    """Return a bench.toml with stations ``s01``, ``s02`` ..., each with a simulated world of its own."""
    return "".join(STATION.format(name=name) for name in names(stations))


def names(stations: int) -> list[str]:
    """Return the stations' names."""
    return [f"s{number:02d}" for number in range(1, stations + 1)]


def run(folder: Path, station: str, recipe: str) -> dict[str, Any]:
    """Run a recipe on one station to its end."""
    kept = {name: value for name, value in os.environ.items() if name not in ("BENCH_CONFIG", "NO_COLOR")}
    began = time.monotonic()
    done = subprocess.run(
        [*BENCH, "run", recipe, "--station", station, "--json"],
        cwd=folder,
        env={**kept, "BENCH_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    seconds = time.monotonic() - began
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        found = {"verdict": "no-summary", "errors": [done.stderr[-2000:] or done.stdout[-2000:]]}
    errors = [str(error) for error in found.get("errors", [])] if found["verdict"] != "pass" else []
    eid = ""
    if "folder" in found:
        told = json.loads((Path(found["folder"]) / "run.json").read_text())
        eid = str(told.get("identities", {}).get("eid", ""))
    return {"station": station, "verdict": found["verdict"], "seconds": seconds, "eid": eid, "errors": errors}


def together(folder: Path, stations: int, recipe: str = RECIPE) -> tuple[float, list[dict[str, Any]]]:
    """Run the recipe on all stations at once; return the wall seconds and what each run came to."""
    began = time.monotonic()
    with ThreadPoolExecutor(stations) as pool:
        found = list(pool.map(lambda name: run(folder, name, recipe), names(stations)))
    return time.monotonic() - began, found


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stations", type=int, default=10)
    parser.add_argument("--recipe", default=RECIPE)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--home", type=Path, help="folder for bench.toml and home, kept afterwards")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.home or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench.toml").write_text(bench_toml(given.stations))
        alone = None if given.fresh else run(folder, names(1)[0], given.recipe)
        wall, runs = together(folder, given.stations, given.recipe)
    seconds = [found["seconds"] for found in runs]
    failed = [found for found in runs if found["verdict"] != "pass"]
    eids = {found["eid"] for found in runs}
    print(
        json.dumps(
            {
                "benchmark": "stations",
                "unit": "s",
                "recipe": given.recipe,
                "stations": given.stations,
                "cores": os.cpu_count(),
                "fresh_home": given.fresh,
                "at": datetime.now().astimezone().isoformat(timespec="seconds"),
                "alone": round(alone["seconds"], 2) if alone else None,
                "wall": round(wall, 2),
                "budget": BUDGET,
                "run": {
                    "median": round(statistics.median(seconds), 2),
                    "min": round(min(seconds), 2),
                    "max": round(max(seconds), 2),
                },
                "passes": given.stations - len(failed),
                "verdicts": dict(Counter(found["verdict"] for found in runs)),
                "eids": len(eids),
                "failed": failed,
                "ok": not failed and len(eids) == given.stations and wall <= BUDGET,
            },
            indent=1,
        )
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
