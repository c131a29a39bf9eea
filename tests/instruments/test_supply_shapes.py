"""Which supplies make waveforms and record is said once, by their class, and their tables agree."""

from __future__ import annotations

import asyncio

import pytest
from supply_bench import CASES, LIMITS, Bench, with_supply

from bench.errors import Refused
from bench.station.drivers import DriverOptions, load_driver
from bench.station.interfaces import Identity
from bench.station.power import WavePoint
from instruments.power.shapes import RecordingSupply, WaveformSupply
from instruments.power.supply import ScpiSupply
from instruments.scpi.parse import AnswerError
from instruments.usb.port import UsbPort

DRIVERS = sorted({case.driver for case in CASES})


@pytest.mark.parametrize("name", DRIVERS)
def test_the_class_does_what_its_table_declares(name):
    driver = load_driver(name)
    assert issubclass(driver, ScpiSupply)
    able = [driver.dialect.abilities, *(more for _, more in driver.dialect.by_model)]
    assert issubclass(driver, WaveformSupply) == any(one.waveform is not None for one in able)
    if any(one.fast_log is not None for one in able):
        assert issubclass(driver, RecordingSupply)


@pytest.mark.parametrize("name", ["rigol-dp800", "siglent-spd", "aim-tti", "rs-hmc804x", "scpi-supply"])
def test_a_supply_that_has_neither_says_so_and_who_has(name):
    case = next(case for case in CASES if case.driver == name)
    with Bench(case.model, channel=case.channel) as bench:

        async def body(supply):
            before = len(bench.lines)
            with pytest.raises(Refused, match="no list or waveform") as wave:
                await supply.waveform([WavePoint(3.8, 1.0)])
            with pytest.raises(Refused, match="no fast log") as log:
                await supply.fast_log(1.0, 0.001)
            assert "N6705C" in wave.value.hint and "N6705C" in log.value.hint
            assert wave.value.where and log.value.where
            assert len(bench.lines) == before

        with_supply(bench, case, body)


@pytest.mark.parametrize(
    ("name", "question", "ask"),
    [
        ("aim-tti", "OVP2?", lambda supply: supply.protection()),
        ("keysight-n6705c", "OUTP:PON:STAT?", lambda supply: supply.set_power_on_off()),
    ],
)
def test_garbage_about_a_setting_is_an_error_and_changes_nothing(name, question, ask):
    """Garbage for the power-on state was another state than "off", and so a reason to write the flash memory."""
    case = next(case for case in CASES if case.driver == name)
    with Bench(case.model, channel=case.channel) as bench:

        async def body(supply):
            bench.fault = lambda line, payload: [b"\xff\xfe??\n"] if line == question else None
            with pytest.raises(AnswerError) as caught:
                await ask(supply)
            assert question in caught.value.where
            bench.fault = None
            assert bench.switching() == [] and bench.connections == 1
            await ask(supply)
            assert bench.connections == 2

        with_supply(bench, case, body)


@pytest.mark.parametrize("base", [WaveformSupply, RecordingSupply])
def test_a_family_without_its_part_cannot_be_made(base):
    class Forgotten(base):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Forgotten(DriverOptions(name="psu"), None, LIMITS)


def test_a_usb_port_without_a_switch_cannot_be_made():
    class Forgotten(UsbPort):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Forgotten(DriverOptions(name="usb"), Identity())


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda port: port.measure(), "measure"),
        (lambda port: port.set_voltage(3.8), "set a voltage"),
        (lambda port: port.set_current_limit(0.5), "set a current limit"),
        (lambda port: port.protection(), "tell its protections"),
        (lambda port: port.fast_log(1.0, 0.1), "record current"),
        (lambda port: port.waveform([WavePoint(3.8, 1.0)]), "make waveforms"),
        (lambda port: port.arm_watchdog(5.0), "switch off by itself"),
        (lambda port: port.set_power_on_off(), "set its power-on state"),
    ],
)
@pytest.mark.parametrize("name", ["usb-uhubctl", "usb-ykush"])
def test_what_a_usb_port_lacks_is_refused_with_a_way_out(name, ask, what):
    port = load_driver(name)(DriverOptions(name="usb1", driver=name, resource="1-1"), Identity())
    with pytest.raises(Refused, match=f"cannot {what}") as caught:
        asyncio.run(ask(port))
    assert caught.value.where == "usb1" and "bench supply" in caught.value.hint
