"""The supply and the network emulator: limits before anything is sent, everything read back, safe on its own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time

import pytest
from instrument_doubles import MemoryLane, ScpiDouble, listener_that_is_closed

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout, Refused
from bench.station.drivers import DriverOptions, PowerLimits, SafeDriver
from bench.station.interfaces import SafeAction
from bench.station.network import NetworkSubscriber
from instruments.network.cmw500 import RsCmw500, cell_state
from instruments.power.generic import GenericScpiSupply
from instruments.power.keysight import KeysightE36300
from instruments.scpi.parse import AnswerError

LIMITS = PowerLimits(voltage=3.8, current_limit=1.5, voltage_max=4.3, dead_voltage=0.3)


@pytest.fixture
def double():
    with ScpiDouble() as found:
        yield found


def options(double, **changes):
    given = {"name": "psu1", "driver": "keysight-e36300", "resource": double.resource, "limits": LIMITS}
    return DriverOptions(**{**given, **changes})


def with_supply(double, body, **changes):
    async def run():
        supply = await KeysightE36300.open(options(double, **changes))
        try:
            return await body(supply)
        finally:
            await supply.close()

    return asyncio.run(run())


def switching(double):
    return [line for line in double.lines if re.match(r"(OUTP|VOLT|CURR) [^?]*$", line)]


def test_opening_switches_nothing(double):
    with_supply(double, lambda supply: supply.output())
    assert switching(double) == []


def test_switching_on_programs_the_station_first_and_reads_everything_back(double):
    async def body(supply):
        await supply.set_output(True)
        assert await supply.output()
        reading = await supply.measure()
        assert (reading.voltage, reading.current) == (3.8, 0.123)
        await supply.set_output(False)
        assert not await supply.output()
        await supply.set_output(True)

    with_supply(double, body)
    assert switching(double) == [
        "CURR 1.5,(@1)",
        "VOLT 3.8,(@1)",
        "OUTP ON,(@1)",
        "OUTP OFF,(@1)",
        "OUTP ON,(@1)",
    ]


@pytest.mark.parametrize("voltage", [4.31, -0.1, float("nan"), float("inf")])
def test_beyond_the_limit_nothing_is_sent(double, voltage):
    async def body(supply):
        before = len(double.lines)
        with pytest.raises(Refused, match=r"4\.3 V"):
            await supply.set_voltage(voltage)
        with pytest.raises(Refused, match=r"1\.5 A"):
            await supply.set_current_limit(voltage)
        assert len(double.lines) == before

    with_supply(double, body)


def test_what_a_hand_at_the_front_changed_is_put_right_before_switching_on(double):
    async def body(supply):
        await supply.set_output(True)
        await supply.set_output(False)
        double.voltage, double.current = 12.0, 5.0
        await supply.set_output(True)

    with_supply(double, body)
    assert (double.voltage, double.current) == (3.8, 1.5)
    assert switching(double)[-3:] == ["CURR 1.5,(@1)", "VOLT 3.8,(@1)", "OUTP ON,(@1)"]


def test_a_supply_that_rounds_or_clips_is_noticed(double):
    real = double.supply
    double.answer = lambda line: "+3.0E+00" if line == "VOLT? (@1)" else real(line)

    async def body(supply):
        with pytest.raises(InstrumentError, match=r"set to 3\.8 V, but 3 V is read back"):
            await supply.set_output(True)

    with_supply(double, body)
    assert not double.on


def test_an_output_that_stays_on_is_an_error(double):
    async def body(supply):
        await supply.set_output(True)
        double.stuck = True
        with pytest.raises(InstrumentError, match="stays on"):
            await supply.set_output(False)

    with_supply(double, body)


def test_an_output_that_does_not_come_on_names_the_protection(double):
    double.stuck = True
    real = double.supply
    double.answer = lambda line: "1" if line.startswith("CURR:PROT:TRIP?") else real(line)

    async def body(supply):
        with pytest.raises(InstrumentError, match="stays off") as caught:
            await supply.set_output(True)
        return caught.value.hint

    assert "a protection has tripped" in with_supply(double, body)


def test_a_cycle_waits_for_the_dead_rail(double):
    double.decay = 0.2

    async def body(supply):
        await supply.set_output(True)
        return await supply.cycle(hold=0.1)

    cycle = with_supply(double, body)
    assert 0.15 < cycle.time_to_dead < 0.5
    assert cycle.off_time >= cycle.time_to_dead + 0.1
    assert double.on


def test_a_rail_that_is_fed_back_is_said_and_left_off(double):
    double.feedback = 1.2

    async def body(supply):
        await supply.set_output(True)
        with pytest.raises(InstrumentTimeout, match=r"still at 1\.200 V after 0\.\d s, not below 0\.3 V"):
            await supply.cycle(hold=0.1, timeout=0.3)

    with_supply(double, body)
    assert not double.on


@pytest.mark.parametrize("answer", ["+9.91000000E+37", "", "volts"])
def test_what_is_no_measurement_is_an_error_with_its_command(double, answer):
    real = double.supply
    double.answer = lambda line: answer if line.startswith("MEAS") else real(line)

    async def body(supply):
        with pytest.raises(AnswerError, match="MEAS:VOLT"):
            await supply.measure()

    with_supply(double, body)


def test_off_overtakes_a_measurement_that_hangs(double):
    real = double.supply
    double.answer = lambda line: None if line.startswith("MEAS") else real(line)

    async def body(supply):
        await supply.set_output(True)
        hanging = asyncio.ensure_future(supply.measure())
        await asyncio.sleep(0.1)
        start = time.monotonic()
        await supply.set_output(False)
        took = time.monotonic() - start
        with pytest.raises(InstrumentError):
            await hanging
        return took

    assert with_supply(double, body, extra={"timeout": 10.0}) < 0.5
    assert not double.on


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"limits": None}, ConfigurationError, "needs voltage"),
        ({"channel": 4}, ConfigurationError, "channels 1 to 3, not 4"),
        ({"extra": {"timeot": 1}}, ConfigurationError, "did you mean 'timeout'"),
        ({"extra": {"timeout": "1"}}, ConfigurationError, "timeout"),
    ],
)
def test_wrong_options_are_refused_before_connecting(double, changes, error, message):
    with pytest.raises(error, match=message):
        with_supply(double, lambda supply: supply.output(), **changes)
    assert double.connections == 0


def test_another_model_is_refused(double):
    double.model = "34461A"
    with pytest.raises(InstrumentError, match="34461A, which is no Keysight E36300"):
        with_supply(double, lambda supply: supply.output())


def test_the_generic_supply_selects_its_channel(double):
    state = {"on": "0"}

    def answer(line):
        if line == "*IDN?":
            return "ROHDE&SCHWARZ,HMP4040,1,2"
        if line.startswith("INST:NSEL "):
            state["selected"] = line[10:]
            return None
        if line.startswith("OUTP O"):
            assert state["selected"] == "2"
            state["on"] = "1" if line.endswith("ON") else "0"
            return None
        return {
            "VOLT?": "3.8",
            "CURR?": "1.5",
            "OUTP?": state["on"],
            "*OPC?": "1",
            "SYST:ERR?": '0,"No error"',
        }.get(line)

    double.answer = answer

    async def run():
        supply = await GenericScpiSupply.open(options(double, channel=2))
        await supply.set_output(True)
        await supply.close()

    asyncio.run(run())
    assert state["on"] == "1"


# --- safe -------------------------------------------------------------------------------------------------------------


def off(double, **changes):
    given = {"name": "psu1", "resource": double.resource, "serial": "MY12345678"}
    return SafeAction("power.off", "keysight-e36300", {**given, **changes}, 1, 0.3)


def test_the_safe_action_of_an_open_supply_is_that_of_its_configuration(double):
    async def body(supply):
        return supply.safe_action()

    assert with_supply(double, body) == off(double)
    assert isinstance(KeysightE36300, SafeDriver)
    assert isinstance(RsCmw500, SafeDriver)


def test_safe_switches_off_and_sees_the_rail_die(double):
    double.on, double.voltage, double.decay = True, 3.8, 0.2
    result = KeysightE36300.make_safe(off(double), deadline=2.0)
    assert result.verified and result.reading < 0.3 and not double.on


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"stuck": True}, r"NOT DEAD: output on, rail at 3\.800 V"),
        ({"feedback": 2.0}, r"NOT DEAD: output off, rail at 2\.000 V, not below 0\.3 V"),
        ({"serial": "OTHER"}, "'OTHER' answers instead of 'MY12345678': not touched"),
    ],
)
def test_safe_says_why_it_is_not(double, fault, message):
    double.on, double.voltage = True, 3.8
    for name, value in fault.items():
        setattr(double, name, value)
    start = time.monotonic()
    result = KeysightE36300.make_safe(off(double), deadline=0.5)
    assert time.monotonic() - start < 1.0
    assert not result.verified
    assert re.search(message, result.message)
    assert double.on == ("feedback" not in fault)


def test_safe_without_an_instrument_ends_at_its_deadline():
    with listener_that_is_closed() as port:
        action = SafeAction("power.off", "x", {"resource": f"TCPIP::127.0.0.1::{port}::SOCKET"}, 1, 0.3)
        start = time.monotonic()
        result = KeysightE36300.make_safe(action, deadline=0.4)
        assert 0.1 < time.monotonic() - start < 1.0
    assert not result.verified and "refused" in result.message


def test_safe_connects_again_when_the_connection_drops(double):
    double.on, double.voltage = True, 3.8
    drops = iter([True, True, False])
    real = double.supply

    def answer(line):
        if line.startswith("OUTP?") and next(drops, False):
            raise ScpiDouble.Drop
        return real(line)

    double.answer = answer
    assert KeysightE36300.make_safe(off(double), deadline=2.0).verified
    assert double.connections == 3


def test_safe_works_through_pyvisa_for_other_resources(double, monkeypatch):
    monkeypatch.setattr("instruments.scpi.parse.tcp_socket", lambda resource: None)
    double.on, double.voltage = True, 3.8
    assert KeysightE36300.make_safe(off(double), deadline=3.0).verified


# --- network emulator -------------------------------------------------------------------------------------------------


class Cmw:
    """The CMW's side: a cell that takes a moment."""

    def __init__(self, double, delay=0.3):
        self.double = double
        self.delay = delay
        self.on = False
        self.since = 0.0
        self.ue = "OFF"
        double.answer = self

    def __call__(self, line):
        if line == "*IDN?":
            return "Rohde&Schwarz,CMW,1201.0002k50/100001,3.7"
        if found := re.fullmatch(r"SOURce:LTE:SIGN1:CELL:STATe (ON|OFF)", line):
            self.on, self.since = found[1] == "ON", time.monotonic()
            return None
        if line.endswith("CELL:STATe:ALL?"):
            settled = time.monotonic() - self.since > self.delay
            return f"{'ON' if self.on else 'OFF'},{'ADJ' if settled else 'PEND'}"
        if line.endswith("PSWitched:STATe?"):
            return self.ue
        if line.endswith("UESinfo:IMSI?"):
            return '"001010000000001"'
        return {"*OPC?": "1", "SYST:ERR?": '0,"No error"'}.get(line)


def with_network(double, body, **changes):
    async def run():
        network = await RsCmw500.open(
            DriverOptions(name="cmw", driver="rs-cmw500", resource=double.resource, **changes)
        )
        with contextlib.ExitStack() as stack:
            try:
                return await body(network)
            finally:
                await network.close()
                stack.close()

    return asyncio.run(run())


def test_a_cell_is_on_when_it_transmits_and_not_before(double):
    cmw = Cmw(double)

    async def body(network):
        start = time.monotonic()
        await network.set_cell(True)
        assert time.monotonic() - start > 0.25
        assert await network.cell_on()
        await network.set_cell(False)
        return await network.cell_on()

    assert with_network(double, body) is False
    assert not cmw.on


def test_plmn_power_and_who_is_attached(double):
    cmw = Cmw(double)

    async def body(network):
        await network.set_plmn("00101")
        await network.set_plmn("310410")
        await network.set_power(-85)
        before = await network.attached_imsi()
        cmw.ue = "ATT"
        return before, await network.attached_imsi()

    assert with_network(double, body) == ("", "001010000000001")
    sent = [line for line in double.lines if line.startswith("CONF")]
    assert sent == [
        "CONFigure:LTE:SIGN1:CELL:MCC 1",
        "CONFigure:LTE:SIGN1:CELL:MNC:DIGits TWO",
        "CONFigure:LTE:SIGN1:CELL:MNC 1",
        "CONFigure:LTE:SIGN1:CELL:MCC 310",
        "CONFigure:LTE:SIGN1:CELL:MNC:DIGits THRee",
        "CONFigure:LTE:SIGN1:CELL:MNC 410",
        "CONFigure:LTE:SIGN1:DL:PCC:RSEPre:LEVel -85.0",
    ]


def test_a_cell_that_is_not_the_stations_is_refused(double):
    Cmw(double)

    async def body(network):
        before = len(double.lines)
        for call in (network.set_cell(True, cell=2), network.set_plmn("00101", cell=3)):
            with pytest.raises(Refused, match="not one of this station's"):
                await call
        for plmn in ("0010", "00a01", ""):
            with pytest.raises(ConfigurationError, match="no PLMN"):
                await network.set_plmn(plmn)
        with pytest.raises(Refused):
            await network.set_power(10)
        assert len(double.lines) == before

    with_network(double, body)


def test_keys_of_a_subscriber_are_on_no_lane(double):
    Cmw(double)
    lane = MemoryLane("scpi:cmw")
    key = bytes(range(16))

    async def body(network):
        await network.set_subscriber(NetworkSubscriber("001010000000001", key, key))

    with_network(double, body, lane=lane)
    assert any(key.hex().upper() in line for line in double.lines)
    assert not any(key.hex().upper().encode() in data.upper() for data in lane.sent())


def test_rf_off_is_verified(double):
    cmw = Cmw(double)
    cmw.on = True
    action = SafeAction("network.off", "rs-cmw500", {"resource": double.resource, "cells": [1]})
    result = RsCmw500.make_safe(action, deadline=2.0)
    assert result.verified and result.reading == "1:OFF,ADJ"
    cmw.delay = 99
    cmw.on = True
    assert not RsCmw500.make_safe(action, deadline=0.3).verified


@pytest.mark.parametrize("answer", ["", "ON", "1,2", "MAYBE,ADJ"])
def test_what_is_no_cell_state(answer):
    with pytest.raises(AnswerError):
        cell_state(answer)
