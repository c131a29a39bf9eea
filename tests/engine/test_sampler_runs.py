"""Power samples of whole runs: their files, their figures, and what a killed runner leaves of them."""

from __future__ import annotations

import json
import os
import signal
import time

from waiting import wait_for

from bench.run.samples import read

from .conftest import Bench
from .double import events_of


def test_a_run_leaves_samples_their_figures_and_its_report(bench: Bench) -> None:
    code, events, folder = bench.run("quick")
    assert code == 0
    result = json.loads((folder / "result.json").read_text())
    power = result["power"]["supply"]
    assert power["samples"] >= 1
    assert power["interval_s"] == 1.0
    header = json.loads((folder / "power-supply.json").read_text())
    assert header["supply"]["identity"].startswith("Double/Supply/D1")
    page = (folder / "report.html").read_text()
    assert folder.name in page
    assert "✔ pass" in page
    assert events_of(events, "run-end")[0]["exit_code"] == 0


def test_sample_0_takes_none(bench: Bench) -> None:
    text = bench.config.read_text().replace("voltage = 3.8", "voltage = 3.8\nsample = 0.0")
    bench.config.write_text(text)
    code, _, folder = bench.run("quick")
    assert code == 0
    assert not list(folder.glob("power-*"))
    assert "power" not in json.loads((folder / "result.json").read_text())


def test_a_killed_runner_leaves_its_samples_and_gets_its_report(bench: Bench) -> None:
    handle = bench.start("long")
    bench.until(handle.folder, "note")
    deadline = time.monotonic() + 10
    while not (handle.folder / "power-supply.f32").exists() or not read(handle.folder / "power-supply.f32").times:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(bench.runner(handle.folder), signal.SIGKILL)
    assert handle.wait(15) == 3
    assert read(handle.folder / "power-supply.f32").times
    page = wait_for(handle.folder / "report.html")  # by a process of its own: it may come after the exit
    assert "killed by SIGKILL" in page
    assert "bench-error" in page
