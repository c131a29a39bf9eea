"""Opening a station: the right instruments, locked, nothing switched; whatever is wrong is one message."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from instrument_doubles import MemoryLane, PtyModem, ScpiDouble, listener_that_is_closed

from bench.errors import BenchError, ConfigurationError, InstrumentError, StationHeld
from bench.station import config, locks
from bench.station.drivers import WrongInstrument
from bench.station.opened import station_key
from bench.station.opening import open_station
from bench.station.pins import check_eid

EID = "89049032123451234512345678901235"
RAIL = "voltage = 3.8, current_limit = 1.5, voltage_max = 4.3"
BENCH = """
[stations.bench]
power = {{ driver = "keysight-e36300", resource = "{resource}", {rail}{power} }}
modem = {{ driver = "instruments.modem.modem:AtModem", port = "{port}"{modem} }}
card = {{ at = "modem"{card} }}
data = {{ path = "host" }}
"""


@pytest.fixture
def supply():
    with ScpiDouble() as found:
        yield found


@pytest.fixture
def modem(tmp_path):
    with PtyModem(tmp_path) as found:
        found.script |= {
            'AT+CCHO="A0000005591010FFFFFFFF8900000100"': ["+CCHO: 1", "OK"],
            "AT+CGLA=*": [f'+CGLA: 46,"BF3E125A10{EID}9000"', "OK"],
            "AT+CCHC=1": ["OK"],
        }
        yield found


@pytest.fixture
def station(tmp_path, supply, modem):
    def make(**parts):
        given = {
            "rail": RAIL,
            "resource": supply.resource,
            "port": str(modem.link),
            "power": "",
            "modem": "",
            "card": "",
            **parts,
        }
        path = tmp_path / "bench.toml"
        path.write_text(BENCH.format(**given))
        return config.load(path, environment={"BENCH_HOME": str(tmp_path / "home")}).station("bench")

    return make


def open_and(found, body=None, **options):
    async def run():
        opened = await open_station(found, lanes=MemoryLane, home=options.pop("home", None), **options)
        try:
            return await body(opened) if body else opened
        finally:
            assert await opened.close() == []

    return asyncio.run(run())


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def refused(found, error, message, supply, tmp_path):
    before = descriptors()
    with pytest.raises(error) as caught:
        open_and(found, home=tmp_path)
    said = str(caught.value)
    assert message in said
    assert not any(line.startswith(("OUTP O", "VOLT ", "CURR ")) for line in supply.lines)
    until = time.monotonic() + 3.0  # the owner thread and the double close their ends at their own pace
    while descriptors() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert descriptors() <= before
    assert not list((tmp_path / "locks").glob("*")) or all_free(tmp_path / "locks")
    return said


def all_free(folder):
    import fcntl

    for path in folder.iterdir():
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def test_everything_is_open_known_locked_and_untouched(station, supply, modem, tmp_path):
    passed = []

    async def on_lock(lock):
        passed.append(lock.what)

    async def body(opened):
        assert opened.identities["power"].serial == "MY12345678"
        assert opened.card is not None and opened.data.bearer == "host" and opened.network is None
        assert [action.name for action in opened.safe_plan] == ["power.off"]
        assert sorted(passed) == sorted(lock.what for lock in opened.locks)
        assert any("MY12345678 channel 1" in what for what in passed)
        assert any("port " in what for what in passed)
        with pytest.raises(StationHeld, match="run r1"):
            await open_station(opened.config, lanes=MemoryLane, home=tmp_path)
        assert await opened.power.output() is False
        assert modem.commands == []  # no power: nobody to ask

    open_and(station(), body, home=tmp_path, on_lock=on_lock, owner=locks.Owner.me(run="r1"))
    assert all_free(tmp_path / "locks")


def test_a_device_with_power_shows_who_it_is(station, supply, modem, tmp_path):
    supply.on = True

    async def body(opened):
        assert opened.identities["modem"].serial == "490154203237518"
        assert await check_eid(opened.card, opened.config) == EID

    open_and(station(card=f', eid = "{EID}"', modem=', imei = "490154203237518"'), body, home=tmp_path)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"power": ', serial = "MY999"'}, "serial number 'MY12345678', not 'MY999'"),
        ({"modem": ', imei = "356938035643809"'}, "IMEI is 490154203237518, not 356938035643809"),
        ({"card": ', eid = "89049032123451234512345678901334"'}, f"EID is {EID}, not 8904903212345123451234567890133"),
    ],
)
def test_a_pin_that_differs_switches_nothing(station, supply, tmp_path, parts, message):
    supply.on = True
    if "eid" in parts.get("card", ""):
        from bench.rsp.ids import eid_with_check_digits

        parts = {"card": f', eid = "{eid_with_check_digits("890490321234512345123456789013")}"'}
    said = refused(station(**parts), WrongInstrument, message, supply, tmp_path)
    assert "nothing was switched" in said
    assert "bench.toml:" in said
    assert supply.on


def test_a_port_that_does_not_exist(station, supply, tmp_path):
    said = refused(station(port="/dev/ttyNOPE"), InstrumentError, "port /dev/ttyNOPE does not exist", supply, tmp_path)
    assert "bench.toml:4" in said


def test_a_port_that_comes_with_the_power_may_be_missing(station, supply, tmp_path):
    async def body(opened):
        assert not opened.modem.port.is_open

    open_and(station(port="/dev/serial/by-id/usb-Quectel-if02"), body, home=tmp_path)
    open_and(station(port="usb:9-9:if02"), body, home=tmp_path)


def test_an_address_that_refuses(station, supply, tmp_path):
    with listener_that_is_closed() as port:
        found = station(resource=f"TCPIP::127.0.0.1::{port}::SOCKET")
        said = refused(found, InstrumentError, "connection refused", supply, tmp_path)
    assert "bench.toml:3" in said
    assert "\n" not in said


def test_an_instrument_that_is_mute(station, supply, tmp_path):
    supply.answer = lambda line: None
    refused(station(), InstrumentError, "power does not answer *IDN?", supply, tmp_path)


def test_a_driver_that_fails_to_import_is_a_configuration_error(station, supply, tmp_path):
    from dataclasses import replace

    found = station()
    found = replace(found, modem=replace(found.modem, driver="no.such:Driver"))
    refused(found, ConfigurationError, "cannot be loaded", supply, tmp_path)


def test_two_failures_are_both_told(station, supply, tmp_path):
    from dataclasses import replace

    supply.answer = lambda line: None
    found = station()
    found = replace(found, modem=replace(found.modem, driver="no.such:Driver"))
    with pytest.raises(BenchError) as caught:
        open_and(found, home=tmp_path)
    assert any("no.such" in note for note in caught.value.__notes__)


def test_a_world_that_was_not_started(tmp_path):
    found = config.load(environment={"BENCH_HOME": str(tmp_path)}).station("sim")
    with pytest.raises(ConfigurationError, match="was not started"):
        open_and(found, home=tmp_path)


def test_cancelling_the_opening_closes_everything(station, supply, tmp_path):
    supply.answer = lambda line: None

    async def run():
        task = asyncio.ensure_future(open_station(station(), lanes=MemoryLane, home=tmp_path))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert all_free(tmp_path / "locks")


def test_simulated_stations_of_two_homes_do_not_meet(station, tmp_path):
    found = config.load(environment={"BENCH_HOME": str(tmp_path)}).station("sim")
    assert station_key(found, tmp_path / "a") != station_key(found, tmp_path / "b")
    assert station_key(station(), tmp_path / "a") == station_key(station(), tmp_path / "b")
