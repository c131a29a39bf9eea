"""The IPA in the JSON binding, and every error number that an eIM may answer: bodies and answers by hand."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from bench.rsp.names import StateChangeCause
from fixtures.ipa.errors import EsipaError
from fixtures.ipa.ipa import create
from fixtures.ipa.memory import Memory

from .bench import poll
from .fakes import EID, Answer, FakeCard, FakeEim, Tls, notification, package, package_result, script, tlv
from .test_download import (
    BPP,
    CERTIFICATE,
    KEY_ID,
    ORDER,
    PIR,
    PREPARED,
    SERVER_ANSWER,
    SIGNATURE1,
    SIGNATURE2,
    SIGNED1,
    SIGNED2,
    TRIGGER,
    TX,
    card_for_download,
    eim_for_download,
)

DONE = {"functionExecutionStatus": {"status": "Executed-Success"}}
JSON = {"binding": "json"}
NOTHING = {"header": DONE, "eimPackageError": 1}
PREFIX = "/gsma/rsp2/esipa/"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def answering(packages: list[dict[str, Any]], **answers: Any) -> FakeEim:
    """An eIM that answers JSON by function; ``packages`` one a getEimPackage."""
    left = list(packages)

    def answer(_body: bytes, index: int) -> Answer:
        function = eim.paths[index].removeprefix(PREFIX)
        if function in answers:
            found = answers[function]
        elif function == "getEimPackage":
            found = {"header": DONE, **left.pop(0)} if left else NOTHING
        else:
            found = {"handleNotification": 204, "cancelSession": {"header": DONE}}.get(function, 500)
        return json.dumps(found).encode() if isinstance(found, dict) else found  # type: ignore[return-value]

    eim = FakeEim(answer)
    return eim


def bodies(eim: FakeEim, function: str) -> list[dict[str, Any]]:
    return [
        json.loads(message) for message, path in zip(eim.messages, eim.paths, strict=True) if path == PREFIX + function
    ]


DOWNLOAD = {
    "initiateAuthentication": {
        "header": DONE,
        "transactionId": TX.hex().upper(),
        "serverSigned1": b64(SIGNED1),
        "serverSignature1": b64(SIGNATURE1),
        "euiccCiPKIdentifierToBeUsed": b64(KEY_ID),
        "serverCertificate": b64(CERTIFICATE),
        "matchingId": "MATCH-1",
    },
    "authenticateClient": {
        "header": DONE,
        "transactionId": TX.hex().upper(),
        "profileMetadata": b64(tlv("BF25")),
        "smdpSigned2": b64(SIGNED2),
        "smdpSignature2": b64(SIGNATURE2),
        "smdpCertificate": b64(CERTIFICATE),
    },
    "getBoundProfilePackage": {"header": DONE, "boundProfilePackage": b64(BPP)},
}


def test_a_whole_download_in_json(home: Path, server_tls: Tls) -> None:
    eim = answering([{"profileDownloadTriggerRequest": b64(TRIGGER)}], **DOWNLOAD)
    card = card_for_download()
    result = poll(card, eim, server_tls, home, **JSON)
    assert result.downloads[0]["installed"]
    info1 = tlv("BF20", tlv("82", b"\x02\x02\x02"), tlv("A9"), tlv("AA"))
    named = {"transactionId": TX.hex().upper()}
    assert [path.removeprefix(PREFIX) for path in eim.paths] == [
        "getEimPackage",
        "initiateAuthentication",
        "authenticateClient",
        "getBoundProfilePackage",
        "handleNotification",
        "getEimPackage",
    ]
    assert [json.loads(message) for message in eim.messages] == [
        {"eidValue": EID},
        {"euiccChallenge": b64(b"\xcc" * 16), "euiccInfo1": b64(info1), "eimTransactionId": ORDER.hex().upper()},
        {**named, "authenticateServerResponse": b64(SERVER_ANSWER)},
        {**named, "prepareDownloadResponse": b64(PREPARED)},
        {"pendingNotification": b64(PIR)},
        {"eidValue": EID},
    ]
    assert {headers["Content-Type"] for headers in eim.headers} == {"application/json;charset=UTF-8"}
    assert {headers["User-Agent"] for headers in eim.headers} == {"gsma-rsp-ipad"}
    assert result.bytes_sent == sum(len(message) for message in eim.messages)
    assert card.notifications == {}


def test_a_result_with_notifications_in_json(home: Path, server_tls: Tls) -> None:
    """A result with the notifications that are pending, acknowledged by their numbers."""
    data, order = package(5, transaction=TX), package_result(5, 9, bytes.fromhex("830100"))
    card = FakeCard(answers={"BF51": [order]}, notifications={4: notification(4)}, results={9: order})
    acknowledged = {"header": DONE, "eimAcknowledgements": b64(bytes.fromhex("bf5306800104800109"))}
    eim = answering([{"euiccPackageRequest": b64(data)}], provideEimPackageResult=acknowledged)
    poll(card, eim, server_tls, home, **JSON)
    sent = [base64.b64decode(body["eimPackageResult"]) for body in bodies(eim, "provideEimPackageResult")]
    # The stored result goes out first, with the notification that is pending; the new one is the same again.
    assert sent[0] == tlv("30", order, tlv("A0", notification(4)))
    assert {body["eidValue"] for body in bodies(eim, "provideEimPackageResult")} == {EID}
    assert card.results == {}
    assert card.notifications == {}


def test_a_refused_download_in_json_is_told_by_its_codes(home: Path, server_tls: Tls) -> None:
    data = {"subjectCode": "8.2.6", "reasonCode": "3.8", "message": "no such matching id"}
    refused = {"header": {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}}
    answers = {**DOWNLOAD, "authenticateClient": refused}
    card = card_for_download()
    card.answers["BF41"] = [tlv("BF41", tlv("A0", tlv("30"), tlv("5F37", b"\x01")))]
    eim = answering([{"profileDownloadTriggerRequest": b64(TRIGGER)}], **answers)
    (report,) = poll(card, eim, server_tls, home, **JSON).downloads
    assert (report["subject_code"], report["reason_code"], report["code"]) == ("8.2.6", "3.8", 6)
    (cancel,) = bodies(eim, "cancelSession")
    assert cancel == {
        "transactionId": TX.hex().upper(),
        "cancelSessionResponse": b64(tlv("BF41", tlv("A0", tlv("30"), tlv("5F37", b"\x01")))),
    }


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"[]", b"{}", b"", json.dumps({"header": DONE}).encode(), b'{"euiccPackageRequest": "AAAA"}', b"\xff"],
)
def test_an_eim_that_answers_something_else(answer: bytes, home: Path, server_tls: Tls) -> None:
    eim = FakeEim(lambda _body, _index: answer)
    with pytest.raises(EsipaError, match="eIM"):
        poll(FakeCard(), eim, server_tls, home, **JSON)


@pytest.mark.parametrize("status", [404, 415, 501])
def test_an_eim_without_the_json_binding(status: int, home: Path, server_tls: Tls) -> None:
    with pytest.raises(EsipaError) as caught:
        poll(FakeCard(), FakeEim(lambda _body, _index: status), server_tls, home, retries=0, **JSON)
    assert "JSON" in caught.value.hint


def test_the_key_of_the_plmn(home: Path, server_tls: Tls) -> None:
    """json_plmn_key."""
    for key in ("rPlmn", "rPLMN"):
        eim = answering([])
        poll(FakeCard(), eim, server_tls, home / key, rplmn="26201", json_plmn_key=key, **JSON)
        assert bodies(eim, "getEimPackage") == [{"eidValue": EID, key: "YvIQ"}]


@pytest.mark.parametrize("option", [{"binding": "xml"}, {"json_plmn_key": "plmn"}, {"compact_after": "never"}])
def test_options_that_are_none(option: dict[str, object], home: Path) -> None:
    from bench.errors import ConfigurationError
    from bench.station.clock import RealClock
    from fixtures.ipa.hostpath import HostDataPath

    with pytest.raises(ConfigurationError):
        create(FakeCard(), HostDataPath(), RealClock(), options=option, home=home)


# --- every error number of an eIM -----------------------------------------------------------------------------------

ERRORS = {
    "BF39": (0x81, {1: "invalidDpAddress", 2: "euiccVersionNotSupportedByDp", 3: "ciPKIdNotSupported",
                    50: "smdpAddressMismatch", 51: "smdpOidMismatch", 52: "invalidEimTransactionId",
                    127: "undefinedError"}),
    "BF3B": (0x82, {1: "eumCertificateInvalid", 2: "eumCertificateExpired", 3: "euiccCertificateInvalid",
                    4: "euiccCertificateExpired", 5: "euiccSignatureInvalid", 6: "matchingIdRefused",
                    7: "eidMismatch", 8: "noEligibleProfile", 9: "ciPKUnknown", 10: "invalidTransactionId",
                    11: "insufficientMemory", 18: "downloadOrderExpired", 50: "pprNotAllowed",
                    56: "eventIdUnknown", 127: "undefinedError"}),
    "BF3A": (0x81, {1: "euiccSignatureInvalid", 2: "confirmationCodeMissing", 3: "confirmationCodeRefused",
                    4: "confirmationCodeRetriesExceeded", 5: "bppRebindingRefused", 6: "deprecated",
                    50: "metadataMismatch", 95: "invalidTransactionId", 127: "undefinedError"}),
}  # fmt: skip
"""As in the fact sheet, C.1."""


@pytest.mark.parametrize(("tag", "code"), [(tag, code) for tag, (_, names) in ERRORS.items() for code in names])
def test_every_refusal_of_a_download_is_named(tag: str, code: int, home: Path, server_tls: Tls) -> None:
    field, names = ERRORS[tag]
    card = card_for_download()
    card.answers["BF41"] = [tlv("BF41", tlv("A0", tlv("30"), tlv("5F37", b"\x01")))]
    eim = eim_for_download(**{tag: tlv(tag, tlv(f"{field:02X}", bytes((code,))))})
    (report,) = poll(card, eim, server_tls, home).downloads
    assert report["code"] == code
    assert names[code] in str(report["error"])
    assert not report["installed"]
    reasons = {("BF3B", 50): 3, ("BF3A", 50): 4}
    cancelled = [request[-1] for request in card.calls("bf41")]
    assert cancelled == ([] if tag == "BF39" else [reasons.get((tag, code), 127)])


@pytest.mark.parametrize("code", [1, 2, 127])
def test_every_refusal_of_a_cancellation(code: int, home: Path, server_tls: Tls) -> None:
    card = card_for_download()
    card.answers["BF41"] = [tlv("BF41", tlv("A0", tlv("30"), tlv("5F37", b"\x01")))]
    refusals = {"BF3B": bytes.fromhex("bf3b03820106"), "BF41": tlv("BF41", tlv("81", bytes((code,))))}
    eim = eim_for_download(**refusals)
    (report,) = poll(card, eim, server_tls, home).downloads
    assert "matchingIdRefused" in str(report["error"])
    assert len(eim.of("BF41")) == 1


@pytest.mark.parametrize("code", [5, 127])
def test_a_card_that_cannot_cancel_says_so_to_the_eim(code: int, home: Path, server_tls: Tls) -> None:
    card = card_for_download()
    card.answers["BF41"] = [tlv("BF41", tlv("81", bytes((code,))))]
    eim = eim_for_download(BF3B=bytes.fromhex("bf3b03820106"))
    poll(card, eim, server_tls, home)
    (message,) = eim.of("BF41")
    assert message == tlv("BF41", tlv("80", TX), tlv("A1", tlv("81", bytes((code,)))))


@pytest.mark.parametrize(
    ("code", "name"), [(2, "eidNotFound"), (3, "invalidEid"), (4, "missingEid"), (127, "undefinedError")]
)
@pytest.mark.parametrize("binding", ["asn1", "json"])
def test_every_error_of_get_eim_package(binding: str, code: int, name: str, home: Path, server_tls: Tls) -> None:
    if binding == "json":
        eim = answering([], getEimPackage={"header": DONE, "eimPackageError": code})
    else:
        eim = FakeEim(script([], BF4F=tlv("BF4F", tlv("02", bytes((code,))))))
    with pytest.raises(EsipaError, match=name) as caught:
        poll(FakeCard(), eim, server_tls, home, binding=binding)
    assert caught.value.code == code


@pytest.mark.parametrize("code", [2, 3, 4, 127])
@pytest.mark.parametrize("key", ["provideEimPackageResultError", "eimPackageError", ""])
def test_every_error_of_provide_eim_package_result(code: int, key: str, home: Path, server_tls: Tls) -> None:
    """What the eIM does not take stays on the card. ``key``: json_result_error; none: the ASN.1 binding."""
    order = package_result(5, 9, bytes.fromhex("830100"))
    card = FakeCard(results={9: order})
    if key:
        eim = answering([], provideEimPackageResult={"header": DONE, key: code})
    else:
        eim = FakeEim(script([], BF50=tlv("BF50", tlv("02", bytes((code,))))))
    poll(card, eim, server_tls, home, **(JSON if key else {}))
    assert 9 in card.results


# --- what an eIM may ask of the IPA ---------------------------------------------------------------------------------


def asked(card: FakeCard, tags: str, *more: bytes, home: Path, tls: Tls) -> bytes:
    """Return the answer to an IpaEuiccDataRequest (BF52); nothing on the card is acknowledged before it."""
    request = tlv("BF52", tlv("5C", bytes.fromhex(tags)), *more)
    eim = FakeEim(script([request], BF3D=400, BF50=bytes.fromhex("bf50023000")))
    poll(card, eim, tls, home)
    told = eim.of("BF50")[-1]
    return told[told.index(b"\xbf\x52") :]


def test_notifications_by_number(home: Path, server_tls: Tls) -> None:
    card = FakeCard(notifications={4: notification(4), 5: notification(5)})
    answer = asked(card, "a0", tlv("A1", tlv("80", b"\x05")), home=home, tls=server_tls)
    assert answer == tlv("BF52", tlv("A0", tlv("A0", notification(5))))


def test_notifications_by_event(home: Path, server_tls: Tls) -> None:
    listed = tlv("BF2B", tlv("A0", notification(4, "0640")))
    card = FakeCard(answers={"BF2B": lambda request: listed if b"\x81" in request[4:6] else tlv("BF2B", tlv("A0"))})
    answer = asked(card, "a0", tlv("A1", tlv("81", b"\x06\x40")), home=home, tls=server_tls)
    assert answer == tlv("BF52", tlv("A0", tlv("A0", notification(4, "0640"))))
    assert bytes.fromhex("bf2b06a00481020640") in card.requests


def test_a_package_result_by_number(home: Path, server_tls: Tls) -> None:
    results = {number: package_result(number, number, bytes.fromhex("830100")) for number in (7, 8)}
    card = FakeCard(results=dict(results))
    answer = asked(card, "a2", tlv("A2", tlv("80", b"\x08")), home=home, tls=server_tls)
    assert answer == tlv("BF52", tlv("A0", tlv("A2", results[8])))


def test_a_card_that_does_not_answer_is_an_undefined_error(home: Path, server_tls: Tls) -> None:
    card = FakeCard(words={"BF22": 0x6A80})
    answer = asked(card, "bf22", tlv("83", b"\x07"), home=home, tls=server_tls)
    assert answer == bytes.fromhex("bf5208a10680010702017f")


def test_no_data_while_the_emergency_profile_is_enabled(home: Path, server_tls: Tls) -> None:
    Memory(home / "ipa", EID).note_ecall(True)
    emergency = tlv("E3", tlv("5A", bytes(10)), tlv("9F70", b"\x01"), tlv("9F7B", b"\xff"))
    card = FakeCard(answers={"BF2D": lambda _request: tlv("BF2D", tlv("A0", emergency))})
    assert asked(card, "bf20", home=home, tls=server_tls) == bytes.fromhex("bf5205a103020168")
    assert card.calls("bf20") == []


@pytest.mark.parametrize("binding", ["asn1", "json"])
@pytest.mark.parametrize("cause", list(StateChangeCause))
def test_every_cause_of_a_state_change_is_told_once(
    cause: StateChangeCause, binding: str, home: Path, server_tls: Tls
) -> None:
    Memory(home / "ipa", EID).change_state(cause)
    if binding == "json":
        eim = answering([])
        poll(FakeCard(), eim, server_tls, home, binding=binding)
        poll(FakeCard(), eim, server_tls, home, binding=binding)
        told = {"eidValue": EID, "notifyStateChange": True, "stateChangeCause": int(cause)}
        assert bodies(eim, "getEimPackage") == [told, {"eidValue": EID}]
        return
    eim = FakeEim(script([]))
    poll(FakeCard(), eim, server_tls, home)
    poll(FakeCard(), eim, server_tls, home)
    owner = tlv("5A", bytes.fromhex(EID))
    assert eim.messages == [tlv("BF4F", owner, tlv("80"), tlv("81", bytes((cause,)))), tlv("BF4F", owner)]
