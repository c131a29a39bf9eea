"""F12 once in every page and every dialog while an output is on: seconds until the supply itself reads off.

    python tests/campaigns/f12_matrix.py [PLACE ...] [--home X]

Each press is a manual session of its own on the simulated bench in real time, its supply on. Prints one JSON object:
by place the seconds from the key to the reading that proved it off. Exit code 1 when one took longer than 1 s, was not
verified, or a page or dialog is not among them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))
LIMIT = 1.0
"""Seconds."""


def main() -> int:
    """Press and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*", metavar="PLACE")
    parser.add_argument("--home", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (given.home or Path(scratch)).absolute()
        os.environ |= {"BENCH_HOME": str(home / "home"), "BENCH_LOCKS": str(home / "locks")}
        os.environ.pop("BENCH_CONFIG", None)
        (home / "locks").mkdir(mode=0o1777, parents=True, exist_ok=True)
        os.chdir(home)
        from places import PLACES, press_with_an_output_on
        from stand import play_real

        found: list[dict[str, Any]] = []

        async def script(app: Any, pilot: Any) -> None:
            found.extend(await press_with_an_output_on(app, pilot, given.places or PLACES))

        play_real(script)
        os.chdir("/")
    bad = [each["place"] for each in found if not each["verified"] or each["seconds"] > LIMIT]
    worst = max((each["seconds"] for each in found), default=0.0)
    print(json.dumps({"campaign": "f12-matrix", "limit_s": LIMIT, "worst_s": worst, "bad": bad, "places": found}))
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main())
