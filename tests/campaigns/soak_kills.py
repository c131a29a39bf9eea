"""Kill a soak's processes at random moments, resume it, and compare everything with a soak without trouble.

    python tests/campaigns/soak_kills.py [--kills 200] [--seed 1] [--only VICTIM ...] [--recipe full-cycle] [--home X]

Victims: runner, supervisor, owner, eim, smdpp, pcscd (with ``--station sim-pcsc``), all (owner, supervisor and runner
in one moment, as in a power loss of the host). One soak goes on over all kills. In the end every cycle must be there
once, with the seed it would have had; a cycle was begun again only when it was in progress. Prints one JSON object;
exit code 1 when something was lost, repeated or out of order.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

VICTIMS = ("runner", "supervisor", "owner", "eim", "smdpp", "all")
PLAN = """
title = "kills"
stations = ["{station}"]
cycles = 100000
segment = 20
seed = {seed}
[[recipes]]
recipe = "{recipe}"
[stop]
bench_errors = 1000
first_cycle_within = "1h"
"""


def processes(run: Path) -> dict[str, int]:
    """Return the process ids of a live run by name."""
    from bench import client
    from bench.run.reader import read

    found: dict[str, int] = {}
    for event in read(run / "journal.jsonl"):
        if event["type"] == "service-start" and isinstance(event["data"].get("pid"), int):
            found[str(event["data"]["name"])] = int(event["data"]["pid"])
    with suppress(Exception):
        status = client.status(run)
        if status is not None:
            found["runner"], found["supervisor"] = status.runner, status.pid
    return found


def main() -> int:
    """Kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=list(VICTIMS))
    parser.add_argument("--recipe", default="full-cycle")
    parser.add_argument("--station", default="sim")
    parser.add_argument("--longest", type=float, default=6.0, help="seconds between two kills at most")
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="soak-kills-"))
    home.mkdir(parents=True, exist_ok=True)
    os.environ["BENCH_HOME"] = str(home)
    from bench.client import soak
    from bench.run import liveness
    from bench.soak import book

    plan = home / "kills.toml"
    plan.write_text(PLAN.format(seed=options.seed, recipe=options.recipe, station=options.station))
    draw = random.Random(options.seed)
    handle = soak.start(str(plan))
    killed: dict[str, int] = {}
    while sum(killed.values()) < options.kills:
        victim = draw.choice(options.only)
        time.sleep(draw.uniform(0.2, options.longest))
        segment = book.state_of(handle.folder).stations.get(options.station)
        run = segment.segment.get("run") if segment is not None and segment.segment else None
        known = processes(home / "runs" / str(run)) if run else {}
        known["owner"] = handle.pid
        names = ("owner", "supervisor", "runner") if victim == "all" else (victim,)
        pids = [known[name] for name in names if name in known]
        if len(pids) < len(names):
            continue
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        killed[victim] = killed.get(victim, 0) + 1
        if "owner" in names:
            handle.wait()
            handle = soak.resume(handle.folder)
        elif not liveness.alive(handle.folder):
            print(json.dumps({"error": "the soak ended", "after": killed}))
            return 1
    handle.interrupt()
    handle.wait()
    found = judged(handle.folder, home / "runs")
    print(json.dumps({"campaign": "soak-kills", "killed": killed, **found}, indent=1))
    return 0 if not found["wrong"] else 1


def judged(folder: Path, runs: Path) -> dict[str, Any]:
    """Compare what the run folders hold with the schedule."""
    from bench.run.reader import read
    from bench.soak import book
    from bench.soak.cycles import CYCLE_END, CYCLE_START
    from bench.soak.schedule import Schedule

    plan, about = book.plan_of(folder), book.places.read_json(folder / book.SOAK)
    schedule = Schedule(plan, int(about["seed"]), plan.stations[0])
    wrong: list[str] = []
    ended: list[int] = []
    verdicts: dict[str, int] = {}
    started = 0
    for run in sorted(runs.iterdir()):
        open_cycle: int | None = None
        for event in read(run / "journal.jsonl"):
            data = event["data"]
            if event["type"] == CYCLE_START:
                started += 1
                open_cycle = int(data["cycle"])
                if open_cycle in ended:
                    wrong.append(f"cycle {open_cycle} was begun again in {run.name} although it had ended")
                if data["seed"] != schedule.item(open_cycle).seed:
                    wrong.append(f"cycle {open_cycle} in {run.name} has another seed")
            elif event["type"] == CYCLE_END:
                ended.append(int(data["cycle"]))
                verdicts[data["verdict"]] = verdicts.get(data["verdict"], 0) + 1
    state = book.state_of(folder).stations[plan.stations[0]]
    missing = sorted(set(range(state.next)) - set(ended))
    given_up = state.next - state.finished
    if len(missing) > given_up:
        wrong.append(f"cycles {missing} are nowhere")
    if ended != sorted(set(ended)):
        wrong.append("cycles ended out of order, or twice")
    if state.finished != len(ended):
        wrong.append(f"the book has {state.finished} cycles, the runs {len(ended)}")
    marks = list((runs / ".unsafe").glob("*"))
    if marks:
        wrong.append(f"marked unsafe in the end: {', '.join(mark.name for mark in marks)}")
    return {"cycles": len(ended), "begun": started, "given_up": given_up, "verdicts": verdicts, "wrong": wrong}


if __name__ == "__main__":
    sys.exit(main())
