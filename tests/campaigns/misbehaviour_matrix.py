"""Every misbehaviour of eIM and SM-DP+ over every way of ESipa, on every simulated station.

Command line (JSON lines on standard output, the table as the last one):

    python tests/campaigns/misbehaviour_matrix.py [--way asn1|json|coaps]... [--station NAME]... [--recipe NAME]...
        [--rows NAME,...] [--home DIR] [--deadline SECONDS]

On ``sim`` and ``sim-pcsc`` a run must pass. On ``sim-device`` nobody tells the words of what was tried again: those
rows, and no other, are inconclusive (``NOT_OBSERVED``). Exit code 1 when anything else comes. A runner that the host
did not let run (``the runner was killed: its event loop did not turn``) is no result: it is run once more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "recipes")]

from recipe_bench import Bench, Summary  # noqa: E402 - the tests' helper is no installed package

RECIPES = ("negative-eim", "negative-smdp")
STATIONS = ("sim", "sim-pcsc", "sim-device")
WAYS: Mapping[str, Mapping[str, str]] = {"asn1": {}, "json": {"binding": "json"}, "coaps": {"transport": "coaps"}}
"""Options of the IPA for the ways that ESipa can take; ``asn1``: over HTTPS, as by default."""
NOT_OBSERVED = frozenset(("old-counter-once", "counter-too-high-once", "old-package"))
"""Rows of which a device with its own IPA does not tell what the eUICC said before the order was tried again."""
_STARVED = "its event loop did not turn"


def run(home: Path, recipe: str, station: str, way: str, rows: str, deadline: float) -> Summary:
    """Run one table; the bench's home is that of station and way."""
    options = WAYS[way]
    device = station == "sim-device"
    ipa = ", ".join(f'{name} = "{value}"' for name, value in options.items())
    bench = Bench(home / f"{station}-{way}", "" if device else f"[ipa]\noptions = {{ {ipa} }}\n")
    path = TESTS.parent / "recipes" / f"device_negative.py:device_{recipe.replace('-', '_')}"
    arguments = ["run", str(path) if device else recipe, "--station", station, "--json", "--seed", "7"]
    if rows:
        arguments += ["--set", f"rows={rows}"]
    if device:
        for value in ("poll_interval=10", *(f"ipa_option={name}={value}" for name, value in options.items())):
            arguments += ["--world", value]
    bench.folder.mkdir(parents=True, exist_ok=True)
    (bench.folder / "bench.toml").write_text(bench.toml)
    for _ in range(3):
        found = Summary(json.loads(bench.attempt(*arguments, deadline=deadline).stdout.splitlines()[-1]))
        if _STARVED not in found.errors:
            break
    return found


def judged(found: Summary, station: str) -> tuple[bool, list[str]]:
    """Return whether a run is what it must be, and the rows that nobody could observe."""
    unseen = [name for name, step in found.steps.items() if step["verdict"] == "inconclusive" and name != "observed"]
    if found.verdict == "pass":
        return True, unseen
    good = station == "sim-device" and found.verdict == "inconclusive" and set(unseen) <= NOT_OBSERVED
    return good, unseen


def told(found: Summary, recipe: str, station: str, way: str, seconds: float) -> dict[str, Any]:
    """Return what a run came to: each row's verdict, and the dearest of what is measured."""
    good, unseen = judged(found, station)
    rows = {name: step for name, step in found.steps.items() if "/" not in name}
    dearest = {
        what: max((float(step["measurements"].get(what, 0)) for step in rows.values()), default=0.0)
        for what in ("apdus", "requests", "bytes", "duration")
    }
    return {
        "recipe": recipe,
        "station": station,
        "way": way,
        "verdict": found.verdict,
        "good": good,
        "rows": sum(step["verdict"] == "pass" for step in rows.values()),
        "not_observed": unseen,
        "dearest": dearest,
        "seconds": round(seconds, 1),
        "errors": [] if good else found.found["errors"],
    }


def main(argv: list[str] | None = None) -> int:
    """Run the campaign; return 1 when a table was not as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--way", action="append", choices=WAYS)
    parser.add_argument("--station", action="append", choices=STATIONS)
    parser.add_argument("--recipe", action="append", choices=RECIPES)
    parser.add_argument("--rows", default="")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--deadline", type=float, default=900.0, help="real seconds of one run")
    given = parser.parse_args(argv)
    home = given.home or Path(tempfile.mkdtemp(prefix="misbehaviour-matrix-"))
    table: dict[str, str] = {}
    bad = 0
    for station in given.station or STATIONS:
        for way in given.way or WAYS:
            for recipe in given.recipe or RECIPES:
                started = time.monotonic()
                found = run(home, recipe, station, way, given.rows, given.deadline)
                line = told(found, recipe, station, way, time.monotonic() - started)
                bad += not line["good"]
                table[f"{station} {way} {recipe}"] = f"{line['verdict']}, {line['rows']} steps passed"
                print(json.dumps(line), flush=True)
    print(json.dumps({"table": table, "bad": bad, "home": str(home)}), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
