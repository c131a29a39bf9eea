"""The JSON binding of ESipa under curl with strict certificate checks: literal bodies, as IPAs in the field send."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from .foreign import Bench
from .http import Answer, curl, operator, tls

SERVED = "89044045930000000000002153893210"
DONE = {"functionExecutionStatus": {"status": "Executed-Success"}}
JSON = "application/json"


@pytest.fixture(scope="module", autouse=True)
def served(bench: Bench) -> None:
    operator(bench, "eim", "PUT", f"/euiccs/{SERVED}")


def post(bench: Bench, function: str, body: bytes, *more: str, content_type: str = JSON) -> Answer:
    name, port = bench.server("eim")
    url = f"https://{name}:{port}/gsma/rsp2/esipa/{function}"
    headers = ("-H", f"Content-Type: {content_type}", "-H", "X-Admin-Protocol: gsma/rsp/v2.1.0")
    return curl(url, *tls(bench, "eim"), *headers, *more, data=body)


def failed(subject: str, reason: str, message: str) -> dict[str, Any]:
    data = {"subjectCode": subject, "reasonCode": reason, "message": message}
    return {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}


@pytest.mark.parametrize(
    ("function", "body", "expected"),
    [
        pytest.param("getEimPackage", {"eidValue": SERVED}, {"header": DONE, "eimPackageError": 1}, id="GetEimPackage"),
        pytest.param(
            "getEimPackage",
            {"eidValue": SERVED, "notifyStateChange": True, "stateChangeCause": 5, "rPlmn": "YvIQ"},
            {"header": DONE, "eimPackageError": 1},
            id="notifyStateChange",
        ),
        pytest.param(
            "getEimPackage",
            {"eidValue": "89049032000000000000000000000000"},
            {"header": DONE, "eimPackageError": 2},
            id="EID-not-served",
        ),
        pytest.param("getEimPackage", {"eidValue": "8904"}, {"header": DONE, "eimPackageError": 3}, id="no-EID"),
        pytest.param("getEimPackage", {}, {"header": DONE, "eimPackageError": 4}, id="without-EID"),
        pytest.param(
            "provideEimPackageResult",
            {"eidValue": SERVED, "eimPackageResult": "oAMCAQI="},
            {"header": DONE},
            id="EimPackageResult-error",
        ),
        pytest.param(
            "provideEimPackageResult",
            {"eidValue": SERVED, "eimPackageResult": "v1EFogOAAWU="},
            {"header": DONE},
            id="EuiccPackageResult-unsigned",
        ),
        pytest.param(
            "provideEimPackageResult",
            {"eidValue": "89049032000000000000000000000000", "eimPackageResult": "v1EFogOAAWU="},
            {"header": failed("8.1.1", "3.9", "eidNotFound"), "provideEimPackageResultError": 2},
            id="result-of-another",
        ),
        pytest.param(
            "cancelSession",
            {"transactionId": "0102030405060708", "cancelSessionResponse": "v0EDgQEF"},
            {"header": failed("8.10.1", "3.9", "invalidTransactionId")},
            id="CancelSession-unknown-transaction",
        ),
        pytest.param(
            "authenticateClient",
            {"transactionId": "0102030405060708", "authenticateServerResponse": "vzgPoQ2ACAECAwQFBgcIAgF/"},
            {"header": failed("8.10.1", "3.9", "invalidTransactionId")},
            id="AuthenticateClient-unknown-transaction",
        ),
        pytest.param(
            "getBoundProfilePackage",
            {"transactionId": "0102030405060708", "prepareDownloadResponse": "vyEPoQ2ACAECAwQFBgcIAgEE"},
            {"header": failed("8.10.1", "3.9", "invalidTransactionId")},
            id="GetBoundProfilePackage-unknown-transaction",
        ),
        pytest.param(
            "initiateAuthentication",
            {"euiccChallenge": "AAECAwQFBgcICQoLDA0ODw==", "eimTransactionId": "0102030405060708"},
            {"header": failed("8.10.1", "3.9", "invalidEimTransactionId")},
            id="InitiateAuthentication-unknown-order",
        ),
    ],
)
def test_literal_bodies_get_literal_answers(
    bench: Bench, function: str, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = post(bench, function, json.dumps(body).encode())
    assert (answer.status, json.loads(answer.body)) == (200, expected)
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
    assert answer.headers["x-admin-protocol"] == "gsma/rsp/v2.1.0"


def test_handle_notification_is_answered_without_a_body(bench: Bench) -> None:
    result = "v1AkWhCJBEBFkwAAAAAAACFTiTIQv1QPgggBAgMEBQYHCDADgAF/"
    answer = post(bench, "handleNotification", json.dumps({"provideEimPackageResult": result}).encode())
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", "Application/JSON", ""])
def test_media_types(bench: Bench, content_type: str) -> None:
    answer = post(bench, "getEimPackage", json.dumps({"eidValue": SERVED}).encode(), content_type=content_type)
    assert json.loads(answer.body)["eimPackageError"] == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe\x00", b"nul", b"[" * 5000, b'{"eidValue": 5}'])
def test_what_is_no_body_of_the_function_is_answered_all_the_same(bench: Bench, body: bytes) -> None:
    answer = post(bench, "getEimPackage", body)
    assert json.loads(answer.body) == {"header": DONE, "eimPackageError": 127}
    assert post(bench, "handleNotification", body).status == 400


def test_the_wrong_binding_for_the_path_and_no_such_function(bench: Bench) -> None:
    asn1 = bytes.fromhex(f"bf4f125a10{SERVED}")
    assert post(bench, "getEimPackage", asn1, content_type="application/x-gsma-rsp-asn1").status == 415
    assert post(bench, "getEIMPackage", b"{}").status == 404
    refused = post(bench, "transferEimPackage", b'{"eimPackageError": 1}')
    assert refused.status == 400
    assert "no ESipa function of an eIM in retrieval mode" in refused.body.decode()


def test_both_bindings_share_what_the_connection_knows(bench: Bench) -> None:
    """A poll in JSON and one in ASN.1 see the same orders."""
    order = operator(bench, "eim", "POST", "/orders", {"eid": SERVED, "kind": "list"})
    try:
        found = json.loads(post(bench, "getEimPackage", json.dumps({"eidValue": SERVED}).encode()).body)
        assert found["header"] == DONE
        (key,) = set(found) - {"header"}
        assert key in ("ipaEuiccDataRequest", "euiccPackageRequest")
        name, port = bench.server("eim")
        headers = ("-H", "Content-Type: application/x-gsma-rsp-asn1")
        answer = curl(
            f"https://{name}:{port}/gsma/rsp2/asn1",
            *(*tls(bench, "eim"), *headers),
            data=bytes.fromhex(f"bf4f125a10{SERVED}"),
        )
        assert answer.body.endswith(base64.b64decode(found[key]))
    finally:
        operator(bench, "eim", "POST", f"/orders/{order['order_id']}/cancel")
