"""Cut the card's power at every APDU and in every commit of every function that changes it.

Command line (JSON on standard output):

    python tests/campaigns/card_power_cuts.py [--home /tmp/cuts] [--only NAME] [--seconds N]

Each scenario of tests/euicc/cut_scenarios.py is run in both refresh modes, and cut before each APDU of the run and at
each operation of each commit (file made, half written, written, put in place). After each cut the card is opened anew:
it is in a whole state of the run, its counters have not gone back, no sequence number was used twice, and the run ends
from there as without a cut.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from euicc.cut_scenarios import PLAIN, SWITCHING  # noqa: E402 - the tests' parties are no installed package
from euicc.cuts import Harness, Scenario  # noqa: E402

from fixtures.pki import Pki  # noqa: E402

MODES = ("fetch", "locked")


def cuts_of(harness: Harness, deadline: float) -> dict[str, Any]:
    """Cut one scenario everywhere; return its figures."""
    outcomes: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    done = Counter[str]()
    for kind, count, cut in (
        ("apdu", harness.apdus, harness.cut_at_apdu),
        ("commit", harness.points, harness.cut_in_commit),
    ):
        for number in range(count):
            if time.monotonic() > deadline:
                break
            done[kind] += 1
            try:
                outcomes[cut(number)] += 1
            except Exception as error:
                failures.append({"cut": f"{kind} {number}", "error": f"{type(error).__name__}: {error}"[:600]})
    return {
        "apdus": harness.apdus,
        "commit_points": harness.points,
        "cuts_at_apdus": done["apdu"],
        "cuts_in_commits": done["commit"],
        "left": dict(outcomes),
        "failures": failures,
    }


def campaign(home: Path, only: str, seconds: float) -> dict[str, Any]:
    """Run the campaign, return its figures."""
    started = time.monotonic()
    pki = Pki.open(home)
    figures: dict[str, Any] = {}
    scenarios: tuple[Scenario, ...] = (*SWITCHING, *PLAIN)
    for scenario in scenarios:
        if only and only not in scenario.name:
            continue
        for mode in MODES:
            folder = Path(tempfile.mkdtemp(prefix="card-", dir=home))
            harness = Harness(folder, pki, scenario, mode)
            figures[f"{scenario.name}, {mode}"] = cuts_of(harness, started + seconds)
    return {
        "campaign": "card-power-cuts",
        "scenarios": len(figures),
        "cuts_at_apdus": sum(each["cuts_at_apdus"] for each in figures.values()),
        "cuts_in_commits": sum(each["cuts_in_commits"] for each in figures.values()),
        "complete": all(
            (each["cuts_at_apdus"], each["cuts_in_commits"]) == (each["apdus"], each["commit_points"])
            for each in figures.values()
        ),
        "failures": {name: each["failures"] for name, each in figures.items() if each["failures"]},
        "by_scenario": figures,
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> int:
    """Parse the command line, print JSON, 0 when nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="folder for PKI and cards (default: one that is removed)")
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios with this in their name")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after about this long")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = (options.home or Path(temporary)).absolute()
        home.mkdir(parents=True, exist_ok=True)
        figures = campaign(home, options.only, options.seconds)
    print(json.dumps(figures, indent=1))
    return 1 if figures["failures"] or not figures["cuts_at_apdus"] or not figures["cuts_in_commits"] else 0


if __name__ == "__main__":
    sys.exit(main())
