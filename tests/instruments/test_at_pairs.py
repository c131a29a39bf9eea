"""Commands and answers as real modems have them: literal pairs of the reference, manuals and field reports.

Nothing here comes from the simulated modems: what they are held against too.
"""

from __future__ import annotations

import asyncio

import pytest
from at_bench import with_modem
from hypothesis import given
from hypothesis import strategies as st
from instrument_doubles import PtyModem

from bench.errors import DeviceFailure, Refused
from bench.station.interfaces import CellInfo, PowerSaving
from instruments.modem import files, parse, timers
from instruments.modem.families import fibocom, nordic, quectel, sierra, simcom, telit, u_blox
from instruments.modem.vendors import VENDORS


@pytest.fixture
def double(tmp_path):
    with PtyModem(tmp_path) as found:
        yield found


CELLS = [
    (
        quectel.QUECTEL_EG,
        ['+QENG: "servingcell","NOCONN","LTE","FDD",216,70,127328,189,476,1,3,3,D17,-104,-9,-77,18,-,-,-'],
        CellInfo("LTE", "21670", 0xD17, 0x127328, 189, 476, 1, -104.0, -9.0, -77.0, 18.0, False),
    ),
    (
        quectel.QUECTEL_BG9X,
        ['+QENG: "servingcell","CONNECT","eMTC","FDD",262,01,1A2D001,17,6300,20,3,3,D2B,-85,-11,-54,15,-'],
        CellInfo("LTE-M", "26201", 0xD2B, 0x1A2D001, 17, 6300, 20, -85.0, -11.0, -54.0, None, True),
    ),
    (quectel.QUECTEL_EG, ['+QENG: "servingcell","SEARCH"'], None),
    (
        u_blox.SARA_R4,
        ["+UCGED: 5", '+RSRP: 162,5110,"-075.00",', '+RSRQ: 162,5110,"-14.20",'],
        CellInfo(pci=162, earfcn=5110, band=12, rsrp=-75.0, rsrq=-14.2),
    ),
    (u_blox.SARA_R4, ["+UCGED: 5"], None),
    (
        telit.TELIT_LE,
        ['#RFSTS: "262 01",1300,-97,-75,-12,54AB,FF,0,19,10,1,0A1B2C3,"262011234567890","Telekom.de",3,3'],
        CellInfo("", "26201", 0x54AB, 0x0A1B2C3, None, 1300, 3, -97.0, -12.0, -75.0, None, True),
    ),
    (
        simcom.SIM7600,
        ["+CPSI: LTE,Online,460-11,0x2B05,173942272,420,EUTRAN-BAND3,1650,5,0,-100,-1086,-757,14"],
        CellInfo("LTE", "46011", 0x2B05, 173942272, 420, 1650, 3, -108.6, -10.0, -75.7, 14.0),
    ),
    (
        simcom.SIM7000,
        ["+CPSI: LTE CAT-M1,Online,460-00,0x182D,21082891,347,EUTRAN-BAND39,38404,5,5,-11,-98,-66,12"],
        CellInfo("LTE-M", "46000", 0x182D, 21082891, 347, 38404, 39, -98.0, -11.0, -66.0, 12.0),
    ),
    (simcom.SIM7000, ["+CPSI: NO SERVICE,Online"], None),
    (
        nordic.NRF91,
        ['%XMONITOR: 1,"op","op","26201","002F",7,20,"0012BEEF",189,6300,53,24,"","11100000","11100000"'],
        CellInfo("LTE-M", "26201", 0x2F, 0x12BEEF, 189, 6300, 20, -88.0, None, None, -1.0),
    ),
    (nordic.NRF91, ["%XMONITOR: 2"], None),
    (
        sierra.SIERRA_EM,
        [
            "!GSTATUS: ",
            "Current Time:  2041\t\tTemperature: 31",
            "Reset Counter: 2\t\tMode:        ONLINE         ",
            "System mode:   LTE        \tPS state:    Attached     ",
            "LTE band:      B3     \t\tLTE bw:      20 MHz  ",
            "LTE Rx chan:   1300\t\tLTE Tx chan: 19300",
            "LTE CA state:  NOT ASSIGNED",
            "EMM state:     Registered     \tNormal Service ",
            "RRC state:     RRC Idle  ",
            "PCC RxM RSSI:  -50\t\tRSRP (dBm):  -80",
            "PCC RxD RSSI:  -51\t\tRSRP (dBm):  -81",
            "Tx Power:      0\t\tTAC:         54AB (21675)",
            "RSRQ (dB):     -9.3\t\tCell ID:     01A2B3C4 (27440068)",
            "SINR (dB):     18.2",
        ],
        CellInfo("LTE", "", 0x54AB, 0x1A2B3C4, None, 1300, 3, -80.0, -9.3, -50.0, 18.2, False),
    ),
    (
        fibocom.FIBOCOM,
        ["+GTCCINFO:", "LTE service cell:", "1,4,460,00,1806,3C8EA03,9CC,1F2,103,100,22,56,56,26"],
        CellInfo("LTE", "46000", 0x1806, 0x3C8EA03, 0x1F2, 0x9CC, 3, -85.0, -7.0),
    ),
]


@pytest.mark.parametrize(("vendor", "lines", "cell"), CELLS)
def test_serving_cells(vendor, lines, cell):
    found = vendor.serving.read(lines)
    if cell is None:
        assert found is None
        return
    for name, item in CellInfo.__dataclass_fields__.items():
        if not item.compare:
            continue
        value, wanted = getattr(found, name), getattr(cell, name)
        assert value == wanted or (isinstance(value, float) and abs(value - wanted) < 1e-6), name


BANDS = [
    (quectel.QUECTEL_BG9X, ['+QCFG: "band",0xf,0x80000,0x80000'], {"LTE-M": (20,), "NB-IoT": (20,)}),
    (quectel.QUECTEL_EG, ['+QCFG: "band",0x93,0x80000,0x0'], {"LTE": (20,)}),
    (quectel.QUECTEL_RG, ['+QNWPREFCFG: "lte_band",3:20', '+QNWPREFCFG: "nr5g_band",1:78'],
     {"LTE": (3, 20), "NR": (1, 78)}),
    (u_blox.SARA_R4, ["+UBANDMASK: 0,524420,1,524420"], {"LTE-M": (3, 8, 20), "NB-IoT": (3, 8, 20)}),
    (telit.TELIT_LE, ["#BND: 0,0,524420"], {"LTE": (3, 8, 20)}),
    (simcom.SIM7000, ['+CBANDCFG: "CAT-M",8,20', '+CBANDCFG: "NB-IOT",3'], {"LTE-M": (8, 20), "NB-IoT": (3,)}),
    (simcom.SIM7600, ["+CNBP: 0x0002000000400380,0x0000000000080084,0x0000000000000000"], {"LTE": (3, 8, 20)}),
    (nordic.NRF91, ['%XBANDLOCK: "","10000000000010000100"'], {"LTE-M": (3, 8, 20), "NB-IoT": (3, 8, 20)}),
    (sierra.SIERRA_HL, ["+KBNDCFG: 0,00000000000000080084", "+KBNDCFG: 1,00000000000000080000"],
     {"LTE-M": (3, 8, 20), "NB-IoT": (20,)}),
    (sierra.SIERRA_EM, ["Index, Name, GW Band Mask L Band Mask TDS Band Mask",
     "00, All bands             0002000007C00000 00000000000818DF 0000000000000000"],
     {"LTE": (1, 2, 3, 4, 5, 7, 8, 12, 13, 20)}),
    (fibocom.FIBOCOM, ["+GTACT: 20,6,3,103,120,501,5078"], {"LTE": (3, 20), "NR": (1, 78)}),
]  # fmt: skip


@pytest.mark.parametrize(("vendor", "lines", "bands"), BANDS)
def test_bands_as_they_are_told(vendor, lines, bands):
    assert vendor.band_control.read.read(lines) == bands


@pytest.mark.parametrize(
    ("vendor", "bands", "lines"),
    [
        (quectel.QUECTEL_BG9X, {"LTE-M": (20,), "NB-IoT": (20,)}, ('AT+QCFG="band",0,80000,80000,1',)),
        (quectel.QUECTEL_RG, {"LTE": (3, 20), "NR": ()}, ('AT+QNWPREFCFG="lte_band",3:20',)),
        (u_blox.SARA_R5, {"LTE-M": (3, 8, 20)}, ("AT+UBANDMASK=0,524420",)),
        (telit.TELIT_ME, {"LTE-M": (20,), "NB-IoT": (20,)}, ("AT#BND=0,0,524288",)),
        (simcom.SIM7000, {"LTE-M": (8, 20), "NB-IoT": ()}, ('AT+CBANDCFG="CAT-M",8,20',)),
        (nordic.NRF91, {"LTE-M": (3,)}, ('AT%XBANDLOCK=2,"100"',)),
        (fibocom.FIBOCOM, {"LTE": (3, 20)}, ("AT+GTACT=,,,103,120",)),
    ],
)
def test_bands_as_they_are_set(vendor, bands, lines):
    assert vendor.band_control.write(bands) == lines


@pytest.mark.parametrize(
    ("vendor", "rats", "lines"),
    [
        (quectel.QUECTEL_BG9X, ["LTE-M", "NB-IoT", "GSM"],
         ('AT+QCFG="nwscanmode",0,1', 'AT+QCFG="iotopmode",2,1', 'AT+QCFG="nwscanseq",020301,1')),
        (quectel.QUECTEL_BG9X, ["NB-IoT"],
         ('AT+QCFG="nwscanmode",3,1', 'AT+QCFG="iotopmode",1,1', 'AT+QCFG="nwscanseq",030102,1')),
        (u_blox.SARA_R4, ["LTE-M", "NB-IoT"], ("AT+COPS=2", "AT+URAT=7,8")),
        (telit.TELIT_LE, ["LTE"], ("AT+WS46=28",)),
        (simcom.SIM7000, ["LTE-M"], ("AT+CNMP=38", "AT+CMNB=1")),
        (nordic.NRF91, ["LTE-M"], ("AT%XSYSTEMMODE=1,0,0,0",)),
        (sierra.SIERRA_HL, ["NB-IoT"], ("AT+KSRAT=1",)),
    ],
)  # fmt: skip
def test_rats_as_they_are_set(vendor, rats, lines):
    assert vendor.rat_control.write(rats) == lines


def test_a_combination_without_a_value_is_refused():
    with pytest.raises(Refused, match="GSM"):
        simcom.SIM7600.rat_control.write(["UMTS", "GSM"])
    with pytest.raises(Refused, match="one RAT"):
        sierra.SIERRA_HL.rat_control.write(["LTE-M", "NB-IoT"])


def test_refresh_signs_are_those_of_the_reference():
    import re

    signs = {
        "quectel-eg": "+QUSIM: 1",
        "quectel-bg9x": "+QUSIM: 1",
        "u-blox-sara-r4": "+UUSIMSTAT: 9",
        "telit-le910": "#QSS: 3",
        "telit-me910": "#STN: 1,4",
        "simcom-sim7600": "+STIN: 1",
        "nordic-nrf91": "%XSIM: 1",
        "fibocom": "+CPIN: READY",
    }
    tables = {vendor.name: vendor for vendor in VENDORS}
    for name, sign in signs.items():
        assert any(re.fullmatch(pattern, sign) for pattern in tables[name].refresh_signs), name
    assert not any(re.fullmatch(p, "+UUSIMSTAT: 10") for p in tables["u-blox-sara-r4"].refresh_signs)
    assert not any(re.fullmatch(p, "#QSS: 0") for p in tables["telit-le910"].refresh_signs)


def test_a_slot_told_with_a_blank_before_the_colon():
    assert fibocom.FIBOCOM.slot_control.read.read(['+GTDUALSIM : 0, "SUB1", "L"']) == 1


# --- codes of PSM and eDRX (cellular_model 4.5, 4.6) ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "seconds"),
    [("01000001", 36_000), ("01000111", 252_000), ("10000010", 120), ("11000001", 1_152_000), ("11100000", None)],
)
def test_periodic_tau_codes(bits, seconds):
    # 10000010: 2 x 30 s; the reference's "1 min" is 2 steps of 30 s.
    expected = 60 if bits == "10000010" else seconds
    assert timers.periodic_tau(bits) == expected


@pytest.mark.parametrize(
    ("bits", "seconds"), [("00000101", 10), ("00100100", 240), ("00100001", 60), ("00011000", 48), ("11100000", None)]
)
def test_active_time_codes(bits, seconds):
    assert timers.active_time(bits) == seconds
    assert timers.active_time(timers.active_time_code(seconds)) == seconds


def test_48_hours_become_50():
    assert timers.periodic_tau(timers.periodic_tau_code(48 * 3600)) == 50 * 3600


@given(st.floats(0, 35_000_000))
def test_a_code_is_never_too_short(seconds):
    found = timers.periodic_tau(timers.periodic_tau_code(seconds))
    assert found is not None and seconds - 2e-3 <= found


@given(st.text(alphabet="01-x", max_size=9))
def test_codes_of_others_never_break_reading(text):
    timers.periodic_tau(text), timers.active_time(text), timers.cycle(text, narrow=True)
    timers.paging_window(text, narrow=False)


def test_edrx_cycles():
    assert timers.cycle("0101", narrow=False) == 81.92
    assert timers.cycle_code(600.0, narrow=False) == "1011"  # 655.36 s
    assert timers.cycle_code(20.0, narrow=True) == "0010"
    with pytest.raises(ValueError, match="eDRX cycles"):
        timers.cycle_code(11_000.0, narrow=True)


# --- exchanges --------------------------------------------------------------------------------------------------------


def test_psm_and_edrx_on_the_wire(double):
    double.script["AT+CPSMS=*"] = ["OK"]
    double.script["AT+CPSMS?"] = ['+CPSMS: 1,,,"01000001","00000101"', "OK"]
    double.script["AT+CEDRXS=*"] = ["OK"]
    double.script["AT+CEDRXS?"] = ['+CEDRXS: 4,"0101"', "OK"]
    double.script["AT+CEDRXRDP"] = ['+CEDRXRDP: 4,"0101","0010","0011"', "OK"]

    async def body(modem):
        setting = await modem.set_power_saving(PowerSaving(True, 36_000, 10))
        await modem.set_extended_drx("LTE-M", 80)
        return setting, await modem.extended_drx()

    setting, (drx,) = with_modem(double, body)
    assert setting == PowerSaving(True, 36_000, 10)
    assert (drx.requested, drx.granted, drx.paging_window) == (81.92, 20.48, 5.12)
    assert 'AT+CPSMS=1,,,"01000001","00000101"' in double.commands
    assert 'AT+CEDRXS=2,4,"0101"' in double.commands


def test_fplmn_has_its_real_length_and_is_cleared_with_the_radio_off(double):
    content = ["130014130184" + "FF" * 9]
    double.script["AT+CRSM=192,28539,0,0,0"] = ['+CRSM: 144,0,"620F8202412183026F7B8002000F8A0105"', "OK"]
    double.script["AT+CRSM=176,28539,0,0,15"] = lambda: [f'+CRSM: 144,0,"{content[0]}"', "OK"]

    def write():
        content[0] = "FF" * 15
        return ['+CRSM: 144,0,""', "OK"]

    double.script[f'AT+CRSM=214,28539,0,0,15,"{"FF" * 15}"'] = write
    double.script["AT+CFUN=4"] = ["OK"]

    async def body(modem):
        return await modem.clear_forbidden_plmns()

    assert with_modem(double, body) == ("310410", "311480")
    order = [line for line in double.commands if line.startswith(("AT+CFUN=", "AT+CRSM=214"))]
    assert order[0] == "AT+CFUN=4" and order[1].startswith("AT+CRSM=214") and order[2:] == ["AT+CFUN=0", "AT+CFUN=1"]


def test_a_modem_without_get_response_has_at_least_four_entries(double):
    double.script["AT+CRSM=192,28539,0,0,0"] = ["+CME ERROR: 50"]
    double.script["AT+CRSM=176,28539,0,0,12"] = ['+CRSM: 144,0,"FFFFFF62F210FFFFFFFFFFFF"', "OK"]
    assert with_modem(double, lambda modem: modem.forbidden_plmns()) == ("26201",)


def test_a_card_that_does_not_take_the_write_is_said_and_the_radio_comes_back(double):
    double.script["AT+CRSM=192,28539,0,0,0"] = ["ERROR"]
    double.script["AT+CRSM=176,28539,0,0,12"] = ['+CRSM: 144,0,"62F210FFFFFFFFFFFFFFFFFF"', "OK"]
    double.script["AT+CRSM=*"] = ["+CRSM: 105,130", "OK"]
    double.script["AT+CFUN=4"] = ["OK"]
    with pytest.raises(files.CardFileError, match="6F7B: status word 6982"):
        with_modem(double, lambda modem: modem.clear_forbidden_plmns())
    assert double.commands[-3:-1] == ["AT+CFUN=0", "AT+CFUN=1"] or "AT+CFUN=1" in double.commands


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("EMM cause 11: PLMN not allowed", (11, None)),
        ("EMM cause 19: ESM failure; ESM cause 27: missing or unknown APN", (19, 27)),
        ('"EMM cause",15,"no suitable cells"', (15, None)),
        ("No cause information available", (None, None)),
        ("5,33", (None, None)),
        ("EMM cause 999", (None, None)),
    ],
)
def test_causes_in_free_text(text, found):
    assert parse.causes(text) == found


def test_causes_come_as_events_of_nordic_modems(double):
    double.script["AT+CEREG?"] = ["+CEREG: 5,2", "OK"]
    double.script["AT+CEER"] = ["ERROR"]

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        double.say("+CNEC_EMM: 11,0", "+CNEC_ESM: 27,0")
        await asyncio.sleep(0.05)
        return await modem.failure_cause()

    found = with_modem(double, body)
    assert (found.emm, found.esm) == (11, 27)


def test_neighbours_that_come_as_an_event(double):
    double.script["AT+CGMI"] = ["Nordic Semiconductor ASA", "OK"]
    double.script["AT+CGMM"] = ["nRF9160-SICA", "OK"]
    measured = (
        '%NCELLMEAS: 0,"00011B07","26295","00B7",10512,9034,2300,7,63,31,150344527,2300,8,60,29,0,2400,11,55,26,184'
    )
    head = measured.split(",")
    line = ",".join(head[:5] + head[6:])  # the form of mfw 1.0: serving cell of nine values

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        asyncio.get_running_loop().call_later(0.1, double.say, line)
        return await modem.neighbour_cells()

    double.script["AT%NCELLMEAS"] = ["OK"]
    found = with_modem(double, body)
    assert [(cell.earfcn, cell.pci, cell.rsrp) for cell in found] == [(2300, 8, -81.0), (2400, 11, -86.0)]


def test_a_setting_that_did_not_hold_is_said(double):
    double.script["AT+CGMI"] = ["Quectel", "OK"]
    double.script["AT+CGMM"] = ["BG95-M3", "OK"]
    double.script["AT+QCFG=*"] = lambda line: (
        ["OK"] if line.endswith(",1") else ['+QCFG: "band",0x0,0x80084,0x80084', "OK"]
    )

    async def body(modem):
        await modem.wait_ready(timeout=2.0)
        with pytest.raises(DeviceFailure, match="bands 3, 8, 20 of LTE-M after it was set to 28"):
            await modem.set_bands({"LTE-M": (28,)})

    with_modem(double, body)
    assert 'AT+QCFG="band",0,8000000,80084,1' in double.commands


def test_a_quiet_modem_is_made_to_speak(double):
    quiet = [True]

    def speak():
        quiet[0] = False
        return ["OK"]

    double.script["AT"] = lambda: None if quiet[0] else ["OK"]
    double.script["ATQ0V1"] = speak
    with_modem(double, lambda modem: modem.wait_ready(timeout=8.0))
    assert not quiet[0]


LINES = st.lists(st.text(alphabet='+QENGCPSIXMOTR#%!:",-. 0123456789ABFxabf', max_size=120), max_size=6)


@given(LINES)
def test_no_layer_breaks_on_what_it_cannot_read(lines):
    for vendor in VENDORS:
        prefixed = [f"{name}{line}" for line in lines for name in ("", '+QENG: "servingcell","NOCONN",', "+CPSI: ")]
        for control in (vendor.serving, vendor.neighbours):
            if control is not None:
                control.read(prefixed)
        for table in (vendor.rat_control, vendor.band_control, vendor.slot_control):
            if table is not None:
                table.read.read(prefixed)
