"""bench discover: with the simulated bench up it writes a bench.toml with which the main job passes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Bench

MAIN_JOB = "bootstrap-to-operational"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.station.discovery.at.ANSWER", 0.2)


@pytest.fixture
def up(bench: Bench) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "bench.cli.main", "sim", "up", "--clock", "instant", "--json"]
    environment = {**os.environ, "BENCH_HOME": str(bench.home), "BENCH_CONFIG": ""}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith(b"{")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)
        process.stdout.close()


def test_the_written_bench_toml_runs_the_main_job(bench: Bench, up: subprocess.Popen[bytes], tmp_path: Path) -> None:
    told = bench.json("discover", "--write", str(bench.toml))
    assert told["code"] == 0
    (world,) = told["worlds"]
    assert {item["driver"] for item in world["instruments"]} == {"keysight-e36300", "rs-cmw500"}
    text = bench.toml.read_text()
    assert text == told["bench_toml"] and "world = " not in text
    # The file names addresses: the run starts no world of its own.
    run = bench.json("run", MAIN_JOB, "--station", "sim-up")
    assert (run["code"], run["verdict"]) == (0, "pass"), run["errors"]
    journal = (Path(run["folder"]) / "journal.jsonl").read_text().splitlines()
    assert '"service-start"' in "".join(journal) and not [line for line in journal if '"name": "world"' in line]
    assert run["simulated"] is True
    # And the doctor finds nothing wrong with it.
    well = bench.json("doctor", "--station", "sim-up")
    assert well["ok"] is True, [item for item in well["checks"] if item["state"] == "fail"]
    names = {item["name"]: item["state"] for item in well["checks"]}
    assert names["sim-up power"] == names["sim-up power rail"] == names["sim-up network"] == "ok"
    assert (names["sim-up modem"], names["sim-up path"]) == ("unknown", "unknown")  # the device is off


def test_a_file_that_is_there_stays(bench: Bench, tmp_path: Path) -> None:
    there = tmp_path / "mine.toml"
    there.write_text("# mine\n")
    for target in (there, tmp_path / "link.toml"):
        if target != there:
            target.symlink_to(tmp_path / "nowhere")
        refused = bench.call("discover", "--no-at", "--write", str(target))
        assert refused.exit_code != 0
        assert "there is such a file already" in str(refused.exception)
    assert there.read_text() == "# mine\n"
    assert not (tmp_path / "nowhere").exists()


def test_an_announcement_and_hosts_as_given(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "up.json"
    power = {"resource": "TCPIP::127.0.0.1::1::SOCKET"}
    file.write_text(json.dumps({"stations": {"far": {"power": power}}, "clock": "/c"}))
    told = bench.json("discover", "--no-at", "--sim", str(file), "--host", "127.0.0.1:1")
    assert told["worlds"][0]["station"] == "far"
    assert told["instruments"] == []
    assert "[stations.far-up]" in told["bench_toml"]
    assert bench.call("discover", "--no-at", "--host", "a:b").exit_code != 0
    assert bench.call("discover", "--no-at", "--voltage", "5").exit_code != 0
    people = bench.call("discover", "--no-at").output
    assert "not asked" in people or "port" in people


def test_a_wrong_bench_toml_keeps_nobody_from_discovering(bench: Bench) -> None:
    bench.configure("[stations.x]\npwer = 1\n")
    found = bench.call("discover", "--no-at", "--no-cards")
    assert found.exit_code == 0
    assert "going on without it" in found.stderr
