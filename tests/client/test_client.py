"""The client on files and sockets of its own; runs in processes are tested with the engine."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import client
from bench.errors import BenchError, ConfigurationError
from bench.run import folder as places
from bench.run import liveness, unsafe
from bench.run.journal import Journal


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A run folder whose supervisor is this process."""
    folder = places.create(tmp_path / "runs", "lab")
    places.write_manifest(folder, {"run": folder.name, "recipe": "r", "station": "lab", "started": "2026"})
    journal = Journal.open(folder / places.JOURNAL, background=False)
    journal.write("run-start", {"schema": 1})
    journal.close()
    fd = liveness.hold(folder)
    try:
        yield folder
    finally:
        os.close(fd)


def serving(folder: Path, answer: Callable[[Mapping[str, Any]], Any]) -> list[Mapping[str, Any]]:
    """Answer one request at the control socket; returns the list the request is put into."""
    requests: list[Mapping[str, Any]] = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(places.socket_path(folder, places.CONTROL)))
    server.listen()

    def serve() -> None:
        connection, _ = server.accept()
        with connection, server:
            requests.append(json.loads(connection.makefile().readline()))
            reply = answer(requests[-1])
            if reply is not None:
                connection.sendall(json.dumps(reply).encode() + b"\n")

    threading.Thread(target=serve, daemon=True).start()
    return requests


def test_status_and_stop_ask_the_supervisor(run: Path) -> None:
    told = {"run": "r", "pid": 7, "runner": 8, "phase": "running", "heartbeat_age": 0.1, "question": {}}
    serving(run, lambda request: told)
    status = client.status(run)
    assert status == client.RunStatus("r", 7, 8, "running", 0.1, {})
    requests = serving(run, lambda request: {"ok": True})
    assert client.stop(run, reason="why", at_once=True)
    assert (requests[0]["op"], requests[0]["reason"], requests[0]["at_once"]) == ("stop", "why", True)
    assert "@" in requests[0]["by"]


def test_refusals_and_silence_are_errors(run: Path) -> None:
    serving(run, lambda request: {"error": "there is no request 'x'"})
    with pytest.raises(BenchError, match="no request"):
        client.status(run)
    serving(run, lambda request: None)
    with pytest.raises(BenchError, match="does not answer"):
        client.status(run)
    places.remove_socket(run, places.CONTROL)
    with pytest.raises(BenchError, match="cannot be asked"):
        client.stop(run)


def test_a_run_that_ended_cannot_be_asked(tmp_path: Path) -> None:
    folder = places.create(tmp_path, "lab")
    with pytest.raises(ConfigurationError, match="no run folder"):
        client.stop(folder)
    places.write_manifest(folder, {"run": folder.name})
    assert client.status(folder) is None
    assert client.stop(folder) is False
    assert client.answer(folder, 1, "yes") is False


def test_answers_say_whether_they_came_in_time(run: Path) -> None:
    requests = serving(run, lambda request: {"ok": False})
    assert client.answer(run, 3, "yes") is False
    assert (requests[0]["id"], requests[0]["choice"]) == (3, "yes")


def test_stale_runs_without_a_plan_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash before anything was switched, and one whose simulated world is gone, need nobody to switch anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    folders = []
    for plan in (None, {"actions": [{"name": "power.off"}], "world": {"pid": 2**22 + 1, "start": 5}}):
        folder = places.create(tmp_path / "runs", "sim")
        places.write_manifest(folder, {"run": folder.name, "station": "sim"})
        journal = Journal.open(folder / places.JOURNAL, background=False)
        journal.write("verdict", {"device": "fail", "reason": "it did"})
        journal.close()
        if plan is not None:
            places.write_json(folder / places.PLAN, plan)
        unsafe.mark(folder)
        folders.append(folder)
    assert client.stale(tmp_path / "runs") == folders
    reports = client.safe()
    assert [(report.station, report.safe, report.by) for report in reports] == [("sim", True, "client")] * 2
    assert "nothing had been switched" in reports[0].message
    assert "simulated world is gone" in reports[1].message
    assert client.stale(tmp_path / "runs") == []
    for folder in folders:
        end = client.journal(folder)[-1]
        assert (end["type"], end["data"]["device"], end["data"]["exit_code"]) == ("run-end", "fail", 3)


def test_free_simulated_station_has_nothing_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    (report,) = client.safe(["sim"])
    assert report.safe
    assert "does not run" in report.message
    assert client.safe() == []
    with pytest.raises(ConfigurationError, match="no station 'smi'"):
        client.safe(["smi"])


def test_recipes_are_listed_without_import_and_described() -> None:
    assert ("power-cycle-and-register", "recipes.power_cycle_and_register:power_cycle_and_register") in client.recipes()
    info = client.recipe("power-cycle-and-register")
    assert info.summary == "Remove power until the rail is dead, restore it, and require registration."
    hold, within, kind = info.parameters
    assert (hold.name, hold.kind, hold.unit, hold.default, hold.lower, hold.upper) == (
        "hold",
        "float",
        "s",
        2.0,
        0.5,
        900,
    )
    assert within.default == "from RAT"
    assert within.describe() == "number, in s, 1 to 3600, default from RAT"
    assert (kind.name, kind.default) == ("kind", "hard")


def test_journal_of_no_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no run folder"):
        client.journal(tmp_path)
