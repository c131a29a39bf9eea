"""Conditions in the simulated world: relative to steps, to what the modem says, and servers that cannot be reached."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bench.errors import ConfigurationError, InstrumentError
from bench.reproduce.conditions import Condition, Moment
from fixtures.sim.fault_schema import check
from tests.sim.process import WorldProcess
from tests.sim.test_datagrams import ECHO, data_path


def done(world: WorldProcess, name: str) -> int:
    return sum(entry["what"] == "fault" and entry["do"] == name for entry in world.log)


def test_a_condition_waits_for_its_step_and_comes_once(tmp_path: Path) -> None:
    faults = '[{"do": "nat-forget", "step": "download*"}, {"do": "cell-off", "step": "switch", "at": 2.0}]'
    with WorldProcess(tmp_path, "--profile", "unit", "--faults", faults) as world:
        assert done(world, "nat-forget") == 0
        for path in ("start-state", "download", "download/poll", "download"):
            assert world.ask("step", path=path)["ok"]
        assert done(world, "nat-forget") == 1
        assert world.ask("step", path="switch")["ok"]
        armed = [entry for entry in world.log if entry["what"] == "armed" and entry["do"] == "cell-off"]
        assert [entry["seconds"] for entry in armed] == [2.0]
        assert [entry["path"] for entry in world.log if entry["what"] == "step"] == ["download", "switch"]
        assert world.ask("disarm")["ok"]


def test_a_condition_follows_what_the_modem_says(tmp_path: Path) -> None:
    faults = '[{"do": "nat-forget", "at": "log", "what": "emm", "like": {"state": "REGIS*"}}]'
    with WorldProcess(tmp_path, "--profile", "unit", "--clock", "scaled:50", "--faults", faults) as world:
        world.registered()
        world.wait("the fault", lambda _: done(world, "nat-forget") == 1)


def test_a_condition_after_a_line_comes_at_a_moment_of_its_interval(tmp_path: Path) -> None:
    """Every moment that a scenario may name is one that the world plays; a delay of the condition's own stays."""
    late = Condition(
        "slow", "link-delay", {"delay": 0.25}, Moment(log="emm", match={"state": "REGISTERED"}, after=(3.0, 9.0))
    )
    faults = json.dumps([late.fault()])
    moments = set()
    for seed in ("1", "2"):
        options = ("--clock", "scaled:50", "--seed", seed, "--faults", faults)
        with WorldProcess(tmp_path / seed, *options) as world:
            world.registered()
            world.wait("the fault", lambda _, world=world: done(world, "link-delay") == 1)
            registered = next(entry["t_ns"] for entry in world.log if entry.get("state") == "REGISTERED")
            moment = next((entry["t_ns"] - registered) / 1e9 for entry in world.log if entry["what"] == "fault")
            assert 3.0 <= moment <= 9.0
            moments.add(round(moment, 3))
    assert len(moments) == 2


@pytest.mark.parametrize("moment", [[3.0], [9.0, 3.0], [-1.0, 3.0], ["a", 2]])
def test_an_interval_goes_from_a_moment_to_a_later_one(moment: object) -> None:
    check({"do": "link-delay", "delay": 0.1, "at": "log", "what": "emm", "later": [0.0, 3.0]})
    check({"do": "link-cut", "at": "log", "what": "emm", "delay": 3.0})
    with pytest.raises(ConfigurationError, match="later"):
        check({"do": "link-cut", "at": "log", "what": "emm", "later": moment})


def test_a_blocked_server_is_not_reached_and_later_is(tmp_path: Path) -> None:
    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, path):
            with clock.busy():
                world.ask("fault", do="link-block", name="other.example")
            stream = await path.connect(ECHO, 7, timeout=10)
            await stream.close()
            with clock.busy():
                world.ask("fault", do="link-block", name=ECHO, apn="nobody")
            stream = await path.connect(ECHO, 7, timeout=10)
            with clock.busy():
                world.ask("fault", do="link-block", name=ECHO, seconds=60.0)
            await stream.close()
            with pytest.raises(InstrumentError, match="lets nothing through"):
                await path.connect(ECHO, 7, timeout=10)
            await clock.sleep(61)
            stream = await path.connect(ECHO, 7, timeout=10)
            await stream.close()

    with WorldProcess(tmp_path, "--profile", "unit") as world:
        asyncio.run(main(world))
        assert any(entry["what"] == "link-refused" for entry in world.log)


@pytest.mark.parametrize("step", ["", 5, None, ["x"]])
def test_a_step_is_a_text(step: object) -> None:
    check({"do": "link-cut", "step": "switch/*"})
    with pytest.raises(ConfigurationError, match="step"):
        check({"do": "link-cut", "step": step})
