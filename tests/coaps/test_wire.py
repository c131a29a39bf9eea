"""The form of CoAP messages held against RFC 7252, 7959 and 6066 in literal bytes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiocoap.numbers import codes
from hypothesis import given
from hypothesis import strategies as st

from fixtures.coaps import messages, records, wire
from fixtures.coaps.blockwise import Reply
from fixtures.coaps.errors import CoapError
from fixtures.pki import Pki

from .parties import client, echo, post, serving, trusting

POST = "b1 61"  # Uri-Path: a


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param("40 00 1234", "70 00 1234", id="ping"),
        pytest.param("50 00 1234", "", id="empty-NON"),
        pytest.param("41 00 1234 01", "70 00 1234", id="empty-with-a-token"),
        pytest.param("40 00 1234 ff 00", "70 00 1234", id="empty-with-a-payload"),
        pytest.param("70 00 1234", "", id="Reset"),
        pytest.param("60 00 1234", "", id="acknowledgement-of-nothing"),
        pytest.param("42 02 1234 aabb b1 61 ff 70", "62 44 1234 aabb ff 70", id="well"),
        pytest.param("49 02 1234 000000000000000000 b1 61", "70 00 1234", id="token-of-9"),
        pytest.param("4f 02 1234 000000000000000000000000000000 b1 61", "70 00 1234", id="token-of-15"),
        pytest.param("59 02 1234 000000000000000000 b1 61", "", id="token-of-9-NON"),
        pytest.param("44 02 1234 0000", "70 00 1234", id="token-cut-short"),
        pytest.param("40 02 1234 b1 61 ff", "70 00 1234", id="marker-without-payload"),
        pytest.param("40 02 1234 f0", "70 00 1234", id="delta-15"),
        pytest.param("40 02 1234 0f", "70 00 1234", id="length-15"),
        pytest.param("40 02 1234 b5 61", "70 00 1234", id="option-cut-short"),
        pytest.param("40 02 1234 bd", "70 00 1234", id="length-cut-short"),
        pytest.param("40 02 1234 e0 ffff", "70 00 1234", id="option-beyond-65535"),
        pytest.param("50 02 1234 f0", "", id="delta-15-NON"),
        pytest.param("40 21 1234", "70 00 1234", id="class-1"),
        pytest.param("40 c1 1234", "70 00 1234", id="class-6"),
        pytest.param("40 e1 1234", "70 00 1234", id="class-7"),
        pytest.param("50 21 1234", "", id="class-1-NON"),
        pytest.param("40 45 1234", "70 00 1234", id="an-answer-to-nothing"),
        pytest.param("40 02 1234 b1 ff", "70 00 1234", id="path-that-is-not-UTF-8"),
        pytest.param("80 02 1234 b1 61", "", id="version-2"),
        pytest.param("40 02 12", "", id="three-bytes"),
        pytest.param("60 02 1234 b1 61", "", id="acknowledgement-with-a-request"),
        # section 5.4.1: critical options
        pytest.param("40 02 1234 91 78", "60 82 1234", id="option-9"),
        pytest.param("50 02 1234 91 78", "70 00 1234", id="option-9-NON"),
        pytest.param("40 02 1234 e0 fcdc", "60 82 1234", id="option-65001"),
        pytest.param("40 02 1234 b1 61 e0 fcd0 ff 70", "60 44 1234 ff 70", id="option-65000-is-elective"),
        pytest.param("40 02 1234 60 51 61 ff 70", "60 44 1234 ff 70", id="Observe-is-elective"),
        # section 5.4.3: lengths
        pytest.param("40 02 1234 30 81 61", "60 82 1234", id="Uri-Host-of-0"),
        pytest.param("40 02 1234 73 001634 41 61", "60 82 1234", id="Uri-Port-of-3"),
        pytest.param("40 02 1234 b1 61 63 00002a", "60 82 1234", id="Accept-of-3"),
        pytest.param("40 02 1234 b1 61 62 002a ff 70", "60 44 1234 ff 70", id="Accept-with-a-leading-zero"),
        pytest.param("40 02 1234 b1 61 c4 00000002", "60 82 1234", id="Block2-of-4"),
        pytest.param("40 02 1234 b1 61 d4 03 00000002 ff 70", "60 82 1234", id="Block1-of-4"),
        pytest.param("40 02 1234 b1 61 13 000032 ff 70", "60 44 1234 ff 70", id="Content-Format-of-3-is-ignored"),
        pytest.param("40 02 1234 bd f3" + 256 * " 61", "60 82 1234", id="Uri-Path-of-256"),
        # section 5.4.5: once is enough
        pytest.param("40 02 1234 31 61 01 62 81 61", "60 82 1234", id="two-Uri-Hosts"),
        pytest.param("40 02 1234 b1 61 61 2a 01 2a", "60 82 1234", id="two-Accepts"),
        pytest.param("40 02 1234 b1 61 11 2a 01 32 ff 70", "60 44 1234 ff 70", id="two-Content-Formats"),
        # RFC 7959 section 2.2; section 2.4: a GET may ask for any block at once, a POST has none but its own
        pytest.param("40 01 1234 b1 61 c2 0ea4", "60 45 1234", id="GET-of-block-234"),
        pytest.param("40 01 1234 b1 61 c2 ffe0", "60 80 1234", id="GET-of-a-block-beyond-the-end"),
        pytest.param("40 02 1234 b1 61 c1 10 ff 70", "60 88 1234", id="POST-that-asks-for-block-1"),
        pytest.param("40 02 1234 b1 61 c1 07 ff 70", "60 80 1234", id="Block2-of-2048-bytes"),
    ],
)
def test_what_becomes_of_a_message(message: str, answer: str, pki: Pki) -> None:
    """Each is followed by a ping: what has no answer is known by the answer to that."""

    async def run() -> None:
        async with asyncio.timeout(20), serving(pki) as (_, port), client(port, trusting(pki)) as made:
            found: list[bytes] = []
            arrived = asyncio.Event()

            def received(_: object, data: bytes) -> None:
                found.append(data)
                arrived.set()

            made._interface.received = received  # type: ignore[method-assign]
            for sent in (message, "40 00 0001"):
                made._session.write(bytes.fromhex(sent))
            while not found or found[-1] != bytes.fromhex("70 00 0001"):
                arrived.clear()
                await arrived.wait()
            expected = bytes.fromhex(answer)
            assert (found[0][: len(expected)] == expected and len(found) == 2) if expected else len(found) == 1, found

    asyncio.run(run())


@pytest.mark.parametrize(("kind", "later", "calls"), [("4", 246.0, 1), ("4", 248.0, 2), ("5", 144.0, 1), ("5", 146, 2)])
def test_how_long_a_message_id_stands_for_a_request(
    kind: str, later: float, calls: int, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EXCHANGE_LIFETIME and NON_LIFETIME (RFC 7252 section 4.8.2): a device may then number from 1 again."""
    now = [1000.0]
    monkeypatch.setattr(messages, "time", SimpleNamespace(monotonic=lambda: now[0]))
    called: list[bytes] = []

    async def counting(request: Any, body: bytes) -> Reply:
        called.append(body)
        return await echo(request, body)

    async def run() -> None:
        async with asyncio.timeout(20), serving(pki, counting) as (server, port), client(port, trusting(pki)) as made:
            for body in "70", "71":
                made._session.write(bytes.fromhex(f"{kind}0 02 0001 b1 61 ff {body}"))
                await made.exchange(code=codes.GET, path=("a",), longest=1 << 20)
                now[0] += later
            assert called.count(b"p") == 1 and called.count(b"q") == calls - 1
            assert server.associations

    asyncio.run(run())


def test_the_limit_of_a_small_clients_records() -> None:
    """max_fragment_length behind another extension (RFC 6066 section 4), and forms that say nothing."""
    head = bytes.fromhex(f"fefd {bytes(32).hex()} 00 00 0002 c02b 01 00")

    def hello(extensions: str) -> int:
        raw = bytes.fromhex(extensions)
        body = head + (len(raw).to_bytes(2, "big") + raw if raw else b"")
        message = b"\x01" + len(body).to_bytes(3, "big") + b"\0\0" + b"\0\0\0" + len(body).to_bytes(3, "big") + body
        found = records.client_hello(
            bytes.fromhex("16 feff 0000 000000000000") + len(message).to_bytes(2, "big") + message
        )
        assert found is not None
        return found.fragment

    assert [hello(f"0017 0000 0001 0001 0{code}") for code in range(6)] == [0, 512, 1024, 2048, 4096, 0]
    assert [hello(some) for some in ("", "0017 0000", "0001 0002 0101", "0001 0001", "0001 ffff 01", "00")] == [0] * 6


@given(st.binary(max_size=60), st.integers(0, 3), st.integers(0, 255))
def test_any_bytes(junk: bytes, kind: int, code: int) -> None:
    for data in (junk, bytes([0x40 | kind << 4, code, 0x12, 0x34]) + junk):
        found = wire.look(data)
        if found.fate == "message":
            assert wire.look(found.data) == wire.Look("message", found.mid, found.data, found.unrecognized)


class Answering:
    """Stands in for an association: answers each request with a message by hand."""

    def __init__(self, answer: str) -> None:
        self.answer, self.sent = answer, list[bytes]()
        self.peer: Any = None
        self.interface: Any = None

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        if data[1] >> 5 or not data[1]:
            return  # what the client says to the answer
        mid, token = data[2:4], data[4 : 4 + (data[0] & 15)]
        head, _, rest = self.answer.partition(" ")
        kind, code = bytes.fromhex(head)
        number = mid if kind == 0x60 else b"\x12\x34"
        message = bytes((kind | len(token), code)) + number + token + bytes.fromhex(rest)
        asyncio.get_running_loop().call_soon(self.interface.received, self.peer, message)


@pytest.mark.parametrize(
    ("answer", "said", "reply"),
    [
        # section 5.4.1: an answer with a critical option that is not understood is rejected: ACK without a word
        pytest.param("6044 91 78 ff 70", "critical option 9", "", id="piggybacked"),
        pytest.param("4044 91 78 ff 70", "critical option 9", "70 00 1234", id="of-its-own"),
        pytest.param("5044 91 78 ff 70", "critical option 9", "70 00 1234", id="NON"),
        pytest.param("6044 b1 61 ff 70", "critical option 11", "", id="Uri-Path-belongs-to-requests"),
        pytest.param("6044 d4 0a 00000002 ff 70", "critical option 23", "", id="Block2-of-4"),
        pytest.param("6044 e0 fcdb ff 70", "", "", id="option-65000-is-elective"),
        pytest.param("4044 c1 2a ff 70", "", "60 00 1234", id="content-format-42"),
    ],
)
def test_what_becomes_of_an_answer(answer: str, said: str, reply: str, pki: Pki) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), serving(pki) as (_, port), client(port, trusting(pki)) as made:
            carrier = Answering(answer)
            carrier.peer, carrier.interface = made._peer, made._interface
            made._peer.carrier = carrier
            if said:
                with pytest.raises(CoapError, match=said):
                    await post(made)
            else:
                assert await post(made) == b"p"
            assert b"".join(carrier.sent[1:]) == bytes.fromhex(reply)

    asyncio.run(run())
