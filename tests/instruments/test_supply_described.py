"""A supply that bench.toml describes: its commands as they are written, checked before anything is opened."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import ScpiDouble

from bench.errors import ConfigurationError, Refused
from bench.station.drivers import DriverOptions, PowerLimits
from bench.station.interfaces import SafeAction
from bench.station.power import Protection, WavePoint
from instruments.power.generic import GenericScpiSupply, described
from instruments.power.tables import GENERIC

LIMITS = PowerLimits(voltage=3.8, current_limit=1.5, voltage_max=4.3, dead_voltage=0.3)

# An ITECH-like supply: a watchdog of its own, one channel, no *OPC?.
COMMANDS = {
    "select": "",
    "set_voltage": "VOLT {v:.3f}",
    "output_on": ["OUTP 1"],
    "output_off": "OUTP 0",
    "get_output": "OUTP?",
    "clear_trip": "PROT:CLE",
    "set_over_voltage": "VOLT:PROT {v:.2f}",
    "get_over_voltage": "VOLT:PROT?",
    "trip_over_voltage": "VOLT:PROT:TRIP?",
    "watchdog": {
        "set_delay": "SYST:WDOG:DEL {v:.0f}", "get_delay": "SYST:WDOG:DEL?", "on": "SYST:WDOG 1", "off": "SYST:WDOG 0",
        "state": "SYST:WDOG?", "shortest": 2, "longest": 30,
    },
    "sync": "",
    "channels": 1,
    "sessions": 3,
    "model": "itech.*,IT6322",
}  # fmt: skip


class Itech:
    def __init__(self, double: ScpiDouble) -> None:
        self.values = {"VOLT": "0.000", "CURR": "1.5", "OUTP": "0", "VOLT:PROT": "5", "SYST:WDOG": "0",
                       "SYST:WDOG:DEL": "1", "VOLT:PROT:TRIP": "0"}  # fmt: skip
        double.answer = self

    def __call__(self, line: str) -> str | None:
        if line == "*IDN?":
            return "ITECH Ltd.,IT6322,800001,1.11-1.08"
        if line == "SYST:ERR?":
            return "0,'No Error'"
        if line.startswith("MEAS:VOLT"):
            return self.values["VOLT"] if self.values["OUTP"] == "1" else "0.002"
        if line.startswith("MEAS:CURR"):
            return "0.1"
        if line.endswith("?"):
            return self.values[line[:-1]]
        name, _, value = line.partition(" ")
        if value:
            self.values[name] = value
        return None


def test_every_command_is_the_one_that_was_written():
    async def run(double):
        supply = await GenericScpiSupply.open(
            DriverOptions(name="psu", driver="scpi-supply", resource=double.resource, limits=LIMITS, extra=COMMANDS)
        )
        try:
            assert (supply.abilities.sessions, str(supply.abilities.watchdog)) == (3, "2 to 30")
            await supply.set_output(True)
            await supply.set_protection(Protection(4.25))
            assert await supply.trip() is None
            assert await supply.arm_watchdog(9.5) == 10
            await supply.feed_watchdog()
            with pytest.raises(Refused):
                await supply.arm_watchdog(31)
            await supply.disarm_watchdog()
            with pytest.raises(Refused, match="no list or waveform"):
                await supply.waveform([WavePoint(3.0, 1.0)])
            return supply.safe_action()
        finally:
            await supply.close()

    with ScpiDouble() as double:
        Itech(double)
        action = asyncio.run(run(double))
        sent = [line for line in double.lines if "?" not in line]
        assert sent == ["VOLT 3.800", "OUTP 1", "VOLT:PROT 4.25", "SYST:WDOG:DEL 10", "SYST:WDOG 1", "SYST:WDOG 0"]
        assert "*OPC?" not in double.lines
        result = GenericScpiSupply.make_safe(action, deadline=1.0)
        assert result.verified, result
        assert [line for line in double.lines if "?" not in line][len(sent) :] == ["OUTP 0", "SYST:WDOG 0"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"set_voltage": "VOLT 3.8"}, "'set_voltage' does not say where the value goes"),
        ({"set_voltage": "VOLT {x}"}, "only place holders"),
        ({"set_voltage": "VOLT {v:.3d}"}, "no template"),
        ({"set_voltage": "VOLT {v"}, "no template"),
        ({"set_voltage": "VOLT {v}\nOUTP ON"}, "one line"),
        ({"set_voltage": ""}, "must be a command"),
        ({"set_voltage": 5}, "must be a command"),
        ({"get_voltage": "VOLT"}, "must be a question"),
        ({"get_output": ["OUTP?", "OUTP:MAST"]}, "must be a question"),
        ({"output_on": []}, "a command or a list"),
        ({"model": "("}, "no pattern"),
        ({"pause": 9}, "'pause' must be 0 to 2"),
        ({"channels": 0}, "'channels' must be a whole number"),
        ({"channels": True}, "'channels' must be a whole number"),
        ({"set_over_voltage": "VOLT:PROT {v}"}, "without 'get_over_voltage'"),
        ({"watchdog": {"on": "WDOG 1"}}, "'watchdog' lacks set_delay"),
        ({"watchdog": {**COMMANDS["watchdog"], "offf": "X"}}, "'watchdog' has no 'offf'"),
        ({"watchdog": "WDOG 1"}, "must be a table"),
    ],
)
def test_what_can_be_no_command_is_refused_before_connecting(options, words):
    with ScpiDouble() as double, pytest.raises(ConfigurationError, match=words) as caught:
        given_options = DriverOptions(
            name="psu", driver="scpi-supply", resource=double.resource, limits=LIMITS, extra=options, origin="b.toml:7"
        )
        asyncio.run(GenericScpiSupply.open(given_options))
    assert double.connections == 0
    assert "b.toml:7" in str(caught.value)


def test_without_options_it_is_the_generic_one():
    assert described({}).set_voltage == GENERIC.set_voltage
    assert described({}).abilities.watchdog is None


def test_the_safe_process_speaks_the_described_language():
    """A safe action holds everything: it is all that the safe process is given."""
    with ScpiDouble() as double:
        Itech(double).values.update({"OUTP": "1", "VOLT": "3.8"})
        action = SafeAction(
            "power.off", "scpi-supply", {**COMMANDS, "name": "psu", "resource": double.resource}, 1, 0.3
        )
        assert GenericScpiSupply.make_safe(action, deadline=1.0).verified
        assert "OUTP 0" in double.lines and "OUTP OFF" not in double.lines


_WORDS = st.text(max_size=9)
_VALUES = st.one_of(
    st.text(max_size=30), st.none(), st.integers(), st.lists(_WORDS, max_size=3), st.dictionaries(_WORDS, _WORDS)
)


@given(st.dictionaries(st.sampled_from(sorted(GenericScpiSupply.known_options())), _VALUES, max_size=4))
def test_any_options_are_a_dialect_or_a_complaint(options):
    try:
        dialect = described(options)
    except ConfigurationError:
        return
    for template in (dialect.set_voltage, dialect.get_voltage, *dialect.output_on, *dialect.output_off):
        assert dialect.line(template, 1, 3.8).isprintable() or "\n" in dialect.line(template, 1, 3.8)
