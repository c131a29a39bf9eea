"""Named fields of ES10, ESipa, ES9+, files, toolkit, AT and SCPI against literal bytes of the standards' vectors."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsp.vectors import _VECTORS

from bench.rsp import names
from bench.rsp.asn1.schema import SCHEMA
from bench.trace import causes, decode_at, decode_cat, decode_files, decode_scpi, decode_values, fields
from bench.trace.decode_asn1 import SGP22, SGP32, read
from bench.trace.tree import Field, nodes, whole

EID = "89044045930000000000002153893210"
ICCID = "9801012143658709211"
TRANSACTION = "0102030405060708"
FILLED = {"E": EID, "I": "891010123456789012f1", "T": TRANSACTION, "S": "11" * 64}


def filled(text: str) -> bytes:
    return bytes.fromhex(re.sub(r"\{(\w)\}", lambda found: FILLED[found[1]], text))


def flat(made: Field | None) -> dict[str, str]:
    assert made is not None
    return {path: field.text for path, field in made.leaves()}


# --- ASN.1 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "value", "text"), _VECTORS, ids=lambda item: str(item)[:40])
def test_every_field_of_the_vectors_has_its_name(kind: str, value: Any, text: str) -> None:
    """Each name that the value of the vector has is a field, and no field is left that only its tag names."""
    data = filled(text) if "{" in text else bytes.fromhex(text)
    module = SGP32 if kind in SCHEMA[SGP32]["types"] else SGP22
    made = read(kind, data, module=module)
    found = {part.partition("[")[0] for path, _ in made.leaves() for part in path.split("/")}
    for name in _names(value):
        assert name in found, (name, list(made.lines()))
    for part in found:
        assert not part.startswith("("), list(made.lines())
        assert not re.fullmatch(r"[0-9A-F]{1,2}|[0-9A-F]{4}", part), list(made.lines())


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        # False is the default of the one BOOLEAN that has one, and stands in no bytes.
        return {name for key, item in value.items() if item is not False for name in (key, *_names(item))}
    if isinstance(value, list):
        return {name for item in value for name in _names(item)}
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        return {value[0], *_names(value[1])}
    return set()


def test_every_function_has_a_type_both_ways() -> None:
    requests, answers = fields.es10_types(answer=False), fields.es10_types(answer=True)
    only_carried = {0xBF23, 0xBF24, 0xBF25, 0xBF26, 0xBF27, 0xBF2A, 0xBF2F, 0xBF36, 0xBF37, 0xBF53, 0xBF54}
    elsewhere = {0xBF39, 0xBF3A, 0xBF3B, 0xBF3D, 0xBF40, 0xBF4E, 0xBF4F, 0xBF50}
    for tag in names._FUNCTIONS:
        if tag not in only_carried | elsewhere:
            assert tag in requests, f"{tag:X}"
            assert tag in answers, f"{tag:X}"
    assert answers[0xBF37] == (SGP32, "ProfileInstallationResult")


@pytest.mark.parametrize(
    ("answer", "data", "told"),
    [
        (False, "bf3e035c015a", {"tagList": "5A"}),
        (True, f"bf3e125a10{EID}", {"eidValue": EID}),
        (False, "bf2d055c035a9f70", {"tagList": "5A 9F70"}),
        (
            True,
            "bf2d14a012e3105a0a891010123456789012f19f700101",
            {
                "profileInfoListOk/ProfileInfo/iccid": ICCID,
                "profileInfoListOk/ProfileInfo/profileState": "enabled(1)",
            },
        ),
        (True, "bf2d0381010b", {"profileInfoListError": "profileChangeOngoing(11)"}),
        (True, "bf5703810102", {"addInitialEimError": "associatedEimAlreadyExists(2)"}),
        (True, "bf5803020101", {"cmdResult": "rollbackNotAllowed(1)"}),
        (True, "bf5a03800100", {"immediateEnableResult": "ok(0)"}),
        (True, "bf3103800103", {"enableResult": "disallowedByPolicy(3)"}),
        (True, "bf3003800101", {"deleteNotificationStatus": "nothingToDelete(1)"}),
        (
            True,
            "bf380ba109800401020304020107",
            {
                "authenticateResponseError/transactionId": "01020304",
                "authenticateResponseError/authenticateErrorCode": "ciPKUnknown(7)",
            },
        ),
        (False, "bf640482020204", {"resetOptions": "resetEimConfigData"}),
        (True, "bf5f03810101", {"connectivityParametersError": "parametersNotAvailable(1)"}),
        (False, "bf4106800101810103", {"transactionId": "01", "reason": "pprNotAllowed(3)"}),
        (False, "bf580301" + "0100", {"refreshFlag": "false"}),
    ],
)
def test_es10(answer: bool, data: str, told: dict[str, str]) -> None:
    assert flat(fields.es10(bytes.fromhex(data), answer=answer)) == told


def test_a_package_and_its_result() -> None:
    request = fields.es10(
        filled("bf517c3037800465696d315a10{E}8101018208{T}a010a30e5a0a{I}05005f3740{S}"), answer=False
    )
    assert request.name == "LoadEuiccPackage"
    body = "euiccPackageSigned"
    assert flat(request) == {
        f"{body}/eimId": "eim1",
        f"{body}/eidValue": EID,
        f"{body}/counterValue": "1",
        f"{body}/eimTransactionId": TRANSACTION,
        f"{body}/euiccPackage/psmoList/enable/iccid": ICCID,
        f"{body}/euiccPackage/psmoList/enable/rollbackFlag": "present",
        "eimSignature": "11" * 64,
    }
    answer = fields.es10(filled("bf5162a060301b800465696d318101018208{T}83010730038301025f3740{S}"), answer=True)
    told = flat(answer)
    signed = "euiccPackageResultSigned/euiccPackageResultDataSigned"
    assert told[f"{signed}/seqNumber"] == "7"
    assert told[f"{signed}/euiccResult/enableResult"] == "profileNotInDisabledState(2)"


@pytest.mark.parametrize(
    ("answer", "data", "function", "told"),
    [
        (
            False,
            f"bf4f1c5a10{EID}8000810105820362f210",
            "GetEimPackage",
            {
                "eidValue": EID,
                "notifyStateChange": "present",
                "stateChangeCause": "immediateEnableProfile(5)",
                "rPLMN": "26201",
            },
        ),
        (True, "bf4f03020101", "GetEimPackage", {"eimPackageError": "noEimPackageAvailable(1)"}),
        (True, "bf5006bf5303800107", "ProvideEimPackageResult", {"eimAcknowledgements/SequenceNumber": "7"}),
        (True, "bf5003020102", "ProvideEimPackageResult", {"provideEimPackageResultError": "eidNotFound(2)"}),
        (
            False,
            "bf410f80080102030405060708a103810105",
            "CancelSession",
            {
                "transactionId": TRANSACTION,
                "cancelSessionResponse/cancelSessionResponseError": "invalidTransactionId(5)",
            },
        ),
        (
            True,
            "bf4f1ebf541ba00e800c312464702e746573742441428209" + TRANSACTION + "09",
            "GetEimPackage",
            {
                "profileDownloadTriggerRequest/profileDownloadData/activationCode": "1$dp.test$AB",
                "profileDownloadTriggerRequest/eimTransactionId": TRANSACTION + "09",
            },
        ),
    ],
)
def test_esipa(answer: bool, data: str, function: str, told: dict[str, str]) -> None:
    made = fields.esipa(bytes.fromhex(data), answer=answer)
    assert made.name == function
    assert flat(made) == told


def test_a_form_seen_in_the_field_is_read_for_what_it_means() -> None:
    """BF51{30, 5F37} without A0, as a known-answer test of another program has it."""
    bare = filled("bf5160301b800465696d318101018208{T}83010730038301005f3740{S}")
    assert nodes(bare)[0][0].missing == 0
    assert "euiccPackageResultSigned/euiccPackageResultDataSigned/euiccResult/enableResult" in flat(
        fields.es10(bare, answer=True)
    )


def test_what_is_unknown_or_cut_short_stays_visible() -> None:
    assert fields.es10(bytes.fromhex("bf3b00"), answer=True).name == "AuthenticateClient", "no ES10 function"
    unknown = flat(fields.es10(bytes.fromhex("bf3107800100" + "9f7f" + "0155"), answer=True))
    assert unknown == {"enableResult": "ok(0)", "9F7F": "55"}
    cut = fields.es10(bytes.fromhex("bf3e125a108904404593"), answer=True)
    assert any("bytes are missing" in field.text for _, field in cut.leaves())


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_es9plus_json() -> None:
    body = {
        "header": {"functionExecutionStatus": {"status": "Executed-Success"}},
        "transactionId": "0A0B",
        "serverSigned1": base64.b64encode(bytes.fromhex("3009" + "800401020304" + "830161")).decode(),
        "serverSignature1": base64.b64encode(bytes.fromhex("5f3740" + "11" * 64)).decode(),
        "euiccCiPKIdToBeUsed": base64.b64encode(bytes.fromhex("0414" + "22" * 20)).decode(),
    }
    told = flat(fields.es9plus(json.dumps(body).encode(), answer=True))
    assert told["transactionId"] == "0a0b"
    assert told["serverSigned1/transactionId"] == "01020304"
    assert told["serverSignature1"] == "11" * 64
    assert told["euiccCiPKIdToBeUsed"] == "22" * 20
    assert fields.es9plus(json.dumps(body).encode(), answer=True).name == "InitiateAuthentication"


def test_a_refusal_has_its_meaning() -> None:
    data = {"subjectCode": "8.2.6", "reasonCode": "3.8", "message": "no"}
    body = {"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}}
    told = flat(fields.es9plus(json.dumps(body).encode(), answer=True))
    assert told["header/functionExecutionStatus/statusCodeData/meaning"] == "matchingId is refused"


def test_esipa_json_and_asn1_name_the_same_fields() -> None:
    as_json = json.dumps({"eidValue": EID, "stateChangeCause": 5}).encode()
    as_asn1 = bytes.fromhex(f"bf4f155a10{EID}810105")
    assert flat(fields.esipa(as_json, answer=False)) == flat(fields.esipa(as_asn1, answer=False))


def test_the_asn1_binding_of_es9plus() -> None:
    inner = bytes.fromhex("bf3d0a" + "bf37" + "07" + "bf2704800201" + "02"[:2])
    made = fields.es9plus(b"\xa2" + bytes((len(inner),)) + inner, answer=False)
    assert made.name == "HandleNotification"


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "told"),
    [("62f210", "26201"), ("130014", "310410"), ("00f110", "00101"), ("ffffff", "-"), ("62f2", "62f2")],
)
def test_plmn(value: str, told: str) -> None:
    assert decode_values.plmn(bytes.fromhex(value)) == told


def test_object_identifiers_of_arc_two() -> None:
    assert decode_values.oid(bytes.fromhex("88370a")) == "2.999.10"
    assert decode_values.oid(bytes.fromhex("672b0102")) == "2.23.43.1.2"


def test_connectivity_parameters_hide_the_login() -> None:
    told = decode_values.connectivity(bytes.fromhex("3501034704036961700d0404757372" + "0d0504707764" + "31"))
    assert [(field.name, field.text) for field in told][1:] == [
        ("networkAccessName", "iap"),
        ("text", "****"),
        ("text", "****"),
    ]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "directory", "name"),
    [
        ("2FE2", "MF", "EF.ICCID"),
        ("6F07", "USIM", "EF.IMSI"),
        ("6F07", "ISIM", "EF.IST"),
        ("6F3B", "DF.TELECOM", "EF.FDN"),
        ("6FE3", "", "EF.EPSLOCI"),
        ("4F01", "DF.5GS", "EF.5GS3GPPLOCI"),
        ("4F20", "DF.GSM-ACCESS", "EF.Kc"),
        ("5FC0", "USIM", "DF.5GS"),
        ("6FFF", "USIM", "6FFF"),
    ],
)
def test_files_have_the_name_of_their_directory(identifier: str, directory: str, name: str) -> None:
    assert decode_files.name(identifier, directory) == name


@pytest.mark.parametrize(
    ("file", "data", "told"),
    [
        ("EF.ICCID", "98101000000000000072", "89010100000000000027"),
        ("EF.IMSI", "080910100000000010", "001010000000001"),
        ("EF.FPLMN", "62f21062f220ffffffffffff", "26201, 26202"),
        ("EF.AD", "00000002", "normal, MNC of 2 digits"),
        ("EF.EPSLOCI", "0bf6" + "00" * 10 + "62f210" + "1a2d" + "00", "TAI 26201 1A2D, updated"),
        ("EF.LOCI", "ffffffff" + "62f210" + "0001" + "ff" + "01", "LAI 26201 0001, not updated"),
        ("EF.SPN", "00" + b"BENCH".hex() + "ffff", "BENCH"),
        ("EF.PLMNwAcT", "62f2104000ffffff0000", "26201 E-UTRAN"),
    ],
)
def test_contents_of_files(file: str, data: str, told: str) -> None:
    assert decode_files.contents(file, bytes.fromhex(data)).text == told


def test_session_keys_in_files_are_never_shown() -> None:
    for file in ("EF.Keys", "EF.KeysPS", "EF.EPSNSC", "EF.Kc", "EF.5GAUTHKEYS"):
        made = decode_files.contents(file, b"\x07" + b"\xab" * 32)
        assert "ab" not in made.text
        assert made.raw == b""


def test_file_control_parameters() -> None:
    fcp = bytes.fromhex("621c8202412183026f078a01058b036f060480020009880138c60400830181"[:-2] + "00")
    told = flat(Field("", "", None, decode_files.template(fcp)))
    assert told["FCP/fileDescriptor"] == "transparent"
    assert told["FCP/fileIdentifier"] == "6F07 EF.IMSI"
    assert told["FCP/lifeCycleStatus"] == "activated"
    assert told["FCP/fileSize"] == "9"
    assert told["FCP/shortFileIdentifier"] == "07"


# --- toolkit ----------------------------------------------------------------------------------------------------------


def test_refresh_and_its_response() -> None:
    made = decode_cat.proactive(bytes.fromhex("d009810301010482028182"))
    assert made.name == "REFRESH UICC reset"
    assert flat(made) == {"commandDetails": "REFRESH, UICC reset, number 1", "deviceIdentities": "UICC to terminal"}
    answer = decode_cat.terminal_response(bytes.fromhex("81030101048202828183023a02"))
    assert flat(answer)["result"] == "bearer independent protocol error (3A), channel closed"


def test_events_and_local_information() -> None:
    assert decode_cat.envelope_name(bytes.fromhex("d60a1901038202828181")) == "EVENT DOWNLOAD location status"
    made = decode_cat.envelope(bytes.fromhex("d6119901038202828199" + "00" + "1b0100" + "1300"))
    assert flat(made)["locationStatus"] == "normal service"
    assert decode_cat.proactive_name(bytes.fromhex("d009810301260082028182")) == (
        "PROVIDE LOCAL INFORMATION location information"
    )


# --- causes, AT and SCPI ----------------------------------------------------------------------------------------------


def test_causes_are_those_of_a_foreign_table() -> None:
    """pycrate has the causes of TS 24.301 and TS 24.501 as tables of its own; those of sessions have EMM's in them."""
    ies = pytest.importorskip("pycrate_mobile.TS24301_IE")
    fives = pytest.importorskip("pycrate_mobile.TS24501_IE")
    assert_same(causes.EMM, ies._EMMCause_dict)
    assert_same(causes.FIVE_GMM, fives._FGMMCause_dict)
    of_sessions = ies._ESMCause_dict, fives._FGSMCause_dict
    for ours, theirs in zip((causes.ESM, causes.FIVE_GSM), of_sessions, strict=True):
        assert len(set(ours) & set(theirs)) > 30
        assert_same(ours, {number: text for number, text in theirs.items() if number in ours})


def words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z0-9]+", text.lower()) if len(word) > 3}


def assert_same(ours: dict[int, str], theirs: dict[int, str]) -> None:
    for number, text in theirs.items():
        if "unused" in text.lower():
            continue
        if number in ours and text:
            assert words(ours[number]) & words(text), (number, ours[number], text)
        else:
            assert number in ours or not text or "spare" in text.lower() or number > 111, (number, text)


@pytest.mark.parametrize(
    ("line", "asked", "told"),
    [
        (
            "+CEREG: 3,,,,0,15",
            False,
            {
                "stat": "denied(3)",
                "cause_type": "EMM cause",
                "reject_cause": "EMM 15 no suitable cells in tracking area",
            },
        ),
        (
            '+CEREG: 2,"09C5","020C7B16",7,0,11',
            False,
            {
                "stat": "searching(2)",
                "tac": "09C5",
                "ci": "020C7B16",
                "AcT": "E-UTRAN(7)",
                "cause_type": "EMM cause",
                "reject_cause": "EMM 11 PLMN not allowed",
            },
        ),
        (
            "+CEREG: 5,2,,,,0,19",
            True,
            {"n": "5", "stat": "searching(2)", "cause_type": "EMM cause", "reject_cause": "EMM 19 ESM failure"},
        ),
        ("+CEREG: 5,1", True, {"n": "5", "stat": "registered, home(1)"}),
        ("+CEREG: 90", False, {"stat": "not registered: UICC failure (Nordic)(90)"}),
        ("+CNEC_EMM: 11", False, {"cause": "EMM 11 PLMN not allowed"}),
        ("+CNEC_ESM: 27", False, {"cause": "ESM 27 missing or unknown APN"}),
        ("+CME ERROR: 13", True, {"cause": "CME 13 SIM failure"}),
        (
            "+CESQ: 99,99,255,255,31,62",
            True,
            {
                "rxlev": "99 (unknown)",
                "ber": "99 (unknown)",
                "rscp": "255 (unknown)",
                "ecno": "255 (unknown)",
                "rsrq": "31 (-4.5 to -4 dB)",
                "rsrp": "62 (-79 to -78 dBm)",
            },
        ),
        ("+CSQ: 31,99", True, {"rssi": "31 (-51 dBm or more)", "ber": "99"}),
        (
            '+COPS: 0,2,"26201",7',
            True,
            {"mode": "automatic(0)", "format": "PLMN(2)", "operator": "26201", "AcT": "E-UTRAN(7)"},
        ),
        ("+CSCON: 0,1", True, {"mode": "connected(1)"}),
        ('+CGLA: 4,"6A82"', True, {"apdu": "6A82 file or application not found"}),
        ('+CRSM: 144,0,"98"', True, {"status": "9000 ok", "data": "98"}),
    ],
)
def test_at_lines(line: str, asked: bool, told: dict[str, str]) -> None:
    assert flat(decode_at.answer_line(line, asked=asked)) == told


def test_at_commands() -> None:
    made = decode_at.command(b"AT+CRSM=176,28539,0,0,12\r")
    assert made.name == "AT+CRSM="
    assert flat(made)["file"] == "EF.FPLMN"
    assert flat(made)["command"] == "READ BINARY(176)"
    assert decode_at.command(b"AT+CEREG=?\r").name == "AT+CEREG=?"
    assert "1234" not in "\n".join(decode_at.command(b'AT+CPIN="1234"\r').lines())


def test_the_extended_error_report_names_causes() -> None:
    told = flat(decode_at.answer_line("+CEER: EMM_CAUSE 15, ESM cause 33", asked=True))
    assert told["cause"] == "EMM 15 no suitable cells in tracking area"
    assert told["cause[2]"] == "ESM 33 requested service option not subscribed"


def test_scpi() -> None:
    made = decode_scpi.command(b"MEASure:VOLTage? (@2);:CURR 2,(@1)\n")
    assert [child.name for child in made.children] == ["MEAS:VOLT?", "CURR"]
    assert flat(made) == {"MEAS:VOLT?/channel": "2", "CURR/channel": "1", "CURR/value": "2 A"}
    assert flat(decode_scpi.answer(b"+3.79000000E+00\n", "MEAS:VOLT? (@1)")) == {"MEAS:VOLT": "3.79 V"}
    assert decode_scpi.is_error(b'-222,"Data out of range"\n', "SYST:ERR?") == "-222 Data out of range"
    assert decode_scpi.is_error(b'+0,"No error"\n', "SYST:ERR?") == ""


# --- any bytes --------------------------------------------------------------------------------------------------------

_TLV = st.recursive(
    st.builds(
        lambda tag, value: bytes(tag) + bytes((len(value),)) + value,
        st.sampled_from((b"\x80", b"\x5a", b"\x04", b"\x02", b"\x5f\x37")),
        st.binary(max_size=20),
    ),
    lambda inner: st.builds(
        lambda tag, parts: tag + b"\x82" + len(b"".join(parts)).to_bytes(2, "big") + b"".join(parts),
        st.sampled_from(
            (
                b"\x30",
                b"\xa0",
                b"\xa1",
                b"\xa2",
                b"\xbf\x51",
                b"\xbf\x38",
                b"\xbf\x2b",
                b"\xbf\x37",
                b"\xbf\x2f",
                b"\xe3",
            )
        ),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)
_BYTES = st.one_of(
    st.binary(max_size=120),
    _TLV,
    st.builds(
        lambda tag, rest: bytes.fromhex(tag) + rest,
        st.sampled_from(("bf51", "bf38", "bf22", "bf4f", "bf50", "a2", "d0", "6f", "62")),
        st.binary(max_size=60),
    ),
)


@given(_BYTES, st.booleans())
def test_no_bytes_raise(data: bytes, answer: bool) -> None:
    for made in (
        fields.es10(data, answer=answer),
        fields.esipa(data, answer=answer),
        fields.es9plus(data, answer=answer),
        decode_cat.proactive(data),
        decode_cat.terminal_response(data),
        decode_cat.envelope(data),
        Field("", "", None, decode_files.template(data)),
        decode_at.command(data),
        decode_scpi.command(data),
        decode_scpi.answer(data, data.decode("latin-1")),
    ):
        json.dumps(made.value())
        list(made.lines())
    for line in decode_at.lines_of(data):
        decode_at.answer_line(line, asked=answer)
    fields.bpp_summary(data)
    whole(data)
    for file in decode_files._CONTENTS:
        decode_files.contents(file, data)


@given(st.text(max_size=80), st.booleans())
def test_no_text_raises(text: str, asked: bool) -> None:
    for name in (
        "+CEREG",
        "+C5GREG",
        "+CESQ",
        "+CSQ",
        "+COPS",
        "+CRSM",
        "+CGLA",
        "+CEER",
        "+CME ERROR",
        "+CSCON",
        "+CFUN",
    ):
        json.dumps(decode_at.answer_line(f"{name}: {text}", asked=asked).value())
    decode_at.command(f"AT+COPS={text}".encode("utf-8", "replace"))


@given(
    st.dictionaries(
        st.sampled_from(
            tuple(fields._JSON_TYPES) + tuple(fields._JSON_RAW) + ("transactionId", "header", "eimPackageError", "x")
        ),
        st.recursive(
            st.one_of(
                st.none(),
                st.integers(),
                st.text(max_size=30),
                st.binary(max_size=30).map(lambda raw: base64.b64encode(raw).decode()),
            ),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_no_json_raises(body: dict[str, Any], answer: bool) -> None:
    json.dumps(fields.es9plus(json.dumps(body).encode(), answer=answer).value())


def test_deep_and_large_messages_take_bounded_time() -> None:
    deep = b""
    for _ in range(5000):
        deep = b"\x30" + (bytes((len(deep),)) if len(deep) < 128 else b"\x83" + len(deep).to_bytes(3, "big")) + deep
    list(fields.es10(b"\xbf\x51" + b"\x83" + len(deep).to_bytes(3, "big") + deep, answer=True).lines())
    many = b"\x80\x00" * 200_000
    made = fields.es10(b"\xbf\x2b\x83" + len(many).to_bytes(3, "big") + many, answer=True)
    assert sum(1 for _ in made.lines()) < 30_000
