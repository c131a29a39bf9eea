"""Cut the device's power at every APDU of the main job; after each cut the same recipe must pass on the same stores.

Command line (JSON on standard output):

    python tests/campaigns/power_cuts.py --home /tmp/cuts [--first 1] [--last 0] [--step 1] [--phase before|after]

One bench home is used for all of it: card, eIM and SM-DP+ keep what each cut left, nothing is reset. For every APDU
number ``n`` from ``first`` to ``last`` (0: until the recipe ends before the n-th APDU): one run with the power cut at
the n-th APDU, the card looked at (one profile enabled, no half profile), one run without a cut, which must pass.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

RECIPE = "bootstrap-to-operational"
BENCH = [sys.executable, "-m", "bench.cli.main"]
RUN_DEADLINE = 120.0


def run(home: Path, fault: dict[str, Any] | None) -> dict[str, Any]:
    """Run the main job once; return the object that ``--json`` prints."""
    command = [*BENCH, "run", RECIPE, "--json", "--seed", "7"]
    if fault is not None:
        command += ["--world", "faults=" + json.dumps([fault])]
    environment = {**os.environ, "BENCH_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=RUN_DEADLINE, check=False)
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        answer = {"exit_code": done.returncode, "errors": [done.stderr[-500:]], "verdict": "no answer", "folder": ""}
    return answer


def cut_happened(home: Path) -> bool:
    """Return whether the simulated world cut the power in the last run, by its own log."""
    log = home / "sim" / "sim" / "world.jsonl"
    return any(json.loads(line)["what"] == "fault" for line in log.read_text().splitlines())


def step_of(answer: dict[str, Any]) -> str:
    """Return the outermost step in which a run stopped passing."""
    failed = (step["step"] for step in answer.get("steps", ()) if step["verdict"] != "pass")
    return str(next(failed, "none")).partition("/")[0]


def card_state(home: Path) -> dict[str, Any]:
    """Power a copy of the card up, as the next run will the card itself, and return what is on it."""
    from fixtures.pki import Pki
    from fixtures.sim.euicc import VirtualEuicc

    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(home / "sim" / "sim" / "card", folder, dirs_exist_ok=True)
        card = VirtualEuicc.open(Path(folder), pki=Pki.open(home), eid="89049032123451234512345678901235")
        card.power_on()
        view = card.state()
    return {
        "profiles": [(profile.iccid, profile.enabled) for profile in view.profiles],
        "enabled": sum(profile.enabled for profile in view.profiles),
        "loading": view.loading,
    }


def consistent(state: dict[str, Any]) -> bool:
    """Whether the card is in a state before or after, never between."""
    iccids = [iccid for iccid, _ in state["profiles"]]
    return state["enabled"] == 1 and not state["loading"] and len(set(iccids)) == len(iccids) and len(iccids) <= 2


def campaign(home: Path, first: int, last: int, step: int, phase: str, seconds: float) -> dict[str, Any]:
    """Run the campaign, return its figures."""
    started = time.monotonic()
    run(home, None)  # the first run on new stores is shorter: there is nothing to switch back from
    baseline = run(home, None)
    cuts: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    bad: list[dict[str, Any]] = []
    done = 0
    n = first
    while not last or n <= last:
        cut = run(home, {"at": "apdu", "n": n, "do": "power-cut", "phase": phase, "seconds": 2.0})
        if not cut_happened(home):
            break
        cuts[str(cut["verdict"])] += 1
        steps[step_of(cut)] += 1
        state = card_state(home)
        after = run(home, None)
        done += 1
        if after["exit_code"] != 0 or not consistent(state):
            bad.append(
                {
                    "n": n,
                    "cut": cut["verdict"],
                    "state": state,
                    "after": after["verdict"],
                    "errors": after["errors"],
                    "folders": [cut["folder"], after["folder"]],
                }
            )
        n += step
        if time.monotonic() - started > seconds:
            break
    return {
        "campaign": "power-cuts",
        "baseline": baseline["verdict"],
        "baseline_errors": baseline["errors"],
        "first": first,
        "last": n - step,
        "step": step,
        "phase": phase,
        "cuts": done,
        "verdicts_of_cut_runs": dict(cuts),
        "steps_cut": dict(steps),
        "failures": bad,
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> int:
    """Parse the command line, print JSON, 0 when nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--last", type=int, default=0)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--phase", choices=("before", "after"), default="before")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after about this long")
    options = parser.parse_args()
    figures = campaign(
        options.home.absolute(), options.first, options.last, options.step, options.phase, options.seconds
    )
    print(json.dumps(figures, indent=1))
    return 1 if figures["failures"] or figures["baseline"] != "pass" or not figures["cuts"] else 0


if __name__ == "__main__":
    sys.exit(main())
