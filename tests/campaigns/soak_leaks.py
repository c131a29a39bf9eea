"""Full cycles in one run: cycles an hour, and what every process of it gains in memory and descriptors a cycle.

    python tests/campaigns/soak_leaks.py [--cycles 20000] [--segment 20000] [--from-cycle 1000] [--resumes 2] [--home X]
    python tests/campaigns/soak_leaks.py --home X --state FILE --within 3000    in parts: again, until all are done

Prints one JSON object: cycles an hour of real time and of CPU time (one core), and by process (runner, supervisor, sim,
eim, smdpp) the slope of its private memory (kB a cycle, least squares from ``--from-cycle`` on) and its descriptors in
the first and in the last tenth of that. ``--resumes``: so often the soak's owner and its runner are killed and it is
resumed.
``--within``: after so many seconds the soak finishes its cycle; with the same ``--home`` the next part resumes it, and
``--state`` adds up the parts. Exit code 1 when a cycle is not explained, memory grows by more than 0.1 kB a cycle or
descriptors grow.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIMIT = 0.1
PLAN = """
title = "leaks"
cycles = {cycles}
segment = {segment}
seed = 1
[[recipes]]
recipe = "full-cycle"
[stop]
disk_free = "200MB"
[keep]
quota = "{quota}"
passes = 2
"""


def private(pid: int) -> float | None:
    """Return the private memory of a process in kB."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    found = [int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Dirty", "Swap:"))]
    return float(sum(found))


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def seconds(pid: int) -> float:
    """Return the CPU time of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watch:
    """The processes of the run in progress, measured at the end of cycles."""

    def __init__(self) -> None:
        self.series: dict[str, list[tuple[int, float, int]]] = {}
        self.cpu: dict[int, float] = {}
        self._pids: dict[str, int] = {}
        self._run = ""

    def at(self, cycle: int, run: Path) -> None:
        """Measure after a cycle."""
        from bench.run import liveness
        from bench.run.reader import read

        if run.name != self._run:
            self._run, self._pids = run.name, {}
            owner = liveness.owner(run).get("pid")
            for event in read(run / "journal.jsonl"):
                if event["type"] == "service-start" and isinstance(event["data"].get("pid"), int):
                    self._pids[str(event["data"]["name"])] = int(event["data"]["pid"])
            if isinstance(owner, int):
                self._pids["supervisor"] = owner
                known = set(self._pids.values())
                for text in Path(f"/proc/{owner}/task/{owner}/children").read_text().split():
                    if int(text) not in known and b"runner" in Path(f"/proc/{text}/cmdline").read_bytes():
                        self._pids["runner"] = int(text)
        for name, pid in self._pids.items():
            memory = private(pid)
            self.cpu[pid] = max(self.cpu.get(pid, 0.0), seconds(pid))
            if memory is not None:
                self.series.setdefault(f"{self._run}/{name}", []).append((cycle, memory, descriptors(pid)))

    def figures(self, start: int) -> dict[str, Any]:
        """Return slopes by process of the longest run."""
        from bench.report.statistics import slope_of

        found: dict[str, Any] = {}
        for name, series in self.series.items():
            kept = [item for item in series if item[0] - series[0][0] >= start]
            slope = slope_of([memory for _, memory, _ in kept])
            if slope is None or len(kept) < found.get(name.rpartition("/")[2], {}).get("measured", 0):
                continue
            tenth = max(1, len(kept) // 10)
            step = (kept[-1][0] - kept[0][0]) / (len(kept) - 1)
            found[name.rpartition("/")[2]] = {
                "measured": len(kept),
                "kB_per_cycle": round(slope[0] / step, 3),
                "error": round(slope[1] / step, 3),
                "kB": [round(kept[0][1]), round(kept[-1][1])],
                # The least of a tenth of the time: what a cycle in progress has open for a moment is no leak.
                "descriptors": [min(item[2] for item in part) for part in (kept[:tenth], kept[-tenth:])],
            }
        return found


def merged(state: Path | None, part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of all parts, this one among them, and keep them."""
    parts: list[Mapping[str, Any]] = json.loads(state.read_text()) if state is not None and state.is_file() else []
    parts.append(part)
    if state is not None:
        state.write_text(json.dumps(parts, indent=1), encoding="utf-8")
    cycles, real, seconds_, cpu = (
        sum(item[name] for item in parts) for name in ("cycles", "cycle_seconds", "seconds", "cpu_seconds")
    )
    verdicts = Counter[str]()
    for item in parts:
        verdicts.update(item["verdicts"])
    return {
        "campaign": "soak-leaks",
        "parts": len(parts),
        "cycles": cycles,
        "verdicts": dict(verdicts),
        "resumes": sum(item["resumes"] for item in parts),
        "hours": round(seconds_ / 3600, 3),
        "cycles_an_hour": round(cycles / seconds_ * 3600),
        "cycles_an_hour_of_cycle_time": round(cycles / real * 3600) if real else None,
        "cpu_ms_a_cycle": round(cpu / max(1, cycles) * 1000, 1),
        "processes": part["processes"],
    }


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=20_000)
    parser.add_argument("--segment", type=int, default=20_000)
    parser.add_argument("--from-cycle", type=int, default=1000)
    parser.add_argument("--resumes", type=int, default=2)
    parser.add_argument("--quota", default="2GB")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--within", type=float, default=1e9, help="seconds of this part")
    parser.add_argument("--state", type=Path, help="figures of all parts so far")
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="soak-leaks-"))
    os.environ["BENCH_HOME"] = str(home)
    from bench.client import soak
    from bench.run.reader import read
    from bench.soak import book

    plan = home / "leaks.toml"
    home.mkdir(parents=True, exist_ok=True)
    plan.write_text(PLAN.format(cycles=options.cycles, segment=options.segment, quota=options.quota))
    watch, verdicts, kills = Watch(), {}, 0
    every = max(1, options.cycles // 2000)
    began, real = time.monotonic(), 0.0
    before = book.folders(home / "runs")
    handle = soak.resume(before[0]) if before else soak.start(str(plan))
    folder = handle.folder
    done = {int(event["data"]["cycle"]) for event in read(folder / book.BOOK) if event["type"] == "cycle"}
    counted = set(done) if before else set()
    done = set(counted)
    told_to_end = False
    while True:
        again = False
        for event in soak.follow(folder):
            data: Mapping[str, Any] = event["data"]
            if event["type"] != "cycle" or int(data["cycle"]) in counted:
                continue
            counted.add(int(data["cycle"]))
            if not told_to_end and time.monotonic() - began > options.within:
                told_to_end = True
                handle.interrupt()
            verdicts[data["verdict"]] = verdicts.get(data["verdict"], 0) + 1
            real += float(data["real"])
            if int(data["cycle"]) % every == 0:
                watch.at(int(data["cycle"]), home / "runs" / str(data["run"]))
            share = options.cycles * (kills + 1) // (options.resumes + 1)
            if kills < options.resumes and len(done) < share <= len(counted):
                kills, again = kills + 1, True
                os.kill(handle.pid, signal.SIGKILL)
                runner = watch._pids.get("runner")
                if runner is not None:
                    os.kill(runner, signal.SIGKILL)
                break
        handle.wait()
        if not again:
            break
        handle = soak.resume(folder)
    figures = watch.figures(options.from_cycle)
    part = {
        "cycles": len(counted) - len(done),
        "verdicts": verdicts,
        "resumes": kills + bool(before),
        "seconds": round(time.monotonic() - began, 1),
        "cycle_seconds": round(real, 1),
        "cpu_seconds": round(sum(watch.cpu.values()), 1),
        "processes": figures,
    }
    print(json.dumps(merged(options.state, part), indent=1))
    explained = (told_to_end or len(counted) == options.cycles) and set(verdicts) <= {"pass"}
    grown = [
        name
        for name, item in figures.items()
        if item["kB_per_cycle"] - item["error"] > LIMIT or item["descriptors"][1] > item["descriptors"][0] + 2
    ]
    return 0 if explained and not grown else 1


if __name__ == "__main__":
    sys.exit(main())
