"""ES9+ of the bundled SM-DP+ under curl (SGP.22 section 6.5)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from .foreign import Bench, run
from .http import ES9PLUS, curl, es9plus, operator, tls

CHALLENGE = base64.b64encode(bytes(range(16))).decode()


def status_of(body: bytes) -> tuple[str, str, str]:
    execution: dict[str, Any] = json.loads(body)["header"]["functionExecutionStatus"]
    data = execution.get("statusCodeData", {})
    return execution["status"], data.get("subjectCode", ""), data.get("reasonCode", "")


def euicc_info1(bench: Bench) -> str:
    """Return an euiccInfo1 made by hand, with the key identifier of the announced CA that openssl reads."""
    text = run("openssl", "x509", "-in", bench.ca, "-noout", "-ext", "subjectKeyIdentifier").stdout.decode()
    ski = bytes.fromhex(text.splitlines()[1].strip().replace(":", ""))
    identifiers = b"\x04\x14" + ski
    content = b"\x82\x03\x02\x05\x00" + b"\xa9\x16" + identifiers + b"\xaa\x16" + identifiers
    return base64.b64encode(b"\xbf\x20" + bytes([len(content)]) + content).decode()


def test_initiate_authentication(bench: Bench) -> None:
    body = {"euiccChallenge": CHALLENGE, "euiccInfo1": euicc_info1(bench), "smdpAddress": "smdpp.bench.example"}
    answer = es9plus(bench, "initiateAuthentication", body)
    assert answer.status == 200
    assert answer.headers["content-type"].replace(" ", "").lower() == "application/json;charset=utf-8"
    assert answer.headers["x-admin-protocol"] == "gsma/rsp/v2.2.2"
    assert status_of(answer.body)[0] == "Executed-Success"
    members = json.loads(answer.body)
    assert len(bytes.fromhex(members["transactionId"])) == 16
    assert base64.b64decode(members["serverSignature1"], validate=True)[:3] == b"\x5f\x37\x40"
    assert base64.b64decode(members["euiccCiPKIdToBeUsed"], validate=True)[:2] == b"\x04\x14"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"smdpAddress": "other.example"}, ("Failed", "8.8.1", "3.8")),
        ({"euiccInfo1": "vyAA"}, ("Failed", "1.3.1", "2.1")),
        ({"euiccChallenge": None}, ("Failed", "1.3.1", "2.2")),
    ],
)
def test_refusals_carry_subject_and_reason(bench: Bench, change: dict[str, Any], expected: tuple[str, ...]) -> None:
    body = {"euiccChallenge": CHALLENGE, "euiccInfo1": euicc_info1(bench), "smdpAddress": "smdpp.bench.example"}
    body = {name: value for name, value in {**body, **change}.items() if value is not None}
    answer = es9plus(bench, "initiateAuthentication", body)
    assert (answer.status, status_of(answer.body)) == (200, expected)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(-1, ("Failed", "8.8.2", "3.1"), id="signing"),
        pytest.param(-25, ("Failed", "8.8.4", "3.7"), id="verification"),
    ],
)
def test_a_ci_that_only_the_euicc_knows(bench: Bench, at: int, expected: tuple[str, ...]) -> None:
    info = bytearray(base64.b64decode(euicc_info1(bench)))
    info[at] ^= 1
    body = {"euiccChallenge": CHALLENGE, "smdpAddress": "smdpp.bench.example"}
    answer = es9plus(bench, "initiateAuthentication", {**body, "euiccInfo1": base64.b64encode(info).decode()})
    assert status_of(answer.body) == expected


def test_an_unknown_transaction(bench: Bench) -> None:
    answer = es9plus(bench, "authenticateClient", {"transactionId": "00" * 16, "authenticateServerResponse": "vzgA"})
    assert status_of(answer.body) == ("Failed", "8.10.1", "3.9")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object(bench: Bench, body: bytes) -> None:
    answer = es9plus(bench, "initiateAuthentication", body)
    assert answer.status == 400
    assert "JSON" in answer.body.decode()


def test_http_as_lpas_send_it(bench: Bench) -> None:
    body = {"transactionId": "00" * 16, "authenticateServerResponse": "vzgA"}
    expected = ("Failed", "8.10.1", "3.9")
    for more in (("--http1.0",), ("-H", "Transfer-Encoding: chunked"), ("-H", "Accept:")):
        assert status_of(es9plus(bench, "authenticateClient", body, *more).body) == expected
    answer = es9plus(bench, "authenticateClient", body, "-H", "Expect: 100-continue", "--expect100-timeout", "4")
    assert status_of(answer.body) == expected
    assert answer.variables["time_total"] < 2
    assert es9plus(bench, "authenticateClient", bytes(3 << 20)).status == 413


def test_what_the_server_does_not_serve(bench: Bench) -> None:
    name, port = bench.server("smdpp")
    url = f"https://{name}:{port}{ES9PLUS}"
    protocol = ("-H", "X-Admin-Protocol: gsma/rsp/v2.2.2")
    assert es9plus(bench, "nonsense", {}).status == 404
    assert curl(f"{url}initiateAuthentication", *tls(bench, "smdpp")).status == 405
    text = ("-H", "Content-Type: text/plain")
    assert curl(f"{url}initiateAuthentication", *tls(bench, "smdpp"), *protocol, *text, data=b"{}").status == 415
    kind = ("-H", "Content-Type: application/json")
    assert curl(f"{url}initiateAuthentication", *tls(bench, "smdpp"), *kind, data=b"{}").status == 400


def test_an_order_by_the_admin_side(bench: Bench) -> None:
    order = operator(bench, "smdpp", "POST", "/orders", {"profile": "operational"})
    assert order["activation_code"] == f"LPA:1$smdpp.bench.example${order['matching_id']}"
    assert operator(bench, "smdpp", "GET", f"/orders/{order['matching_id']}")["state"] == "released"
    base = bench.announcement["smdpp"]["admin"]
    assert curl(f"{base}/orders").status == 401
