"""Blind test: random conditions on the simulated bench, a redacted bundle of the failed run, import, minimise.

    python -m tests.campaigns.blind_bundles [FIRST] [COUNT]

Named must be exactly the decisive conditions, in at least 18 of 20; a wrong answer must say that it is unsure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.client.playing import RunPlayer
from bench.reproduce.conditions import Condition
from bench.reproduce.deriving import derive
from bench.reproduce.importing import read_files
from bench.reproduce.minimise import minimise
from bench.reproduce.play import Played, play_once
from tests.campaigns import blind_pool

BENCH = [sys.executable, "-m", "bench.cli.main"]


def what(condition: Condition) -> str:
    """A condition by what it does and when: names do not survive the bundle."""
    return json.dumps([condition.do, condition.figures, condition.at.table()], sort_keys=True, default=str)


def one(number: int, folder: Path) -> bool:
    scenario, decisive = blind_pool.blind(number)
    begin = time.monotonic()
    played = None
    for _ in range(8):
        played = play_once(scenario, RunPlayer(), scenario.seed or 1)
        if isinstance(played, Played):
            break
    assert isinstance(played, Played), played
    bundle = folder / f"{number}.zip"
    subprocess.run(
        [*BENCH, "bundle", played.course.folder, "--for", "blind", "-o", str(bundle)], check=True, capture_output=True
    )
    imported = derive(read_files([bundle]))
    assert len(imported.conditions) == len(scenario.conditions), imported.text()
    found = minimise(imported, RunPlayer(keep=False), most=200, sizes=False)
    named = {what(item) for item in found.scenario.conditions}
    wanted = {what(item) for item in scenario.conditions if item.name in decisive}
    right = named == wanted and not found.others
    print(json.dumps({
        "number": number, "right": right, "sure": not found.unsure, "decisive": sorted(decisive), "named": found.names,
        "failed": played.course.failed_step, "runs": found.runs, "seconds": round(time.monotonic() - begin, 1),
        "unsure": found.unsure, "others": found.others,
    }), flush=True)  # fmt: skip
    return right or bool(found.unsure)


def main() -> int:
    first, count = (int(value) for value in (sys.argv[1:] + ["1", "20"][len(sys.argv) - 1 :])[:2])
    with tempfile.TemporaryDirectory() as folder:
        right = [one(number, Path(folder)) for number in range(first, first + count)]
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
