"""Soaks as processes on a supply: kills, signals, the lost terminal. Nothing stays on, is lost or is done twice."""

from __future__ import annotations

import json
import os
import pty
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from engine.double import SupplyServer, supply, write_bench  # type: ignore[import-not-found]

from bench import client
from bench.client import soak as soaks
from bench.run import folder as places
from bench.run import liveness
from bench.run.reader import read
from bench.soak import book as books
from bench.soak import morning
from bench.soak.cycles import STOP_FILE
from bench.soak.index import Index
from tests.soak.power_recipes import LINGERED

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
recipe = "{recipe}:{name}"
parameters = {{ hold = {hold}, gate = "{gate}" }}
[stop]
bench_errors = 5
"""
DEADLINE = 90.0


def plan_of(**more: object) -> str:
    """Return the plan's text with what is given instead of its usual values."""
    usual = {"cycles": 6, "segment": 3, "hold": 0.1, "hangup": "go-on", "recipe": RECIPE, "name": "moment", "gate": ""}
    return PLAN.format(**{**usual, **more})


class Soak:
    def __init__(self, folder: Path, server: SupplyServer) -> None:
        self.folder = folder
        self.server = server
        self.config = write_bench(folder, server.port)
        self.handles: list[soaks.SoakHandle] = []
        self.gate = folder / "gate"

    def start(self, **more: object) -> soaks.SoakHandle:
        plan = self.folder / "moments.toml"
        plan.write_text(plan_of(**more))
        handle = soaks.start(str(plan), config=self.config)
        self.handles.append(handle)
        return handle

    def start_gated(self, **more: object) -> soaks.SoakHandle:
        """Start cycles that hold the output on until ``let_one`` or ``let_all``."""
        self.gate.mkdir()
        return self.start(hold=0.0, gate=self.gate, **more)

    def let_one(self) -> None:
        (self.gate / "token").touch()

    def let_all(self) -> None:
        (self.gate / "open").touch()

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

    def until_there(self, path: Path) -> None:
        until = time.monotonic() + DEADLINE
        while not path.exists():
            assert time.monotonic() < until
            time.sleep(0.005)

    def run_folder(self, folder: Path, nth: int = 1) -> Path:
        count = 0

        def fits(event: Mapping[str, Any]) -> bool:
            nonlocal count
            count += event["type"] == "segment-run"
            return count >= nth

        return self.folder / "runs" / str(self.until(folder, fits)["data"]["run"])

    def until_step(self, run: Path, step: str) -> None:
        """Wait until a note tells that a step is in progress."""
        until = time.monotonic() + DEADLINE
        while not any(e["type"] == "note" and e["step"] == step for e in read(run / places.JOURNAL)):
            assert time.monotonic() < until
            time.sleep(0.02)

    def steps(self, within: str) -> list[tuple[str, str]]:
        """Return path and verdict of every step below ``within`` that ended by itself, over all runs."""
        return [
            (event["step"].removeprefix(within), event["data"]["verdict"])
            for run in sorted((self.folder / "runs").glob("2*"))
            for event in read(run / places.JOURNAL)
            if event["type"] == "step-end" and event["step"].startswith(within)
            if event["data"]["verdict"] not in ("aborted", "bench-error")
        ]

    def cycles(self, folder: Path) -> list[Mapping[str, Any]]:
        """Return the ends of all finished cycles."""
        with Index(self.folder / "runs") as index:
            index.update()
            return [cycle.data for cycle in index.cycles(f"soak={folder.name}")]

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
            for folder in books.folders(tmp_path / "runs"):
                soaks.stop(folder, "at-once")
            for folder in (tmp_path / "runs").glob("2*"):
                with_end = client.stop(folder, at_once=True) if liveness.alive(folder) else False
                assert with_end in (True, False)


@pytest.fixture(scope="module")
def expected() -> list[tuple[int, float]]:
    """The figures that a soak without any trouble draws."""
    from bench.soak.plan import loads
    from bench.soak.schedule import Schedule

    plan = loads(plan_of(cycles=8))
    return [(item.index, random.Random(item.seed).random()) for item in Schedule(plan, 5, "lab")]


def test_another_station_than_the_plans_is_kept(bed: Soak) -> None:
    plan = bed.folder / "other.toml"
    text = plan_of(cycles=1, recipe=RECIPE.name)
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
    handle = bed.start_gated(cycles=2)
    run = bed.run_folder(handle.folder)
    bed.until_on()
    status = client.status(run)
    assert status is not None
    os.kill(status.runner if victim == "runner" else status.pid, signal.SIGKILL)
    killed = time.monotonic()
    while bed.server.on and time.monotonic() < killed + 30:
        time.sleep(0.005)
    assert not bed.server.on
    bed.let_all()
    assert handle.wait() == 0
    assert bed.draws(handle.folder) == expected[:2]
    assert sum(state.interrupted for state in books.state_of(handle.folder).stations.values()) == 1


STEPWISE = ["draw", "on", "attempt", "around/wait", "around/read", "around", "off"]


@pytest.mark.parametrize(
    "kills", [(("supply",), ("runner",)), (("owner", "supervisor", "runner"), ("owner", "supervisor", "runner"))]
)
def test_resumed_at_the_step_in_progress_no_finished_step_is_lost_or_repeated(
    bed: Soak, kills: tuple[tuple[str, ...], ...]
) -> None:
    handle = bed.start_gated(cycles=2, name="stepwise")
    for kill, victims in enumerate(kills):  # the second time in the run that was led back
        run = bed.run_folder(handle.folder, nth=kill + 1)
        bed.until_step(run, "cycle-0/around/wait")
        if victims == ("supply",):
            (bed.gate / "gone").touch()
            continue
        status = client.status(run)
        assert status is not None
        pids = {"owner": handle.pid, "supervisor": status.pid, "runner": status.runner}
        for victim in victims:
            os.kill(pids[victim], signal.SIGSTOP)
        for victim in victims:
            os.kill(pids[victim], signal.SIGKILL)
        if "owner" in victims:
            handle.wait()
            handle = bed.resume(handle.folder)
    bed.let_all()
    assert handle.wait() in (0, 5)
    told = bed.steps("cycle-0/")
    assert [path for path, _ in told] == STEPWISE
    assert {path: verdict for path, verdict in told if verdict != "pass"} == {"attempt": "fail"}
    first, second = bed.cycles(handle.folder)
    assert [len(first["led"]), first["baseline"], first["verdict"]] == [2, False, "pass"]
    assert [len(second["led"]), second["baseline"], second["verdict"]] == [0, True, "pass"]
    # Seconds of station time go on across the interruptions, and what was drawn comes from the cycle's own seed.
    assert first["figures"]["around/read:since"] >= 0.0
    draw = random.Random(first["seed"])
    assert [first["figures"]["draw:draw"], first["figures"]["off:draw"]] == [draw.random(), draw.random()]
    assert first["used"]["power_cuts"] == 2
    assert set(first["figures"]) == set(second["figures"])


def test_an_order_that_no_journal_has_is_not_placed_a_second_time(bed: Soak) -> None:
    """Power lost between the eIM's taking an order and the journal's having it on the disk."""
    handle = bed.start_gated(cycles=1, name="ordering")
    run = bed.run_folder(handle.folder)
    bed.until_step(run, "cycle-0/ordered")
    status = client.status(run)
    assert status is not None
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in (handle.pid, status.pid, status.runner):
            os.kill(pid, number)
    handle.wait()
    journal = run / places.JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    orders = [at for at, line in enumerate(lines) if b'"call":"eim.order_list"' in line]
    assert len(orders) == 2
    journal.write_bytes(b"".join(lines[: orders[1]]))  # the first is known, the second is not
    bed.let_all()
    assert bed.resume(handle.folder).wait() in (0, 5)
    (cycle,) = bed.cycles(handle.folder)
    assert (cycle["verdict"], cycle["figures"]["counted:orders"], len(cycle["led"])) == ("pass", 2, 1)


def test_the_owner_killed_the_run_goes_on_and_is_taken_over(bed: Soak, expected: list[tuple[int, float]]) -> None:
    handle = bed.start_gated(cycles=4, segment=3)
    bed.let_one()
    bed.until(handle.folder, lambda event: event["type"] == "cycle")
    os.kill(handle.pid, signal.SIGKILL)
    assert handle.wait() == 3
    assert [info.state for info in soaks.soaks(bed.folder / "runs")] == ["broken"]
    again = bed.resume(handle.folder)
    bed.let_all()
    assert again.wait() == 0
    assert bed.draws(handle.folder) == expected[:4]
    state = books.state_of(handle.folder)
    assert state.stations["lab"].interrupted == 0
    assert state.resumes == 1


def test_everything_killed_at_once_is_made_safe_and_resumed(bed: Soak, expected: list[tuple[int, float]]) -> None:
    handle = bed.start_gated(cycles=2)
    run = bed.run_folder(handle.folder)
    bed.let_one()
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
    bed.let_all()
    again = bed.resume(handle.folder)
    assert again.wait() == 0
    assert bed.draws(handle.folder) == expected[:2]
    assert not bed.server.on


def test_ctrl_c_once_finishes_the_cycle_and_resume_goes_on(bed: Soak, expected: list[tuple[int, float]]) -> None:
    handle = bed.start_gated(cycles=4, segment=4)
    bed.let_one()
    bed.until(handle.folder, lambda event: event["type"] == "cycle")
    bed.until_on()
    handle.interrupt()
    bed.until(handle.folder, lambda event: event["data"].get("level") == 1)
    bed.let_all()
    assert handle.wait() in (0, 5)
    assert bed.draws(handle.folder) == expected[:2]
    assert books.state_of(handle.folder).stations["lab"].interrupted == 0
    again = bed.resume(handle.folder)
    assert again.wait() == 0
    assert bed.draws(handle.folder) == expected[:4]


@pytest.mark.parametrize("told", ["soak", "run"])
def test_a_soak_or_its_run_told_to_end_tears_the_cycle_in_progress_down(bed: Soak, told: str) -> None:
    handle = bed.start(cycles=2, segment=2, hold=600.0)
    run = bed.run_folder(handle.folder)
    bed.until_on()
    if told == "soak":
        handle.tear_down()
    else:  # bench stop RUN, by somebody who may know nothing of the soak
        client.stop(run, reason="the board is needed")
    handle.wait()
    ended_and_safe(bed, handle)
    expected = "SIGTERM" if told == "soak" else f"stop of run {run.name} (the board is needed)"
    assert expected in books.state_of(handle.folder).stopped
    assert len(list(run.parent.glob("2*"))) == 1
    assert [event["data"] for event in read(run / places.JOURNAL) if event["type"] == "run-end"]


def test_ctrl_c_a_third_time_waits_for_no_teardown(bed: Soak) -> None:
    handle = bed.start(cycles=2, segment=2, hold=600.0, name="lingering")
    run = bed.run_folder(handle.folder)
    bed.until_on()
    begun = time.monotonic()
    for level in (1, 2, 3):  # each asked for once the last was taken
        handle.interrupt()
        bed.until(handle.folder, lambda event, level=level: event["data"].get("level") == level)  # type: ignore[misc]
    handle.wait()
    assert time.monotonic() - begun < 60
    ended_and_safe(bed, handle)
    notes = [event["data"].get("text") for event in read(run / places.JOURNAL) if event["type"] == "note"]
    assert "lingering" in notes
    assert LINGERED not in notes


def ended_and_safe(bed: Soak, handle: soaks.SoakHandle) -> None:
    """Require the soak ended, with its cycle in progress, and nothing on."""
    assert not liveness.alive(handle.folder)
    assert not bed.server.on
    assert books.state_of(handle.folder).stations["lab"].interrupted == 1


@pytest.mark.parametrize(("hangup", "ends"), [("go-on", False), ("stop", True)])
def test_the_terminal_closed_as_by_a_dropped_connection(bed: Soak, hangup: str, ends: bool) -> None:
    plan = bed.folder / "moments.toml"
    bed.gate.mkdir()
    plan.write_text(plan_of(cycles=2, hold=0.0, gate=bed.gate, hangup=hangup))
    master, slave = pty.openpty()
    command = ["bench", "--config", str(bed.config), "soak", str(plan)]
    command[0] = str(Path(sys.executable).with_name("bench"))
    terminal = subprocess.Popen(["setsid", "--ctty", *command], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    bed.until_on()
    (folder,) = books.folders(bed.folder / "runs")
    os.close(master)  # the kernel sends SIGHUP to whoever is in front of it
    assert terminal.wait(DEADLINE) == -signal.SIGHUP
    os.kill(int(liveness.owner(folder)["pid"]), signal.SIGHUP)  # a shell sends it to the jobs behind as well
    if not ends:
        bed.let_all()
    for _ in soaks.follow(folder):  # to its end
        pass
    assert not bed.server.on
    state = books.state_of(folder)
    assert state.stations["lab"].finished == (0 if ends else 2)
    assert ("the end of its terminal" in state.stopped) is ends


def test_a_disk_too_full_for_the_book_ends_the_soak_and_nothing_finished_is_lost(
    bed: Soak, expected: list[tuple[int, float]]
) -> None:
    handle = bed.start_gated(cycles=4, segment=4)
    bed.let_one()
    bed.until(handle.folder, lambda event: event["type"] == "cycle")
    bed.until_on()
    fill(handle.pid, handle.folder / books.BOOK)
    bed.let_one()
    bed.until_there(handle.folder / STOP_FILE)
    bed.let_all()
    assert handle.wait() == 3
    assert not bed.server.on
    finished = bed.draws(handle.folder)
    assert finished == expected[: len(finished)] and 2 <= len(finished) < 4
    assert bed.resume(handle.folder).wait() == 0
    assert bed.draws(handle.folder) == expected[:4]


def test_a_disk_too_full_for_the_run_ends_it_safely_and_its_cycle_is_repeated(
    bed: Soak, expected: list[tuple[int, float]]
) -> None:
    handle = bed.start_gated(cycles=3, segment=3)
    run = bed.run_folder(handle.folder)
    bed.let_one()
    bed.until(handle.folder, lambda event: event["type"] == "cycle")
    bed.until_on()
    status = client.status(run)
    assert status is not None
    switched = len(bed.server.switched)
    fill(status.runner, run / places.JOURNAL)
    bed.let_one()  # what it does next cannot be recorded
    bed.until(handle.folder, lambda event: event["type"] == "segment-end")
    assert bed.server.switched[switched][1] is False
    assert client.status(run) is None
    bed.let_all()
    assert handle.wait() == 0
    assert bed.draws(handle.folder) == expected[:3]
    assert books.state_of(handle.folder).stations["lab"].interrupted == 1


def fill(pid: int, path: Path) -> None:
    """Let no byte more into a file that a process writes."""
    size = path.stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
