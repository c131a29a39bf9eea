"""Runs that share a supply, and hands that are not theirs, on a simulated bench that is up."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import client
from bench.run import liveness

RECIPES = '''
from bench.engine.recipe import recipe
from bench.engine.station import Station

@recipe(title="Cycles", needs=("power",))
async def cycles(station: Station, count: int = 2) -> None:
    """Switch the channel off and on, and measure it."""
    for number in range(count):
        async with station.step(f"cycle-{number}") as step:
            await station.power.cycle(hold=0.2)
            await station.clock.sleep(0.3)
            step.measure("volts", (await station.power.measure()).voltage, unit="V", lower=3.6, upper=3.9)

@recipe(title="On for long", needs=("power",))
async def on_for_long(station: Station) -> None:
    """Switch on and wait."""
    async with station.step("on"):
        await station.power.set_output(True)
        print("on")
        await station.clock.sleep(60)
'''
TOML = """
[instruments.psu1]
driver = "{driver}"
resource = "{resource}"
serial = "{serial}"
[stations.a]
power = {{ instrument = "psu1", channel = 1, voltage = 3.8, current_limit = 1.0, voltage_max = 4.3, sample = 0.1 }}
[stations.b]
power = {{ instrument = "psu1", channel = 2, voltage = 3.7, current_limit = 0.9, voltage_max = 4.3, sample = 0.1 }}
"""


class Up:
    """A simulated world in a process, and a bench.toml of two stations on its supply."""

    def __init__(self, folder: Path, supply: str = "e36312a", driver: str = "keysight-e36300") -> None:
        command = [sys.executable, "-m", "fixtures.sim", "up", "--home", str(folder), "--clock", "real", "--json"]
        self.process = subprocess.Popen([*command, "--supply", supply], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.announcement: Mapping[str, Any] = told
        self.resource = next(iter(told["stations"].values()))["power"]["resource"]
        self.host, self.port = self.resource.split("::")[1], int(self.resource.split("::")[2])
        serial = self.ask("*IDN?").split(",")[2]
        self.toml = folder / "bench.toml"
        self.toml.write_text(TOML.format(driver=driver, resource=self.resource, serial=serial))
        self.recipes = folder / "sharing_recipes.py"
        self.recipes.write_text(RECIPES)
        self.handles: list[client.RunHandle] = []

    def ask(self, *lines: str) -> str:
        """Send lines as somebody else's program would, over a connection of its own; return the last answer."""
        with socket.create_connection((self.host, self.port), timeout=5) as connection:
            stream = connection.makefile("rwb")
            answer = ""
            for line in lines:
                stream.write(line.encode() + b"\n")
                stream.flush()
                if "?" in line:
                    answer = stream.readline().decode().strip()
            return answer

    def start(self, recipe: str, station: str, *parameters: str) -> client.RunHandle:
        handle = client.start(
            f"{self.recipes}:{recipe}", station, parameters, client.StartOptions(config=self.toml, attended=False)
        )
        self.handles.append(handle)
        return handle

    def close(self) -> None:
        for handle in self.handles:
            if handle.wait(0) is None and liveness.alive(handle.folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(handle.pid, signal.SIGKILL)
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def until_on(handle: client.RunHandle) -> None:
    for event in client.follow(handle.folder):
        if event["type"] == "log" and event["data"]["text"] == "on":
            return
    raise AssertionError("the run ended before its output was on")


@pytest.fixture
def up(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))
    found = Up(tmp_path, *getattr(request, "param", ()))
    try:
        yield found
    finally:
        found.close()


# The Rigol serves one client only, and has one selected channel for all.
@pytest.mark.parametrize("up", [("e36312a", "keysight-e36300"), ("dp832", "rigol-dp800")], indirect=True)
def test_two_stations_on_two_channels_of_one_supply_run_at_once(up: Up) -> None:
    handles = [up.start("cycles", name) for name in ("a", "b")]
    events = [list(client.follow(handle.folder)) for handle in handles]
    assert [handle.wait(20) for handle in handles] == [0, 0], [events[0][-3:], events[1][-3:]]
    spans = [(found[0]["mono_ns"], found[-1]["mono_ns"]) for found in events]
    assert max(begin for begin, _ in spans) < min(end for _, end in spans)  # at once, not one after the other
    # Each saw its own channel's volts, never the other's.
    for found, wanted in zip(events, (3.8, 3.7), strict=True):
        volts = [it["data"]["value"] for it in found if it["type"] == "measurement" and it["data"]["name"] == "volts"]
        assert len(volts) == 2
        assert all(abs(value - wanted) < 0.05 for value in volts), volts
    log = [json.loads(line) for line in Path(up.announcement["log"]).read_text().splitlines()]
    switched = [(item["channel"], item["on"]) for item in log if item.get("event", item.get("what")) == "output"]
    assert dict(switched) == {1: False, 2: False}, log[-5:]


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        (("VOLT 3.0,(@1)",), "the voltage of psu1 channel 1 is 3 V, 3.8 V were programmed"),
        (("sample = 0", "VOLT 3.0,(@1)"), "the voltage of psu1 channel 1 is 3 V, 3.8 V were programmed"),
        (("CURR 0.2,(@1)",), "the current limit of psu1 channel 1 is 0.2 A, 1 A were programmed"),
        (("OUTP OFF,(@1)",), "the output of psu1 channel 1 is off, and no protection has tripped"),
    ],
)
def test_a_foreign_hand_makes_the_run_a_bench_error(up: Up, commands: tuple[str, ...], words: str) -> None:
    if commands[0] == "sample = 0":  # also where no samples are taken
        up.toml.write_text(up.toml.read_text().replace("sample = 0.1", "sample = 0"))
        commands = commands[1:]
    handle = up.start("on_for_long", "a")
    until_on(handle)
    up.ask(*commands, "*OPC?")
    events = list(client.follow(handle.folder))
    assert handle.wait(20) == 3
    told = [event["data"]["what"] for event in events if event["type"] == "foreign-change"]
    assert told == [words]
    assert events[-1]["data"]["bench"] == "bench-error"
    assert up.ask("OUTP? (@1)") == "0"


def test_one_channel_is_one_run_s(up: Up) -> None:
    up.toml.write_text(up.toml.read_text().replace("channel = 2", "channel = 1"))
    first = up.start("on_for_long", "a")
    until_on(first)
    second = up.start("cycles", "b")
    events = list(client.follow(second.folder))
    assert second.wait(20) == 3
    assert "channel 1 is held by" in json.dumps(events)
    client.stop(first.folder)
    assert first.wait(20) == 130
