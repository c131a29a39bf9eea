"""``bench record`` and ``bench trace repair``: a recording is a run; passive touches nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import Bench

from bench.client import follow
from bench.run.reader import read as events
from bench.trace import read, repair

pytestmark = pytest.mark.timeout(180)
PROGRAM = [sys.executable, "-m", "bench.cli.main"]


@contextmanager
def recording(bench: Bench, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "BENCH_HOME": str(bench.home), "BENCH_CONFIG": ""}
    given = ["--config", str(bench.toml)] if bench.toml.exists() else []
    process = subprocess.Popen(
        [*PROGRAM, *given, "record", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def folder_of(bench: Bench, process: subprocess.Popen[str]) -> Path:
    limit = time.monotonic() + 60
    while time.monotonic() < limit and process.poll() is None:
        for folder in (bench.home / "runs").glob("2*"):
            if (folder / "run.json").exists():
                return folder
        time.sleep(0.01)
    raise AssertionError("no run folder")


def wait_for(folder: Path, kind: str, step: str) -> None:
    for event in follow(folder):
        if event["type"] == kind and event["step"] == step:
            return
        assert event["type"] != "run-end", event
    raise AssertionError(kind)


def test_a_recording_ends_by_ctrl_c_and_is_a_run_like_every_other(bench: Bench) -> None:
    with recording(bench, "--clock", "scaled:20", "--json") as process:
        folder = folder_of(bench, process)
        wait_for(folder, "step-start", "record")
        os.kill(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, (out, errors)
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert (found["verdict"], found["recipe"]) == ("pass", "record")
    lanes: Mapping[str, int] = found["recorded"]["lanes"]
    assert {"at:modem", "scpi:power", "scpi:network", "steps", "power"} <= set(lanes)
    assert not {"apdu:card", "esipa"} & set(lanes), "nothing is said to a card, no server runs"
    told = events(folder / "journal.jsonl")
    assert {event["data"]["name"] for event in told if event["type"] == "safe"} == {"network.off", "power.off"}
    assert all(event["data"]["verified"] for event in told if event["type"] == "safe")
    assert bench.json("trace", "repair", str(folder / "trace.pcapng"))["dropped"] == 0


def test_passive_touches_nothing(bench: Bench) -> None:
    """On instruments that outlive the recording: what was on stays on, and nobody was told anything."""
    environment = {**os.environ, "BENCH_HOME": str(bench.home), "BENCH_CONFIG": ""}
    world = subprocess.Popen(
        [*PROGRAM, "sim", "up", "--clock", "real", "--json"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert world.stdout is not None
        announced = json.loads(world.stdout.readline())
        station = announced["stations"]["sim"]
        power = station["power"]["resource"]
        bench.configure(
            f"""[stations.passive]
clock = "unix:{announced["clock"]}"
simulated = true
safe = ["network.off", "power.off"]
network = {{ driver = "rs-cmw500", resource = "{station["network"]["resource"]}" }}
modem = {{ driver = "at-modem", port = "{station["modem"]["port"]}", port_needs_power = true }}
card = {{ at = "modem" }}
[stations.passive.power]
driver = "keysight-e36300"
resource = "{power}"
voltage = 3.8
voltage_max = 4.3
current_limit = 2.0
"""
        )
        _scpi(power, "VOLT 3.8,(@1)", "CURR 2,(@1)", "OUTP ON,(@1)")
        log = Path(announced["log"])
        before = log.stat().st_size
        with recording(bench, "--station", "passive", "--passive", "--for", "1", "--json") as process:
            out, errors = process.communicate(timeout=90)
        assert process.returncode == 0, (out, errors)
        found = json.loads(out.splitlines()[-1])
        assert set(found["recorded"]["lanes"]) == {"scpi:power", "power", "steps"}
        assert _scpi(power, "OUTP? (@1)") == "1", "on as it was"
        sent = [packet for packet in read(Path(found["recorded"]["trace"])) if packet.lane == "scpi:power"]
        asked = [packet.data.strip() for packet in sent if packet.direction == 0]
        assert asked
        assert all(line.split(b" ")[0].endswith(b"?") for line in asked), asked
        told = [json.loads(line) for line in log.read_bytes()[before:].splitlines()]
        assert not [entry for entry in told if entry["what"] in ("output", "cell", "at-command")], told
        assert not [event for event in events(Path(found["folder"]) / "journal.jsonl") if event["type"] == "safe"]
    finally:
        world.terminate()
        world.wait(30)
        assert world.stdout is not None
        world.stdout.close()


def _scpi(resource: str, *lines: str) -> str:
    """Send lines to a simulated instrument; return the answer of the last, or to *OPC? when it asks nothing."""
    host, port = resource.split("::")[1:3]
    asking = lines if "?" in lines[-1] else (*lines, "*OPC?")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("".join(f"{line}\n" for line in asking).encode())
        with connection.makefile("rb") as stream:
            return stream.readline().decode().strip()


def test_repair_tells_what_it_cut_and_leaves_strangers_alone(bench: Bench, tmp_path: Path) -> None:
    from bench.trace import Direction, TraceWriter

    path = tmp_path / "t.pcapng"
    with TraceWriter.open(path, run_id="r") as writer:
        writer.lane("at:m").record(Direction.SENT, b"AT\r")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[-40:-7])
    answer = bench.call("trace", "repair", str(path))
    assert answer.exit_code == 0
    assert "33 bytes of a torn record dropped, 1 packets kept" in answer.output
    assert path.read_bytes() == whole
    assert repair(path).dropped == 0
    stranger = tmp_path / "letter.txt"
    stranger.write_text("Dear sir,\n" * 20)
    answer = bench.call("trace", "repair", str(stranger))
    assert answer.exit_code != 0
    assert stranger.read_text().startswith("Dear sir")
    assert "repair" in bench.call("trace", "--help").output
    assert bench.call("trace", "nonsense").exit_code == 2
