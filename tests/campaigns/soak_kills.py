"""Kill a soak's processes at random moments, resume it, and judge every step against cycles without trouble.

    python tests/campaigns/soak_kills.py [--count 20] [--seed 1] [--only VICTIM ...] [--supply e36312a] [--state FILE]

Victims: runner, supervisor, eim, smdpp, owner, both (supervisor and runner in one moment), all (the owner too), power
(as all, and the run's journal is cut to what was on the disk for certain, with a torn line behind it), pcscd (only with
``--station sim-pcsc``, whose world ends with its run). On ``sim`` the instruments are those of a world that outlives
every run; its supply is asked by raw SCPI when its output went off. ``--supply n6705c`` has a watchdog, the others have
none. ``--state``: figures of earlier parts, to which those of this one are added.

Judged: every cycle is there once, with the seed it would have had; one that was led back has the steps of a cycle
without trouble, each ended once, over all its runs; no order, download or power cycle outside a step that was in
progress was made twice, and the eIM has none that no journal knows; the output is off within 2 s of the death of
runner or supervisor; with both dead, by the watchdog, or it stays on, the station is marked unsafe and the next
command turns it off before anything else. Prints one JSON object; exit code 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kills import Failed, SupplyWatch, simulated_bench, write_bench
from soak_judge import judged

from bench import client
from bench.client import soak
from bench.run import liveness
from bench.run.reader import read
from bench.soak import book

VICTIMS = ("runner", "supervisor", "eim", "smdpp", "owner", "both", "all", "power")
GROUPS = {
    "both": ("supervisor", "runner"),
    "all": ("owner", "supervisor", "runner"),
    "power": ("owner", "supervisor", "runner"),
}
DRIVERS = {"e36312a": "keysight-e36300", "n6705c": "keysight-n6705c"}
OFF_WITHIN = 2.0
GETS_ON = 300.0
"""Seconds: a soak waits up to 60 s after bench errors in a row, and starts slowly where a host has much to do."""
JOURNAL = "journal.jsonl"
SYNCED = ("step-end", "cycle-start", "cycle-end", "verdict", "run-start", "run-end", "control")
"""Events that are on the disk before anything goes on."""
PLAN = """
title = "kills"
stations = ["{station}"]
cycles = 100000
segment = 20
seed = {seed}
{clock}
[[recipes]]
recipe = "{recipe}"
[stop]
bench_errors = 1000
first_cycle_within = "2h"
"""


class Campaign:
    """One soak over all kills of this part."""

    def __init__(self, home: Path, options: argparse.Namespace, watch: SupplyWatch | None, config: Path | None) -> None:
        self.home, self.options, self.watch = home, options, watch
        self.station = "kills" if watch is not None else options.station
        self.draw = random.Random(options.seed)
        plan = home / "kills.toml"
        clock = "" if watch is not None else 'clock = "instant"'
        plan.write_text(
            PLAN.format(seed=options.seed, recipe=options.recipe, station=self.station, clock=clock), encoding="utf-8"
        )
        self.handle = soak.start(str(plan), config=config)
        self.killed: Counter[str] = Counter()
        self.off: dict[str, list[float]] = {}
        self.wrong: list[str] = []

    def processes(self) -> tuple[Path | None, dict[str, int]]:
        """Return the live run and the process ids by name."""
        segment = book.state_of(self.handle.folder).stations.get(self.station)
        name = segment.segment.get("run") if segment is not None and segment.segment else None
        if not name:
            return None, {}
        run = self.home / "runs" / str(name)
        found = {"owner": self.handle.pid}
        for event in read(run / JOURNAL):
            if event["type"] == "service-start" and isinstance(event["data"].get("pid"), int):
                found[str(event["data"]["name"])] = int(event["data"]["pid"])
        for pid in descendants(found.get("world", 0)):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == "pcscd":
                    found["pcscd"] = pid
        with contextlib.suppress(Exception):
            status = client.status(run)
            if status is not None:
                found["runner"], found["supervisor"] = status.runner, status.pid
        return run, found

    def _until_it_works(self) -> None:
        """Wait until the run after the last kill has begun a step: starting may take long on a busy host."""
        until = time.monotonic() + GETS_ON
        while time.monotonic() < until:
            run, known = self.processes()
            if run is not None and "runner" in known and any(e["type"] == "step-start" for e in read(run / JOURNAL)):
                return
            time.sleep(0.1)
        told = [f"{event['wall']} {event['type']}" for event in read(self.handle.folder / book.BOOK)[-6:]]
        raise Failed(f"the soak does not get on: {'; '.join(told)}")

    def strike(self) -> bool:
        """Kill one victim, if it is there. Returns False when it was not."""
        victim = self.draw.choice(self.options.only)
        self._until_it_works()
        time.sleep(self.draw.uniform(self.options.shortest, self.options.longest))
        run, known = self.processes()
        names = GROUPS.get(victim, (victim,))
        if run is None or any(name not in known for name in names):
            return False
        was_on = self.watch is not None and self.watch.on
        fired = self._watchdogs()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for name in names:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(known[name], number)
        struck = time.monotonic()
        self.killed[victim] += 1
        if was_on and "supervisor" in names and "runner" in names:
            self._both_dead(victim, run, struck, fired)
        elif was_on and victim in ("runner", "supervisor"):
            self._is_off(victim, struck, OFF_WITHIN)
        if victim == "power":
            cut_to_the_disk(run / JOURNAL, self.draw)
        if "owner" in names:
            self.handle.wait()
            self.handle = soak.resume(self.handle.folder)
            self._turned_off_first(victim, was_on)
        elif not liveness.alive(self.handle.folder):
            raise Failed("the soak ended")
        return True

    def _is_off(self, victim: str, struck: float, within: float) -> None:
        assert self.watch is not None
        try:
            self.watch.until(False, struck + 30.0)
        except Failed as error:
            self.wrong.append(f"{victim}: {error}")
            return
        took = max(0.0, self.watch.changed - struck)
        self.off.setdefault(victim, []).append(round(took, 3))
        if took > within:
            self.wrong.append(f"{victim}: the output went off after {took:.2f} s")

    def _watchdogs(self) -> int:
        """Return how often the supply's watchdog has switched off, as its world says."""
        with contextlib.suppress(OSError):
            return (self.home / "sim" / "sim" / "world.jsonl").read_bytes().count(b'"what":"watchdog"')
        return 0

    def _by_watchdog(self, victim: str, struck: float, fired: int) -> None:
        """Wait for the watchdog without a question to the supply, which would feed it."""
        assert self.watch is not None
        self.watch.paused = True
        try:
            while self._watchdogs() == fired:
                if time.monotonic() > struck + OFF_WITHIN + 3.0:
                    self.wrong.append(f"{victim}: the watchdog did not switch off")
                    return
                time.sleep(0.02)
            self.off.setdefault(f"{victim} (watchdog)", []).append(round(time.monotonic() - struck, 3))
        finally:
            self.watch.paused = False

    def _both_dead(self, victim: str, run: Path, struck: float, fired: int) -> None:
        """Nobody is left: the supply's watchdog switches off; one that has none stays on, and that is known."""
        assert self.watch is not None
        if self.options.supply == "n6705c" and victim != "both":  # its owner is quicker
            self._by_watchdog(victim, struck, fired)
        # With its owner alive, that makes safe at once and takes the mark away.
        if victim == "both":
            self._is_off("both (owner)", struck, 30.0)
        if victim != "both" and not self._marked():
            self.wrong.append(f"{victim}: {run.name} is not marked unsafe")

    def _marked(self) -> bool:
        """Whether a station is marked unsafe as soon as the dead have gone: a process takes its time to die."""
        until = time.monotonic() + 5.0
        while time.monotonic() < until:
            if client.stale(self.home / "runs"):
                return True
            time.sleep(0.01)
        return False

    def _turned_off_first(self, victim: str, was_on: bool) -> None:
        """The next command must have switched off what nobody watched before it does anything else."""
        if self.watch is None or not was_on or victim == "owner" or self.options.supply == "n6705c":
            return
        before = time.monotonic()
        with contextlib.suppress(Failed):
            self.watch.until(False, before + 60.0)
        if self.watch.on:
            self.wrong.append(f"{victim}: resumed, the output was never switched off")
        else:
            self.off.setdefault(f"{victim} (next command)", []).append(round(self.watch.changed - before, 3))

    def work(self) -> dict[str, Any]:
        """Kill until all kills are made, end the soak and judge it."""
        began = time.monotonic()
        while self.killed.total() < self.options.count:
            try:
                struck = self.strike()
            except Failed as error:  # what was killed until here is judged all the same
                self.wrong.append(str(error))
                break
            if struck:
                print(f"{self.killed.total()}/{self.options.count}: {dict(self.killed)}", file=sys.stderr, flush=True)
            if time.monotonic() - began > self.options.within:
                break
        self.handle.interrupt()
        self.handle.wait()
        found = judged(self.handle.folder, self.home / "runs")
        if client.stale(self.home / "runs"):
            self.wrong.append("marked unsafe in the end")
        if self.watch is not None and self.watch.on:
            self.wrong.append("the output is on in the end")
        found["wrong"] = [*self.wrong, *found["wrong"]]
        return {"killed": dict(self.killed), "off_s": self.off, **found}


def descendants(pid: int) -> list[int]:
    """Return the processes below one, none when it is gone."""
    found: list[int] = []
    for file in Path("/proc").glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, file.read_text().split()):
                found += [child, *descendants(child)]
    return found


def cut_to_the_disk(journal: Path, draw: random.Random) -> None:
    """Leave of a journal what was synced for certain, and a piece of the line behind it, as a loss of power may."""
    try:
        data = journal.read_bytes()
    except FileNotFoundError:
        return
    lines = data.splitlines(keepends=True)
    last = max((at for at, line in enumerate(lines) if json_type(line) in SYNCED), default=-1) + 1
    rest = b"".join(lines[last:])
    journal.write_bytes(b"".join(lines[:last]) + rest[: draw.randrange(len(rest) + 1)])


def json_type(line: bytes) -> str:
    """Return the type of an event's line, '' for a torn one."""
    try:
        return str(json.loads(line)["type"])
    except (ValueError, KeyError, TypeError):
        return ""


@contextlib.contextmanager
def bed(home: Path, options: argparse.Namespace) -> Iterator[tuple[SupplyWatch | None, Path | None]]:
    """Yield the watch on the supply and the configuration of the station."""
    if options.station != "sim":
        yield None, None
        return
    with simulated_bench(home, options.clock, "--world", f"supply={options.supply}") as announced:
        more = "watchdog = 2" if options.supply == "n6705c" else ""
        config = without_network(write_bench(home, announced, DRIVERS[options.supply], more))
        watch = SupplyWatch(announced["stations"]["sim"]["power"]["resource"])
        try:
            yield watch, config
        finally:
            watch.close()


def without_network(config: Path) -> Path:
    """Leave the emulator alone: nobody but the recipe would switch its cells on again, and full-cycle does not."""
    lines = config.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith("network ="))
    config.write_text(kept.replace('"network.off", ', ""), encoding="utf-8")
    return config


def merged(state: Path | None, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of all parts, those of this one among them, and keep them."""
    parts = json.loads(state.read_text()) if state is not None and state.is_file() else []
    parts.append(dict(found))
    if state is not None:
        state.write_text(json.dumps(parts, indent=1))
    killed: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    off: dict[str, list[float]] = {}
    for part in parts:
        killed.update(part["killed"])
        verdicts.update(part["verdicts"])
        for victim, times in part["off_s"].items():
            off.setdefault(victim, []).extend(times)
    counts = {
        name: sum(part.get(name, 0) for part in parts)
        for name in ("cycles", "interrupted", "led_back", "begun_again", "given_up", "steps", "orders_unknown")
    }
    return {
        "campaign": "soak-kills",
        "parts": len(parts),
        "kills": killed.total(),
        "killed": dict(killed),
        **counts,
        "verdicts": dict(verdicts),
        "why_begun_again": dict(sum((Counter(part["why_begun_again"]) for part in parts), Counter())),
        "off_s": {
            victim: {"count": len(times), "median": sorted(times)[len(times) // 2], "max": max(times)}
            for victim, times in off.items()
        },
        "wrong": [told for part in parts for told in part["wrong"]],
    }


def main() -> int:
    """Kill and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="kills of this part (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=list(VICTIMS), metavar="VICTIM")
    parser.add_argument("--recipe", default="full-cycle")
    parser.add_argument("--station", default="sim", choices=("sim", "sim-pcsc"))
    parser.add_argument("--supply", default="e36312a", choices=sorted(DRIVERS))
    parser.add_argument("--clock", default="scaled:20", help="of the world that outlives the runs")
    parser.add_argument("--shortest", type=float, default=0.0, help="seconds from the first step to a kill at least")
    parser.add_argument("--longest", type=float, default=8.0, help="and at most")
    parser.add_argument("--within", type=float, default=3600.0, help="seconds after which no further kill is made")
    parser.add_argument("--state", type=Path, help="figures of all parts so far")
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = options.home
        if home is None:
            # The report of the last run may still be made: by a process that nobody waits for.
            scratch = tempfile.TemporaryDirectory(prefix="soak-kills-", ignore_cleanup_errors=True)
            home = Path(stack.enter_context(scratch))
        home.mkdir(parents=True, exist_ok=True)
        os.environ["BENCH_HOME"] = str(home)
        os.environ["BENCH_LOCKS"] = str(home / "locks")
        watch, config = stack.enter_context(bed(home, options))
        found = merged(options.state, Campaign(home, options, watch, config).work())
    print(json.dumps(found, indent=1))
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
