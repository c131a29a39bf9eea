"""The drivers against the simulated world: its pty, its SCPI servers, its link, its clock."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import world_station

from bench.errors import BenchError, InstrumentError
from bench.station import config, pins, safe

EID = "89049032123451234512345678901235"


@pytest.fixture(autouse=True)
def lock_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))


@contextlib.asynccontextmanager
async def world(home, *, clock="instant", **options):
    """A simulated station, opened as any other; yields the station, its clock and its lanes."""
    built_in = config.load(environment={"BENCH_HOME": str(home)}).station("sim")
    # Driver names as entry points may be newer than the installation that runs the tests.
    built_in = replace(
        built_in.with_world(clock=clock, **options),
        modem=replace(built_in.modem, driver="instruments.modem.modem:AtModem"),
        network=replace(built_in.network, driver="instruments.network.cmw500:RsCmw500"),
    )
    async with world_station.opened(built_in, home) as made:
        yield made


def run(body):
    async def bounded():
        async with asyncio.timeout(60):
            return await body()

    return asyncio.run(bounded())


async def boot(station):
    await station.power.cycle(hold=2.0)
    await station.modem.wait_ready(timeout=60)
    await station.modem.wait_sim_ready(timeout=60)


@pytest.mark.parametrize("clock", ["instant", "scaled:40"])
def test_from_dead_to_data(tmp_path, clock):
    async def body():
        async with world(tmp_path, clock=clock) as (station, ticking, lanes):
            assert station.identities["power"].model == "E36312A"
            assert await station.power.output() is False
            assert await station.network.cell_on()
            start = ticking.now()
            cycle = await station.power.cycle(hold=2.0)
            assert cycle.off_time > 1.999
            assert 5 < await station.modem.wait_ready(timeout=60) < 40
            await station.modem.wait_sim_ready(timeout=60)
            assert station.modem.identity.manufacturer == "Quectel"
            assert station.modem.vendor.name == "quectel-eg"
            assert await pins.check_eid(station.card, station.config) == EID
            found = await station.modem.wait_registered(plmn="00101", rat="LTE", timeout=120)
            assert found.elapsed > 0
            assert await station.network.attached_imsi() == await station.modem.card_imsi() == "001010000000001"
            assert await station.modem.imsi() == "001010000000001"
            assert await station.modem.iccid() == "8900101000000000019"
            context = await station.modem.activate_pdp("bootstrap.iot")
            assert context.address and context.dns
            signal = await station.modem.signal()
            assert -140 < signal["rsrp"] < -40
            reading = await station.power.measure()
            assert reading.voltage == pytest.approx(3.8, abs=0.3) and reading.current > 0
            assert ticking.now() - start > 10
            assert {"scpi:power", "scpi:network", "at:modem", "apdu:card"} <= set(lanes)

    run(body)


def test_simulated_time_is_not_real_time(tmp_path):
    """Seven boots of about ten seconds each."""

    async def body():
        async with world(tmp_path) as (station, ticking, _):
            real, simulated = time.monotonic(), ticking.now()
            for _ in range(7):
                await boot(station)
            return ticking.now() - simulated, time.monotonic() - real

    simulated, real = run(body)
    assert simulated > 70
    assert real < 7


@pytest.mark.parametrize("reenumerate", [False, True])
def test_the_modem_goes_with_the_power_and_comes_back(tmp_path, reenumerate):
    async def body():
        async with world(tmp_path, reenumerate=reenumerate) as (station, _, _):
            await boot(station)
            await station.power.set_output(False)
            await station.power.wait_dead(timeout=10)
            with pytest.raises(BenchError, match=r"waited 3 s"):
                await station.modem.wait_ready(timeout=3)
            await boot(station)
            assert await station.modem.command("AT+CPIN?") == ["+CPIN: READY"]

    run(body)


@pytest.mark.parametrize("reenumerate", [False, True])
def test_a_reset_of_the_modem_is_survived(tmp_path, reenumerate):
    async def body():
        async with world(tmp_path, reenumerate=reenumerate) as (station, _, _):
            await boot(station)
            await station.modem.reset(timeout=90)
            assert (await station.modem.wait_registered(timeout=120)).registered

    run(body)


def test_a_card_without_a_refresh_is_reset_through_the_ladder(tmp_path):
    async def body():
        async with world(tmp_path) as (station, _, _):
            await boot(station)
            return await station.modem.refresh_card(timeout=120)

    assert run(body) == "reset"


def test_a_cell_that_goes_off_and_comes_back(tmp_path):
    async def body():
        async with world(tmp_path) as (station, _, _):
            await boot(station)
            await station.modem.wait_registered(timeout=120)
            await station.network.set_cell(False)
            assert not await station.network.cell_on()
            await station.network.set_cell(True)
            assert (await station.modem.wait_registered(timeout=300)).plmn == "00101"

    run(body)


def test_the_link_is_closed_without_a_registration(tmp_path):
    async def body():
        async with world(tmp_path) as (station, _, _):
            with pytest.raises(InstrumentError, match="refused it with 50"):
                await station.data.connect("eim.bench.example", 443, timeout=20)

    run(body)


def test_safe_switches_the_simulated_supply_off_and_sees_its_rail_die(tmp_path):
    async def body():
        async with world(tmp_path) as (station, ticking, _):
            await boot(station)
            plan = tmp_path / "plan.json"
            plan.write_text(safe.dump(station.safe_plan))
            # As when the runner is dead: its clock connection is gone, and real time runs.
            await ticking.close()
            start = time.monotonic()
            command = [sys.executable, "-m", "bench.station.safe", str(plan)]
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
            return done, time.monotonic() - start

    done, took = run(body)
    report = json.loads(done.stdout)
    assert report["safe"] is True, report
    assert [result["name"] for result in report["results"]] == ["network.off", "power.off"]
    assert took < 2.0  # most of it is the capacitor of the device
