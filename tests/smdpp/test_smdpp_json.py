"""ES9+ in JSON (SGP.22 section 6.5.2): literal requests, and every member of every answer, no more and no less."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from conftest import World
from smdpp_device import ADDRESS, Device, Refused

ICCID = "8900101000000000027"
SUCCESS = {"functionExecutionStatus": {"status": "Executed-Success"}}
INFO1 = "vyA1ggMCBQCpFgQUERERERERERERERERERERERERERGqFgQUERERERERERERERERERERERERERE="


def answers(world: World) -> dict[str, Any]:
    """Return the last answer of each function of a download that is cancelled in the end."""
    seen: dict[str, Any] = {}

    def call(function: str, body: dict[str, Any]) -> Any:
        seen[function] = world.call(function, json.loads(json.dumps(body)))
        return seen[function]

    device = Device(world.pki, call)
    device.download(world.place().matching_id)
    device.notify(device.pir(ICCID))
    device.initiate()
    device.authenticate(world.place().matching_id)
    device.cancel(0)
    return seen


def test_the_members_of_every_answer(world: World) -> None:
    seen = answers(world)
    assert seen["handleNotification"] is None  # 204, no content
    assert seen["cancelSession"] == {"header": SUCCESS}
    members = {
        "initiateAuthentication": {
            "header",
            "transactionId",
            "serverSigned1",
            "serverSignature1",
            "euiccCiPKIdToBeUsed",
            "serverCertificate",
        },
        "authenticateClient": {
            "header",
            "transactionId",
            "profileMetadata",
            "smdpSigned2",
            "smdpSignature2",
            "smdpCertificate",
        },
        "getBoundProfilePackage": {"header", "transactionId", "boundProfilePackage"},
    }
    for function, expected in members.items():
        assert set(seen[function]) == expected
        assert seen[function]["header"] == SUCCESS
        assert re.fullmatch(r"[0-9A-F]{32}", seen[function]["transactionId"])
        base64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
        assert all(
            re.fullmatch(base64, value)
            for name, value in seen[function].items()
            if name not in ("header", "transactionId")
        )


@pytest.mark.parametrize(
    ("function", "request_text", "expected"),
    [
        (
            "initiateAuthentication",
            f'{{"euiccChallenge":"ABEiM0RVZneImaq7zN3u/w==","euiccInfo1":"{INFO1}","smdpAddress":"x.example"}}',
            ("8.8.1", "3.8", f"invalid SM-DP+ address: this is {ADDRESS}, the request names x.example"),
        ),
        (
            "initiateAuthentication",
            f'{{"euiccChallenge":"ABEiM0RVZneImaq7zN3u/w==","euiccInfo1":"{INFO1}","smdpAddress":"{ADDRESS}"}}',
            (
                "8.8.4",
                "3.7",
                "the SM-DP+ has no CERT.DPauth signed by a CI that the eUICC supports: the eUICC knows " + "11" * 20,
            ),
        ),
        (
            "authenticateClient",
            '{"transactionId":"00112233445566778899AABBCCDDEEFF","authenticateServerResponse":"vzgCoQA="}',
            ("8.10.1", "3.9", "the RSP session identified by the transactionId is unknown"),
        ),
        (
            "getBoundProfilePackage",
            '{"transactionId":"00112233445566778899AABBCCDDEEFF","prepareDownloadResponse":"vyECoQA="}',
            ("8.10.1", "3.9", "the RSP session identified by the transactionId is unknown"),
        ),
        (
            "handleNotification",
            '{"pendingNotification":"MAA="}',
            ("1.3.1", "2.1", None),
        ),
        (
            "cancelSession",
            '{"transactionId":"00112233445566778899AABBCCDDEEFF","cancelSessionResponse":"v0EDgQF/"}',
            ("8.10.1", "3.9", "the RSP session identified by the transactionId is unknown"),
        ),
    ],
)
def test_literal_requests_and_refusals(
    world: World, function: str, request_text: str, expected: tuple[str, str, str | None]
) -> None:
    answer = world.call(function, json.loads(request_text))
    execution = answer.pop("header").pop("functionExecutionStatus")
    assert answer == {}
    assert execution.pop("status") == "Failed"
    data = execution.pop("statusCodeData")
    assert execution == {}
    assert (data["subjectCode"], data["reasonCode"]) == expected[:2]
    assert expected[2] is None or data["message"] == expected[2]
    assert set(data) <= {"subjectCode", "reasonCode", "subjectIdentifier", "message"}


def test_a_card_that_has_no_such_session_any_more_may_say_so(world: World) -> None:
    """cancelSessionResponseError (BF41 03 81 01 05) ends the session without a signature."""
    device = world.device()
    device.initiate()
    body = {"transactionId": device.transaction.hex(), "cancelSessionResponse": "v0EDgQEF"}
    assert world.call("cancelSession", body) == {"header": SUCCESS}
    with pytest.raises(Refused):
        device.authenticate("X")


def test_the_order_is_told_by_a_subject_identifier(world: World) -> None:
    device = world.device()
    device.initiate()
    answer = world.call("authenticateClient", device.authenticate_body("NO-SUCH"))
    data = answer["header"]["functionExecutionStatus"]["statusCodeData"]
    assert data["subjectIdentifier"] == "NO-SUCH"
