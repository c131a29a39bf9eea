"""The eIM's CoAP messages as literal bytes (RFC 7252, 7959, 9175), taken apart here by hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import coverage_coap
import pytest
from coverage_messages import LITERAL, note

from bench.rsp.interpretation import Interpretation
from fixtures.pki import Pki

from .test_binding import POLL, at_once, binding, raw

__all__ = ["at_once"]

NAMES = {
    "2.04": "Changed",
    "2.05": "Content",
    "2.31": "Continue",
    "4.00": "Bad Request",
    "4.02": "Bad Option",
    "4.04": "Not Found",
    "4.05": "Method Not Allowed",
    "4.06": "Not Acceptable",
    "4.08": "Request Entity Incomplete",
    "4.13": "Request Entity Too Large",
    "4.15": "Unsupported Content Format",
    "5.05": "Proxying Not Supported",
}
ASN1 = "b4 67736d61 04 72737032 04 61736e31"
ESIPA = "b4 67736d61 04 72737032 05 6573697061"
"""Uri-Path (option 11): gsma, rsp2, then asn1; or esipa and the function."""
FUNCTIONS = {
    "initiateAuthentication": "0d 09 696e69746961746541757468656e7469636174696f6e",
    "authenticateClient": "0d 05 61757468656e746963617465436c69656e74",
    "getBoundProfilePackage": "0d 09 676574426f756e6450726f66696c655061636b616765",
    "getEimPackage": "0d 00 67657445696d5061636b616765",
    "provideEimPackageResult": "0d 0a 70726f7669646545696d5061636b616765526573756c74",
    "handleNotification": "0d 05 68616e646c654e6f74696669636174696f6e",
    "cancelSession": "0d 00 63616e63656c53657373696f6e",
}
"""The last Uri-Path of the JSON binding: 13 and more bytes have their length in a byte of its own, less 13."""
GET_EIM_PACKAGE = ESIPA + FUNCTIONS["getEimPackage"]
EID = "7b2265696456616c7565223a223839303439303332313233343531323334353132333435363738393031323335227d"
"""{"eidValue":"89049032123451234512345678901235"}"""
NOTHING = "bf4f03020101"


@dataclass
class Parts:
    """A CoAP message taken apart (RFC 7252 section 3)."""

    code: str
    options: dict[int, list[bytes]]
    payload: bytes

    @classmethod
    def of(cls, data: bytes) -> Parts:
        """Take a message apart."""
        at, number = 4 + (data[0] & 15), 0
        options: dict[int, list[bytes]] = {}
        while at < len(data) and data[at] != 0xFF:
            delta, length = data[at] >> 4, data[at] & 15
            at += 1
            if delta == 13:
                delta, at = 13 + data[at], at + 1
            elif delta == 14:
                delta, at = 269 + int.from_bytes(data[at : at + 2], "big"), at + 2
            if length == 13:
                length, at = 13 + data[at], at + 1
            number += delta
            options.setdefault(number, []).append(data[at : at + length])
            at += length
        return cls(f"{data[1] >> 5}.{data[1] & 31:02}", options, data[at + 1 :])

    def format(self) -> int | None:
        """Content-Format (option 12)."""
        return int.from_bytes(self.options[12][0], "big") if 12 in self.options else None


def held(request: bytes, answer: bytes) -> None:
    """Tell the coverage table what the bytes are."""
    asked, told = Parts.of(request), Parts.of(answer)
    path = b"/".join(asked.options.get(11, [])).decode()
    method = {"0.01": "GET", "0.02": "POST", "0.03": "PUT"}[asked.code]
    blocks, tagged = 27 in asked.options, 292 in asked.options
    found = [*coverage_coap.of_request(method, path, asked.format(), blocks=blocks, tagged=tagged)]
    code = f"{told.code} {NAMES[told.code]}"
    found += coverage_coap.of_answer(method, path, code, told.payload, told.format(), blocks=23 in told.options)
    for item in found:
        note(LITERAL, f"CoAP {item}")


def played(pki: Pki, folder: Path, *exchanges: tuple[str, str], reading: Interpretation | None = None) -> None:
    """Send the requests one after the other on one association; the answers begin as they are written down."""

    async def run() -> None:
        async with binding(pki, folder, reading) as (_, made):
            requests = [bytes.fromhex(request) for request, _ in exchanges]
            for request, answer, (_, expected) in zip(requests, await raw(made, *requests), exchanges, strict=True):
                head = bytes.fromhex(expected)
                assert answer[: len(head)] == head, answer.hex()
                held(request, answer)

    asyncio.run(run())


def test_a_poll_in_asn1_and_in_json(pki: Pki, tmp_path: Path) -> None:
    poll = POLL.hex()
    played(
        pki,
        tmp_path,
        (f"42 02 0001 aabb {ASN1} ff {poll}", f"62 44 0001 aabb ff {NOTHING}"),
        (f"40 02 0002 {ASN1} 11 2a ff {poll}", f"60 44 0002 ff {NOTHING}"),
        (f"40 02 0003 {GET_EIM_PACKAGE} ff {EID}", "60 44 0003 ff 7b"),
        (f"40 02 0004 {GET_EIM_PACKAGE} 11 32 ff {EID}", "60 44 0004 ff 7b"),
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_path_of_each_function_in_json(function: str, pki: Pki, tmp_path: Path) -> None:
    """An empty object is an answer's worth of wrong, at a path that there is."""
    assert bytes.fromhex(FUNCTIONS[function])[2:] == function.encode()
    assert len(function) == 13 + bytes.fromhex(FUNCTIONS[function])[1]

    async def run() -> None:
        async with binding(pki, tmp_path) as (_, made):
            request = bytes.fromhex(f"40 02 0001 {ESIPA}{FUNCTIONS[function]} ff 7b7d")
            (answer,) = await raw(made, request)
            assert answer[1] in (0x44, 0x80), answer
            held(request, answer)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("reading", "head"),
    [
        (Interpretation(coap_answer="content"), f"60 45 0001 ff {NOTHING}"),
        (Interpretation(coap_content_format="named"), f"60 44 0001 c1 2a ff {NOTHING}"),
    ],
    ids=["2.05", "Content-Format"],
)
def test_the_other_readings(reading: Interpretation, head: str, pki: Pki, tmp_path: Path) -> None:
    played(pki, tmp_path, (f"40 02 0001 {ASN1} ff {POLL.hex()}", head), reading=reading)


def test_a_request_in_blocks_of_16_bytes_with_request_tag(pki: Pki, tmp_path: Path) -> None:
    """Block1 is option 27: number, more, size; Request-Tag is 292 (RFC 9175 section 3.2)."""
    first, rest = POLL[:16].hex(), POLL[16:].hex()
    played(
        pki,
        tmp_path,
        (f"40 02 0001 {ASN1} d1 03 08 d1 fc 07 ff {first}", "60 5f 0001 d1 0e 08"),
        (f"40 02 0002 {ASN1} d1 03 10 d1 fc 07 ff {rest}", f"60 44 0002 d1 0e 10 ff {NOTHING}"),
        (f"40 02 0003 {ASN1} d1 03 10 d1 fc 08 ff {rest}", "60 88 0003"),  # of another transfer
    )


def test_an_answer_in_blocks_of_16_bytes(pki: Pki, tmp_path: Path) -> None:
    """Block2 is option 23, ETag 4, Size2 28."""
    asked = f"40 02 0001 {GET_EIM_PACKAGE} c1 00 ff {EID}"
    played(pki, tmp_path, (asked, "60 44 0001 44"), (f"40 02 0002 {GET_EIM_PACKAGE} c1 10", "60 44 0002 44"))


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        pytest.param(f"40 01 0001 {ASN1}", "85", id="GET"),
        pytest.param(f"40 02 0001 {ASN1} 11 32", "8f", id="JSON-at-the-path-of-DER"),
        pytest.param(f"40 02 0001 {ASN1} 61 32", "86", id="wants-JSON"),
        pytest.param(f"40 02 0001 {ASN1} ff 00", "80", id="no-message"),
        pytest.param(f"40 02 0001 {ESIPA} 01 78", "84", id="no-such-function"),
        pytest.param("40 02 0001 90 21 78", "82", id="critical-option-9"),
        pytest.param("40 01 0001 d1 16 78", "a5", id="Proxy-Uri"),
        pytest.param("40 01 0001 bb 2e77656c6c2d6b6e6f776e 04 636f7265", "45", id="well-known-core"),
        pytest.param(f"40 02 0001 {ASN1} d1 03 08 d3 14 100001 ff {'00' * 16}", "8d", id="Size1-over-a-megabyte"),
    ],
)
def test_codes(request_text: str, code: str, pki: Pki, tmp_path: Path) -> None:
    played(pki, tmp_path, (request_text, f"60 {code} 0001"))


def test_handle_notification_is_answered_without_a_message(pki: Pki, tmp_path: Path) -> None:
    from eim import parties as eim

    async def run() -> None:
        async with binding(pki, tmp_path) as (lab, made):
            message = eim.tlv("BF3D", eim.tlv("A0", lab.card.notification("0640")))
            blocks = [message[at : at + 256] for at in range(0, len(message), 256)]
            requests = [
                bytes.fromhex(
                    f"40 02 {n + 1:04x} {ASN1} d1 03 {n << 4 | (n < len(blocks) - 1) << 3 | 4:02x} d1 fc 01 ff"
                )
                + block
                for n, block in enumerate(blocks)
            ]
            answers = await raw(made, *requests)
            assert answers[-1][:4] == bytes.fromhex(f"60 44 {len(blocks):04x}")
            assert b"\xff" not in answers[-1], "no payload"
            held(requests[-1], answers[-1])

    asyncio.run(run())
