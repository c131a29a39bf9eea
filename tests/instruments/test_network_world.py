"""The emulators with a device behind them: keys, rejects, SMS, paging and attenuation are what the device sees."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import world_station
from network_bench import run

from bench.errors import DeviceFailure, Refused
from bench.station import config
from bench.station.network import PdnSettings
from fixtures.sim.emulator_subscribers import read

DRIVERS = {
    "cmw500": "instruments.network.cmw500:RsCmw500",
    "mt8821c": "instruments.network.mt8821c:AnritsuMt8821c",
    "uxm": "instruments.network.uxm:KeysightUxm",
    "amarisoft": "instruments.network.amarisoft:AmarisoftCallbox",
}


@pytest.fixture(autouse=True)
def lock_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "locks"))


@contextlib.asynccontextmanager
async def station(home, kind="cmw500", **world):
    """The simulated station with an emulator of ``kind``, its device powered and its SIM ready."""
    built_in = config.load(environment={"BENCH_HOME": str(home)}).station("sim").with_world(network=kind, **world)
    cells = (1,) if kind == "mt8821c" or world.get("network_cells") == 1 else (1, 2)
    options = {"mme": "$world.network.mme", "full_power": -85.0, "apn": "x"} if kind == "amarisoft" else {}
    built_in = replace(
        built_in,
        network=replace(built_in.network, driver=DRIVERS[kind], cells=cells, options=options),
        attenuator=replace(built_in.attenuator, driver="instruments.attenuator.rcdat:MiniCircuitsRcdat"),
    )
    async with world_station.opened(built_in, home) as (opened, _, _):
        await opened.power.cycle(hold=1.0)
        await opened.modem.wait_ready(timeout=60)
        await opened.modem.wait_sim_ready(timeout=60)
        yield opened


@pytest.mark.parametrize("kind", DRIVERS)
def test_every_emulator_sees_the_device(kind, tmp_path):
    async def body():
        async with station(tmp_path, kind) as bench:
            await bench.modem.wait_registered(timeout=120)
            found = await bench.network.attached()
            assert found.imsi == await bench.modem.imsi() == "001010000000001"
            assert found.imei[:14] == bench.modem.imei[:14]
            assert bench.identities["attenuator"].model == "RCDAT-6000-90"
            if "detach" in bench.network.abilities:
                await bench.network.detach()
                assert (await bench.modem.wait_registered(timeout=60)).registered
            await bench.network.set_cell(False)
            assert await bench.network.attached() is None

    run(body, seconds=60)


def test_a_wrong_key_ends_in_an_authentication_reject_and_the_right_one_registers(tmp_path):
    async def body():
        async with station(tmp_path, network_cells=1) as bench:
            await bench.modem.wait_registered(timeout=120)
            right = read("bootstrap", home=tmp_path)
            await bench.network.set_subscriber(replace(right, key=bytes(16)))
            await bench.network.detach()
            with pytest.raises(DeviceFailure):
                await bench.modem.wait_registered(timeout=40)
            log = (tmp_path / "sim" / "sim" / "world.jsonl").read_text()
            assert '"auth_reject"' in log and '"auth_fail"' in log
            assert right.key.hex() not in log.lower()
            await bench.network.set_subscriber(right)
            for line in ("AT+CFUN=0", "AT+CFUN=1"):
                await bench.modem.command(line, timeout=15)
            assert (await bench.modem.wait_registered(timeout=120)).plmn == "00101"

    run(body, seconds=60)


def test_attenuation_is_what_the_modem_measures_and_too_much_of_it_loses_the_cell(tmp_path):
    async def body():
        async with station(tmp_path) as bench:
            await bench.modem.wait_registered(timeout=120)
            best = (await bench.modem.signal())["rsrp"]
            await bench.attenuator.set_attenuation(20.0)
            assert (await bench.modem.signal())["rsrp"] == best - 20
            await bench.network.set_power(-95.0)  # at the port: the attenuator is behind it
            assert (await bench.modem.signal())["rsrp"] == pytest.approx(-115, abs=1)
            await bench.attenuator.set_attenuation(60.0)
            await bench.clock.sleep(5.0)
            assert not (await bench.modem.registration()).registered
            await bench.attenuator.set_attenuation(0.0)
            assert (await bench.modem.wait_registered(timeout=200)).registered
            with pytest.raises(Refused, match="outside of 0 to 90 dB"):
                await bench.attenuator.set_attenuation(100.0)

    run(body, seconds=60)


def test_a_short_message_paging_and_ip_settings_reach_the_device(tmp_path):
    async def body():
        async with station(tmp_path) as bench:
            await bench.network.set_pdn(PdnSettings(dns=("192.0.2.53",), address="10.20.30.40"))
            await bench.modem.wait_registered(timeout=120)
            await bench.network.detach()  # the address comes with the next attach
            await bench.modem.wait_registered(timeout=120)
            context = await bench.modem.activate_pdp("bootstrap.iot")
            assert (context.address, context.dns[:1]) == ("10.20.30.40", ("192.0.2.53",))
            await bench.network.send_sms("meter 7: 12.5 kWh")
            await bench.clock.sleep(20.0)
            await bench.modem.command("AT+CMGF=1")
            listed = await bench.modem.command('AT+CMGL="ALL"')
            assert "meter 7: 12.5 kWh" in listed
            assert (await bench.network.attached()).connected is False
            await bench.network.page()
            await bench.clock.sleep(3.0)
            assert (await bench.network.attached()).connected is True

    run(body, seconds=60)


def test_rejects_are_seen_by_the_device_with_their_cause(tmp_path):
    async def body():
        async with station(tmp_path) as bench:
            await bench.network.set_cell(False, cell=2)
            await bench.modem.wait_registered(timeout=120)
            for cause in (17, 11):
                await bench.network.reject("attach", cause)
                await bench.network.detach()
                await bench.clock.sleep(5.0)
                seen = await bench.modem.registration()
                assert (seen.registered, seen.reject_cause) == (False, cause)
                await bench.network.reject("attach", None)
                for line in ("AT+CFUN=0", "AT+CFUN=1"):
                    await bench.modem.command(line, timeout=15)
                await bench.modem.wait_registered(timeout=120)

    run(body, seconds=60)


def test_subscribers_of_packages_have_no_keys_in_their_text(tmp_path):
    for name, plmn in (("bootstrap", "00101"), ("operational", "99970")):
        found = read(name, home=tmp_path)
        assert found.plmn == plmn and found.imsi.startswith(plmn)
        assert found.key.hex() not in repr(found) and found.opc.hex() not in repr(found)
        found.check()


def test_scopes_of_station_time_can_be_put_off(tmp_path):
    async def body():
        async with station(tmp_path) as bench:
            clock = bench.clock
            started = clock.now()
            scope = clock.limit(10.0)
            async with scope:
                scope.extend(20.0)
                await clock.sleep(25.0)
            with pytest.raises(TimeoutError):
                scope = clock.limit(10.0)
                async with scope:
                    scope.extend(5.0)
                    await clock.sleep(60.0)
            assert clock.now() - started == pytest.approx(40.0)

    run(body, seconds=60)
