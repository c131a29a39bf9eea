"""Every recipe on every simulated station and curve, in random order on one home each, disturbed runs in between.

Command line (JSON lines on standard output, the table as the last one):

    python tests/campaigns/recipe_matrix.py [--rounds N] [--disturb] [--seed N] [--home DIR] [--only NAME,...]
        [--way asn1|json|compact|json-compact|coaps]

Undisturbed runs must pass, whatever the run before has left. With ``--disturb`` each of them follows a run of a random
recipe in which the device's power is cut at a random APDU, a cell goes off for good or the link is cut; that run may
end in any way but an error of the recipe (exit code 4).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "recipes")]

from recipe_bench import RECIPES, Bench, Summary  # noqa: E402 - the tests' helper is no installed package

COMBINATIONS = [(station, curve) for curve in ("P-256", "brainpool") for station in ("sim", "sim-pcsc")]
BRAINPOOL = '[eim]\noptions = { curve = "brainpoolP256r1" }\n'
WAYS = {
    "asn1": "",
    "json": 'binding = "json"',
    "compact": "compact = true",
    "json-compact": 'binding = "json", compact = true',
    "coaps": 'transport = "coaps"',
}
"""Options of the IPA for the ways that ESipa can take; ``asn1``: over HTTPS, as by default."""


def bench_of(home: Path, station: str, curve: str, way: str) -> Bench:
    """Return a bench with a home of its own for a combination."""
    folder = home / f"{station}-{curve}-{way}"
    ipa = f"[ipa]\noptions = {{ {WAYS[way]} }}\n"
    if curve == "brainpool":
        return Bench(folder, BRAINPOOL + ipa, ("card_curves=brainpoolP256r1",))
    return Bench(folder, ipa)


def disturbance(chance: random.Random, station: str) -> dict[str, Any]:
    """Return a random fault of the simulated world."""
    kind = chance.choice(("power-cut", "power-cut", "cell-off", "link-cut"))
    if kind == "power-cut" and station == "sim":
        return {"at": "apdu", "n": chance.randint(1, 400), "do": "power-cut", "seconds": 2.0}
    if kind == "power-cut":
        return {"at": chance.uniform(5.0, 60.0), "do": "power-cut", "seconds": 2.0}
    if kind == "cell-off":
        return {"at": chance.uniform(5.0, 60.0), "do": "cell-off", "cell": chance.choice((1, 2))}
    return {"at": chance.uniform(5.0, 60.0), "do": "link-cut"}


def told(run: Summary, station: str, curve: str, seconds: float, **more: Any) -> dict[str, Any]:
    """Return what a run came to."""
    return {
        "recipe": run.found["recipe"],
        "station": station,
        "curve": curve,
        "verdict": run.verdict,
        "exit_code": run.found["exit_code"],
        "seconds": round(seconds, 2),
        "station_time": run.found["station_time"],
        "errors": run.found["errors"] if run.verdict != "pass" else [],
        **more,
    }


def main() -> int:
    """Run the campaign; return 1 when an undisturbed run did not pass, or a disturbed one ended in a recipe's error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--disturb", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--only", default=",".join(RECIPES))
    parser.add_argument("--station", default="")
    parser.add_argument("--way", choices=WAYS, default="asn1")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    home = given.home or Path(tempfile.mkdtemp(prefix="recipe-matrix-"))
    table: Counter[str] = Counter()
    bad = 0
    for round_number in range(given.rounds):
        for station, curve in COMBINATIONS:
            if given.station not in ("", station):
                continue
            bench = bench_of(home, station, curve, given.way)
            recipes = given.only.split(",")
            chance.shuffle(recipes)
            for recipe in recipes:
                if given.disturb:
                    fault = disturbance(chance, station)
                    other = chance.choice(RECIPES)
                    started = time.monotonic()
                    run = bench.run(
                        other, station, sets=("register_within=60",), world=(f"faults={json.dumps([fault])}",)
                    )
                    broken = run.found["exit_code"] == 4
                    bad += broken
                    table[f"disturbed: {run.verdict}"] += 1
                    print(json.dumps(told(run, station, curve, time.monotonic() - started, fault=fault)), flush=True)
                started = time.monotonic()
                run = bench.run(recipe, station)
                passed = run.verdict == "pass"
                bad += not passed
                table[f"{station} {curve}: {run.verdict}"] += 1
                print(json.dumps(told(run, station, curve, time.monotonic() - started, round=round_number)), flush=True)
    print(json.dumps({"table": dict(table), "bad": bad, "home": str(home)}), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
