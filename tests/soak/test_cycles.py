"""Cycles in a runner: what breaks in the middle of one, what fails behind an interruption, and what that counts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.engine.record import Record
from bench.engine.station import Station
from bench.errors import DeviceFailure, InstrumentError
from bench.run.journal import Journal
from bench.run.reader import read
from bench.soak import book as books
from bench.soak import cycles, leading
from bench.soak.cycles import CYCLE_END, CYCLE_START, Segment
from bench.soak.plan import loads
from bench.station.config import StationConfig
from bench.station.interfaces import Reading

RECIPES = Path(__file__).with_name("power_recipes.py")
PLAN = f"""
title = "five"
cycles = 1
[baseline]
check = "{RECIPES}:is_off"
restore = "{RECIPES}:switch_off"
[[recipes]]
recipe = "{RECIPES}:five_steps"
"""
STEPS = ["cycle-0/on", "cycle-0/first", "cycle-0/second", "cycle-0/third", "cycle-0/off"]


class Killed(BaseException):
    """As kill -9: what comes after it is not written."""


class Supply:
    """Answers as a supply; ``script`` has what happens at its measurements, one after the other."""

    def __init__(self) -> None:
        self.on = False
        self.script: list[BaseException | None] = []
        self.journal: Journal | None = None

    async def output(self) -> bool:
        return self.on

    async def set_output(self, on: bool) -> None:
        self.on = on

    async def measure(self) -> Reading:
        happens = self.script.pop(0) if self.script else None
        if isinstance(happens, Killed):
            assert self.journal is not None
            self.journal.close()
        if happens is not None:
            raise happens
        return Reading(3.8, 0.1)


class Bed:
    """Runs the cycle in one run after another, as the owner of a soak has them begun."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.soak = folder / "soak"
        self.soak.mkdir()
        self.supply = Supply()
        self.names: list[str] = []

    def run(self, *script: BaseException | None) -> list[Mapping[str, Any]]:
        """Return the events of the next run."""
        name = f"run-{len(self.names)}"
        (self.runs / name).mkdir(parents=True)
        journal = Journal.open(self.runs / name / "journal.jsonl", background=False)
        record = Record(journal)
        record.set_clock(record.clock)
        station = Station(StationConfig("lab"), record, home=self.soak, seed=0, asker=None)
        station.provide("power", self.supply)
        self.supply.script, self.supply.journal = list(script), journal
        left = self.names[-1] if self.names else ""
        order = {"first": 0, "count": 1, "attempt": len(self.names) + 1, "left": left, "soak": "s", "seed": 1}
        self.names.append(name)
        try:
            asyncio.run(Segment(station, loads(PLAN), self.soak, order).run())
        finally:
            self.supply.on = False  # made safe
            journal.write("run-end", {})  # refused where the run was killed
            journal.close()
        return list(read(journal.path))

    def finished(self) -> list[str]:
        """The cycle's steps that ended well since its last beginning from the start."""
        found: list[str] = []
        for name in self.names:
            for event in read(self.runs / name / "journal.jsonl"):
                if event["type"] == CYCLE_START and not event["data"]["led"]:
                    found.clear()
                if event["type"] == "step-end" and event["data"]["verdict"] == "pass" and event["step"] in STEPS:
                    found.append(event["step"])
        return found


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def gone() -> InstrumentError:
    return InstrumentError("the supply is gone", where="rail")


def ends(events: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [event["data"] for event in events if event["type"] == CYCLE_END]


def test_a_cycle_that_the_bench_broke_is_led_back_to_the_step_in_progress(bed: Bed) -> None:
    with pytest.raises(InstrumentError):
        bed.run(None, gone())
    assert books.cycles_in(bed.runs / "run-0")[0] == []
    (end,) = ends(bed.run(None))
    assert (end["verdict"], end["baseline"], end["led"], end["set_aside"]) == ("pass", False, ["run-0"], [])
    assert bed.finished() == STEPS


def test_a_run_that_was_left_is_read_while_the_loop_turns(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner whose loop does not turn for 5 s is killed, and every resume of a long run with it."""
    with pytest.raises(InstrumentError):
        bed.run(None, gone())
    readers: list[threading.Thread] = []

    def lead(*args: Any) -> Any:
        readers.append(threading.current_thread())
        return leading.lead(*args)

    monkeypatch.setattr(cycles, "lead", lead)
    assert ends(bed.run())[0]["verdict"] == "pass"
    assert readers and threading.main_thread() not in readers


def test_what_breaks_again_without_a_further_step_has_its_end(bed: Bed) -> None:
    with pytest.raises(InstrumentError):
        bed.run(None, gone())
    with pytest.raises(InstrumentError):
        bed.run(gone(), None, gone())
    (end,) = ends(list(read(bed.runs / "run-1" / "journal.jsonl")))
    assert (end["verdict"], end["device"], end["bench"]) == ("bench-error", "inconclusive", "bench-error")
    assert [item["verdict"] for item in end["set_aside"]] == ["bench-error"]


def test_what_breaks_before_any_step_has_its_end_at_once(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(on: bool) -> None:
        raise gone()

    monkeypatch.setattr(bed.supply, "set_output", never)
    with pytest.raises(InstrumentError):
        bed.run()
    assert [end["verdict"] for end in ends(list(read(bed.runs / "run-0" / "journal.jsonl")))] == ["bench-error"]


def test_a_failure_right_behind_an_interruption_is_set_aside_and_the_cycle_begun_again_from_the_baseline(
    bed: Bed,
) -> None:
    with pytest.raises(Killed):
        bed.run(None, Killed())
    events = bed.run(DeviceFailure("no voltage", where="rail"), None, None)
    (end,) = ends(events)
    (aside,) = end["set_aside"]
    assert (aside["verdict"], aside["step"], aside["run"]) == ("fail", "second", "run-1")
    assert "no voltage" in aside["reason"] and "no voltage" in aside["signature"]
    assert (end["verdict"], end["baseline"], end["led"], end["restored"]) == ("pass", True, [], True)
    begun = max(at for at, event in enumerate(events) if event["type"] == CYCLE_START)
    restored = [e["step"] for e in events[begun:] if e["type"] == "step-end" and "before" in e["step"]]
    assert "baseline-before-0-restore" in restored  # the output was left on
    state = books.State()
    state.apply("cycle", books.outline(end, "run-1"))
    assert (state.stations["lab"].set_aside, state.occurrences.cycles, state.occurrences.failures) == (1, 1, 0)


def test_what_was_set_aside_is_kept_when_its_next_attempt_is_interrupted_too(bed: Bed) -> None:
    with pytest.raises(Killed):
        bed.run(None, Killed())
    with pytest.raises(Killed):
        bed.run(DeviceFailure("no voltage", where="rail"), None, Killed())
    (end,) = ends(bed.run())
    assert (end["verdict"], end["led"], [item["verdict"] for item in end["set_aside"]]) == ("pass", ["run-1"], ["fail"])


def test_a_failure_after_further_steps_is_the_devices_own(bed: Bed) -> None:
    with pytest.raises(Killed):
        bed.run(Killed())
    (end,) = ends(bed.run(None, None, DeviceFailure("no voltage", where="rail")))
    assert (end["verdict"], end["baseline"], end["led"], end["set_aside"]) == ("fail", False, ["run-0"], [])
