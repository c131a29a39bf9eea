"""What a client of the data link may say: literal requests and their refusals, DNS in pieces, bytes sent early."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.service import HttpRefusal
from fixtures.sim import dns
from fixtures.sim.clock import WorldClock
from fixtures.sim.link import ECHO_NAME, LinkRelay
from fixtures.sim.link_request import LinkRequest, page, read_request
from fixtures.sim.local_services import NameServer
from fixtures.sim.tunnel import QUEUE_LIMIT, Tunnel

from .radio_world import H, Radio

UDP = b"GET /.well-known/masque/udp/192.0.2.6/443/ HTTP/1.1\r\nHost: proxy\r\nUpgrade: connect-udp"

REQUESTS = [
    (b"CONNECT eim.example:443 HTTP/1.1\r\nHost: eim.example:443", LinkRequest("tcp", "eim.example", 443)),
    (b"connect [2001:db8::1]:8443 HTTP/1.0", LinkRequest("tcp", "2001:db8::1", 8443)),
    (b"GET /counters HTTP/1.1\r\nHost: x", LinkRequest("counters")),
    (UDP, LinkRequest("udp", "192.0.2.6", 443)),  # RFC 9298 section 3.2
]
REFUSED = [
    (b"", 405),
    (b"POST / HTTP/1.1", 405),
    (b"CONNECT eim.example:443", 405),
    (b"CONNECT eim.example:443 SPDY/3", 405),
    (b"CONNECT eim.example HTTP/1.1", 400),
    (b"CONNECT :443 HTTP/1.1", 400),
    (b"CONNECT eim.example:https HTTP/1.1", 400),
    (b"GET / HTTP/1.1", 405),
    (UDP.replace(b"connect-udp", b"websocket"), 405),
]


@pytest.mark.parametrize(("head", "request_"), REQUESTS)
def test_requests_are_read(head: bytes, request_: LinkRequest) -> None:
    assert read_request(head) == request_


@pytest.mark.parametrize(("head", "status"), REFUSED)
def test_other_requests_are_refused(head: bytes, status: int) -> None:
    with pytest.raises(HttpRefusal) as refused:
        read_request(head)
    assert refused.value.status == status


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"CONNECT " + tail + b" HTTP/1.1"))
def test_whatever_is_sent_is_read_or_refused(head: bytes) -> None:
    try:
        read_request(head)
    except HttpRefusal as refused:
        assert refused.status in (400, 405)


def test_a_refusal_on_the_wire() -> None:
    assert page(504, "text/plain", b"no\n") == (
        b"HTTP/1.1 504 Gateway Timeout\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
        b"Connection: close\r\n\r\nno\n"
    )


QUERIES = [
    identity.to_bytes(2, "big") + bytes.fromhex("01000001000000000000") + dns.write_name(name) + b"\0\1\0\1"
    for identity, name in ((1, "eim.example"), (2, "nowhere.example"), (3, "eim.example"))
]


@given(st.lists(st.integers(0, 200), max_size=8))
def test_dns_over_tcp_in_any_pieces(cuts: list[int]) -> None:
    def resolve(name: str) -> str | None:
        return "203.0.113.1" if name == "eim.example" else None

    stream = b"".join(len(query).to_bytes(2, "big") + query for query in QUERIES)
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    server, begin = NameServer(resolve), 0
    answers: list[bytes] = []
    for end in ends:
        answers += server.feed(stream[begin:end])
        begin = end
    expected = [dns.answer(query, resolve) or b"" for query in QUERIES]
    assert answers == [len(answer).to_bytes(2, "big") + answer for answer in expected]
    assert [answer[5] & 15 for answer in answers] == [dns.NO_ERROR, dns.NAME_ERROR, dns.NO_ERROR]


def test_what_is_no_query_ends_the_connection() -> None:
    with pytest.raises(ValueError, match="no DNS query"):
        list(NameServer(lambda name: None).feed(b"\0\2ab"))


class Wire(asyncio.Transport):
    """The device's side of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.aborted

    def close(self) -> None:
        self.aborted = True

    def abort(self) -> None:
        self.aborted = True

    def is_reading(self) -> bool:
        return not self.aborted

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@pytest.fixture
def tunnel() -> tuple[Radio, Tunnel, Wire]:
    radio = Radio(H).begin().until(60)
    relay = LinkRelay(radio.kernel, WorldClock(radio.kernel), radio.device, radio.log)
    opened, wire = Tunnel(relay), Wire()
    opened.connection_made(wire)
    opened.data_received(f"CONNECT {ECHO_NAME}:7 HTTP/1.1\r\n\r\n".encode())
    return radio, opened, wire


def test_what_is_sent_before_the_answer_waits_for_the_connection(tunnel: tuple[Radio, Tunnel, Wire]) -> None:
    radio, opened, wire = tunnel
    early = b"GET / HTTP/1.1\r\n\r\n"  # looks like a request to the proxy, and is none
    opened.data_received(early[:7])
    opened.data_received(early[7:])
    assert wire.written == b""
    radio.until(120)
    assert wire.written == b"HTTP/1.1 200 Connection established\r\n\r\n" + early


def test_too_much_before_the_answer_ends_the_connection(tunnel: tuple[Radio, Tunnel, Wire]) -> None:
    _, opened, wire = tunnel
    opened.data_received(b"x" * (QUEUE_LIMIT + 1))
    assert wire.aborted
