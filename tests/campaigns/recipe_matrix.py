"""Every recipe on every simulated station with every way of ESipa: what passes, and what a station lacks for the rest.

Command line (JSON lines on standard output, the table as the last one):

    python tests/campaigns/recipe_matrix.py [--only NAME,...] [--station NAME,...] [--way asn1,json,coaps,...]
        [--curve P-256,brainpool] [--state FILE] [--jobs N] [--rounds N] [--disturb] [--seed N] [--home DIR]

Recipes are all entry points of ``bench.recipes``. Those of one station, way and curve share a home, in random order:
each finds what the one before it left (``matrix_cells.GIVEN`` names those that need a home of their own). A cell is

* ``pass``: the run passed, and what the eIM observed and the device's link was opened to is of that way;
* ``refused``: the station lacks what the recipe declares to need, and the command line said just that, exit code 2;
* ``fail``: anything else. ``why`` says what.

``--state``: a file with the lines so far; cells in it that passed or were refused are not run again. With ``--disturb``
each run follows one of a random recipe in which the device's power is cut at a random APDU, a cell goes off for good or
the link is cut; that one may end in any way but an error of the recipe (exit code 4).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "recipes")]

import matrix_cells as cells  # noqa: E402 - beside this file, which is run as a program
from recipe_bench import RECIPES, Bench, Summary  # noqa: E402 - the tests' helper is no installed package
from states import commit  # noqa: E402

from bench.engine.recipe import installed  # noqa: E402

CURVES = ("P-256", "brainpool")
STOPPED = "its event loop did not turn"
"""The host stood still: such a run says nothing and is made again."""


@dataclass(frozen=True)
class Cell:
    """A recipe on a station, one way, on one curve."""

    recipe: str
    station: str
    way: str
    curve: str = "P-256"
    round: int = 0

    @property
    def key(self) -> tuple[object, ...]:
        return tuple(asdict(self).values())


class State:
    """The lines so far, in a file where one is named."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.lines: dict[tuple[object, ...], dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                found = json.loads(line)
                self.lines[Cell(**{name: found[name] for name in Cell.__dataclass_fields__}).key] = found

    def done(self, cell: Cell) -> bool:
        """Whether nothing is left to do about a cell."""
        return self.lines.get(cell.key, {}).get("outcome") in ("pass", "refused")

    def add(self, cell: Cell, line: dict[str, Any]) -> None:
        """Keep and print the line of a cell."""
        with self._lock:
            self.lines[cell.key] = line
            text = json.dumps(line)
            print(text, flush=True)
            if self._path is not None:
                with self._path.open("a") as file:
                    file.write(text + "\n")


def run(cell: Cell, home: Path, *, sets: tuple[str, ...] = (), world: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run a cell and judge it."""
    given = cells.given(cell.recipe)
    group = f"{cell.station}-{cell.curve}-{cell.way}"
    folder = home / (f"{group}-{cell.recipe}-{cell.round}" if given.own else group)
    started = time.monotonic()
    line = {**asdict(cell), "outcome": "fail", "commit": commit()}
    bench = Bench(folder, cells.toml(cell.way, cell.curve, cell.station, cell.recipe, {}))
    path = bench.write()
    lacks = cells.lacks(cell.recipe, cell.station, path)
    try:
        with ExitStack() as stack:
            if lacks:
                done = bench.attempt(*bench.arguments(cell.recipe, cell.station, _known(given.sets, folder), ()))
                line["words"] = " ".join((done.stderr or done.stdout).split())
                line["why"] = cells.refusal(cell.recipe, lacks, done.returncode, line["words"])
                line |= {"lacks": lacks, "exit_code": done.returncode}
                line["outcome"] = "fail" if line["why"] else "refused"
            else:
                line |= _carried_out(cell, folder, bench, stack, sets, world)
    except (AssertionError, subprocess.TimeoutExpired, IndexError, ValueError) as error:
        line["why"] = f"{type(error).__name__}: {error}"
    return {**line, "seconds": round(time.monotonic() - started, 2)}


def _known(sets: tuple[str, ...], folder: Path, code: str = "") -> tuple[str, ...]:
    return tuple(text.replace("{folder}", str(folder)).replace("{code}", code) for text in sets)


def _carried_out(
    cell: Cell, folder: Path, bench: Bench, stack: ExitStack, sets: tuple[str, ...], world: tuple[str, ...]
) -> dict[str, Any]:
    given = cells.given(cell.recipe)
    for recipe in given.before:
        before = bench.run(recipe, cell.station, world=cells.world(cell.way, cell.curve, cell.station, recipe, {}))
        assert before.verdict == "pass", f"{recipe} before it: {before.errors}"
    route: dict[str, str] = {}
    code, order, seen = "", "", Counter[str]()
    if given.outside:
        told = stack.enter_context(cells.serving(given.outside, bench.home))
        seen = told["kinds"]
        route = _routes(given.outside, told)
        if given.outside == "smdpp":
            code = json.loads(bench.call("smdpp", "order", "operational", "--json"))["activation_code"]
        else:
            eid = _eid(bench)
            order = str(json.loads(bench.call("eim", "order", eid, "list", "--json"))["order_id"])
        bench = Bench(folder, cells.toml(cell.way, cell.curve, cell.station, cell.recipe, route))
        bench.write()
    if given.flash:
        (folder / "meter.bin").write_text("1.5.0")
    options = (*cells.world(cell.way, cell.curve, cell.station, cell.recipe, route), *world)
    arguments = bench.arguments(cell.recipe, cell.station, (*_known(given.sets, folder, code), *sets), options)
    for _ in range(2):
        done = bench.attempt(*arguments, deadline=given.seconds)
        assert done.stdout.strip(), done.stderr
        found = Summary(json.loads(done.stdout.splitlines()[-1]))
        if STOPPED not in found.errors:
            break
    line = {"verdict": found.verdict, "exit_code": done.returncode, "station_time": found.found["station_time"]}
    line |= {"run": found.found["run"]}
    evidence = cells.evidence(Path(found.found["folder"]), bench.home, cell.station)
    evidence.messages.update(seen)
    line |= evidence.told()
    if found.verdict != "pass":
        return {**line, "why": found.errors or "no error is told"}
    if order and (state := json.loads(bench.call("eim", "show", order, "--json"))["state"]) != "done":
        return {**line, "why": f"what waited at the eIM is {state}"}
    wrong = evidence.wrong(cell.recipe, cell.station, cell.way, folder / "bench.toml")
    return {**line, "why": wrong} if wrong else {**line, "outcome": "pass"}


def _routes(outside: str, told: Mapping[str, Any]) -> dict[str, str]:
    """Return where the names of a server outside lead, as the announcement of it says."""
    host = str(told["https"]).removeprefix("https://")
    if outside == "smdpp":
        return {"smdpp.bench.example": host}
    return {"eim.bench.example": host, "eim.bench.example:5684": str(told["coaps"]).removeprefix("coaps://")}


def _eid(bench: Bench) -> str:
    """Return the one EID that the eIM of a home knows."""
    (found,) = json.loads(bench.call("eim", "euiccs", "--json"))
    return str(found["eid"])


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


def disturbed(cell: Cell, home: Path, chance: random.Random) -> dict[str, Any]:
    """Disturb a run of a random recipe on the home of a cell; only a recipe's error is bad."""
    fault = disturbance(chance, cell.station)
    recipe = chance.choice(RECIPES)
    bench = Bench(
        home / f"{cell.station}-{cell.curve}-{cell.way}",
        cells.toml(cell.way, cell.curve, cell.station, recipe, {}),
        cells.world(cell.way, cell.curve, cell.station, recipe, {}),
    )
    found = bench.run(recipe, cell.station, sets=("register_within=60",), world=(f"faults={json.dumps([fault])}",))
    line = {**asdict(cell), "recipe": recipe, "disturbed": fault, "verdict": found.verdict}
    bad = found.found["exit_code"] == 4
    return {**line, "bad": bad, **({"why": found.errors} if bad else {})}


def group(todo: list[Cell], home: Path, state: State, seed: int, disturb: bool) -> int:
    """Run the cells of one station, way and curve in random order; return how many disturbed runs were bad."""
    chance = random.Random(f"{seed} {todo[0].station} {todo[0].way} {todo[0].curve} {todo[0].round}")
    chance.shuffle(todo)
    bad = 0
    for cell in todo:
        if state.done(cell):
            continue
        if disturb and cell.recipe in RECIPES and cell.station != "sim-device":
            line = disturbed(cell, home, chance)
            bad += bool(line["bad"])
            print(json.dumps(line), flush=True)
        state.add(cell, run(cell, home))
    return bad


def table(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return recipe by column: ``pass``, ``refused: what is lacking``, ``fail``."""
    rows: dict[str, dict[str, str]] = {}
    for line in lines:
        column = " ".join((line["station"], line["way"], *([line["curve"]] if line["curve"] != "P-256" else [])))
        text = str(line["outcome"])
        rows.setdefault(line["recipe"], {})[column] = (
            f"refused: lacks {', '.join(line['lacks'])}" if text == "refused" else text
        )
    return {recipe: rows[recipe] for recipe in sorted(rows)}


def _several(text: str, known: tuple[str, ...]) -> list[str]:
    found = [part for part in text.split(",") if part]
    for part in found:
        if part not in known:
            raise SystemExit(f"there is no {part}: {', '.join(known)}")
    return found


def main() -> int:
    """Run the matrix; return 1 when a cell failed, or a disturbed run ended in a recipe's error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    recipes = tuple(sorted(installed()))
    parser.add_argument("--only", default=",".join(recipes))
    parser.add_argument("--station", default=",".join(cells.STATIONS))
    parser.add_argument("--way", default="asn1,json,coaps")
    parser.add_argument("--curve", default="P-256")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--disturb", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    home = given.home or Path(tempfile.mkdtemp(prefix="recipe-matrix-"))
    state = State(given.state)
    groups = [
        [Cell(recipe, station, way, curve, number) for recipe in _several(given.only, recipes)]
        for number in range(given.rounds)
        for station in _several(given.station, cells.STATIONS)
        for way in _several(given.way, tuple(cells.WAYS))
        for curve in _several(given.curve, CURVES)
    ]
    with ThreadPoolExecutor(max(1, given.jobs)) as pool:
        bad = sum(pool.map(lambda todo: group(todo, home, state, given.seed, given.disturb), groups))
    lines = [state.lines[cell.key] for todo in groups for cell in todo]
    counts = Counter(str(line["outcome"]) for line in lines)
    result = {"table": table(lines), "counts": dict(counts), "bad": bad + counts["fail"], "home": str(home)}
    print(json.dumps(result), flush=True)
    return 1 if result["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
