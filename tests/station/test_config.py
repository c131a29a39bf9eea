"""bench.toml: what is right is read, what is wrong is named with file and line."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ConfigurationError
from bench.station import config, safe
from bench.station.toml_lines import positions
from bench.trace.lane import NullLane

GOOD = """\
[bench]
home = "kept"

[instruments.psu1]
driver = "keysight-e36300"
resource = "TCPIP::192.0.2.10::5025::SOCKET"
serial = "MY59001234"

[stations.meter]
ipa = "bench"
power = { instrument = "psu1", channel = 2, voltage = 3.8, current_limit = 1.5, voltage_max = 4.3, dead_voltage = 0.3 }
modem = { driver = "instruments.modem.modem:AtModem", port = "usb:1-1.4:if02", imei = "490154203237518" }
card = { at = "modem", slot = 1, eid = "89049032123451234512345678901235" }
data = { path = "interface:wwan0" }
dut = { sample = "A7", console = { app = "usb:1-1.2" }, reset = "relay1:3", battery = false, poll_trigger = "power" }
safe = ["power.off"]
expendable = false

[eim]
kind = "bundled"
advertise = "eim.lab.example"

[instruments.relay1]
driver = "numato-lines"
port = "usb:1-1.3"
"""


@pytest.fixture
def load(tmp_path):
    def run(text):
        path = tmp_path / "bench.toml"
        path.write_text(text)
        return config.load(path, environment={})

    return run


def test_the_example_of_the_design_is_read(load, tmp_path):
    bench = load(GOOD)
    station = bench.station("meter")
    assert station.power.driver == "keysight-e36300"
    assert (station.power.channel, station.power.voltage_max, station.power.serial) == (2, 4.3, "MY59001234")
    assert station.eid == "89049032123451234512345678901235"
    assert station.modem.port_needs_power is True
    assert station.safe == ("power.off",)
    assert station.simulated is False
    assert bench.eim.advertise == "eim.lab.example"
    assert bench.smdpp.advertise == "smdpp.bench.example"
    assert bench.home == tmp_path / "kept"
    assert bench.runs == tmp_path / "kept" / "runs"
    assert "sim" in bench.stations


def test_without_a_file_there_is_the_simulated_station(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bench = config.load(environment={"BENCH_HOME": str(tmp_path / "h"), "XDG_CONFIG_HOME": str(tmp_path)})
    station = bench.station("sim")
    assert bench.source is None
    assert bench.home == tmp_path / "h"
    assert station.simulated and station.expendable and station.unresolved()
    assert station.world.service == "sim"


def test_search_order(tmp_path, monkeypatch):
    def put(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench.toml").write_text("")
        return folder / "bench.toml"

    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert config.find(environment=environment) is None
    user = put(tmp_path / "config" / "esim-bench")
    assert config.find(environment=environment) == user
    above = put(tmp_path / "a")
    assert config.find(environment=environment) == above
    here = put(deep)
    assert config.find(environment=environment) == here
    named = put(tmp_path / "named")
    assert config.find(environment={**environment, "BENCH_CONFIG": str(named)}) == named
    given = put(tmp_path / "given")
    assert config.find(given, {**environment, "BENCH_CONFIG": str(named)}) == given


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match="--config"):
        config.find(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match=r"\$BENCH_CONFIG"):
        config.find(environment={"BENCH_CONFIG": str(tmp_path / "none.toml")})


def change(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (change("voltage_max = 4.3", "voltage_mx = 4.3"), 11, "unknown key 'voltage_mx'", "did you mean 'voltage_max'"),
        (change('ipa = "bench"', 'ipa = "bensh"'), 10, "'ipa' cannot be 'bensh'", "did you mean 'bench'"),
        (change("voltage = 3.8", "voltage = 4.4"), 11, "voltage 4.4 V is above voltage_max 4.3 V", ""),
        (change("voltage = 3.8", 'voltage = "3.8"'), 11, "'voltage' must be a number, not a text", ""),
        (change("voltage = 3.8", "voltage = nan"), 11, "'voltage' is nan", ""),
        (change("voltage = 3.8", "voltage = -1"), 11, "'voltage' is -1, allowed is 0 to 1000 V", ""),
        (change("channel = 2", "channel = 2.5"), 11, "'channel' must be a whole number", ""),
        (change("channel = 2", "channel = true"), 11, "'channel' must be a whole number, not true or false", ""),
        (change("voltage = 3.8, ", ""), 11, "'voltage' is missing", "add voltage = 1.0"),
        (change("dead_voltage = 0.3", "dead_voltage = 4.0"), 11, "dead_voltage 4 V is not below", ""),
        (change("current_limit = 1.5", "current_limit = 0"), 11, "above 0 A", ""),
        (change('instrument = "psu1"', 'instrument = "psu"'), 11, "no [instruments.psu]", "did you mean 'psu1'"),
        (change('"keysight-e36300"', '"keysigth-e36300"'), 4, "no driver 'keysigth-e36300'", "did you mean 'keysight"),
        (change('resource = "TCPIP::192.0.2.10::5025::SOCKET"\n', ""), 4, "'resource' is missing", ""),
        (change('imei = "490154203237518"', 'imei = "4901"'), 12, "'4901' is no IMEI", ""),
        (change("901235", "901236"), 13, "is no EID", "check digits"),
        (change('"interface:wwan0"', '"wwan0"'), 14, "'wwan0' is no data path", "interface:wwan0"),
        (change('["power.off"]', '["power.of"]'), 16, "unknown safe action 'power.of'", "did you mean 'power.off'"),
        (change('["power.off"]', '["network.off"]'), 16, "'network.off' needs network", ""),
        (change('["power.off"]', '"power.off"'), 16, "'safe' must be a list", ""),
        (change("expendable = false", "expendable = 0"), 17, "must be true or false", ""),
        (change("[eim]", "[eimm]"), 19, "unknown table [eimm]", "did you mean 'eim'"),
        (change('kind = "bundled"', 'kind = "cloud"'), 20, "'kind' cannot be 'cloud'", "bundled"),
        (change("[stations.meter]", "[stations.meter]\npwer = 1"), 10, "unknown key 'pwer'", "did you mean 'power'"),
        (change("[bench]", "[bench]\nhom = 1"), 2, "unknown key 'hom'", "did you mean 'home'"),
        (change('modem = { driver = "instruments.modem.modem:AtModem", ', "modem = { "), 12, "'driver' is missing", ""),
        (change('port = "usb:1-1.4:if02"', 'port = "$world.modem.port"'), 9, "needs a simulated world", "add world"),
        (change('data = { path = "interface:wwan0" }', "data = 3"), 14, "must be a table", ""),
        (change("slot = 1", "slot = 2"), 13, "slot 2 is not available yet", "slot = 1"),
        (change('at = "modem"', 'at = "switch"'), 13, "the station has no switch", "add switch"),
        (change('at = "modem"', 'at = "modem", reader = "ACR"'), 13, "'reader' is of no use", 'at = "reader"'),
        (change('at = "modem"', 'at = "reader", driver = "pcscd"'), 13, "no driver 'pcscd'", "did you mean 'pcsc'"),
        (change("[stations.meter]", "[stations.meter]\nworld = 3"), 10, "'world' must be a table", ""),
        (change("[stations.meter]", '[stations.meter]\nclock = "sundial"'), 10, "'sundial' is no clock", ""),
        (change('home = "kept"', 'home = "kept'), 2, "", "not valid TOML"),
        (change('home = "kept"', 'home = "kept"\nhome = "x"'), 3, "", "not valid TOML"),
    ],
)
def test_every_mistake_is_named_with_file_and_line(load, tmp_path, text, line, message, hint):
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'bench.toml'}:{line}: ")
    assert message in said
    assert hint in said
    assert caught.value.exit_code == 2


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file(load):
    text = change("voltage_max = 4.3", "voltage_mx = 4.3").replace("expendable", "expandable").replace("home", "hom")
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines][:2] == ["2", "11"]
    assert any(":17: unknown key 'expandable'" in line for line in lines)


def test_an_unknown_station_is_answered_with_a_suggestion(load):
    with pytest.raises(ConfigurationError, match="did you mean 'meter'"):
        load(GOOD).station("metre")


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "bench.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        config.load(path)


# --- simulated stations -----------------------------------------------------------------------------------------------

ANNOUNCED = {
    "stations": {
        "sim": {
            "power": {"resource": "TCPIP::127.0.0.1::40001::SOCKET"},
            "modem": {"port": "/tmp/w/modem", "second_port": "/tmp/w/modem-2"},
            "network": {"resource": "TCPIP::127.0.0.1::40002::SOCKET"},
            "attenuator": {"resource": "http://127.0.0.1:40004"},
            "data": {"proxy": "http://127.0.0.1:40003"},
            "clock": "/tmp/w/clock",
        }
    }
}


def sim():
    return config.load(environment={"BENCH_HOME": "/nowhere"}).station("sim")


def test_the_announcement_fills_the_placeholders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    station = sim().resolve(ANNOUNCED)
    assert not station.unresolved()
    assert station.power.resource == "TCPIP::127.0.0.1::40001::SOCKET"
    assert station.modem.port == "/tmp/w/modem"
    assert station.modem.port_needs_power is True
    assert station.data.path == "modem:http://127.0.0.1:40003"
    assert station.clock == "unix:/tmp/w/clock"


def test_an_announcement_without_what_is_asked_for_is_an_error():
    with pytest.raises(ConfigurationError, match=r"did not announce 'modem\.port'"):
        sim().resolve({"stations": {"sim": {**ANNOUNCED["stations"]["sim"], "modem": {}}}})


def test_options_of_the_world_can_be_set():
    assert sim().with_world(clock="instant").world.options["clock"] == "instant"
    with pytest.raises(ConfigurationError, match="no simulated world"):
        config.StationConfig("x").with_world(clock="instant")


# --- the safe plan ----------------------------------------------------------------------------------------------------


def test_the_safe_plan_comes_from_the_configuration_alone_in_declared_order():
    plan = safe.plan(sim().resolve(ANNOUNCED))
    assert [action.name for action in plan] == ["network.off", "power.off"]
    assert plan[1].channel == 1
    assert plan[1].dead_voltage == 0.3
    assert plan[1].options["resource"] == "TCPIP::127.0.0.1::40001::SOCKET"
    again, deadline = safe.parse(safe.dump(plan, deadline=1.5))
    assert again == tuple(plan) and deadline == 1.5


def test_without_a_declaration_rf_goes_off_before_the_supply(load):
    bench = load(change('safe = ["power.off"]\n', 'network = { driver = "a:B", resource = "x" }\n'))
    assert bench.station("meter").safe == ("network.off", "power.off")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"actions": [{}]}', '{"actions": [{"name": "a", "driver": "b", "options": 3}]}', "nonsense"],
)
def test_a_plan_that_is_none(text):
    with pytest.raises(ConfigurationError, match="no safe plan"):
        safe.parse(text)


# --- lines ------------------------------------------------------------------------------------------------------------


def test_lines_of_every_form_of_toml():
    text = """# comment
a = 1
"quoted key" = '''
multi
[line]
'''
[t] # header
b = [
  1, # one
  { c = "}" },
]
d.e.f = { g = 1, h = [2, 3] }
[[list]]
x = "\\" # = ["
[[list]]
y = \"\"\"a\\\"\"\"\"
[list.sub]
z = 1979-05-27T07:32:00Z
"""
    lines = positions(text)
    assert lines[("a",)] == 2
    assert lines[("quoted key",)] == 3
    assert lines[("t",)] == 7
    assert lines[("t", "b")] == 8
    assert lines[("t", "b", 0)] == 9
    assert lines[("t", "b", 1, "c")] == 10
    assert lines[("t", "d", "e", "f", "h", 1)] == 12
    assert lines[("list", 0, "x")] == 14
    assert lines[("list", 1, "y")] == 16
    assert lines[("list", 1, "sub", "z")] == 18


def paths(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*path, key))
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from paths(item, (*path, number))


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + "".join(f"  {toml(item)},\n" for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value)
    return str(value).lower()


scalars = st.one_of(
    st.integers(-1000, 1000),
    st.booleans(),
    st.text(st.characters(codec="ascii", exclude_characters="\x7f"), max_size=8),
)
keys = st.text(st.characters(codec="ascii", exclude_characters="\x7f"), min_size=1, max_size=6)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=12,
)


@given(
    st.dictionaries(keys, values, max_size=4),
    st.dictionaries(keys, st.dictionaries(keys, values, max_size=3), max_size=3),
)
def test_every_path_has_its_line(top, tables):
    tables = {key: table for key, table in tables.items() if key not in top}
    rows = [f"{json.dumps(key)} = {toml(value)}" for key, value in top.items()]
    for key, table in tables.items():
        rows.append(f"[{json.dumps(key)}]")
        rows += [f"{json.dumps(inner)} = {toml(value)}" for inner, value in table.items()]
    text = "\n".join(rows)
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # an inline table over several lines: not TOML 1.0
    assert set(paths(parsed)) <= set(positions(text))


@given(st.text(max_size=200))
def test_any_text_is_toml_or_a_configuration_error(text):
    from bench.station.tables import Document

    try:
        document = Document(text, "x.toml")
    except ConfigurationError as error:
        assert error.where.startswith("x.toml:")
    else:
        assert set(paths(document.table)) <= set(document.lines)


RECORDERS = """
[stations.lab.radio.diag]
driver = "qualcomm-diag"
port = "usb:1-1.4:if00"
options = { tool = "scat" }

[stations.lab.radio.card]
driver = "simtrace2"
"""


def test_recorders_of_the_radio_are_parts_with_lanes_of_their_own(tmp_path):
    from bench.station.parts import parts

    path = tmp_path / "bench.toml"
    path.write_text(RECORDERS)
    station = config.load(path).station("lab")
    lanes = []

    def lane(name):
        lanes.append(name)
        return NullLane(name)

    found = {part.name: part.options(lanes=lane, folder=tmp_path) for part in parts(station)}
    assert set(found) == {"radio:diag", "radio:card"}
    assert (found["radio:diag"].port, found["radio:diag"].folder) == ("usb:1-1.4:if00", tmp_path)
    assert lanes == ["diag:diag", "radio:diag", "sniff:card", "radio:card"]


def test_a_recorder_that_cannot_be_is_named_with_its_line(tmp_path):
    path = tmp_path / "bench.toml"
    path.write_text(RECORDERS.replace("qualcomm-diag", "qualcom-diag"))
    with pytest.raises(ConfigurationError, match=r"qualcomm-diag"):
        config.load(path)
    path.write_text('[stations.lab]\nradio = "scat"\n')
    with pytest.raises(ConfigurationError, match="table of tables"):
        config.load(path)
