"""ESipa of the bundled eIM under curl: literal messages of the fact sheet, and HTTP as IPAs of the field send it."""

from __future__ import annotations

import pytest

from .foreign import Bench, run
from .http import ESIPA, ESIPA_TYPE, Answer, curl, esipa, operator, tls

SERVED = "89044045930000000000002153893210"
POLL = "bf4f125a1089044045930000000000002153893210"
POLL_OF_ANOTHER = "bf4f125a1089049032000000000000000000000000"
NO_PACKAGE = "bf4f03020101"
EID_NOT_FOUND = "bf4f03020102"


@pytest.fixture(scope="module", autouse=True)
def served(bench: Bench) -> None:
    operator(bench, "eim", "PUT", f"/euiccs/{SERVED}")


def is_message(answer: Answer, expected: str) -> None:
    assert (answer.status, answer.body.hex()) == (200, expected)
    assert answer.headers["content-type"] == ESIPA_TYPE
    assert answer.headers["content-length"] == str(len(expected) // 2)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(POLL, NO_PACKAGE, id="GetEimPackage"),
        pytest.param(
            "bf4f1c5a10890440459300000000000021538932108000810105820362f210", NO_PACKAGE, id="notifyStateChange"
        ),
        pytest.param(POLL_OF_ANOTHER, EID_NOT_FOUND, id="EID-not-served"),
        pytest.param("bf4f00", "bf4f03020104", id="no-EID"),
        pytest.param("bf50175a1089044045930000000000002153893210a003020102", "bf50023000", id="EimPackageResult-error"),
        pytest.param(
            "bf501a5a1089044045930000000000002153893210bf5105a203800165", "bf50023000", id="EuiccPackageResult-unsigned"
        ),
        pytest.param(
            "bf50245a1089044045930000000000002153893210bf520fa10d80080102030405060708020101",
            "bf50023000",
            id="IpaEuiccDataResponse-error",
        ),
        pytest.param("bf410f80080102030405060708a103810105", "bf4103810101", id="CancelSession-unknown-transaction"),
        pytest.param(
            "bf3b1c80080102030405060708bf380fa10d8008010203040506070802017f",
            "bf3b0382010a",
            id="AuthenticateClient-unknown-transaction",
        ),
    ],
)
def test_literal_messages_get_literal_answers(bench: Bench, message: str, expected: str) -> None:
    is_message(esipa(bench, message), expected)


def test_handle_notification_is_answered_without_a_body(bench: Bench) -> None:
    result = "bf3d27bf50245a1089044045930000000000002153893210bf540f82080102030405060708300380017f"
    answer = esipa(bench, result)
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("version", ["gsma/rsp/v2.1.0", "gsma/rsp/v1.3.0", "gsma/rsp/v2.4.0"])
def test_the_admin_protocol_is_given_back(bench: Bench, version: str) -> None:
    name, port = bench.server("eim")
    answer = curl(
        f"https://{name}:{port}{ESIPA}",
        *(*tls(bench, "eim"), "-H", f"Content-Type: {ESIPA_TYPE}", "-H", f"x-admin-protocol: {version}"),
        data=bytes.fromhex(POLL),
    )
    is_message(answer, NO_PACKAGE)
    assert answer.headers["x-admin-protocol"] == version


def test_an_ipa_that_sends_almost_no_headers(bench: Bench) -> None:
    """No User-Agent, no Accept, no X-Admin-Protocol, no Content-Type: seen in the field."""
    name, port = bench.server("eim")
    bare = ["-H", "User-Agent:", "-H", "Accept:", "-H", "Content-Type:"]
    answer = curl(f"https://{name}:{port}{ESIPA}", *tls(bench, "eim"), *bare, data=bytes.fromhex(POLL))
    is_message(answer, NO_PACKAGE)
    assert answer.headers["x-admin-protocol"] == "gsma/rsp/v2.1.0"


def test_http_1_0(bench: Bench) -> None:
    answer = esipa(bench, POLL, "--http1.0")
    is_message(answer, NO_PACKAGE)
    assert answer.headers.get("connection", "close") == "close"


def test_a_chunked_body(bench: Bench) -> None:
    is_message(esipa(bench, POLL, "-H", "Transfer-Encoding: chunked"), NO_PACKAGE)


def test_expect_100_continue_costs_no_waiting(bench: Bench) -> None:
    """RFC 9110 section 10.1.1: libcurl sends it with long bodies and waits a second when nobody answers."""
    answer = esipa(bench, POLL, "-H", "Expect: 100-continue", "--expect100-timeout", "4")
    is_message(answer, NO_PACKAGE)
    assert answer.variables["time_total"] < 2


def test_one_connection_serves_a_poll_loop(bench: Bench) -> None:
    name, port = bench.server("eim")
    url = f"https://{name}:{port}{ESIPA}"
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "10", *tls(bench, "eim"), "--data-binary", "@-"]
    command += ["-H", f"Content-Type: {ESIPA_TYPE}", "-w", "|%{num_connects} %{http_code}\n"]
    output = run(*command, url, url, url, data=bytes.fromhex(POLL)).stdout
    assert [line.split(b"|")[1] for line in output.splitlines()] == [b"1 200", b"0 200", b"0 200"]


def test_a_poll_on_a_resumed_connection_after_errors(bench: Bench) -> None:
    """Refusals leave the connection usable."""
    name, port = bench.server("eim")
    wrong, right = f"https://{name}:{port}/wrong", f"https://{name}:{port}{ESIPA}"
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "10", *tls(bench, "eim"), "--data-binary", "@-"]
    output = run(*command, "-o", "/dev/null", "-w", "%{num_connects} %{http_code}\n", wrong, "-o", "/dev/null", right)
    assert output.stdout.splitlines()[0] == b"1 404"
    assert output.stdout.splitlines()[1].startswith(b"0 ")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/gsma/rsp2/asn1/", 404),
        ("/gsma/rsp2/esipa/getEIMPackage", 404),
        ("/gsma/rsp2/esipa/getEimPackage", 415),
    ],
)
def test_another_path_says_where_esipa_is(bench: Bench, path: str, status: int) -> None:
    answer = esipa(bench, POLL, path=path)
    assert answer.status == status
    assert ESIPA in answer.body.decode()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused(bench: Bench, method: str) -> None:
    answer = esipa(bench, POLL, "-X", method)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


def test_json_at_the_asn1_path_is_refused(bench: Bench) -> None:
    name, port = bench.server("eim")
    answer = curl(
        f"https://{name}:{port}{ESIPA}", *tls(bench, "eim"), "-H", "Content-Type: application/json", data=b"{}"
    )
    assert answer.status == 415
    assert ESIPA_TYPE in answer.body.decode()


@pytest.mark.parametrize("body", [b"", b"GET / HTTP/1.1", b"\xbf\x4f", b"\xbf\x4f\x84\xff\xff\xff\xff", b"\x00" * 40])
def test_what_is_no_message_is_answered_all_the_same(bench: Bench, body: bytes) -> None:
    answer = esipa(bench, body)
    assert answer.status == 400 or (answer.status, answer.body[:2]) == (200, b"\xbf\x4f")
    is_message(esipa(bench, POLL), NO_PACKAGE)


@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
def test_a_body_without_end_is_refused(bench: Bench, framing: str) -> None:
    more = ("-H", "Transfer-Encoding: chunked") if framing == "chunked" else ()
    answer = esipa(bench, bytes(3 << 20), *more)
    assert answer.status == 413


def test_the_operator_s_side_needs_the_token(bench: Bench) -> None:
    base = bench.announcement["eim"]["operator"]
    assert curl(f"{base}/euiccs").status == 401
    assert curl(f"{base}/euiccs", "-H", "Authorization: Bearer x").status == 401
    assert SERVED in {row["eid"] for row in operator(bench, "eim", "GET", "/euiccs")}
