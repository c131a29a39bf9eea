"""Whatever dies or hangs, the output is off in time and the record ends: real processes, real signals."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from bench import client
from bench.run import liveness, unsafe
from bench.run.reader import read

from .conftest import Bench
from .double import RECIPES, events_of

OFF_WITHIN = 2.0
FROZEN_WITHIN = 6.0


def off_after(bench: Bench, since: float, within: float) -> float:
    """Wait until the output is off; return the seconds after ``since``."""
    deadline = since + within + 5
    while (at := bench.server.off_at()) is None:
        assert time.monotonic() < deadline, "the output is still on"
        time.sleep(0.005)
    assert at - since < within
    return at - since


def ended(handle: client.RunHandle, code: int) -> list[Mapping[str, Any]]:
    """Return the events of a run that has ended with ``code``, its record whole."""
    assert handle.wait(15) == code
    events = read(handle.folder / "journal.jsonl")
    assert events[-1]["type"] == "run-end"
    assert events[-1]["data"]["exit_code"] == code
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert json.loads((handle.folder / "run.json").read_text())["end"]["exit_code"] == code
    assert (handle.folder / "result.json").exists()
    assert unsafe.marked(handle.folder.parent) == []
    assert not liveness.alive(handle.folder)
    return list(events)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_to_supervisor_is_teardown_and_safe(bench: Bench, number: signal.Signals) -> None:
    handle = bench.start("long")
    bench.until(handle.folder, "note", "on")
    began = time.monotonic()
    os.kill(handle.pid, number)
    off_after(bench, began, OFF_WITHIN)
    events = ended(handle, 130)
    assert events_of(events, "control")[0]["op"] == f"signal {number.name}"
    assert events_of(events, "step-end")[0]["verdict"] == "aborted"
    assert events_of(events, "safe")[0]["by"] == "runner"
    assert events[-1]["data"]["by"] == "runner"


def test_signals_at_random_moments(bench: Bench) -> None:
    chance = random.Random(5)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT) * 3:
        handle = bench.start("long")
        pause = chance.uniform(0, 0.5)
        time.sleep(pause)  # the moment is what is tested
        began = time.monotonic()
        os.kill(handle.pid, number)
        assert handle.wait(10) == 130
        assert not bench.server.on
        assert time.monotonic() - began < OFF_WITHIN
        assert read(handle.folder / "journal.jsonl")[-1]["type"] == "run-end"


@pytest.mark.parametrize("recipe", ["blocks", "hangs", "stubborn"])
def test_stop_of_a_recipe_that_hangs(bench: Bench, recipe: str) -> None:
    handle = bench.start(recipe)
    bench.until(handle.folder, "note", "on")
    began = time.monotonic()
    os.kill(handle.pid, signal.SIGTERM)
    off_after(bench, began, OFF_WITHIN)
    events = ended(handle, 130)
    assert events_of(events, "run-end")[0]["bench"] == "aborted"
    if recipe == "blocks":
        error = events_of(events, "error")[0]
        line = next(n for n, text in enumerate(RECIPES.read_text().splitlines(), 1) if "time.sleep(seconds)" in text)
        assert error["where"] == f"{RECIPES}:{line}"
        assert "did not answer the stop" in error["what"]
        assert events_of(events, "control")[0]["op"] == "signal SIGTERM"
        assert events_of(events, "safe")[0]["by"] == "supervisor"
        assert events[-1]["data"]["by"] == "supervisor"


def test_orderly_teardown_may_take_its_time(bench: Bench) -> None:
    handle = bench.start("careful")
    bench.until(handle.folder, "note", "on")
    began = time.monotonic()
    os.kill(handle.pid, signal.SIGTERM)
    events = ended(handle, 130)
    assert 2.4 < time.monotonic() - began < 6
    assert {"text": "torn down"} in events_of(events, "note")
    assert events_of(events, "safe")[0]["by"] == "runner"


def test_second_signal_is_safe_at_once(bench: Bench) -> None:
    handle = bench.start("careful", "seconds=6")
    bench.until(handle.folder, "note", "on")
    os.kill(handle.pid, signal.SIGTERM)
    bench.until(handle.folder, "control")
    began = time.monotonic()
    os.kill(handle.pid, signal.SIGTERM)
    off_after(bench, began, OFF_WITHIN)
    events = ended(handle, 130)
    assert {"text": "torn down"} not in events_of(events, "note")
    assert len(events_of(events, "control")) == 2
    assert events_of(events, "safe")[0]["by"] == "supervisor"


def test_killed_runner(bench: Bench) -> None:
    handle = bench.start("long")
    bench.until(handle.folder, "note", "on")
    runner = bench.runner(handle.folder)
    began = time.monotonic()
    os.kill(runner, signal.SIGKILL)
    off_after(bench, began, OFF_WITHIN)
    events = ended(handle, 3)
    assert "killed by SIGKILL" in events_of(events, "error")[0]["what"]
    assert events_of(events, "safe")[0] == {
        "name": "power.off", "verified": True, "reading": 0.01, "message": "0.01 V", "by": "supervisor",
    }  # fmt: skip
    assert events[-1]["data"]["by"] == "supervisor"


def test_a_long_record_does_not_keep_the_output_on(bench: Bench) -> None:
    """Of a night in one run: to read it takes longer than the output may stay on."""
    handle = bench.start("long")
    bench.until(handle.folder, "note", "on")
    with (handle.folder / "journal.jsonl").open("ab", buffering=0) as journal:
        event = {"seq": 9, "mono_ns": 1, "type": "call", "data": {"answer": [{"n": []}] * 30}}
        journal.write((json.dumps(event) + "\n").encode() * 150_000)
    began = time.monotonic()
    os.kill(bench.runner(handle.folder), signal.SIGKILL)
    off_after(bench, began, OFF_WITHIN)
    assert handle.wait(60) == 3
    # Written by a process of its own: a journal of this size is not read while somebody waits.
    result = json.loads(wait_for(handle.folder / "result.json", within=60))
    assert (result["bench"], result["safe"][0]["name"]) == ("bench-error", "power.off")


def test_runner_that_exits_by_itself(bench: Bench) -> None:
    code, events, _ = bench.run("dies")
    assert code == 3
    assert "exit code 9" in events_of(events, "error")[0]["what"]
    assert not bench.server.on


def test_frozen_runner(bench: Bench) -> None:
    handle = bench.start("long")
    bench.until(handle.folder, "note", "on")
    began = time.monotonic()
    os.kill(bench.runner(handle.folder), signal.SIGSTOP)
    off_after(bench, began, FROZEN_WITHIN)
    events = ended(handle, 3)
    assert "event loop did not turn for 5 s" in events_of(events, "error")[0]["what"]


def test_killed_supervisor_leaves_it_to_the_runner(bench: Bench) -> None:
    handle = bench.start("long")
    bench.until(handle.folder, "note", "on")
    runner = bench.runner(handle.folder)
    began = time.monotonic()
    os.kill(handle.pid, signal.SIGKILL)
    off_after(bench, began, OFF_WITHIN)
    assert handle.wait(5) == 3
    deadline = time.monotonic() + 5
    while liveness.start_time(runner) and time.monotonic() < deadline:
        time.sleep(0.01)
    events = read(handle.folder / "journal.jsonl")
    assert events[-1]["data"]["bench"] == "bench-error"
    assert events_of(events, "safe")[0]["by"] == "runner"
    assert unsafe.marked(handle.folder.parent) == []


def test_both_killed_marks_the_station_and_the_next_run_makes_it_safe(bench: Bench) -> None:
    handle = bench.start("long")
    bench.until(handle.folder, "note", "on")
    runner = bench.runner(handle.folder)
    os.kill(runner, signal.SIGSTOP)
    os.kill(handle.pid, signal.SIGKILL)
    os.kill(runner, signal.SIGKILL)
    assert handle.wait(5) == 3
    assert bench.server.on
    assert client.stale(bench.folder / "runs") == [handle.folder]
    assert client.runs(bench.folder / "runs")[0].state == "broken"
    assert list(client.follow(handle.folder))[-1]["type"] == "broken"
    before = len(bench.server.switched)
    code, _, _ = bench.run("nothing")
    assert code == 5
    assert bench.server.switched[before][1] is False  # before anything else
    assert client.stale(bench.folder / "runs") == []
    events = read(handle.folder / "journal.jsonl")
    assert events[-1]["type"] == "run-end"
    assert events_of(events, "safe")[0]["by"].startswith("client ")


def test_stuck_output_is_told_and_blocks_the_next_run(bench: Bench) -> None:
    bench.server.stuck = True
    handle = bench.start("quick")
    assert handle.wait(30) == 3
    events = read(handle.folder / "journal.jsonl")
    assert "NOT DEAD" in events[-1]["data"]["summary"]
    assert [data["by"] for data in events_of(events, "safe")] == ["runner", "supervisor"]
    assert client.stale(bench.folder / "runs") == [handle.folder]
    from bench.errors import BenchError

    with pytest.raises(BenchError, match="cannot be made safe"):
        bench.start("quick")
    bench.server.stuck = False
    reports = client.safe(["lab"], config=bench.config, home=bench.folder)
    assert [report.safe for report in reports] == [True]
    assert not bench.server.on
    assert client.stale(bench.folder / "runs") == []


# --- the front --------------------------------------------------------------------------------------------------------

FRONT = """
import sys
from pathlib import Path
from bench import client
options = client.StartOptions(config=Path(sys.argv[1]), home=Path(sys.argv[2]), on_hangup=sys.argv[4])
handle = client.start(sys.argv[3], "lab", (), options)
import signal
signal.signal(signal.SIGINT, lambda *_: handle.interrupt())
signal.signal(signal.SIGTERM, lambda *_: handle.interrupt())
print(handle.folder, flush=True)
for event in client.follow(handle.folder):
    pass
sys.exit(handle.wait())
"""


def front(bench: Bench, recipe: str, hangup: str = "detach", **more: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", FRONT, str(bench.config), str(bench.folder), f"{RECIPES}:{recipe}", hangup]
    return subprocess.Popen(command, stdout=subprocess.PIPE, **more)


def folder_of(process: subprocess.Popen[bytes]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().decode().strip())


def until_over(folder: Path, within: float = 10.0) -> Mapping[str, Any]:
    deadline = time.monotonic() + within
    while liveness.alive(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    return read(folder / "journal.jsonl")[-1]["data"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_front_dies_and_the_run_goes_on(bench: Bench, number: signal.Signals) -> None:
    process = front(bench, "long")
    folder = folder_of(process)
    bench.until(folder, "note", "on")
    process.send_signal(number)
    process.wait(5)
    process.stdout.close()  # type: ignore[union-attr]
    time.sleep(0.3)  # nothing is to happen in this time
    assert bench.server.on
    assert client.status(folder) is not None
    assert client.stop(folder)
    assert until_over(folder)["bench"] == "aborted"
    assert not bench.server.on


def test_front_dies_with_hangup_stop(bench: Bench) -> None:
    process = front(bench, "long", "stop")
    folder = folder_of(process)
    bench.until(folder, "note", "on")
    began = time.monotonic()
    process.kill()
    process.wait(5)
    process.stdout.close()  # type: ignore[union-attr]
    off_after(bench, began, OFF_WITHIN)
    assert until_over(folder)["exit_code"] == 130


def test_ctrl_c_on_a_terminal(bench: Bench) -> None:
    """The terminal's interrupt reaches the front only; exit code and record are the run's."""
    leader, follower = pty.openpty()
    process = front(bench, "long", start_new_session=True, stdin=follower, preexec_fn=_take_terminal)
    os.close(follower)
    try:
        folder = folder_of(process)
        bench.until(folder, "note", "on")
        began = time.monotonic()
        os.write(leader, b"\x03")
        off_after(bench, began, OFF_WITHIN)
        assert process.wait(10) == 130
        assert read(folder / "journal.jsonl")[-1]["data"]["by"] == "runner"
    finally:
        process.stdout.close()  # type: ignore[union-attr]
        os.close(leader)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_bench_safe_interrupts_the_run(bench: Bench) -> None:
    handle = bench.start("blocks")
    bench.until(handle.folder, "note", "on")
    began = time.monotonic()
    reports = client.safe(["lab"], config=bench.config, home=bench.folder)
    off_after(bench, began, OFF_WITHIN)
    assert [(report.station, report.safe, report.by) for report in reports] == [("lab", True, "supervisor")]
    events = ended(handle, 130)
    assert events_of(events, "control")[0]["op"] == "safe"
    assert "@" in events_of(events, "control")[0]["by"]


def test_bench_safe_kills_a_supervisor_that_does_not_answer(bench: Bench) -> None:
    handle = bench.start("long")
    bench.until(handle.folder, "note", "on")
    os.kill(handle.pid, signal.SIGSTOP)
    began = time.monotonic()
    reports = client.safe(["lab"], config=bench.config, home=bench.folder)
    off_after(bench, began, OFF_WITHIN + 0.5)
    assert [(report.safe, report.by) for report in reports] == [(True, "client")]
    assert handle.wait(5) == 3
    events = read(handle.folder / "journal.jsonl")
    assert events[-1]["type"] == "run-end"
    assert events_of(events, "safe")[0]["by"].startswith("client ")


def test_pidfd_of_a_reaped_front_is_no_trouble(bench: Bench) -> None:
    handle = bench.start("quick")
    assert handle.wait(10) == 0
    handle.interrupt()
    assert handle.wait(0) == 0


@pytest.mark.parametrize("after", [0.03, 0.08, 0.12, 0.2, 0.3])
def test_ctrl_c_while_the_run_begins_leaves_nothing(bench: Bench, after: float) -> None:
    """The front does not relay yet: KeyboardInterrupt anywhere in it, imports included."""
    code = "\n".join(line for line in FRONT.splitlines() if "signal" not in line)
    command = [sys.executable, "-c", code, str(bench.config), str(bench.folder), f"{RECIPES}:long", "stop"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    time.sleep(after)  # the moment is what is tested
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    deadline = time.monotonic() + 5
    runs = bench.folder / "runs"
    while any(run.state == "running" for run in client.runs(runs)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [run.state for run in client.runs(runs)] in ([], ["aborted"])
    assert not bench.server.on
