"""Every shipped scenario: its signature at least 19 of 20 times, and a pass without its decisive conditions.

    python -m tests.campaigns.scenarios [-n 20] [--without 3] [NAME...]

One JSON line a scenario; exit code 1 when one does not do what it must.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "recipes" / "scenarios"
BENCH = [sys.executable, "-m", "bench.cli.main", "reproduce", "--json"]


def played(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([*BENCH, *arguments], capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"hits": -1, "runs": 0, "as_expected": False, "error": done.stderr.strip()[-300:]}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20)
    parser.add_argument("--without", type=int, default=3)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    bad = 0
    for name in arguments.names or sorted(file.stem for file in FOLDER.glob("*.toml")):
        begin = time.monotonic()
        shown = played(name, "-n", str(arguments.n))
        gone = played(name, "-n", str(arguments.without), "--without-decisive", "--expect", "gone")
        good = shown["hits"] * 20 >= shown["runs"] * 19 > 0 and gone["as_expected"]
        bad += not good
        line = {
            "scenario": name,
            "hits": shown["hits"],
            "runs": shown["runs"],
            "unusable": shown.get("unusable"),
            "missing": shown.get("missing") or shown.get("error", ""),
            "gone": gone["as_expected"],
            "gone_otherwise": gone.get("otherwise") or gone.get("error", ""),
            "good": good,
            "seconds": round(time.monotonic() - begin, 1),
        }
        print(json.dumps(line), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
