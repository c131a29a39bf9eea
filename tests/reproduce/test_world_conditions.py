"""Conditions in the simulated world: relative to steps, to what the modem says, and servers that cannot be reached."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.errors import ConfigurationError, InstrumentError
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
