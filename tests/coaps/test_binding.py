"""ESipa's CoAP binding at the eIM: literal messages in, literal messages out (SGP.32 section 6.2, RFC 7252)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiocoap.numbers import codes
from eim import parties as eim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.rsp.interpretation import Interpretation
from fixtures.coaps.client import Client
from fixtures.eim import coap
from fixtures.pki import Pki
from fixtures.service import Observer

from .parties import client, serving, trusting

POLL = bytes.fromhex("bf4f125a1089049032123451234512345678901235")
NOTHING = bytes.fromhex("bf4f03020101")
PATH = bytes.fromhex("b4 67736d61 04 72737032 04 61736e31")
"""Uri-Path: gsma, rsp2, asn1."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, an answer comes with its acknowledgement."""
    monkeypatch.setattr("aiocoap.numbers.constants.TransportTuning.EMPTY_ACK_DELAY", 10.0)


@asynccontextmanager
async def binding(
    pki: Pki, folder: Path, reading: Interpretation | None = None
) -> AsyncIterator[tuple[eim.Lab, Client]]:
    options: dict[str, Any] = {} if reading is None else {"reading": reading}
    async with asyncio.timeout(60), eim.lab(pki, folder, **options) as lab:
        async with serving(pki, coap.handler(lab.esipa, Observer(None))) as (_, port):
            async with client(port, trusting(pki)) as made:
                yield lab, made


async def raw(made: Client, *messages: bytes) -> list[bytes]:
    """Send CoAP messages as bytes; return the first answer to each."""
    found: list[bytes] = []
    arrived = asyncio.Event()

    def received(_: object, data: bytes) -> None:
        found.append(data)
        arrived.set()

    made._interface.received = received  # type: ignore[method-assign]
    for number, message in enumerate(messages, 1):
        made._session.write(message)
        while len(found) < number:
            arrived.clear()
            await arrived.wait()
    return found


@pytest.mark.parametrize(
    ("coap_answer", "coap_content_format", "head"),
    [
        ("changed", "omitted", "62 44 1234 aabb ff"),
        ("content", "omitted", "62 45 1234 aabb ff"),
        ("changed", "named", "62 44 1234 aabb c1 2a ff"),
    ],
)
def test_a_poll_and_its_answer(coap_answer: str, coap_content_format: str, head: str, pki: Pki, tmp_path: Path) -> None:
    reading = Interpretation(coap_answer=coap_answer, coap_content_format=coap_content_format)  # type: ignore[arg-type]

    async def run() -> None:
        async with binding(pki, tmp_path, reading) as (_, made):
            (answer,) = await raw(made, bytes.fromhex("42 02 1234 aabb") + PATH + b"\xff" + POLL)
            assert answer == bytes.fromhex(head) + NOTHING

    asyncio.run(run())


def test_a_live_poll_costs_330_bytes_of_ip(pki: Pki, tmp_path: Path) -> None:
    """DESIGN section 10: 21 bytes of request and 146 of package, with two bytes of token, DTLS and IPv4 both ways."""
    request = bytes.fromhex("42 02 1234 aabb") + PATH + b"\xff" + POLL
    answer = bytes.fromhex("62 44 1234 aabb ff") + bytes(146)
    assert len(POLL) == 21
    assert len(request) + len(answer) + 2 * (13 + 8 + 16 + 28) <= 330


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param("40 01 0001 b4 67736d61 04 72737032 04 61736e31", "85", id="GET-of-asn1"),
        pytest.param("40 03 0001 b4 67736d61 04 72737032 04 61736e31", "85", id="PUT"),
        pytest.param("40 02 0001 b1 61", "84", id="another-path"),
        pytest.param("40 02 0001 b4 67736d61 04 72737032 05 6573697061 01 78", "84", id="no-such-function"),
        pytest.param("40 02 0001 b4 67736d61 04 72737032 04 61736e31 11 32", "8f", id="JSON-at-the-path-of-DER"),
        pytest.param("40 02 0001 b4 67736d61 04 72737032 04 61736e31 61 32", "86", id="wants-JSON"),
        pytest.param("40 02 0001 b4 67736d61 04 72737032 04 61736e31 11 2a ff 00", "80", id="octets-that-are-nothing"),
        pytest.param("40 02 0001 b4 67736d61 04 72737032 04 61736e31", "80", id="no-body"),
        pytest.param("40 02 0001 90 21 78", "82", id="critical-option-9"),
        pytest.param("40 01 0001 d1 16 78", "a5", id="Proxy-Uri"),
        pytest.param("40 01 0001", "45", id="root"),
        pytest.param("40 01 0001 bb 2e77656c6c2d6b6e6f776e 04 636f7265", "45", id="well-known-core"),
        pytest.param("40 01 0001 bb 2e77656c6c2d6b6e6f776e 04 636f7265 61 28", "45", id="wants-links"),
        pytest.param("40 01 0001 bb 2e77656c6c2d6b6e6f776e 04 636f7265 61 32", "86", id="wants-links-in-JSON"),
        pytest.param("40 02 0001 bb 2e77656c6c2d6b6e6f776e 04 636f7265", "85", id="POST-to-well-known-core"),
        pytest.param("40 02 0001 b4 67736d61 04 72737032 04 61736e31 d1 03 0f ff 00", "80", id="block-of-2048"),
        pytest.param("40 02 0001 b4 67736d61 04 72737032 04 61736e31 d1 03 16 ff 00", "88", id="block-1-without-0"),
    ],
)
def test_codes_of_what_is_refused_or_for_people(message: str, code: str, pki: Pki, tmp_path: Path) -> None:
    async def run() -> None:
        async with binding(pki, tmp_path) as (_, made):
            (answer,) = await raw(made, bytes.fromhex(message))
            assert answer[:4] == bytes.fromhex(f"60 {code} 0001"), answer

    asyncio.run(run())


def test_handle_notification_has_an_empty_answer(pki: Pki, tmp_path: Path) -> None:
    async def run() -> None:
        async with binding(pki, tmp_path) as (lab, made):
            notification = lab.card.notification("0640")
            message = eim.tlv("BF3D", eim.tlv("A0", notification))
            code, body = await made.exchange(
                code=codes.POST, path=("gsma", "rsp2", "asn1"), body=message, longest=1 << 16
            )
            assert (code, body) == (codes.CHANGED, b"")

    asyncio.run(run())


def test_what_an_association_has_said_is_known_until_it_ends(pki: Pki, tmp_path: Path) -> None:
    """A result without eidValue is of the EID that the association polled for; of a new one it is of nobody."""
    unnamed = bytes.fromhex("bf5005a003020102")

    async def run() -> None:
        async with binding(pki, tmp_path) as (_, made):

            async def send(body: bytes) -> bytes:
                return (await made.exchange(code=codes.POST, path=("gsma", "rsp2", "asn1"), body=body, longest=1000))[1]

            assert await send(unnamed) == bytes.fromhex("bf5003020104")  # missingEid
            assert await send(POLL) == NOTHING
            assert await send(unnamed) == bytes.fromhex("bf50023000")

    asyncio.run(run())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(st.binary(max_size=60), min_size=1, max_size=20), tail=st.binary(max_size=40))
def test_no_message_ends_the_server(messages: list[bytes], tail: bytes, pki: Pki, tmp_path_factory: Any) -> None:
    """Anything inside an association, with and without the look of a request; then a poll is answered as ever."""

    async def run() -> None:
        async with binding(pki, tmp_path_factory.mktemp("eim")) as (_, made):
            for message in messages:
                made._session.write(message or b"\0")
                made._session.write(b"\x40\x02" + message[:2].ljust(2, b"\0") + PATH + message[2:] + b"\xff" + tail)
            while True:
                answer = (await raw(made, bytes.fromhex("42 02 fff7 a0b1") + PATH + b"\xff" + POLL))[-1]
                if answer[1:6] == bytes.fromhex("44fff7a0b1"):
                    break
                made._session.write(bytes.fromhex("42 02 fff7 a0b1") + PATH + b"\xff" + POLL)
            assert made.up

    asyncio.run(run())
