"""The JSON binding of ESipa: literal bodies for literal messages, what the field sends beside them, and any bytes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from coverage_messages import LITERAL, PYCRATE, function_of, note
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rsp import codec, esipa_json, tlv
from bench.rsp.errors import DecodeError, EncodeError
from bench.rsp.esipa_status import ERRORS, STATUS_CODES
from bench.rsp.interpretation import Interpretation

from . import oracle

EID = "89044045930000000000002153893210"
DONE = {"functionExecutionStatus": {"status": "Executed-Success"}}
VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "esipa_json_vectors.json").read_text())
"""Message (hex) and JSON object, as worked out by hand; answers stand there without the header of success."""
IDS = [f"{item['from']}-{item['message'][:4]}-{number}" for number, item in enumerate(VECTORS)]


def b64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def read(side: str, tag: int, value: object) -> str:
    one = esipa_json.read_from_ipa if side == "ipa" else esipa_json.read_from_eim
    return one(tag, body(value)).hex()


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_a_message_is_written_as_this_object_and_read_from_it(vector: dict[str, Any]) -> None:
    message = bytes.fromhex(vector["message"])
    tag = int.from_bytes(message[:2], "big")
    write = esipa_json.write_from_ipa if vector["from"] == "ipa" else esipa_json.write_from_eim
    written = json.loads(write(message))
    header = written.pop("header", None)
    if header != DONE:
        assert header == vector["json"].get("header")
        written |= {"header": header} if header else {}
    assert written == vector["json"]
    answer = {"header": DONE, **vector["json"]} if vector["from"] == "eim" else vector["json"]
    assert read(vector["from"], tag, answer) == message.hex()
    assert read(vector["from"], tag, vector["json"]) == message.hex()  # some send no header
    note(LITERAL, f"JSON {function_of(vector['message'])}")


def test_every_function_stands_in_the_vectors_in_both_directions() -> None:
    found = {(item["from"], int(item["message"][:4], 16)) for item in VECTORS}
    functions = set(esipa_json.FUNCTIONS.values())
    assert {tag for side, tag in found if side == "ipa"} == functions
    assert {tag for side, tag in found if side == "eim"} == functions - {0xBF3D}


def test_a_second_implementation_reads_what_becomes_of_json(compiled: ModuleType) -> None:
    for vector in VECTORS:
        message = bytes.fromhex(read(vector["from"], int(vector["message"][:4], 16), vector["json"]))
        name = "EsipaMessageFromIpaToEim" if vector["from"] == "ipa" else "EsipaMessageFromEimToIpa"
        foreign = oracle.pycrate_type(compiled, codec.SGP32, name)
        foreign.from_der(message)
        assert foreign.to_der() == message
        note(PYCRATE, f"JSON {function_of(vector['message'])}")


def test_authenticate_client_carries_the_euicc_s_bytes_as_they_came() -> None:
    """Lengths that DER would write shorter stay: euiccSignature1 is over them."""
    card = "bf388110" + "a1810d" + "80080102030405060708" + "02010f"
    message = "bf3b1e" + "80080102030405060708" + card
    given = {"transactionId": "0102030405060708", "authenticateServerResponse": b64(card)}
    assert read("ipa", 0xBF3B, given) == message
    assert json.loads(esipa_json.write_from_ipa(bytes.fromhex(message))) == given


# --- also seen ------------------------------------------------------------------------------------------------------

ANSWER = {
    "transactionId": "0A0B",
    "serverSigned1": b64("3000"),
    "serverSignature1": b64("5f3740" + "11" * 64),
    "euiccCiPKIdentifierToBeUsed": b64("0414" + "22" * 20),
    "serverCertificate": b64("30020500"),
}
AUTHENTICATION = "bf3965a063" + "80020a0b" + "3000" + "5f3740" + "11" * 64 + "0414" + "22" * 20 + "30020500"


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"header": DONE},
        {"header": None},
        {"header": {"functionExecutionStatus": {"status": "Executed-WithWarning"}}},
        {"transactionId": "0a0b"},
        {"serverSignature1": b64("11" * 64)},
        {"euiccCiPKIdentifierToBeUsed": b64("22" * 20)},
        {"euiccCiPKIdentifierToBeUsed": None, "euiccCiPKIdToBeUsed": b64("0414" + "22" * 20)},
        {"matchingId": None, "somethingNew": [1, 2]},
        {"serverCertificate": b64("30020500").rstrip("=")},
        {"serverCertificate": "MA\r\nIFAA\n"},
    ],
)
def test_answers_that_say_the_same(changed: dict[str, Any]) -> None:
    assert read("eim", 0xBF39, ANSWER | changed) == AUTHENTICATION


def test_a_signature_without_its_tag_may_begin_like_one() -> None:
    bare = "5f373d" + "11" * 61
    assert read("eim", 0xBF39, ANSWER | {"serverSignature1": b64(bare)}) == AUTHENTICATION.replace("11" * 64, bare)


def test_values_without_their_tags_are_written_by_option() -> None:
    """json_values: one IPA takes signatures, key identifiers and hashCc so."""
    bare = Interpretation(json_values="bare")
    written = json.loads(esipa_json.write_from_eim(bytes.fromhex(AUTHENTICATION), reading=bare))
    assert written["serverSignature1"] == b64("11" * 64)
    assert written["euiccCiPKIdentifierToBeUsed"] == b64("22" * 20)
    assert written["serverSigned1"] == ANSWER["serverSigned1"]
    client = bytes.fromhex("bf3b28a026" + "3000" + "3000" + "0420" + "33" * 32)
    assert json.loads(esipa_json.write_from_eim(client, reading=bare))["hashCc"] == b64("33" * 32)


@pytest.mark.parametrize("key", ["provideEimPackageResultError", "eimPackageError"])
def test_the_error_of_a_result_under_either_key(key: Any) -> None:
    """json_result_error."""
    written = json.loads(
        esipa_json.write_from_eim(bytes.fromhex("bf5003020102"), reading=Interpretation(json_result_error=key))
    )
    assert written[key] == 2
    assert read("eim", 0xBF50, {key: 2}) == "bf5003020102"
    assert read("eim", 0xBF50, {"header": DONE, key: 0}) == "bf50023000"
    assert read("eim", 0xBF50, {"header": written["header"]}) == "bf5003020102"


@pytest.mark.parametrize("key", ["rPlmn", "rPLMN"])
def test_the_registered_plmn_under_either_key(key: Any) -> None:
    """json_plmn_key."""
    message = f"bf4f175a10{EID}820362f210"
    written = json.loads(esipa_json.write_from_ipa(bytes.fromhex(message), reading=Interpretation(json_plmn_key=key)))
    assert written == {"eidValue": EID, key: "YvIQ"}
    for value in ("YvIQ", "26201", "62F210", "62f210"):
        assert read("ipa", 0xBF4F, {"eidValue": EID, key: value}) == message


def test_an_error_number_0_beside_a_package_is_none() -> None:
    """One eIM writes it, since its language has no absent numbers."""
    package = {"header": DONE, "eimPackageError": 0, "profileDownloadTriggerRequest": b64("bf5404a0028100")}
    assert read("eim", 0xBF4F, package) == "bf4f07bf5404a0028100"
    assert read("eim", 0xBF4F, {"eimPackageError": 1}) == "bf4f03020101"
    assert read("eim", 0xBF4F, {"eimPackageError": "1"}) == "bf4f03020101"


RESULT = "bf5105a203800165"


@pytest.mark.parametrize(
    "given",
    [
        {"eidValue": EID, "eimPackageResult": b64(RESULT)},
        {"eidValue": f" {EID} ", "eimPackageResult": b64(RESULT)},
        {"eidValue": EID, "eimPackageResult": b64("bf5008" + RESULT)},
        {"eimPackageResult": b64(f"bf501a5a10{EID}" + RESULT)},
        {"eidValue": "0" * 32, "eimPackageResult": b64(f"bf501a5a10{EID}" + RESULT)},
        {"eidValue": EID, "euiccPackageResult": b64(RESULT)},
        {"eidValue": EID, "eimPackageResult": {"euiccPackageResult": b64(RESULT)}},
        {"eidValue": EID, "euiccPackageResult": b64(RESULT), "eimPackageError": 0},
    ],
)
def test_results_that_say_the_same(given: dict[str, Any]) -> None:
    assert read("ipa", 0xBF50, given) == f"bf501a5a10{EID}{RESULT}"


def test_a_result_without_an_eid() -> None:
    assert read("ipa", 0xBF50, {"eimPackageResult": b64(RESULT)}) == "bf5008" + RESULT


@pytest.mark.parametrize(
    "given",
    [
        {"ePRAndNotifications": {"euiccPackageResult": b64(RESULT), "notificationList": b64("3000")}},
        {"ePRAndNotifications": {"euiccPackageResult": b64(RESULT), "notificationList": b64("a000")}},
        {"ePRAndNotifications": {"euiccPackageResult": b64(RESULT), "notificationList": b64("bf2b02a000")}},
        {"ePRAndNotifications": b64("300a" + RESULT + "a000")},
    ],
)
def test_lists_of_notifications(given: dict[str, Any]) -> None:
    assert read("ipa", 0xBF4E, given) == "bf4e0c300a" + RESULT + "a000"
    assert read("ipa", 0xBF50, given) == "bf500c300a" + RESULT + "a000"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pendingNotification": b64("bf3700")}, "bf3d05a003bf3700"),
        ({"pendingNotification": b64("a003bf3700")}, "bf3d05a003bf3700"),
        ({"pendingNotification": b64("3000")}, "bf3d04a0023000"),
        ({"pendingNotification": b64("a0023000")}, "bf3d04a0023000"),
        ({"pendingNotification": b64("a006a0005f370101")}, "bf3d0aa008a006a0005f370101"),
        ({"pendingNotification": b64("a1045f370101")}, "bf3d08a006a1045f370101"),
        ({"provideEimPackageResult": b64("bf5008" + RESULT)}, "bf3d0bbf5008" + RESULT),
        ({"provideEimPackageResult": b64(RESULT)}, "bf3d0bbf5008" + RESULT),
    ],
)
def test_notifications_whole_compact_and_results(given: dict[str, Any], message: str) -> None:
    assert read("ipa", 0xBF3D, given) == message


@pytest.mark.parametrize("card", ["bf4103810105", "a103810105", "810105"])
def test_cancellations_that_say_the_same(card: str) -> None:
    given = {"transactionId": "0102030405060708", "cancelSessionResponse": b64(card)}
    assert read("ipa", 0xBF41, given) == "bf410f80080102030405060708a103810105"


@pytest.mark.parametrize(("value", "field"), [("", "5a00"), ("12", "5a023132"), ("x" * 32, "5a20" + "78" * 32)])
def test_what_is_no_eid_goes_on_for_the_eim_to_say_so(value: str, field: str) -> None:
    assert read("ipa", 0xBF4F, {"eidValue": value}).endswith(field)


def test_an_eid_that_is_missing() -> None:
    assert read("ipa", 0xBF4F, {}) == read("ipa", 0xBF4F, {"eidValue": None}) == "bf4f00"


def test_no_state_change() -> None:
    assert read("ipa", 0xBF4F, {"eidValue": EID, "notifyStateChange": False}) == f"bf4f125a10{EID}"


def test_the_challenge_with_a_tag() -> None:
    for value in ("11" * 16, "0410" + "11" * 16, "8110" + "11" * 16):
        assert read("ipa", 0xBF39, {"euiccChallenge": b64(value)}) == "bf39128110" + "11" * 16


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", sorted(ERRORS))
def test_every_error_number_comes_back_from_its_codes(tag: int) -> None:
    from bench.rsp.asn1.schema import NUMBERS

    field, path = ERRORS[tag]
    numbers = [code for code in NUMBERS[codec.SGP32][path] if code not in (6,) or tag != 0xBF3A]
    assert set(STATUS_CODES[tag]) | {127} == set(numbers)
    for code in (*numbers, 99):
        message = tlv.build(tag, tlv.build(field, bytes((code,))))
        written = esipa_json.write_from_eim(message)
        expected = message if code != 99 or tag in (0xBF4F, 0xBF50) else tlv.build(tag, tlv.build(field, b"\x7f"))
        assert esipa_json.read_from_eim(tag, written) == expected


def failed(subject: str, reason: str, message: str = "", status: str = "Failed") -> dict[str, Any]:
    data = {"subjectCode": subject, "reasonCode": reason, **({"message": message} if message else {})}
    return {"header": {"functionExecutionStatus": {"status": status, "statusCodeData": data}}}


@pytest.mark.parametrize(
    ("tag", "given", "message"),
    [
        (0xBF39, failed("8.8.1", "3.8"), "bf3903810101"),
        (0xBF39, failed("8.8.4", "3.7"), "bf3903810103"),
        (0xBF39, failed("8.8.1", "3.11", "smdpAddressMismatch"), "bf3903810132"),
        (0xBF3B, failed("8.2.6", "3.8", "no such matching id"), "bf3b03820106"),
        (0xBF3B, failed("8.8.5", "4.1"), "bf3b03820112"),
        (0xBF3B, failed("9.9", "9.9"), "bf3b0382017f"),
        (0xBF3B, failed("9.9", "9.9", "pprNotAllowed"), "bf3b03820132"),
        (0xBF3A, failed("8.2.7", "6.4", status="Expired"), "bf3a03810104"),
        (0xBF41, failed("8.10.1", "3.9"), "bf4103810101"),
        (0xBF4F, failed("8.1.1", "3.9"), "bf4f03020102"),
        (0xBF50, failed("8.1.1", "2.2"), "bf5003020104"),
        (0xBF50, {"header": {"functionExecutionStatus": {"status": "Failed"}}}, "bf500302017f"),
        (0xBF39, {"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": 3}}}, "bf390381017f"),
    ],
)
def test_a_header_that_says_failed(tag: int, given: dict[str, Any], message: str) -> None:
    assert read("eim", tag, given) == message


@pytest.mark.parametrize(
    ("side", "tag", "given"),
    [
        ("ipa", 0xBF39, {"euiccChallenge": "!!"}),
        ("ipa", 0xBF39, {"euiccChallenge": 5}),
        ("ipa", 0xBF39, {"euiccInfo1": b64("bf2200")}),
        ("ipa", 0xBF39, {"euiccInfo1": b64("bf200000")}),
        ("ipa", 0xBF39, {"smdpAddress": 1}),
        ("ipa", 0xBF39, {"smdpAddress": "\ud800"}),
        ("ipa", 0xBF3B, {"transactionId": ""}),
        ("ipa", 0xBF3B, {"transactionId": "0G"}),
        ("ipa", 0xBF3B, {"transactionId": "00" * 17}),
        ("ipa", 0xBF3B, {"transactionId": 12}),
        ("ipa", 0xBF4F, {"eidValue": 8904}),
        ("ipa", 0xBF4F, {"stateChangeCause": True}),
        ("ipa", 0xBF4F, {"stateChangeCause": 1.5}),
        ("ipa", 0xBF4F, {"stateChangeCause": 1 << 40}),
        ("ipa", 0xBF4F, {"notifyStateChange": "yes"}),
        ("ipa", 0xBF3D, {}),
        ("ipa", 0xBF3D, {"pendingNotification": b64("3000"), "provideEimPackageResult": b64(RESULT)}),
        ("ipa", 0xBF50, {"eidValue": EID}),
        ("ipa", 0xBF41, {"transactionId": "01", "cancelSessionResponse": b64("3000")}),
        ("ipa", 0xBF4E, {"ePRAndNotifications": {"notificationList": b64("bf2b00")}}),
        ("eim", 0xBF4F, {"header": DONE}),
        ("eim", 0xBF39, {"ctxParams1": b64("0000ff")}),
        ("eim", 0xBF3D, {}),
    ],
)
def test_what_is_refused(side: str, tag: int, given: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        read(side, tag, given)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b'"x"', b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_bodies_that_are_no_object(data: bytes) -> None:
    for tag in esipa_json.FUNCTIONS.values():
        with pytest.raises(DecodeError):
            esipa_json.read_from_ipa(tag, data)


def test_the_error_names_function_and_key() -> None:
    with pytest.raises(DecodeError, match="euiccInfo1") as caught:
        read("ipa", 0xBF39, {"euiccInfo1": "AA=="})
    assert caught.value.where == "initiateAuthentication"


def test_paths() -> None:
    assert esipa_json.function("/gsma/rsp2/esipa/getEimPackage") == 0xBF4F
    assert esipa_json.path(0xBF3A) == "/gsma/rsp2/esipa/getBoundProfilePackage"
    for wrong in ("/gsma/rsp2/esipa/", "/gsma/rsp2/esipa/getEIMPackage", "getEimPackage", "/gsma/rsp2/asn1"):
        assert esipa_json.function(wrong) is None
    with pytest.raises(EncodeError):
        esipa_json.path(0xBF51)
    with pytest.raises(EncodeError):
        esipa_json.write_from_ipa(b"\xbf\x51\x00")
    with pytest.raises(EncodeError):
        esipa_json.write_from_eim(b"\xbf\x3d\x00")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary().map(lambda d: b64(d.hex())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted({key for item in VECTORS for key in item["json"]} | {"header", "authenticateServerResponse"})


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(esipa_json.FUNCTIONS.values())), st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_object_is_read_or_refused(tag: int, given: dict[str, Any]) -> None:
    for one in (esipa_json.read_from_ipa, esipa_json.read_from_eim):
        try:
            message = one(tag, json.dumps(given).encode())
        except DecodeError:
            continue
        assert tlv.header(message)[0] == tag


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(esipa_json.FUNCTIONS.values())), st.binary(max_size=60))
def test_any_bytes_are_written_or_refused(tag: int, content: bytes) -> None:
    for write in (esipa_json.write_from_ipa, esipa_json.write_from_eim):
        try:
            assert isinstance(json.loads(write(tlv.build(tag, content))), dict)
        except (DecodeError, EncodeError):
            pass
