"""Indices and what they stand for; vendors' lines, as recorded, to measurements; causes of refused registrations."""

from __future__ import annotations

import asyncio
import json

import pytest
from at_bench import with_modem
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import PtyModem

from bench.station.interfaces import measurement
from bench.station.interfaces.measurement import Measurement, signal_at
from instruments.modem import levels, measure
from instruments.modem.families import fibocom, nordic, quectel, sierra, simcom, telit, u_blox
from instruments.modem.vendors import GENERIC, VENDORS


@pytest.fixture
def double(tmp_path):
    with PtyModem(tmp_path) as found:
        yield found


# --- indices (27.007 section 8.69; the rows of 36.133 tables 9.1.4-1 and 9.1.7-1, 38.133) --------------------------

EDGES = [
    ("+CESQ: 0,99,255,255,255,255", "rxlev", (None, -110.0)),
    ("+CESQ: 1,99,255,255,255,255", "rxlev", (-110.0, -109.0)),
    ("+CESQ: 63,99,255,255,255,255", "rxlev", (-48.0, None)),
    ("+CESQ: 99,99,1,255,255,255", "rscp", (-120.0, -119.0)),
    ("+CESQ: 99,99,96,255,255,255", "rscp", (-25.0, None)),
    ("+CESQ: 99,99,255,0,255,255", "ecno", (None, -24.0)),
    ("+CESQ: 99,99,255,49,255,255", "ecno", (0.0, None)),
    ("+CESQ: 99,99,255,255,0,255", "rsrq", (None, -19.5)),
    ("+CESQ: 99,99,255,255,1,255", "rsrq", (-19.5, -19.0)),
    ("+CESQ: 99,99,255,255,33,255", "rsrq", (-3.5, -3.0)),
    ("+CESQ: 99,99,255,255,34,255", "rsrq", (-3.0, None)),
    ("+CESQ: 99,99,255,255,35,255", "rsrq", (-3.0, -2.5)),
    ("+CESQ: 99,99,255,255,46,255", "rsrq", (2.5, None)),
    ("+CESQ: 99,99,255,255,-1,255", "rsrq", (-20.0, -19.5)),
    ("+CESQ: 99,99,255,255,-29,255", "rsrq", (-34.0, -33.5)),
    ("+CESQ: 99,99,255,255,-30,255", "rsrq", (None, -34.0)),
    ("+CESQ: 99,99,255,255,31,62", "rsrp", (-79.0, -78.0)),
    ("+CESQ: 99,99,255,255,31,0", "rsrp", (None, -140.0)),
    ("+CESQ: 99,99,255,255,31,1", "rsrp", (-140.0, -139.0)),
    ("+CESQ: 99,99,255,255,31,97", "rsrp", (-44.0, None)),
    ("+CESQ: 99,99,255,255,31,-1", "rsrp", (-141.0, -140.0)),
    ("+CESQ: 99,99,255,255,31,-16", "rsrp", (-156.0, -155.0)),
    ("+CESQ: 99,99,255,255,31,-17", "rsrp", (None, -156.0)),
    ("+CESQ: 99,99,255,255,255,255,0,255,255", "ss_rsrq", (None, -43.0)),
    ("+CESQ: 99,99,255,255,255,255,1,255,255", "ss_rsrq", (-43.0, -42.5)),
    ("+CESQ: 99,99,255,255,255,255,126,255,255", "ss_rsrq", (19.5, None)),
    ("+CESQ: 99,99,255,255,255,255,255,1,255", "ss_rsrp", (-156.0, -155.0)),
    ("+CESQ: 99,99,255,255,255,255,255,126,255", "ss_rsrp", (-31.0, None)),
    ("+CESQ: 99,99,255,255,255,255,255,255,127", "ss_sinr", (40.0, None)),
]


@pytest.mark.parametrize(("line", "name", "edges"), EDGES)
def test_an_index_is_the_interval_of_its_table(line, name, edges):
    found, numbers = levels.cesq(line)
    level = found[name]
    assert (level.low, level.high) == edges
    assert level.value == (edges[0] if edges[0] is not None else edges[1])
    assert level.edge == ("lower" if edges[0] is not None else "upper")
    assert numbers[f"{name}_idx"] == level.index


def test_what_is_not_known_is_no_level():
    found, numbers = levels.cesq("+CESQ: 99,99,255,255,255,255,255,255,255")
    assert found == {}
    assert numbers["rsrp_idx"] == 255, "the number itself stays"
    assert levels.cesq("+CESQ: 99,99,255,255,47,98")[0] == {}
    assert levels.cesq("+CSQ: 20,99") == ({}, {})


@given(st.integers(-17, 97), st.integers(-30, 46))
def test_intervals_of_neighbouring_indices_meet(power, ratio):
    for scale, index in ((levels.RSRP_EXTENDED, power), (levels.RSRQ_EXTENDED, ratio)):
        level, above = scale.level(index), scale.level(index + 1)
        if level is None or above is None or index in (-1, 0, 34):  # 0 and 34 are the table's open ends of before
            continue
        assert level.high == above.low


def test_the_nordic_event_has_the_same_indices():
    found, numbers = levels.nordic_cesq("%CESQ: 62,2,31,4")
    assert (found["rsrp"].low, found["rsrq"].low) == (-79.0, -4.5)
    assert numbers == {"rsrp_idx": 62, "rsrq_idx": 31}
    assert levels.nordic_cesq("%CESQ: 255,0,255,0")[0] == {}


@given(st.text(max_size=60))
def test_any_line_is_read(text):
    for line in (text, f"+CESQ: {text}", f"%CESQ: {text}"):
        levels.cesq(line)
        levels.nordic_cesq(line)
    for vendor in (*VENDORS, GENERIC):
        for name in ("+CEREG", "+C5GREG", "+CNEC_EMM", "+CNEC_ESM", "%CESQ", "+CSCON"):
            measure.event(f"{name}: {text}", vendor, "m")


# --- vendors' lines -----------------------------------------------------------------------------------------------

LINES = [
    # Of the reference, and of public logs: what the converter must not lose, and what it must not believe.
    (
        quectel.serving,
        ['+QENG: "servingcell","NOCONN","eMTC","FDD",310,410,B0DD811,152,5110,12,3,3,5003,-88,-11,-62,11,41'],
        {"rat": "LTE-M", "plmn": "310410", "cell_id": 0xB0DD811, "pci": 152, "earfcn": 5110, "band": 12,
         "tac": 0x5003, "rsrp": -88.0, "rsrq": -11.0, "rssi": -62.0, "sinr": None, "connected": False},
        {"sinr": 11.0},
    ),
    (
        quectel.serving,
        ['+QENG: "servingcell","CONNECT","LTE","FDD",216,70,127328,189,476,1,3,3,D17,-104,-9,-77,18,-,-,-'],
        {"rat": "LTE", "sinr": 18.0, "bw_dl_rb": 50, "connected": True},
        {"rsrp": -104.0},
    ),
    (
        quectel.serving,
        ['+QENG: "servingcell","LIMSRV","LTE","FDD",216,70,127328,189,476,1,3,3,0xfffe,-,-,-,-'],
        {"tac": None, "rsrp": None, "rsrq": None, "rssi": None, "sinr": None, "connected": None},
        {},
    ),
    (
        quectel.serving,
        ['+QENG: "servingcell","NOCONN","NBIoT","FDD",262,01,1A2D001,17,6300,20,0,0,D2B,-148,-26,-120,0'],
        {"rat": "NB-IoT", "rsrp": -148.0, "rsrq": -26.0},  # deep coverage is not clamped
        {"sinr": 0.0},
    ),
    (
        quectel.signal_quality,
        ['+QCSQ: "eMTC",-62,-88,115,-11'],
        {"rat": "LTE-M", "rssi": -62.0, "rsrp": -88.0, "sinr": 3.0, "rsrq": -11.0},
        {"sinr": 115.0},
    ),
    (quectel.signal_quality, ['+QCSQ: "NOSERVICE"'], None, {}),
    (
        u_blox.engineering,
        ["+UCGED: 2", "6,4,001,01",
         "2525,5,50,50,e8fe,1a2d001,1,d60814d1,8001,01,28,31,13.75,3,1,10,28,-50,-6,0,255,255,0"],
        {"plmn": "00101", "earfcn": 2525, "band": 5, "bw_dl_rb": 50, "tac": 0xE8FE, "cell_id": 0x1A2D001, "pci": 1,
         "rsrp": -113.0, "rsrq": -4.5, "sinr": 13.75},
        {},
    ),
    (
        u_blox.engineering,
        ["+UCGED: 2", "6,0,fff,ff", "65535,255,255,255,ffff,fffffff,65535,ffffffff,ffff,ff,255,255,255.00,255"],
        {"plmn": "", "rsrp": None, "rsrq": None, "sinr": None},
        {},
    ),
    (
        telit.serving,
        ['#RFSTS: "310 410",800,-93,-59,-14,8B1E,255,-5,1280,19,2,A204B01,"310410123456789","AT&T",3,2'],
        {"plmn": "310410", "earfcn": 800, "rsrp": -93.0, "rssi": -59.0, "rsrq": -14.0, "tac": 0x8B1E,
         "cell_id": 0xA204B01, "band": 2, "connected": None},
        {"tx": -5.0},
    ),
    (
        telit.monitored,
        ["#MONI: AT&T RSRP:-92 RSRQ:-17 TAC:8B1E Id:A204B01 EARFCN:800 PWR:-54dbm DRX:1280"],
        {"rsrp": -92.0, "rsrq": -17.0, "tac": 0x8B1E, "cell_id": 0xA204B01, "earfcn": 800, "rssi": -54.0},
        {"pwr": -54.0},
    ),
    (telit.monitored, ["#MONI: AT&T BSIC:12 RxQual:0"], None, {}),
    (
        nordic.serving,
        ['%XMONITOR: 5,"EDAV","EDAV","26295","00B7",7,4,"00011B07",7,2300,63,39,"","11100000","00010011","01001001"'],
        {"rat": "LTE-M", "plmn": "26295", "tac": 0xB7, "band": 4, "cell_id": 0x11B07, "pci": 7, "earfcn": 2300,
         "rsrp": -78.0, "sinr": 14.0},
        {},
    ),
    (nordic.serving, ["%XMONITOR: 90"], None, {}),
    (
        nordic.serving,
        ['%XMONITOR: 1,"op","op","26201","002F",9,20,"0012BEEF",189,6300,255,127,""'],
        {"rat": "NB-IoT", "rsrp": None, "sinr": None},
        {},
    ),
    (
        simcom.SIM7600.serving.read,
        ["+CPSI: LTE,Online,460-11,0x2B05,173942272,420,EUTRAN-BAND3,1650,5,0,-100,-1086,-757,14"],
        {"rsrp": -108.6, "rsrq": -10.0, "rssi": -75.7, "sinr": 14.0, "bw_dl_rb": 100},
        {"rsrp": -1086.0},
    ),
    (
        sierra.status,
        ["System mode:   LTE        \tPS state:    Attached     ", "LTE band:      B3     \t\tLTE bw:      20 MHz  ",
         "LTE Rx chan:   1300\t\tLTE Tx chan: 19300", "EMM state:     Registered     \tNormal Service ",
         "PCC RxM RSSI:  -50\t\tRSRP (dBm):  -80", "Tx Power:      --\t\tTAC:         54AB (21675)",
         "RSRQ (dB):     -9.3\t\tCell ID:     01A2B3C4 (27440068)", "SINR (dB):     18.2"],
        {"rsrp": -80.0, "bw_dl_rb": 100, "sinr": 18.2, "tac": 0x54AB},
        {"sinr": 18.2},
    ),
    (
        fibocom.serving,
        ["+GTCCINFO:", "LTE service cell:", "1,4,460,00,1806,3C8EA03,9CC,1F2,103,100,22,56,56,26"],
        {"rat": "LTE", "rsrp": -85.0, "rsrq": -7.0, "band": 3},
        {},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("read", "lines", "wanted", "raw"), LINES)
def test_recorded_lines_become_cells(read, lines, wanted, raw):
    cell = read(lines)
    if wanted is None:
        assert cell is None
        return
    for name, value in wanted.items():
        found = getattr(cell, name)
        assert found == value or (value is not None and found == pytest.approx(value)), name
    assert raw.items() <= dict(cell.raw).items()


def test_the_neighbours_of_quectel_have_their_figures_in_another_order():
    line = '+QENG: "neighbourcell intra","LTE",38950,401,-7,-90,-62,-20,37,7,16,6,44'
    (cell,) = quectel.neighbours([line])
    assert (cell.earfcn, cell.pci, cell.rsrq, cell.rsrp, cell.rssi) == (38950, 401, -7.0, -90.0, -62.0)


# --- events -------------------------------------------------------------------------------------------------------

EVENTS = [
    ('+CEREG: 2,"09C5","020C7B16",7,0,11', quectel.QUECTEL_BG9X,
     {"reg": 2, "tac": 0x09C5, "cell_id": 0x020C7B16, "cause_type": 0, "cause": 11, "cause_name": "PLMN not allowed"}),
    ('+CEREG: 1,"002F","0012BEEF",7', nordic.NRF91, {"reg": 1, "rat": "LTE-M", "cause": None, "cell_id": 0x12BEEF}),
    ('+CEREG: 5,"002F","0012BEEF",9,,,"00100001","00000110"', nordic.NRF91, {"reg": 5, "rat": "NB-IoT"}),
    ("+CEREG: 3,,,,1,77", GENERIC, {"reg": 3, "cause_type": 1, "cause": 77, "cause_name": "", "rat": "NONE"}),
    ("+CEREG: 90", nordic.NRF91, {"reg": 0, "uicc_failure": True}),
    ("+CNEC_EMM: 15,0", nordic.NRF91,
     {"cause_type": 0, "cause": 15, "cause_name": "No suitable cells in tracking area"}),
    ("+CNEC_ESM: 27,0", nordic.NRF91, {"esm_cause": 27, "esm_cause_name": "missing or unknown APN"}),
    ("%CESQ: 62,2,31,4", nordic.NRF91, {"rsrp": -79.0, "rsrq": -4.5}),
    ("+CSCON: 1", GENERIC, {"connected": True}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "vendor", "wanted"), EVENTS)
def test_events_become_measurements(line, vendor, wanted):
    found = measure.event(line, vendor, "modem")
    assert found is not None
    for name, value in wanted.items():
        assert getattr(found, name) == value, name
    assert found.src == "urc:" + line.split(":", maxsplit=1)[0]
    assert json.loads(found.packet())["schema"] == "radio.meas/1"


def test_other_lines_are_no_measurement():
    for line in ("RDY", "+CPIN: READY", "+CEREG:", "+CNEC_EMM: 0,0", "", '+QIURC: "recv"'):
        assert measure.event(line, GENERIC, "m") is None


# --- records ------------------------------------------------------------------------------------------------------


def test_what_is_not_known_is_null_and_every_key_is_there():
    found = Measurement("at:+CESQ", 1, 2).as_json()
    for key in ("rat", "plmn", "tac", "cell_id", "pci", "earfcn", "band", "bw_dl_rb", "rsrp_dbm", "rsrq_db", "sinr_db",
                "rssi_dbm", "tx_dbm", "ce_level", "rrc", "reg", "cause_type", "cause", "cause_name"):  # fmt: skip
        assert found[key] is None, key
    assert (found["cells"], found["raw"]) == ([], {})


@given(
    st.builds(
        Measurement,
        src=st.text(min_size=1, max_size=10),
        t_ns=st.integers(0, 1 << 62),
        mono_ns=st.integers(0, 1 << 62),
        rat=st.sampled_from(["", "LTE", "NB-IoT"]),
        plmn=st.sampled_from(["", "00101", "001010"]),
        cell_id=st.none() | st.integers(0, (1 << 36) - 1),
        rsrp=st.none() | st.floats(-156, -31),
        rsrq=st.none() | st.floats(-43, 20),
        reg=st.none() | st.integers(0, 10),
        cause=st.none() | st.integers(0, 255),
        connected=st.none() | st.booleans(),
        uicc_failure=st.booleans(),
    )
)
def test_a_record_reads_back_as_it_was_written(found):
    assert measurement.read(found.packet()) == found
    assert found.text()


@given(st.binary(max_size=300) | st.builds(lambda data: b'{"schema":"radio.meas/1",' + data, st.binary(max_size=99)))
def test_any_packet_is_read(data):
    measurement.read(data)


@given(st.dictionaries(st.sampled_from([*Measurement("x", 0, 0).as_json()]),
                       st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) |
                       st.lists(st.dictionaries(st.text(max_size=4), st.integers()), max_size=2)))  # fmt: skip
def test_any_object_of_the_schema_is_read(raw):
    found = measurement.read(json.dumps(raw | {"schema": "radio.meas/1"}).encode())
    assert found is None or found.text()


def test_the_signal_at_a_moment_is_the_last_one_with_a_level_that_is_not_too_old():
    second = 1_000_000_000
    line = [
        Measurement("at:+QENG", 10 * second, 0, rsrp=-80.0),
        Measurement("at:+QENG", 20 * second, 0, rsrp=-110.0),
        Measurement("urc:+CEREG", 25 * second, 0, reg=2),
        Measurement("at:+QENG", 40 * second, 0, rsrp=-90.0),
    ]
    found = signal_at(line, 30 * second)
    assert found is not None and found.rsrp == -110.0
    assert signal_at(line, 5 * second) is None
    assert signal_at(line, 200 * second) is None


# --- a modem that is asked ----------------------------------------------------------------------------------------


def _quectel(double):
    double.script |= {
        "AT+CGMI": ["Quectel", "OK"],
        "AT+CGMM": ["BG95-M3", "OK"],
        'AT+QENG="servingcell"': [
            '+QENG: "servingcell","NOCONN","eMTC","FDD",310,410,B0DD811,152,5110,12,3,3,5003,-88,-11,-62,11,41', "OK",
        ],
        "AT+CEREG?": ['+CEREG: 5,5,"5003","0B0DD811",7', "OK"],
    }  # fmt: skip


def test_a_measurement_has_the_time_of_its_first_byte_and_the_registration(double):
    _quectel(double)

    async def body(modem):
        assert not modem.measurable
        await modem.wait_ready(timeout=5.0)
        assert modem.measurable
        double.delay = 0.05
        return await modem.measure_radio()

    found = with_modem(double, body)
    assert (found.src, found.rat, found.plmn, found.reg) == ("at:+QENG", "LTE-M", "310410", 5)
    assert (found.rsrp, found.sinr, found.raw["sinr"]) == (-88.0, None, 11.0)
    assert found.age_ms >= 40
    assert "+QENG" in str(found.raw["line"])
    assert found.t_ns > 1_600_000_000_000_000_000


def test_without_a_command_of_its_own_a_modem_has_cesq_and_both_edges(double):
    double.script |= {
        "AT+CESQ": ["+CESQ: 99,99,255,255,31,62", "OK"],
        "AT+CEREG?": ['+CEREG: 5,1,"002F","0012BEEF",7', "OK"],
        "AT+COPS?": ['+COPS: 0,2,"001010",7', "OK"],
    }

    async def body(modem):
        await modem.wait_ready(timeout=5.0)
        return await modem.measure_radio()

    found = with_modem(double, body)
    assert (found.src, found.plmn, found.cell_id) == ("at:+CESQ", "001010", 0x12BEEF)
    assert (found.rsrp, found.rsrq) == (-79.0, -4.5)
    raw = found.as_json()["raw"]
    assert (raw["rsrp_idx"], raw["rsrp_low"], raw["rsrp_high"], raw["rsrp_edge"]) == (62, -79.0, -78.0, "lower")


def test_who_is_subscribed_is_in_no_record(double):
    double.script |= {
        "AT+CGMI": ["Telit", "OK"],
        "AT+CGMM": ["LE910-EU V2", "OK"],
        "AT#RFSTS": ['#RFSTS: "262 01",1300,-97,-75,-12,54AB,FF,0,19,10,1,0A1B2C3,"262011234567890","T",3,3', "OK"],
        "AT+CEREG?": ['+CEREG: 5,1,"54AB","00A1B2C3",7', "OK"],
    }

    async def body(modem):
        await modem.wait_ready(timeout=5.0)
        return await modem.measure_radio()

    found = with_modem(double, body)
    assert b"262011234567890" not in found.packet() and b"****" in found.packet()
    row = "2525,5,50,50,e8fe,1a2d001,1,d60814d1,8001,01,28,31,13.75,3,1,10"
    assert "d60814d1" not in measure._shown([row])


def test_a_poll_gives_way_and_never_queues(double):
    _quectel(double)

    async def body(modem):
        await modem.wait_ready(timeout=5.0)
        double.delay = 0.1
        before = len(double.commands)
        command = asyncio.ensure_future(modem.command("AT+CEREG?"))
        await asyncio.sleep(0)
        assert await modem.measure_radio(background=True) is None, "the port is in use"
        await command
        # A poll under way stops behind the command that it has sent, as soon as somebody else wants the port.
        poll = asyncio.ensure_future(modem.measure_radio(background=True))
        async with asyncio.timeout(5):
            while not any("QENG" in line for line in double.commands[before:]):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await modem.command("AT+COPS=3,2")
        assert await poll is None
        return double.commands[before:]

    commands = with_modem(double, body)
    assert [line for line in commands if "CEREG" in line] == ["AT+CEREG?"], "only the recipe's own"
    assert commands[-1] == "AT+COPS=3,2"


def test_a_modem_without_power_or_answer_is_not_measurable(double):
    _quectel(double)

    async def body(modem):
        await modem.wait_ready(timeout=5.0)
        modem.lost_power()
        assert not modem.measurable
        await modem.wait_ready(timeout=5.0)
        assert modem.measurable
        double.say("RDY")
        async with asyncio.timeout(5):
            while modem.measurable:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    with_modem(double, body)
