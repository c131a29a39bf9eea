"""What a line is, and what its fields mean: the reference's variants, and any text at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import DeviceFailure
from instruments.modem import parse
from instruments.modem.errors import error_of
from instruments.modem.lines import Kind, classify, deadline, expect, fields_of, name_of, value_of
from instruments.modem.port import _LINE


def kind(line, command):
    return classify(line, command, expect(command) if command else None)


@pytest.mark.parametrize(
    ("line", "command", "expected"),
    [
        ("OK", "AT", Kind.OK),
        ("ERROR", "AT", Kind.ERROR),
        ("+CME ERROR: 3", "AT+COPS=0", Kind.ERROR),
        ("+CMS ERROR: 500", "AT+CMGS=1", Kind.ERROR),
        ("+CME ERROR:3", "AT+COPS=0", Kind.ERROR),
        ("NO CARRIER", "ATD*99#", Kind.ERROR),
        ("NO CARRIER", "AT+CSQ", Kind.EVENT),
        ("CONNECT 150000000", "ATD*99#", Kind.OK),
        ("AT+CSQ", "AT+CSQ", Kind.ECHO),
        ("at+csq", "AT+CSQ", Kind.ECHO),
        ("+CSQ: 15,99", "AT+CSQ", Kind.INFORMATION),
        ("+CSQ: 15,99", "AT+CREG?", Kind.EVENT),
        # the read answer has <n> before <stat>, the event has not
        ("+CEREG: 2,1", "AT+CEREG?", Kind.INFORMATION),
        ("+CEREG: 5,90", "AT+CEREG?", Kind.INFORMATION),
        ('+CEREG: 2,1,"002F","0012BEEF",7', "AT+CEREG?", Kind.INFORMATION),
        ("+CEREG: 2", "AT+CEREG?", Kind.EVENT),
        ('+CEREG: 1,"002F","0012BEEF",7', "AT+CEREG?", Kind.EVENT),
        ("+CEREG: 1,002F,0012BEEF,7", "AT+CEREG?", Kind.EVENT),
        ("+CEREG: 1,,,,,", "AT+CEREG?", Kind.EVENT),
        ("+CEREG: (0-5)", "AT+CEREG=?", Kind.INFORMATION),
        ("+CEREG: 2", "AT+CEREG=5", Kind.EVENT),
        ("+CEREG: 2", 'AT+CGLA=1,10,"00"', Kind.EVENT),
        ("+CFUN: 1", "AT+CFUN?", Kind.INFORMATION),
        ("+CFUN: 1", "AT+CFUN=1", Kind.EVENT),
        ("+CPIN: READY", "AT+CPIN?", Kind.INFORMATION),
        ("+CPIN: READY", "AT+CFUN=1", Kind.EVENT),
        ("+QUSIM: 1", "AT+CPIN?", Kind.EVENT),
        ("+QIND: SMS DONE", "AT+CGMM", Kind.EVENT),
        ("RDY", "AT", Kind.EVENT),
        ("EG25", "AT+CGMM", Kind.INFORMATION),
        ("001010000000001", "AT+CIMI", Kind.INFORMATION),
        ("1", CCHO := 'AT+CCHO="A000"', Kind.INFORMATION),
        ("+CCHO: 1", CCHO, Kind.INFORMATION),
        ("+CCHC", "AT+CCHC=1", Kind.INFORMATION),
        ('+QENG: "servingcell"', 'AT+QENG="servingcell"', Kind.INFORMATION),
        ("+ICCID: 8988", "AT+CICCID", Kind.INFORMATION),
        ("#QSS: 3", "AT#QSS?", Kind.INFORMATION),
        ("#QSS: 0", "AT+CSIM=1", Kind.EVENT),
        ("%XSIM: 1", "AT%XSIM?", Kind.INFORMATION),
        ("OK", None, Kind.EVENT),
        ("+CSQ: 1,1", None, Kind.EVENT),
    ],
)
def test_classification(line, command, expected):
    assert kind(line, command) is expected


@given(
    st.text(min_size=1, max_size=60).map(str.strip).filter(bool),
    st.sampled_from(["AT", "AT+CEREG?", "AT+CGLA=1,2", None]),
)
def test_any_line_has_a_kind(line, command):
    found = kind(line, command)
    assert isinstance(found, Kind)
    if command is None:
        assert found is Kind.EVENT
    fields_of(line)
    value_of(line)
    name_of(line)


@given(st.text(max_size=60))
def test_any_command_has_an_expectation_and_a_deadline(command):
    expect(command)
    assert deadline(command) >= 1.0


@given(st.binary(max_size=200), st.lists(st.integers(1, 20), max_size=30))
def test_lines_are_the_same_however_the_bytes_are_cut(data, cuts):
    """The splitter keeps every byte and finds the same lines in one piece and in many."""

    def lines(pieces):
        found, rest = [], b""
        for piece in pieces:
            buffer, end = rest + piece, 0
            for match in _LINE.finditer(buffer):
                found.append(match.group(0).strip(b"\r\n"))
                end = match.end()
            rest = buffer[end:]
        return found, rest.strip(b"\r\n")

    pieces, at = [], 0
    for cut in cuts:
        pieces.append(data[at : at + cut])
        at += cut
    assert lines([*pieces, data[at:]]) == lines([data])


@pytest.mark.parametrize(
    ("line", "read", "status", "tac", "cell", "act", "cause"),
    [
        ("+CEREG: 2", False, 2, None, None, None, None),
        ("+CEREG: 0,1", True, 1, None, None, None, None),
        ('+CEREG: 1,"002F","0012BEEF",7', False, 1, 0x2F, 0x12BEEF, 7, None),
        ('+CEREG: 5,1,"002F","0012BEEF",7', True, 1, 0x2F, 0x12BEEF, 7, None),
        ('+CEREG: 3,"002F","0012BEEF",7,0,11', False, 3, 0x2F, 0x12BEEF, 7, 11),
        ('+CEREG: 3,"002F","0012BEEF",7,1,11', False, 3, 0x2F, 0x12BEEF, 7, None),
        ("+CEREG: 3,,,,0,15", False, 3, None, None, None, 15),
        ('+CEREG: 5,1,"002F","0012BEEF",9,,,"00100001","00000110"', True, 1, 0x2F, 0x12BEEF, 9, None),
        ('+CEREG: 2,1,"1F00","79","0012BEEF",7', True, 1, 0x1F00, 0x12BEEF, 7, None),
        ("+CEREG: 2, 5, 002F, 0012BEEF, 7", True, 5, 0x2F, 0x12BEEF, 7, None),
        ("+CEREG: 90", False, 90, None, None, None, None),
    ],
)
def test_registration_lines(line, read, status, tac, cell, act, cause):
    found = parse.registration(line, read=read)
    assert (found.status, found.tac, found.cell_id, found.act, found.reject_cause) == (status, tac, cell, act, cause)


@given(
    st.integers(0, 11),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFF),
    st.sampled_from([0, 7, 8, 9]),
    st.one_of(st.none(), st.integers(1, 111)),
    st.booleans(),
    st.sampled_from(["", " "]),
)
def test_registration_round_trip(status, tac, cell, act, cause, quoted, blank):
    q = '"' if quoted else ""
    text = f"+CEREG: 5,{blank}{status},{blank}{q}{tac:04X}{q},{blank}{q}{cell:08X}{q},{act}"
    if cause is not None:
        text += f",0,{cause}"
    found = parse.registration(text, read=True)
    assert (found.status, found.tac, found.cell_id, found.act, found.reject_cause) == (status, tac, cell, act, cause)


def test_registration_that_is_none():
    for line in ("+CEREG: ", "+CEREG: x", "+CEREG: 1,x"):
        with pytest.raises(DeviceFailure):
            parse.registration(line, read=True)


@pytest.mark.parametrize(
    ("line", "plmn", "act"),
    [
        ('+COPS: 0,2,"26201",7', "26201", 7),
        ('+COPS: 0,2,"310410"', "310410", None),
        ("+COPS: 0", "", None),
        ('+COPS: 0,0,"A, B",7', "", 7),
        ("+COPS: 1,2,26201,9", "26201", 9),
    ],
)
def test_operators(line, plmn, act):
    assert parse.operator(line) == (plmn, act)


@pytest.mark.parametrize(
    ("line", "rsrp", "rsrq"),
    [
        ("+CESQ: 99,99,255,255,34,97", -44.0, -3.0),
        ("+CESQ: 99,99,255,255,0,0", -140.0, -19.5),
        ("+CESQ: 99,99,255,255,255,255", None, None),
        ("+CESQ: 99,99,255,255,20,50,255,255,255", -91.0, -10.0),
        ("", None, None),
    ],
)
def test_signal_levels(line, rsrp, rsrq):
    assert parse.signal(line) == {"rsrp": rsrp, "rsrq": rsrq}


def test_addresses_in_every_notation():
    assert parse.address(['+CGPADDR: 1,"10.0.0.5"'], 1) == "10.0.0.5"
    assert parse.address(["+CGPADDR: 1,10.0.0.5"], 1) == "10.0.0.5"
    assert parse.address(["+CGPADDR: 1"], 1) == ""
    assert parse.address(['+CGPADDR: 1,"0.0.0.0"'], 1) == ""
    assert parse.address(['+CGPADDR: 2,"10.0.0.5"'], 1) == ""
    six = ".".join(["32", "1", "13", "184"] + ["0"] * 11 + ["1"])
    assert parse.address([f'+CGPADDR: 1,"{six}"'], 1) == "2001:db8::1"


def test_dynamic_parameters():
    line = '+CGCONTRDP: 1,5,"internet.mnc070.mcc999.gprs","10.0.0.5.255.255.255.0","10.0.0.1","10.0.0.53","10.0.0.54"'
    found = parse.dynamic_parameters([line], 1)
    assert found is not None
    assert (found.address, found.dns) == ("10.0.0.5", ("10.0.0.53", "10.0.0.54"))
    assert parse.same_apn(found.apn, "Internet")
    assert not parse.same_apn(found.apn, "inter")
    assert parse.dynamic_parameters([line], 2) is None


@pytest.mark.parametrize(
    ("line", "word", "data"),
    [
        ('+CRSM: 144,0,"98100901"', 0x9000, "98100901"),
        ("+CRSM: 144,0,98100901", 0x9000, "98100901"),
        ('+CRSM: 144,0,""', 0x9000, ""),
        ("+CRSM: 106,130", 0x6A82, ""),
    ],
)
def test_restricted_sim_access(line, word, data):
    assert parse.restricted_sim_access([line]) == (word, bytes.fromhex(data))


@given(st.lists(st.text(max_size=60), max_size=3), st.integers(1, 3))
def test_parsers_take_any_lines(lines, cid):
    parse.address(lines, cid)
    parse.dynamic_parameters(lines, cid)
    parse.defined_apn(lines, cid)
    parse.active(lines, cid)
    parse.imei(lines)
    parse.plain(lines)
    for line in lines:
        parse.operator(line)
        parse.signal(line)
        error_of(line, "AT")
    for reader in (parse.restricted_sim_access, parse.apdu, parse.session, parse.sim_state):
        try:
            reader(lines)
        except DeviceFailure:
            pass


@given(st.binary(min_size=2, max_size=300), st.booleans())
def test_apdu_answers_round_trip(data, quoted):
    q = '"' if quoted else ""
    assert parse.apdu([f"+CGLA: {2 * len(data)},{q}{data.hex().upper()}{q}"]) == data


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (47, "corporate personalization PUK required"),
        (48, "hidden key required"),
        (49, "EAP method not supported"),
        (50, "incorrect parameters"),
        (171, "last PDN disconnection not allowed"),
    ],
)
def test_errors_have_the_names_of_27_007(code, name):
    """Section 9.2: by number, and as a modem writes them with +CMEE=2."""
    assert error_of(f"+CME ERROR: {code}", "AT").name == name
    assert error_of(f"+CME ERROR: {name.upper()}", "AT").code == code
