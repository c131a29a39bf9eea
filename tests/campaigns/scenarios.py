"""Every shipped scenario: its signature at least 19 of 20 times, and a pass without its decisive conditions.

    python -m tests.campaigns.scenarios [-n 20] [--without 3] [--jobs N] [--state FILE] [NAME...]

One JSON line a scenario as soon as it is known; exit code 1 when one does not do what it must. ``--state``: a file with
the lines so far; scenarios that were good on this commit, as their file is now and in as many runs, are not played
again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.campaigns.states import Lines, commit

FOLDER = Path(__file__).parents[2] / "recipes" / "scenarios"
BENCH = [sys.executable, "-m", "bench.cli.main", "reproduce", "--json"]
_KEY = ("scenario", "digest", "commit", "asked", "asked_without")


def played(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([*BENCH, *arguments], capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"hits": -1, "runs": 0, "as_expected": False, "error": done.stderr.strip()[-300:]}
    return found


def judge(name: str, n: int, without: int, lines: Lines) -> bool:
    """Play a scenario with and without its decisive conditions, unless the state says that it was good."""
    head = {
        "scenario": name,
        "digest": hashlib.sha256((FOLDER / f"{name}.toml").read_bytes()).hexdigest()[:12],
        "commit": commit(),
        "asked": n,
        "asked_without": without,
    }
    known = lines.known.get(tuple(head.values()))
    if known is not None and known["good"] and not head["commit"].endswith("+"):
        lines.again(tuple(head.values()))
        return True
    begin = time.monotonic()
    shown = played(name, "-n", str(n))
    gone = played(name, "-n", str(without), "--without-decisive", "--expect", "gone")
    good = shown["hits"] * 20 >= shown["runs"] * 19 > 0 and gone["as_expected"]
    lines.add(
        head
        | {
            "hits": shown["hits"],
            "runs": shown["runs"],
            "unusable": shown.get("unusable"),
            "absent": shown.get("absent"),
            "missing": shown.get("missing") or shown.get("error", ""),
            "gone": gone["as_expected"],
            "gone_otherwise": gone.get("otherwise") or gone.get("error", ""),
            "good": good,
            "seconds": round(time.monotonic() - begin, 1),
        }
    )
    return bool(good)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20)
    parser.add_argument("--without", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--state", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    lines = Lines(given.state, lambda line: tuple(line[name] for name in _KEY))
    names = given.names or sorted(file.stem for file in FOLDER.glob("*.toml"))
    with ThreadPoolExecutor(max(1, given.jobs)) as pool:
        good = list(pool.map(lambda name: judge(name, given.n, given.without, lines), names))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
