"""USB power: what uhubctl and ykushcmd print, and a port that is off only when its device has gone."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions, PowerLimits, SafeDriver, load_driver
from bench.station.interfaces import SafeAction
from bench.station.power import Protection, WavePoint
from instruments.usb import port, uhubctl, ykush

LIMITS = PowerLimits(voltage=5.0, current_limit=0.5, voltage_max=5.5, dead_voltage=0.3)
DEVICE = "1-1.4.2"

# what uhubctl 2.5.0 prints for one port
STATUS = """Current status for hub 1-1.4 [0424:2514 Microchip USB2 hub, USB 2.00, 4 ports, ppps]
  Port 2: 0503 power highspeed enable connect [1bc7:0036 Android LE910C1-EU 0123456789ABCDEF]
"""
SWITCHED = (
    STATUS
    + """Sent power off request
New status for hub 1-1.4 [0424:2514 Microchip USB2 hub, USB 2.00, 4 ports, ppps]
  Port 2: 0000 off
"""
)

PROGRAM = """#!/bin/sh
# $0.state holds 0 or 1; "sticky" keeps the device on the bus, "stuck" the port on
echo "$@" >> "$0.calls"
case "$*" in
  *"-a off"*|*"-d "*) [ -e "$0.stuck" ] || { echo 0 > "$0.state"; [ -e "$0.sticky" ] || rm -rf "$0.bus/%(device)s"; } ;;
  *"-a on"*|*"-u "*) echo 1 > "$0.state"; mkdir -p "$0.bus/%(device)s"; echo 1bc7 > "$0.bus/%(device)s/idVendor" ;;
esac
on=$(cat "$0.state")
case "$*" in
  *" -l"|"-l") echo "Attached YKUSH Boards:"; echo "1. Board found with serial number: YK12345" ;;
  *-g*) [ "$on" = 1 ] && echo "Downstream port 2 is ON" || echo "Downstream port 2 is OFF" ;;
  *-u*|*"-d 2") ;;
  *) echo "Current status for hub 1-1.4 [0424:2514 Microchip USB2 hub, USB 2.00, 4 ports, ppps]"
     [ "$on" = 1 ] && echo "  Port 2: 0503 power highspeed enable connect [1bc7:0036 Modem]"
     [ "$on" = 1 ] || echo "  Port 2: 0000 off" ;;
esac
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that switches like uhubctl and ykushcmd, with a bus of its own."""
    path = tmp_path / "hub"
    path.write_text(PROGRAM % {"device": DEVICE})
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "hub.state").write_text("1\n")
    bus = tmp_path / "hub.bus"
    (bus / DEVICE).mkdir(parents=True)
    (bus / DEVICE / "idVendor").write_text("1bc7\n")
    monkeypatch.setattr(port, "SYSFS", bus)
    return path


DRIVERS = {"usb-uhubctl": "usb:1-1.4", "usb-ykush": "YK12345"}


@pytest.fixture(params=DRIVERS)
def options(request, program):
    return DriverOptions(
        name="usb1", driver=request.param, resource=DRIVERS[request.param], channel=2, limits=LIMITS,
        extra={"program": str(program), "device": f"usb:{DEVICE}"},
    )  # fmt: skip


def with_port(options, body):
    async def run():
        supply = await load_driver(options.driver).open(options)
        try:
            async with asyncio.timeout(10):
                return await body(supply)
        finally:
            await supply.close()

    return asyncio.run(run())


def calls(program: Path) -> list[str]:
    return Path(f"{program}.calls").read_text().splitlines()


def test_off_and_on_with_the_device_as_second_sign(options, program):
    async def body(supply):
        assert await supply.output()
        before = len(calls(program))
        await supply.set_output(False)
        took = await supply.wait_dead(timeout=2.0)
        gone = port.present(DEVICE)
        cycle = await supply.cycle(hold=0.01, timeout=2.0)
        return before, took, gone, cycle, await supply.output()

    before, took, gone, cycle, on = with_port(options, body)
    assert took < 1.0 and not gone and on and cycle.inrush_peak is None
    first = calls(program)[before]
    assert first == ("-l 1-1.4 -p 2 -a off -r 100" if options.driver == "usb-uhubctl" else "-s YK12345 -d 2")


def test_a_hub_that_switches_data_lines_only_is_found_out(options, program):
    Path(f"{program}.sticky").touch()

    async def body(supply):
        await supply.set_output(False)
        with pytest.raises(InstrumentTimeout, match=r"1-1\.4\.2 is still on the bus .* not VBUS"):
            await supply.wait_dead(timeout=0.2)
        return supply.safe_action()

    action = with_port(options, body)
    result = load_driver(options.driver).make_safe(action, deadline=0.4)
    assert not result.verified and "NOT DEAD: port off, 1-1.4.2 is still on the bus" in result.message


def test_a_port_that_stays_on_is_an_error(options, program):
    Path(f"{program}.stuck").touch()

    async def body(supply):
        with pytest.raises(InstrumentError, match="usb1 stays on"):
            await supply.set_output(False)

    with_port(options, body)


def test_safe_is_verified_and_says_on_what_grounds(options, program):
    driver = load_driver(options.driver)
    assert isinstance(driver, SafeDriver)
    action = with_port(options, lambda supply: asyncio.sleep(0, supply.safe_action()))
    result = driver.make_safe(action, deadline=2.0)
    assert result.verified and "1-1.4.2 is gone from the bus" in result.message
    extra = {key: value for key, value in action.options.items() if key != "device"}
    result = driver.make_safe(SafeAction(action.name, action.driver, extra, 2), deadline=2.0)
    assert result.verified and "by the switch's word only" in result.message


def test_what_a_switch_cannot_is_refused(options):
    async def body(supply):
        assert not supply.abilities.measures
        assert await supply.trip() is None and await supply.clear_trip() is None
        for call in (
            supply.measure(), supply.set_voltage(5.0), supply.set_current_limit(0.1), supply.protection(),
            supply.set_protection(Protection(5.5)), supply.fast_log(1, 1), supply.waveform([WavePoint(5, 1)]),
            supply.arm_watchdog(10), supply.feed_watchdog(), supply.set_power_on_off(),
        ):  # fmt: skip
            with pytest.raises(Refused, match="cannot"):
                await call
        await supply.disarm_watchdog()

    with_port(options, body)


@pytest.mark.parametrize(
    ("driver", "resource", "extra", "error", "words"),
    [
        ("usb-uhubctl", "usb:1-1.4", {"program": "/nowhere/uhubctl"}, InstrumentError, "not installed"),
        ("usb-uhubctl", "usb:1-1.4", {"program": "/bin/false"}, InstrumentError, "exit code 1.*udev"),
        ("usb-uhubctl", "usb:1-1.4", {"program": "/bin/true"}, InstrumentError, "finds no hub"),
        ("usb-uhubctl", "hub1", {}, ConfigurationError, "no location of a hub"),
        ("usb-uhubctl", "1-1", {"device": "modem"}, ConfigurationError, "no place of a USB device"),
        ("usb-uhubctl", "1-1", {"devise": "1-1.2"}, ConfigurationError, "did you mean 'device'"),
        ("usb-ykush", "YK999", {"program": "/bin/echo"}, InstrumentError, "serial number YK999"),
    ],
)
def test_wrong_options_and_missing_programs(driver, resource, extra, error, words):
    with pytest.raises(error, match=words):
        with_port(DriverOptions(name="usb1", driver=driver, resource=resource, channel=2, extra=extra), None)


def test_what_uhubctl_prints():
    assert uhubctl.port_state(STATUS, 2) is True
    assert uhubctl.port_state(SWITCHED, 2) is False  # the last word counts
    assert uhubctl.port_state("  Port 1: 0100 power\n", 1) is True
    assert uhubctl.port_state("  Port 1: 02a0 power 5gbps Rx.Detect\n", 1) is True
    with pytest.raises(InstrumentError, match="nothing of port 3"):
        uhubctl.port_state(STATUS, 3)


def test_what_ykushcmd_prints():
    assert ykush.port_state("\n\nDownstream port 1 is ON\n\n", 1) is True
    assert ykush.port_state("Downstream port 3 is OFF", 3) is False
    with pytest.raises(InstrumentError, match="nothing of port 1"):
        ykush.port_state("Unable to open device", 1)
    place = port.Place.of("ykush3:Y3N10673", 3, {}, "ykushcmd")
    assert ykush._command(place, "-d", "3") == ["ykushcmd", "ykush3", "-s", "Y3N10673", "-d", "3"]


@given(st.text(max_size=200), st.integers(0, 20))
def test_any_output_is_a_state_or_an_error(text, number):
    for read in (uhubctl.port_state, ykush.port_state):
        try:
            assert read(text, number) in (True, False)
        except InstrumentError:
            pass
