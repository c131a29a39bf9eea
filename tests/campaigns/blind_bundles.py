"""Blind test: random conditions on the simulated bench, a redacted bundle of the failed run, import, minimise.

    python -m tests.campaigns.blind_bundles [FIRST] [COUNT] [--state FILE]

Named must be exactly the decisive conditions, in at least 18 of 20; a wrong answer must say that it is unsure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.client.playing import RunPlayer
from bench.reproduce.conditions import Condition
from bench.reproduce.deriving import derive
from bench.reproduce.importing import read_files
from bench.reproduce.minimise import minimise
from bench.reproduce.play import Played, play_once
from tests.campaigns import blind_pool
from tests.campaigns.states import Lines

BENCH = [sys.executable, "-m", "bench.cli.main"]


def what(condition: Condition) -> str:
    """A condition by what it does and when: names do not survive the bundle."""
    return json.dumps([condition.do, condition.figures, condition.at.table()], sort_keys=True, default=str)


def one(number: int, folder: Path) -> dict[str, Any]:
    """Make a run fail, bundle it, and minimise what the bundle says."""
    scenario, decisive = blind_pool.blind(number)
    begin = time.monotonic()
    played = None
    for _ in range(8):
        played = play_once(scenario, RunPlayer(), scenario.seed or 1)
        if isinstance(played, Played):
            break
    assert isinstance(played, Played), played
    assert (played.course.verdict, played.course.bench) != ("pass", "pass"), f"{number}: nothing failed"
    bundle = folder / f"{number}.zip"
    subprocess.run(
        [*BENCH, "bundle", played.course.folder, "--for", "blind", "-o", str(bundle)], check=True, capture_output=True
    )
    imported = derive(read_files([bundle]))
    assert len(imported.conditions) == len(scenario.conditions), imported.text()
    found = minimise(imported, RunPlayer(keep=False), most=200, sizes=False)
    named = {what(item) for item in found.scenario.conditions}
    wanted = {what(item) for item in scenario.conditions if item.name in decisive}
    return {
        "number": number, "right": named == wanted and not found.others, "sure": not found.unsure,
        "conditions": len(scenario.conditions), "decisive": sorted(decisive), "named": found.names,
        "failed": played.course.failed_step, "runs": found.runs, "seconds": round(time.monotonic() - begin, 1),
        "unsure": found.unsure, "others": found.others,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int, nargs="?", default=1)
    parser.add_argument("count", type=int, nargs="?", default=20)
    parser.add_argument("--state", type=Path, help="file of results: what stands there is not played again")
    arguments = parser.parse_args()
    lines = Lines(arguments.state, lambda line: line["number"])
    with tempfile.TemporaryDirectory() as folder:
        found = [
            lines.again(number) or lines.add(one(number, Path(folder)))
            for number in range(arguments.first, arguments.first + arguments.count)
        ]
    right = sum(line["right"] for line in found)
    lied = [line["number"] for line in found if line["sure"] and not line["right"]]
    print(json.dumps({"right": right, "of": len(found), "wrong and sure": lied}), flush=True)
    return 0 if right * 10 >= len(found) * 9 and not lied else 1


if __name__ == "__main__":
    sys.exit(main())
