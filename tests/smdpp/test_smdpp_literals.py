"""Every message of ES9+ and ES2+ as literal text: both bindings of ES9+ say the same, pycrate reads the one in ASN.1,
and the status codes are those that SGP.22 lists for each function (sections 5.2.6, 5.3, 5.6 and 6.5).
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import World
from coverage_messages import LITERAL, PYCRATE, note
from rsp import oracle
from smdpp_device import Device

from fixtures.smdpp import es9_asn1
from fixtures.smdpp.notifications import Received
from fixtures.smdpp.status import REFUSALS, Refusal, failure

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "es9plus_vectors.json").read_text())
"""Message in ASN.1 (hex) and JSON object, as worked out by hand; answers stand there without the header of success."""
IDS = [f"{vector['function']}-{vector['from']}-{number}" for number, vector in enumerate(VECTORS)]
SUCCESS = '{"functionExecutionStatus": {"status": "Executed-Success"}}'
CODES = {
    "initiateAuthentication": ("1.3.1/2.1 1.3.1/2.2 8.8.1/3.8 8.8.2/3.1 8.8.3/3.1 8.8.4/3.7 "),
    "authenticateClient": (
        "1.3.1/2.1 1.3.1/2.2 8.1/4.2 8.1/4.8 8.1/6.1 8.1.1/3.8 8.1.2/6.1 8.1.2/6.3 8.1.3/6.1 8.1.3/6.3 "
        "8.2/1.2 8.2.5/4.3 8.2.6/3.8 8.2.7/6.4 8.8.1/3.8 8.8.5/4.10 8.8.5/6.4 8.10.1/3.9 8.11.1/3.9 "
    ),
    "getBoundProfilePackage": (
        "1.3.1/2.1 1.3.1/2.2 8.1/4.2 8.1/6.1 8.1.1/3.8 8.2/3.7 8.2.6/3.8 8.2.7/2.2 8.2.7/3.8 8.2.7/6.4 "
        "8.8.5/4.10 8.8.5/6.4 8.10.1/3.9 "
    ),
    "handleNotification": ("1.3.1/2.1 1.3.1/2.2 "),
    "cancelSession": ("1.3.1/2.1 1.3.1/2.2 8.1/6.1 8.8/3.10 8.10.1/3.9 "),
    "downloadOrder": (
        "1.1/1.1 1.3.1/2.1 1.3.1/2.2 8.2.1/1.2 8.2.1/3.3 8.2.1/3.9 8.2.5/1.2 8.2.5/3.7 8.2.5/3.8 8.2.5/3.9 "
    ),
    "confirmOrder": (
        "1.1/1.1 1.3.1/2.1 1.3.1/2.2 8.1.1/2.2 8.1.1/3.10 8.2.1/1.2 8.2.1/3.5 8.2.1/3.9 8.2.6/2.1 8.2.6/3.3 8.9/5.1 "
    ),
    "releaseProfile": ("1.1/1.1 1.3.1/2.1 1.3.1/2.2 8.2.1/1.2 8.2.1/3.5 8.2.1/3.9 "),
    "cancelOrder": ("1.1/1.1 1.3.1/2.1 1.3.1/2.2 8.2.1/1.2 8.2.1/2.2 8.2.1/3.3 8.2.1/3.9 8.2.1/3.10 8.2.6/3.10 "),
}
"""Subject and reason codes of each function, written down beside the program's own table."""


def serving(answer: Any, seen: list[Any]) -> Any:
    """An SM-DP+ that notes the JSON body of a function and answers it."""

    def function(body: dict[str, Any]) -> Any:
        seen.append(body)
        return answer

    return SimpleNamespace(functions=dict.fromkeys(CODES, function))


def member(function: str, side: str, name: str) -> Any:
    return next(vector[name] for vector in VECTORS if vector["function"] == function and vector["from"] == side)


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_both_bindings_of_es9_say_the_same(vector: dict[str, Any]) -> None:
    """What comes in ASN.1 is handed on as the JSON body, what goes out as JSON is put together as the ASN.1 message."""
    function = vector["function"]
    nothing = function == "handleNotification"
    answer = Received.__new__(Received) if nothing else member(function, "SM-DP+", "json")
    seen: list[Any] = []
    request = (
        vector if vector["from"] == "LPA" else {name: member(function, "LPA", name) for name in ("message", "json")}
    )
    answered = es9_asn1.call(serving(answer, seen), bytes.fromhex(request["message"]))
    assert seen == [request["json"]]
    assert answered is answer if nothing else answered == bytes.fromhex(member(function, "SM-DP+", "message"))
    note(LITERAL, f"JSON ES9+ {function}")


def test_pycrate_reads_them() -> None:
    compiled = oracle.compiled_by_pycrate()
    for vector in VECTORS:
        end = "Request" if vector["from"] == "LPA" else "Response"
        foreign = oracle.pycrate_type(compiled, "RSPDefinitions", f"RemoteProfileProvisioning{end}")
        foreign.from_ber(bytes.fromhex(vector["message"]))
        assert foreign.get_val()[0].startswith(vector["function"])
        assert foreign.to_der().hex() == vector["message"]
        note(PYCRATE, f"JSON ES9+ {vector['function']}")


@pytest.mark.parametrize("function", REFUSALS)
def test_the_status_codes_of_each_function(function: str) -> None:
    expected = CODES[function].split()
    assert sorted(f"{code.subject}/{code.reason}" for code in REFUSALS[function]) == sorted(expected)
    for code in REFUSALS[function]:
        header = failure(Refusal(code))
        data = header["functionExecutionStatus"]["statusCodeData"]
        pair = f'"subjectCode": "{code.subject}", "reasonCode": "{code.reason}"'
        literal = f'{{"functionExecutionStatus": {{"status": "Failed", "statusCodeData": {{{pair}'
        assert json.dumps(header).startswith(literal)
        assert set(data) <= {"subjectCode", "reasonCode", "subjectIdentifier", "message"}
        note(LITERAL, f"JSON {code.subject}/{code.reason}")


HEADER = '"header": {"functionRequesterIdentifier": "2.999.31", "functionCallIdentifier": "#"}'
ES2_CALLS = [
    (
        "downloadOrder",
        '"iccid": "8900101000000000027F", "eid": "89049032123451234512345678901235"',
        ', "iccid": "8900101000000000027F"',
    ),
    (
        "confirmOrder",
        '"iccid": "8900101000000000027F", "matchingId": "ACME-0001", "confirmationCode": "4711", "releaseFlag": false',
        ', "eid": "89049032123451234512345678901235", "matchingId": "ACME-0001", "smdpAddress": "smdpp.bench.example"',
    ),
    ("releaseProfile", '"iccid": "8900101000000000027F"', ""),
    (
        "cancelOrder",
        '"iccid": "8900101000000000027F", "matchingId": "ACME-0001", "finalProfileStatusIndicator": "Available"',
        "",
    ),
]


def test_es2_from_first_to_last(world: World) -> None:
    for number, (function, members, answer) in enumerate(ES2_CALLS):
        request = f"{{{HEADER.replace('#', str(number))}, {members}}}"
        assert json.dumps(world.es2_raw(function, json.loads(request))) == f'{{"header": {SUCCESS}{answer}}}'
        note(LITERAL, f"JSON ES2+ {function}")


def test_what_an_operator_is_told(world: World) -> None:
    """Members and their order as SGP.22 section 6.5.2.4 has them; time and call differ."""
    world.order_by("downloadOrder", iccid="8900101000000000027")
    world.order_by("confirmOrder", iccid="8900101000000000027", matchingId="A", releaseFlag=True)
    device = Device(world.pki, world.call)
    device.download("A")
    told = world.es9.progress.of()[0].members()
    header = told.pop("header")
    assert set(header) == {"functionRequesterIdentifier", "functionCallIdentifier"}
    assert told.pop("timestamp").endswith("Z")
    assert json.dumps(told, sort_keys=True) == (
        '{"eid": "89049032123451234512345678901235", "iccid": "8900101000000000027F", "notificationPointId": 1,'
        ' "notificationPointStatus": {"status": "Executed-Success"}, "profileType": "operational"}'
    )
    note(LITERAL, "JSON ES2+ handleDownloadProgressInfo")
