"""Runs on the simulated station: the world is started by the run and outlives whoever started it until it is safe."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import client
from bench.run import liveness
from bench.run.reader import read

from .double import RECIPES, events_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for folder in (tmp_path / "runs").glob("2*"):
        owner = liveness.owner(folder)
        if liveness.alive(folder):
            with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
                os.kill(int(owner["pid"]), signal.SIGKILL)


def start(recipe: str, *parameters: str, **options: Any) -> client.RunHandle:
    return client.start(f"{RECIPES}:{recipe}", "sim", parameters, client.StartOptions(clock="real", **options))


def until(folder: Path, kind: str, text: str = "") -> Mapping[str, Any]:
    for event in client.follow(folder):
        if event["type"] == kind and text in json.dumps(event["data"]):
            found: Mapping[str, Any] = event["data"]
            return found
    raise AssertionError(f"no {kind}")


def gone(*pids: int, within: float = 5.0) -> bool:
    deadline = time.monotonic() + within
    while any(_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(_running(pid) for pid in pids)


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def output_on(resource: str) -> bool:
    host, port = resource.split("::")[1:3]
    with socket.create_connection((host, int(port)), timeout=2) as connection:
        connection.sendall(b"OUTP? (@1)\n")
        return connection.makefile().readline().strip() == "1"


def test_run_on_the_simulated_station_is_marked_and_leaves_no_process(home: Path) -> None:
    handle = start("quick", "volts=0", seed=7, label="mine")
    events = list(client.follow(handle.folder))
    assert handle.wait(10) == 0
    world = events_of(events, "service-start")[0]
    assert world["name"] == "world"
    assert events_of(events, "service-stop")[0]["exit_code"] == 0
    assert events_of(events, "run-start")[0]["simulated"] is True
    manifest = json.loads((handle.folder / "run.json").read_text())
    assert (manifest["simulated"], manifest["seed"], manifest["label"]) == (True, 7, "mine")
    assert manifest["instruments"]["power"]["simulated"] is True
    assert [data["name"] for data in events_of(events, "safe")] == ["network.off", "power.off"]
    assert gone(world["pid"])


def test_killed_runner_the_world_lives_until_its_supply_is_off(home: Path) -> None:
    handle = start("long")
    world = until(handle.folder, "service-start", '"world"')
    until(handle.folder, "note", "on")
    resource = world["announcement"]["stations"]["sim"]["power"]["resource"]
    assert output_on(resource)
    status = client.status(handle.folder)
    assert status is not None
    began = time.monotonic()
    os.kill(status.runner, signal.SIGKILL)
    assert handle.wait(10) == 3
    assert time.monotonic() - began < 4
    events = read(handle.folder / "journal.jsonl")
    safe = events_of(events, "safe")
    assert [(data["name"], data["verified"], data["by"]) for data in safe] == [
        ("network.off", True, "supervisor"),
        ("power.off", True, "supervisor"),
    ]
    assert gone(world["pid"])


def test_world_that_dies_is_a_named_bench_error(home: Path) -> None:
    handle = start("long")
    world = until(handle.folder, "service-start", '"world"')
    until(handle.folder, "note", "on")
    began = time.monotonic()
    os.kill(world["pid"], signal.SIGKILL)
    assert handle.wait(30) == 3
    assert time.monotonic() - began < 4
    events = read(handle.folder / "journal.jsonl")
    assert any("service world ended with exit code -9" in data["what"] for data in events_of(events, "error"))
    assert events_of(events, "run-end")[0]["device"] == "inconclusive"


def test_services_end_when_supervisor_and_runner_are_both_killed(home: Path) -> None:
    handle = start("long")
    world = until(handle.folder, "service-start", '"world"')
    until(handle.folder, "note", "on")
    status = client.status(handle.folder)
    assert status is not None
    os.kill(handle.pid, signal.SIGSTOP)
    os.kill(status.runner, signal.SIGKILL)
    os.kill(handle.pid, signal.SIGKILL)
    handle.wait(5)
    assert gone(world["pid"]), "the world outlived everybody who could end it"
    reports = client.safe()
    assert [report.safe for report in reports] == [True]
    assert "simulated world is gone" in reports[0].message


def test_control_socket_answers_nonsense_and_lives(home: Path) -> None:
    handle = start("long")
    until(handle.folder, "note", "on")
    path = handle.folder / "control"
    for line in (
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"op": "answer"}\n',
        b"\xff\xfe\n",
        b'{"op": ["x"]}\n',
        b"[" * 5000 + b"\n",
    ):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(path.resolve()))
            connection.sendall(line + b"\n")
            assert "error" in json.loads(connection.makefile().readline())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(str(path.resolve()))
        connection.sendall(b"x" * 100_000)
        assert connection.recv(10) == b""
    assert client.status(handle.folder) is not None
    assert client.stop(handle.folder)
    assert handle.wait(10) == 130


def test_start_says_what_is_wrong_with_names_and_options(home: Path) -> None:
    from bench.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="no station 'smi'"):
        client.start("power-cycle-and-register", "smi")
    with pytest.raises(ConfigurationError, match="is no clock"):
        client.start("power-cycle-and-register", "sim", (), client.StartOptions(clock="fast"))
    with pytest.raises(ConfigurationError, match="no recipe 'power-cycle'"):
        client.start("power-cycle", "sim")


def test_unknown_option_of_the_world_is_told_before_anything_starts(home: Path) -> None:
    from bench.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="no option 'gravity'"):
        start("quick", world={"gravity": 9.81})
    assert not list(home.rglob("run.json"))
