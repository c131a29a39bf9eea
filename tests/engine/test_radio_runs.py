"""Radio measurements of a whole run on the simulated station: on their lane, true, and absent where a step forbids."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import client
from bench.run import liveness
from bench.station.interfaces import measurement, signal_at
from bench.trace import clocks
from bench.trace.lane import Direction
from bench.trace.reader import TraceReader

from .double import RECIPES


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


def test_a_run_measures_and_a_step_forbids_it(home: Path) -> None:
    handle = client.start(f"{RECIPES}:leaves_alone", "sim", (), client.StartOptions())
    events = list(client.follow(handle.folder))
    assert handle.wait(30) == 0, events[-3:]
    # The modem had no power when the station was opened: who it is stands where it told it, and in the end everywhere.
    told = {event["data"]["name"]: event for event in events if event["type"] == "identity"}
    manifest = json.loads((handle.folder / "run.json").read_text())
    modem = manifest["instruments"]["modem"]
    assert modem["identity"].startswith("Quectel/EG25/") and modem["firmware"]
    assert told["modem"]["data"]["value"] == manifest["identities"]["modem"] == modem["identity"]
    assert told["modem firmware"]["data"]["value"] == manifest["identities"]["modem firmware"] == modem["firmware"]
    assert told["power firmware"]["data"]["value"] == manifest["instruments"]["power"]["firmware"]

    reader = TraceReader(handle.folder / "trace.pcapng")
    packets = reader.poll()
    descriptions = {item.name: item.description for item in reader.section.interfaces}
    stated = clocks.parse(descriptions["radio"])
    assert stated is not None and stated.uncertainty > 0

    found = [item for packet in packets if packet.lane == "radio" and (item := measurement.read(packet.data))]
    levels = [item for item in found if item.measured]
    assert {(item.rat, item.plmn, item.rsrp, item.cell_id) for item in levels} == {("LTE", "00101", -85.0, 0x10101)}
    assert [item.seq for item in found] == list(range(1, len(found) + 1))
    assert any(item.src == "urc:+CEREG" and item.reg == 1 for item in found)

    marks = {}
    for index, packet in enumerate(packets):
        if packet.lane == "steps":
            step = json.loads(packet.data)
            marks[step["step"], packet.direction] = index
    asleep = packets[marks["asleep", Direction.SENT] : marks["asleep", Direction.RECEIVED]]
    assert [
        packet.comment for packet in asleep if packet.lane == "at:modem" and packet.direction is Direction.SENT
    ] == []
    said = [packet.comment for packet in packets if packet.lane == "radio" and b"radio.polling/1" in packet.data]
    assert said == ["the modem is not asked: step asleep", "the modem is asked again"]
    awake = packets[marks["awake", Direction.SENT] : marks["awake", Direction.RECEIVED]]
    assert sum("QENG" in packet.comment for packet in awake if packet.lane == "at:modem") >= 3
    at_the_end = signal_at(found, packets[-1].time_ns)
    assert at_the_end is not None and at_the_end.rsrp == -85.0
