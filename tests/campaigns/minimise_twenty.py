"""Minimising on the simulated bench: 20 conditions of which 2 are decisive, in at most 200 runs and 5 minutes.

python -m tests.campaigns.minimise_twenty

Failures that come only sometimes: tests.campaigns.sometimes.
"""

from __future__ import annotations

import json
import sys
import time

from bench.client.playing import RunPlayer
from bench.reproduce.minimise import minimise
from bench.reproduce.scenario import Scenario
from tests.campaigns import blind_pool


def attempt(scenario: Scenario, decisive: set[str], most: int) -> bool:
    begin = time.monotonic()
    found = minimise(
        scenario, RunPlayer(keep=False), most=most, sizes=False, told=lambda text: print(f"  {text}", flush=True)
    )
    good = set(found.names) == decisive and not found.unsure
    print(json.dumps({
        "good": good, "named": found.names, "runs": found.runs, "seconds": round(time.monotonic() - begin, 1),
        "rate": found.whole.text, "smallest": found.smallest.text, "unsure": found.unsure,
    }), flush=True)  # fmt: skip
    return good


def main() -> int:
    return 0 if attempt(blind_pool.twenty(), {"refresh-ignored", "refused"}, 200) else 1


if __name__ == "__main__":
    sys.exit(main())
