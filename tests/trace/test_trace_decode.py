"""One-liners against literal bytes, most of them from the standards' vectors."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.trace import one_liner
from bench.trace.decode import INSTRUCTIONS, status_word


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("00A4040010A0000005591010FFFFFFFF8900000100", "SELECT ISD-R"),
        ("00A4040410A0000000871002FFFFFFFF8903020000", "SELECT USIM"),
        ("01A40804047FFF6F07", "ch1 SELECT current ADF/EF.IMSI"),
        ("00A40004023F00", "SELECT MF"),
        ("00A40004022FE2", "SELECT EF.ICCID"),
        ("0070000001", "MANAGE CHANNEL open"),
        ("00708001", "MANAGE CHANNEL close 1"),
        ("81E2910003BF2E00", "ch1 STORE DATA: GetEuiccChallenge"),
        ("C0E2910003BF2E00", "ch4 STORE DATA: GetEuiccChallenge"),
        ("80E2110004BF388203", "STORE DATA more: AuthenticateServer"),
        ("80E211010400000000", "STORE DATA block 1 more, 4 bytes"),
        ("80E291020400000000", "STORE DATA block 2 last, 4 bytes"),
        ("80E29100048602AABB", "STORE DATA: BPP 86 profile elements"),
        ("01C0000000", "ch1 GET RESPONSE 256"),
        ("00B000000A", "READ BINARY offset 0, 10 bytes"),
        ("00B082000A", "READ BINARY SFI 02 offset 0, 10 bytes"),
        ("0088008122" + "10" + "00" * 16 + "10" + "00" * 16, "AUTHENTICATE, 34 bytes"),
        ("801400000C810301010482028281830100", "TERMINAL RESPONSE REFRESH: performed successfully (00)"),
        ("80F2000000", "STATUS"),
        ("00FF000000", "INS FF"),
        ("00A4", "incomplete command 00A4"),
        ("", "incomplete command "),
    ],
)
def test_card_commands(command: str, told: str) -> None:
    assert one_liner("apdu:card", 0, bytes.fromhex(command)) == told


@pytest.mark.parametrize(
    ("response", "told"),
    [
        ("9000", "9000 ok"),
        ("6121", "6121 33 bytes to fetch"),
        ("6100", "6100 256 bytes to fetch"),
        ("6C10", "6C10 repeat with Le 16"),
        ("910B", "910B ok, proactive command of 11 bytes"),
        ("63C2", "63C2 verification failed, 2 tries left"),
        ("6A82", "6A82 file or application not found"),
        ("6985", "6985 conditions of use not satisfied"),
        ("BF3E125A10890490321234512345123456789012359000", "GetEID: 89049032123451234512345678901235 - 9000 ok"),
        (
            "BF2D14A012E3105A0A891010123456789012F19F7001019000",
            "GetProfilesInfo: 9801012143658709211 enabled - 9000 ok",
        ),
        ("BF380DA10B8004010203040201079000", "AuthenticateServer: error ciPKUnknown(7) - 9000 ok"),
        ("D009810301010482028182" + "9000", "REFRESH UICC reset - 9000 ok"),
        ("6F008410" + "9000", "FCI - 9000 ok"),
        ("90", "incomplete response 90"),
        ("3B9F96803FC7828031E073FE211763000000830F90003E", "ATR 3B9F96803FC7828031E073FE211763000000830F90003E"),
    ],
)
def test_card_responses(response: str, told: str) -> None:
    assert one_liner("apdu:card", 1, bytes.fromhex(response)) == told


@pytest.mark.parametrize(
    ("direction", "line", "told"),
    [
        (0, b"AT+CEREG?\r", "AT+CEREG?"),
        (1, b"\r\n+CEREG: 2,2\r\n\r\nOK\r\n", "+CEREG: 2,2 | OK (searching)"),
        (
            1,
            b'\r\n+CEREG: 2,1,"1A2B","01A2D003",7\r\n\r\nOK\r\n',
            '+CEREG: 2,1,"1A2B","01A2D003",7 | OK (registered, home)',
        ),
        (1, b"\r\n+CEREG: 5\r\n", "+CEREG: 5 (registered, roaming)"),
        (1, b"\r\n+CME ERROR: 10\r\n", "+CME ERROR: 10 (SIM not inserted)"),
        (0, b'AT+CGLA=1,16,"81E2910003BF2000"\r', "AT+CGLA ch1 STORE DATA: GetEuiccInfo1"),
        (1, b'\r\n+CGLA: 4,"6A82"\r\n\r\nOK\r\n', "+CGLA 6A82 file or application not found"),
        (0, b'AT+CPIN="4711"\r', "AT+CPIN=******"),
        (0, b'AT+CLCK="SC",0,"4711"\r', 'AT+CLCK="SC",0,******'),
    ],
)
def test_at_lines(direction: int, line: bytes, told: str) -> None:
    assert one_liner("at:modem", direction, line) == told


def test_scpi_lines_hide_keys() -> None:
    assert one_liner("scpi:net", 0, b"SUBS:SKEY 0123\n") == "SUBS:SKEY ****"
    assert one_liner("scpi:net", 0, b"CONF:LTE:SIGN:CELL:SEC:MIL ON\n").endswith("MIL ON")
    assert one_liner("scpi:net", 0, b"*OPC?;:VOLT 3.8\n") == "*OPC?;:VOLT 3.8"


@pytest.mark.parametrize(
    ("direction", "body", "told"),
    [
        (0, "bf4f125a1089044045930000000000002153893210", "GetEimPackage request: 89044045930000000000002153893210"),
        (1, "bf4f03020101", "GetEimPackage answer: noEimPackageAvailable(1)"),
        (
            1,
            "bf4f818abf517c3037800465696d315a108904404593000000000000215389321081010182080102030405060708a010a30e5a0a8910"
            "10123456789012f105005f3740",
            "GetEimPackage answer: EuiccPackageRequest enable 9801012143658709211 with rollback",
        ),
        (
            1,
            "bf4f1dbf541aa00e800c312464702e7465737424414282080102030405060708",
            "GetEimPackage answer: ProfileDownloadTrigger 1$dp.test$AB",
        ),
        (
            0,
            "bf50775a1089044045930000000000002153893210bf5162a060301b800465696d318101018208010203040506070883010730038301"
            "005f3740",
            "ProvideEimPackageResult request: enable ok",
        ),
        (
            0,
            "bf501a5a1089044045930000000000002153893210bf5105a203800165",
            "ProvideEimPackageResult request: unsigned error",
        ),
        (
            0,
            "bf50665a1089044045930000000000002153893210bf5151a14f300c800465696d318101010201045f3740",
            "ProvideEimPackageResult request: signed error replayError(4)",
        ),
        (1, "bf5006bf5303800107", "ProvideEimPackageResult answer: acknowledged 7"),
        (0, "bf410f80080102030405060708a103810105", "CancelSession request"),
        (
            0,
            "bf3b1c80080102030405060708bf380fa10d8008010203040506070802017f",
            "AuthenticateClient request: error undefinedError(127)",
        ),
        (1, "bf3b03820106", "AuthenticateClient answer: error matchingIdRefused(6)"),
        (1, "", "204 no content"),
    ],
)
def test_esipa_bodies(direction: int, body: str, told: str) -> None:
    assert one_liner("esipa", direction, bytes.fromhex(body)) == told


def b64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


PIR_FAILED = (
    "bf3734bf2731800101bf2f1d8001078102078" + "00c0b736d64702e6578616d706c655a0a89101012345678901" + "2f10603883700"
)
SUCCESS = {"header": {"functionExecutionStatus": {"status": "Executed-Success"}}}


@pytest.mark.parametrize(
    ("direction", "body", "told"),
    [
        (0, {"euiccChallenge": "AA==", "smdpAddress": "dp.example"}, "InitiateAuthentication request dp.example"),
        (1, SUCCESS | {"serverSigned1": "MAA="}, "InitiateAuthentication answer ok"),
        (
            0,
            {"authenticateServerResponse": b64("bf380da10b800401020304020107")},
            "AuthenticateClient request error ciPKUnknown(7)",
        ),
        (
            1,
            {
                "header": {
                    "functionExecutionStatus": {
                        "status": "Failed",
                        "statusCodeData": {"subjectCode": "8.2.6", "reasonCode": "3.8", "message": "refused"},
                    }
                }
            },
            "answer Failed 8.2.6/3.8 refused",
        ),
        (1, SUCCESS | {"boundProfilePackage": b64("bf3600")}, "GetBoundProfilePackage answer ok, 3 bytes"),
        (
            0,
            {
                "pendingNotification": b64(
                    "3081bf2f1e800109810204400c0b736d64702e6578616d706c655a0a891010123456789012f1"
                )
            },
            "HandleNotification request notification ?",
        ),
        (0, [], "JSON, 2 bytes"),
    ],
)
def test_es9plus_bodies(direction: int, body: object, told: str) -> None:
    assert one_liner("es9plus", direction, json.dumps(body).encode()).startswith(told)


def test_an_installation_result_is_told_with_command_and_reason() -> None:
    failed = "bf371abf2717800101a2" + "0a" + "a108800105810108820130"
    assert one_liner("apdu:c", 1, bytes.fromhex(failed + "9000")).startswith(
        "ProfileInstallationResult: PIR failed: scp03tSecurityError(8) at loadProfileElements(5)"
    )


def test_events_of_steps_and_samples() -> None:
    event = {"seq": 1, "type": "step-end", "step": "register", "data": {"verdict": "pass", "elapsed": 2.5}}
    assert one_liner("steps", 0, json.dumps(event).encode()) == "step-end register pass elapsed=2.5"
    assert one_liner("radio", 0, b'{"rsrp_dbm": -98.25, "rat": "LTE-M"}') == "rsrp_dbm=-98.25 rat=LTE-M"


def test_a_line_is_never_longer_than_300_characters() -> None:
    assert len(one_liner("at:m", 1, b"A" * 100_000)) == 300


def test_every_instruction_has_its_name() -> None:
    for instruction, name in INSTRUCTIONS.items():
        assert name in one_liner("apdu:c", 0, bytes([0, instruction, 0, 1, 0]))


def test_status_words_all_have_four_digits() -> None:
    for word in range(0x6000, 0xA000, 7):
        assert status_word(word)[:4] == f"{word:04X}"


KINDS = ["apdu:c", "at:m", "scpi:p", "console:x", "esipa", "es9plus", "steps", "radio", "power", "ip:x", "anything"]
TLV_LIKE = st.sampled_from(
    [
        bytes.fromhex(head)
        for head in ("bf37", "bf51", "bf4f", "bf50", "bf3d", "bf38", "bf2b", "bf2d", "30", "d0", "80e29100ff")
    ]
)


@given(
    lane=st.sampled_from(KINDS),
    direction=st.integers(0, 1),
    head=st.one_of(st.just(b""), TLV_LIKE),
    data=st.binary(max_size=200),
)
def test_no_bytes_break_it(lane: str, direction: int, head: bytes, data: bytes) -> None:
    told = one_liner(lane, direction, head + data)
    assert len(told) <= 300
    assert "(decoder:" not in told
    assert "\n" not in told


@given(
    lane=st.sampled_from(["es9plus", "esipa", "steps"]),
    direction=st.integers(0, 1),
    body=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "header",
                        "functionExecutionStatus",
                        "statusCodeData",
                        "boundProfilePackage",
                        "pendingNotification",
                        "type",
                        "x",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    ),
)
def test_no_json_breaks_it(lane: str, direction: int, body: object) -> None:
    told = one_liner(lane, direction, json.dumps(body).encode())
    assert "(decoder:" not in told
