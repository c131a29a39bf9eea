"""``dut`` in bench.toml: consoles, lines, sources, flash; every complaint with file and line."""

from __future__ import annotations

import pytest

from bench.engine.checks import check
from bench.engine.recipe import recipe
from bench.errors import ConfigurationError
from bench.station import config

EID = "89049032123451234512345678901235"
GOOD = f"""\
[instruments.relay1]
driver = "numato-lines"
port = "usb:1-1.3"

[stations.meter]
ipa = "device"
[stations.meter.dut]
sample = "A7"
eid = "{EID}"
reset = "relay1:3"
battery = "!relay1:0"
poll_trigger = "console"
flash = {{ command = ["openocd", "-f", "{{image}}"], timeout = 60 }}
sources = {{ registered = ["console", "emulator"] }}
[stations.meter.dut.console.app]
port = "usb:1-1.2"
patterns = {{ booted = "Booting", registered = 'reg (?P<plmn>\\d+)' }}
commands = {{ poll = "ipa poll" }}
"""


@pytest.fixture
def load(tmp_path):
    def run(text):
        path = tmp_path / "bench.toml"
        path.write_text(text)
        return config.load(path, environment={}).station("meter")

    return run


def test_everything_is_read(load):
    station = load(GOOD)
    dut = station.dut
    assert station.eid == EID and dut.sample == "A7"
    assert (dut.reset.instrument, dut.reset.line, dut.reset.inverted) == ("relay1", "3", False)
    assert dut.battery.inverted and dut.line("battery") is dut.battery and dut.line("boot") is None
    assert dut.lines["relay1"].port == "usb:1-1.3"
    assert dut.console["app"].patterns["booted"] == "Booting"
    assert dut.sources_of("registered") == ("console", "emulator")
    assert dut.sources_of("polled") == ("eim", "console")
    assert dut.flash.command == ("openocd", "-f", "{image}")
    assert station.safe == ("battery.off",)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"Booting"', '"("', "pattern 'booted' is no regular expression"),
        ("plmn>", "plnm>", "unknown group 'plnm'.*did you mean 'plmn'"),
        ("commands = { poll", "commands = { pol", "unknown command 'pol'.*did you mean 'poll'"),
        ('commands = { poll = "ipa poll" }', 'commands = { add_eim = "x" }', "does not contain {configuration}"),
        ('commands = { poll = "ipa poll" }', "", "no console has the command 'poll'"),
        ('"relay1:3"', '"relay1"', "which is no line.*INSTRUMENT:LINE"),
        ('"relay1:3"', '"relay2:3"', "no instrument 'relay2'.*did you mean 'relay1'"),
        ("registered = [", "regstered = [", "unknown observation 'regstered'"),
        ('["console", "emulator"]', '["eim"]', "'registered' cannot be told by"),
        ('sample = "A7"', 'smple = "A7"', "unknown key 'smple'.*did you mean 'sample'"),
        (EID, EID[:-1] + "6", "is no EID"),
        ('command = ["openocd", "-f", "{image}"]', "command = []", "'command' is empty"),
        ('ipa = "device"', 'ipa = "device"\ncard = { at = "reader" }', "the device's own IPA uses the card"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(load, old, new, words):
    assert old in GOOD
    with pytest.raises(ConfigurationError, match=r"(?s)" + words) as wrong:
        load(GOOD.replace(old, new))
    assert "bench.toml:" in str(wrong.value)


@recipe(title="Needs the radio", needs=("radio",))
async def radio(station):
    """Nothing."""


@recipe(title="Needs the device's own IPA", needs=("device-ipa", "console", "reset"))
async def own(station):
    """Nothing."""


def run_check(found, station, **options):
    check(found, station, **{"eid": "", "attended": False, "clock": None, **options})


def test_the_radio_is_not_the_hosts_network(load):
    run_check(radio, load(GOOD))  # the device's own IPA has no other way out
    for path, good in (("host", False), ("interface:wwan0", True)):
        station = load(f'[stations.meter]\ndata = {{ path = "{path}" }}\n')
        if good:
            run_check(radio, station)
        else:
            with pytest.raises(ConfigurationError, match="needs radio") as refused:
                run_check(radio, station)
            assert "not the radio" in refused.value.hint


def test_needs_of_a_device_are_checked_before_anything_is_touched(load):
    run_check(own, load(GOOD))
    with pytest.raises(ConfigurationError, match="needs device-ipa, console, reset"):
        run_check(own, load('[stations.meter]\nipa = "bench"\n'))


def test_a_person_as_switch_is_refused_unattended(load):
    station = load(
        "[stations.meter]\n"
        'modem = { driver = "at-modem", port = "/dev/ttyUSB2", port_needs_power = true }\n'
        'card = { at = "switch" }\nswitch = { driver = "ask" }\n'
    )

    @recipe(title="Card", needs=("card",))
    async def with_card(station):
        """Nothing."""

    run_check(with_card, station, attended=True)
    with pytest.raises(ConfigurationError, match="moved by a person, and this run is unattended"):
        run_check(with_card, station)
