"""Runs without a bench: run folders with the cycles that a verdict function gives, for the owner of a soak."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.run import folder as places
from bench.run.events import CONTROL
from bench.run.follow import follow
from bench.run.journal import Journal
from bench.soak.cycles import CYCLE_END, CYCLE_START, STOP_FILE
from bench.soak.plan import Plan
from bench.soak.schedule import Item, Schedule
from bench.soak.signature import signature

Verdict = Callable[[str, Item, int], str]
"""Station, cycle and attempt to ``pass``, ``fail MESSAGE``, ``bench-error``, ``die`` (no end is written), ``unborn``
(nothing at all is written), ``off`` (did not start from the baseline), ``aside MESSAGE`` (passed when begun again after
such a failure), ``safe WHO`` or ``stop WHO`` (somebody ends the run in its middle)."""


class FakeHandle:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def wait(self, timeout: float | None = None) -> int | None:
        return 0


@dataclass
class FakeRuns:
    plan: Plan
    soak: Path
    runs: Path
    verdict: Verdict = lambda _station, _item, _attempt: "pass"
    done: list[tuple[str, int, int, int]] = field(default_factory=list)
    """Station, cycle, attempt and seed of every cycle that began."""
    codes: list[str] = field(default_factory=list)
    stops: list[tuple[str, bool]] = field(default_factory=list)
    made_safe: list[str] = field(default_factory=list)
    on_cycle: Callable[[int], None] = lambda _index: None
    used: Mapping[str, float] = field(default_factory=lambda: {"downloads": 1.0})

    def start(self, station: str, segment: Mapping[str, Any], *, seed: int, label: str) -> FakeHandle:
        folder = places.create(self.runs, station)
        places.write_manifest(folder, {"run": folder.name, "station": station, "label": label, "recipe": "cycles"})
        journal = Journal.open(folder / places.JOURNAL, background=False)
        schedule, codes = Schedule(self.plan, int(segment["seed"]), station), list(segment["codes"])
        bench = "pass"
        for index in range(segment["first"], segment["first"] + segment["count"]):
            if any((self.soak / name).exists() for name in (STOP_FILE, f"{STOP_FILE}-{station}")):
                break
            item = schedule.item(index)
            attempt = int(segment["attempt"]) if index == segment["first"] else 1
            self.done.append((station, index, attempt, item.seed))
            verdict, _, message = self.verdict(station, item, attempt).partition(" ")
            bench = self._cycle(journal, segment, item, attempt, verdict, message, codes)
            self.on_cycle(index)
            if bench != "pass":
                break
        if bench not in ("die", "unborn"):
            journal.write("run-end", {"device": "inconclusive", "bench": bench, "exit_code": 0}, sync=True)
        journal.close()
        if bench == "unborn":
            journal.path.unlink()
        return FakeHandle(folder)

    def _cycle(
        self, journal: Journal, segment: Mapping[str, Any], item: Item, attempt: int, verdict: str, message: str,
        codes: list[str],
    ) -> str:  # fmt: skip
        parameters = dict(item.parameters)
        if codes:
            parameters["activation_code"] = codes.pop(0)
            self.codes.append(parameters["activation_code"])
        start = {
            "soak": segment["soak"], "cycle": item.index, "attempt": attempt, "station": segment["station"],
            "part": item.part, "recipe": item.recipe, "label": item.label, "parameters": parameters, "seed": item.seed,
        }  # fmt: skip
        journal.write(CYCLE_START, start)
        if verdict in ("die", "unborn"):
            return verdict
        if verdict in ("safe", "stop"):
            journal.write(CONTROL, {"op": verdict, "by": message, "reason": ""})
            return "aborted"
        draw = random.Random(item.seed)
        device = {"fail": "fail", "bench-error": "inconclusive"}.get(verdict, "pass")
        bench = verdict if verdict == "bench-error" else "pass"
        end = {
            **start, "verdict": "pass" if verdict in ("off", "aside") else verdict, "device": device, "bench": bench,
            "reason": message, "baseline": verdict != "off", "elapsed": 30.0 + draw.random(), "real": 0.01,
            "phases": {"switch": 2.0 + draw.random()}, "figures": {"register:rsrp": draw.uniform(-115, -80)},
            "notes": {}, "signature": signature("switch", message) if verdict == "fail" else "", "context": "",
            "set_aside": [{"verdict": "fail", "reason": message, "signature": message}] if verdict == "aside" else [],
            "used": self.used, "identities": {"eid": f"89{segment['station']}"},
        }  # fmt: skip
        journal.write(CYCLE_END, end)
        return bench

    def follow(self, folder: Path) -> Iterator[Mapping[str, Any]]:
        yield from follow(folder)

    def stop(self, folder: Path, *, reason: str, at_once: bool) -> None:
        self.stops.append((folder.name, at_once))

    def make_safe(self, station: str) -> None:
        self.made_safe.append(station)

    def find(self, station: str, label: str) -> Path | None:
        found = (
            folder for folder in self.runs.iterdir() if places.read_json(folder / "run.json").get("label") == label
        )
        return next(found, None)
