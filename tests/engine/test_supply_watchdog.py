"""Supervisor and runner killed together: a supply with a watchdog is off by itself, one without at the next command."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from waiting import wait_for

from bench import client
from bench.client import doctor, doctor_station
from bench.engine.watchdog import SupplyWatchdog, prepare
from bench.errors import InstrumentError
from bench.report import html
from bench.run.reader import read
from bench.station import config
from bench.station.clock import RealClock
from bench.station.host import Host
from bench.station.power import PowerAbilities, Span

from .double import events_of
from .world_lab import Lab


def manifest(handle: client.RunHandle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((handle.folder / "run.json").read_text())
    return found


def doctors_findings(lab: Lab) -> dict[str, doctor.Check]:
    """What bench doctor says of the station, by name; nothing is switched."""
    bench = config.load(lab.bench.config, environment={"BENCH_HOME": str(lab.bench.folder)})
    station = bench.station("lab")

    async def asked() -> list[doctor.Check]:
        return [item async for item in doctor_station.station(station, Host())]

    return {item.name: item for item in (*doctor.held(bench, station), *asyncio.run(asked()))}


@pytest.mark.parametrize("lab", [("n6705c", "keysight-n6705c", 2)], indirect=True)
def test_with_a_watchdog_the_output_goes_off_by_itself(lab: Lab) -> None:
    handle = lab.kill_both()
    lab.world.wait("off by itself", lambda state: not state["power"]["on"], 4.0)
    assert any(entry["what"] == "watchdog" for entry in lab.world.log)
    assert manifest(handle)["host_death"] == "the output goes off by the supply's own watchdog after 2 s"
    # It is still for somebody to look at, and the next run finds neither the output on nor a trip in its way.
    assert client.stale(lab.bench.folder / "runs") == [handle.folder]
    told = doctors_findings(lab)
    assert told["lab safe"].state == "fail" and "lab power watchdog" not in told
    assert "channel 1 is off" in told["lab power rail"].text
    code, events, _ = lab.bench.run("quick", "volts=0")
    assert code == 0, events
    assert client.stale(lab.bench.folder / "runs") == []
    with lab.world.scpi() as supply:
        assert supply.ask("OUTP:PROT:WDOG?") == "0"


@pytest.mark.parametrize("lab", [("e36312a", "keysight-e36300", 2)], indirect=True)
def test_without_one_the_station_is_unsafe_and_the_next_command_turns_it_off_first(lab: Lab) -> None:
    handle = lab.kill_both()
    with pytest.raises(AssertionError, match="still on"):
        lab.world.wait("still on", lambda state: not state["power"]["on"], 1.0)
    assert manifest(handle)["host_death"] == "host death leaves the output on"
    assert client.stale(lab.bench.folder / "runs") == [handle.folder]
    assert client.runs(lab.bench.folder / "runs")[0].state == "broken"
    # Unsafe: doctor names it with its remedy, and that the supply cannot do it by itself; the report says both too.
    told = doctors_findings(lab)
    assert (told["lab safe"].state, told["lab safe"].hint) == ("fail", "bench safe lab")
    assert told["lab safe"].text == f"run {handle.folder.name} died and may have left it switched on"
    assert "channel 1 is on, 3.8" in told["lab power rail"].text
    assert told["lab power watchdog"].text == "it has no watchdog: the host's death leaves the output on"
    page = html.write(handle.folder, lab.bench.folder / "unsafe.html").read_text()
    assert "NOT VERIFIED" in page and "nothing in the record: take it as still on" in page
    assert "host death leaves the output on" in page
    assert lab.world.state()["power"]["on"]  # none of that has switched anything
    before = len(lab.world.log)
    code, _, _ = lab.bench.run("nothing")
    assert code == 5
    switched = [entry for entry in lab.world.log[before:] if entry["what"] == "output"]
    assert switched[0]["on"] is False
    assert client.stale(lab.bench.folder / "runs") == []
    assert events_of(list(read(handle.folder / "journal.jsonl")), "safe")[0]["verified"] is True
    report = wait_for(handle.folder / "report.html")  # by a process of its own
    assert "host death leaves the output on" in report


@pytest.mark.parametrize("lab", [("n6705c", "keysight-n6705c", 1)], indirect=True)
def test_a_run_outlives_its_watchdog_many_times(lab: Lab) -> None:
    code, events, _ = lab.bench.run("long", "seconds=2.6")
    assert code in (0, 5), events
    assert not any(entry["what"] == "watchdog" for entry in lab.world.log)
    assert not events_of(events, "error")
    with lab.world.scpi() as supply:
        assert supply.ask("OUTP:PROT:WDOG?;:OUTP:PON:STAT?") == "0;RST"


# --- feeding, without processes ---------------------------------------------------------------------------------------


class Fed:
    """A supply that counts its meals."""

    def __init__(self, abilities: PowerAbilities) -> None:
        self.abilities = abilities
        self.armed: list[float] = []
        self.meals = 0
        self.starts_failing = 10**6
        self.fed = asyncio.Event()

    async def arm_watchdog(self, seconds: float) -> float:
        self.armed.append(seconds)
        return seconds

    async def feed_watchdog(self) -> None:
        self.meals += 1
        self.fed.set()
        if self.meals == self.starts_failing:
            raise InstrumentError("the watchdog is no longer armed")

    async def disarm_watchdog(self) -> None:
        self.armed.append(0)

    async def trip(self) -> None:
        return None

    async def set_power_on_off(self) -> None:
        self.armed.append(-1)


def test_it_is_fed_only_while_the_supervisor_lives() -> None:
    async def run() -> None:
        supply, alive, told = Fed(PowerAbilities(watchdog=Span(0.01, 10))), [True], []
        dog = SupplyWatchdog(supply, RealClock(), alive=lambda: alive[0], warn=told.append)  # type: ignore[arg-type]
        await dog.arm(0.03)
        async with asyncio.timeout(2):
            for _ in range(4):
                supply.fed.clear()
                await supply.fed.wait()
        alive[0] = False
        assert dog._task is not None
        async with asyncio.timeout(2):
            await dog._task
        await dog.disarm()
        assert supply.armed == [0.03, 0] and not told

    asyncio.run(run())


def test_one_that_was_taken_back_is_armed_again_and_told_once() -> None:
    async def run() -> None:
        supply, told = Fed(PowerAbilities(watchdog=Span(0.01, 10))), []
        supply.starts_failing = 2
        dog = SupplyWatchdog(supply, RealClock(), alive=lambda: True, warn=told.append)  # type: ignore[arg-type]
        await dog.arm(0.03)
        async with asyncio.timeout(2):
            while supply.meals < 4:
                supply.fed.clear()
                await supply.fed.wait()
        dog.stop()
        assert supply.armed == [0.03, 0.03]
        assert len(told) == 1 and "no longer armed" in told[0]

    asyncio.run(run())


def test_what_cannot_or_must_not_be_armed_is_said() -> None:
    async def run() -> None:
        def nothing(_: str) -> None:
            raise AssertionError

        def given(supply: object, seconds: float = 20.0) -> Any:
            return prepare(supply, RealClock(), seconds, alive=lambda: True, warn=nothing)

        assert await given(object()) == (None, "host death leaves the output on")
        assert await given(Fed(PowerAbilities())) == (None, "host death leaves the output on")
        supply = Fed(PowerAbilities(watchdog=Span(1, 10), power_on_state=True))
        assert (await given(supply, 0))[1].startswith("host death leaves the output on: the watchdog is switched off")
        dog, told = await given(supply)
        assert dog is not None and told.endswith("after 10 s")  # its longest
        dog.stop()
        assert supply.armed == [-1, -1, 10]

    asyncio.run(run())
