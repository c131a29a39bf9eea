"""Soaks as processes on a supply: kills, signals, the lost terminal. Nothing stays on, is lost or is done twice."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from engine.double import SupplyServer, supply, write_bench  # type: ignore[import-not-found]

from bench import client
from bench.client import soak as soaks
from bench.run import liveness
from bench.soak import book as books
from bench.soak import morning
from bench.soak.index import Index

RECIPE = Path(__file__).with_name("power_recipes.py")
PLAN = """
title = "moments"
stations = ["lab"]
cycles = {cycles}
segment = {segment}
seed = 5
on_hangup = "{hangup}"
[baseline]
check = ""
[[recipes]]
recipe = "{recipe}:moment"
parameters = {{ hold = {hold} }}
[stop]
bench_errors = 5
"""
DEADLINE = 90.0


class Soak:
    def __init__(self, folder: Path, server: SupplyServer) -> None:
        self.folder = folder
        self.server = server
        self.config = write_bench(folder, server.port)
        self.handles: list[soaks.SoakHandle] = []

    def start(self, *, cycles: int = 6, segment: int = 3, hold: float = 0.1, hangup: str = "go-on") -> soaks.SoakHandle:
        plan = self.folder / "moments.toml"
        plan.write_text(PLAN.format(cycles=cycles, segment=segment, hold=hold, hangup=hangup, recipe=RECIPE))
        handle = soaks.start(str(plan), config=self.config)
        self.handles.append(handle)
        return handle

    def resume(self, folder: Path) -> soaks.SoakHandle:
        handle = soaks.resume(folder)
        self.handles.append(handle)
        return handle

    def until(self, folder: Path, fits: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        until = time.monotonic() + DEADLINE
        for event in soaks.follow(folder):
            if fits(event):
                return event
            assert time.monotonic() < until
        raise AssertionError("the soak ended without it")

    def until_on(self) -> None:
        until = time.monotonic() + DEADLINE
        while not self.server.on:
            assert time.monotonic() < until
            time.sleep(0.005)

    def run_folder(self, folder: Path, nth: int = 1) -> Path:
        count = 0

        def fits(event: Mapping[str, Any]) -> bool:
            nonlocal count
            count += event["type"] == "segment-run"
            return count >= nth

        return self.folder / "runs" / str(self.until(folder, fits)["data"]["run"])

    def draws(self, folder: Path) -> list[tuple[int, float]]:
        """Return number and drawn figure of every finished cycle."""
        with Index(self.folder / "runs") as index:
            index.update()
            return [(c.cycle, c.data["figures"]["off:draw"]) for c in index.cycles(f"soak={folder.name}")]


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Soak]:
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    with supply() as server:
        made = Soak(tmp_path, server)
        try:
            yield made
        finally:
            for handle in made.handles:
                if liveness.alive(handle.folder):
                    os.kill(handle.pid, signal.SIGKILL)
            for folder in (tmp_path / "runs").glob("2*"):
                with_end = client.stop(folder, at_once=True) if liveness.alive(folder) else False
                assert with_end in (True, False)


@pytest.fixture(scope="module")
def expected() -> list[tuple[int, float]]:
    """The figures that a soak without any trouble draws."""
    import random

    from bench.soak.plan import loads
    from bench.soak.schedule import Schedule

    plan = loads(PLAN.format(cycles=8, segment=3, hold=0.1, hangup="go-on", recipe=RECIPE))
    return [(item.index, random.Random(item.seed).random()) for item in Schedule(plan, 5, "lab")]


def test_another_station_than_the_plans_is_kept(bed: Soak) -> None:
    plan = bed.folder / "other.toml"
    text = PLAN.format(cycles=1, segment=1, hold=0.1, hangup="go-on", recipe=RECIPE.name)
    plan.write_text(text.replace('["lab"]', '["nowhere"]'))
    (bed.folder / RECIPE.name).write_text(RECIPE.read_text())
    handle = soaks.start(str(plan), config=bed.config, stations=("lab",))
    bed.handles.append(handle)
    assert handle.wait() == 0
    assert books.state_of(handle.folder).stations["lab"].finished == 1


def test_a_soak_runs_to_its_end_and_reports(bed: Soak, expected: list[tuple[int, float]]) -> None:
    handle = bed.start(cycles=4, segment=3)
    assert handle.wait() == 0
    assert bed.draws(handle.folder) == expected[:4]
    assert not bed.server.on
    found = json.loads((handle.folder / morning.SUMMARY).read_text())
    assert (found["verdict"], found["counted"], found["failures"]) == ("pass", 4, 0)
    assert found["stations"]["lab"]["used"]["power_cuts"] == 4
    assert (handle.folder / morning.REPORT).is_file()
    assert [info.state for info in soaks.soaks(bed.folder / "runs")] == ["pass"]


@pytest.mark.parametrize("victim", ["runner", "supervisor"])
def test_killed_in_a_cycle_the_output_goes_off_and_the_soak_goes_on(
    bed: Soak, expected: list[tuple[int, float]], victim: str
) -> None:
    handle = bed.start(cycles=3, segment=3, hold=1.0)
    run = bed.run_folder(handle.folder)
    bed.until_on()
    status = client.status(run)
    assert status is not None
    os.kill(status.runner if victim == "runner" else status.pid, signal.SIGKILL)
    killed = time.monotonic()
    while bed.server.on and time.monotonic() < killed + 30:
        time.sleep(0.005)
    assert not bed.server.on
    assert handle.wait() == 0
    assert bed.draws(handle.folder) == expected[:3]
    assert sum(state.interrupted for state in books.state_of(handle.folder).stations.values()) == 1


def test_the_owner_killed_the_run_goes_on_and_is_taken_over(bed: Soak, expected: list[tuple[int, float]]) -> None:
    handle = bed.start(cycles=6, segment=4, hold=0.3)
    bed.until(handle.folder, lambda event: event["type"] == "cycle")
    os.kill(handle.pid, signal.SIGKILL)
    assert handle.wait() == 3
    assert [info.state for info in soaks.soaks(bed.folder / "runs")] == ["broken"]
    again = bed.resume(handle.folder)
    assert again.wait() == 0
    assert bed.draws(handle.folder) == expected[:6]
    state = books.state_of(handle.folder)
    assert state.stations["lab"].interrupted == 0
    assert state.resumes == 1


def test_everything_killed_at_once_is_made_safe_and_resumed(bed: Soak, expected: list[tuple[int, float]]) -> None:
    handle = bed.start(cycles=4, segment=4, hold=1.0)
    run = bed.run_folder(handle.folder)
    bed.until(handle.folder, lambda event: event["type"] == "cycle")
    bed.until_on()
    status = client.status(run)
    assert status is not None
    for pid in (handle.pid, status.pid, status.runner):
        os.kill(pid, signal.SIGSTOP)
    for pid in (handle.pid, status.pid, status.runner):
        os.kill(pid, signal.SIGKILL)
    handle.wait()
    assert bed.server.on  # nobody is left, and this supply has no watchdog: the next command switches it off
    again = bed.resume(handle.folder)
    assert again.wait() == 0
    assert bed.draws(handle.folder) == expected[:4]
    assert not bed.server.on


def test_ctrl_c_once_finishes_the_cycle_and_resume_goes_on(bed: Soak, expected: list[tuple[int, float]]) -> None:
    handle = bed.start(cycles=8, segment=8, hold=0.5)
    bed.until(handle.folder, lambda event: event["type"] == "cycle")
    bed.until_on()
    handle.interrupt()
    assert handle.wait() in (0, 5)
    done = bed.draws(handle.folder)
    assert done == expected[: len(done)]
    assert 2 <= len(done) < 8
    assert books.state_of(handle.folder).stations["lab"].interrupted == 0
    again = bed.resume(handle.folder)
    assert again.wait() == 0
    assert bed.draws(handle.folder) == expected


@pytest.mark.parametrize("times", [2, 3])
def test_ctrl_c_again_ends_the_cycle_in_progress(bed: Soak, times: int) -> None:
    handle = bed.start(cycles=2, segment=2, hold=120.0)
    bed.run_folder(handle.folder)
    bed.until_on()
    begun = time.monotonic()
    for level in range(1, times + 1):
        handle.interrupt()
        bed.until(handle.folder, lambda event, level=level: event["data"].get("level") == level)  # type: ignore[misc]
    handle.wait()
    assert time.monotonic() - begun < 60
    assert not bed.server.on
    assert books.state_of(handle.folder).stations["lab"].interrupted == 1


@pytest.mark.parametrize(("hangup", "ends"), [("go-on", False), ("stop", True)])
def test_the_terminal_closed(bed: Soak, hangup: str, ends: bool) -> None:
    handle = bed.start(cycles=3, segment=3, hold=1.5, hangup=hangup)
    bed.run_folder(handle.folder)
    bed.until_on()
    os.close(handle._front)
    os.kill(handle.pid, signal.SIGHUP)
    handle.wait()
    assert not bed.server.on
    finished = books.state_of(handle.folder).stations["lab"].finished
    assert finished < 3 if ends else finished == 3
