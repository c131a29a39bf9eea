"""Packets around streams and datagrams, against literal checksums and the foreign reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.trace import Direction, TraceWriter, ip

Tshark = Callable[..., list[list[str]]]

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
HERE, THERE = ip.Endpoint("10.64.1.3", 49153), ip.Endpoint("203.0.113.1", 443)
SIX = (ip.Endpoint("2001:db8::1", 49153), ip.Endpoint("2001:db8::2", 443))


def test_the_checksum_of_rfc_1071() -> None:
    """Section 3: the sum of these words is ddf2."""
    assert ip.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_the_header_of_a_known_packet() -> None:
    """IPv4 header with the checksum that the textbooks give (b861)."""
    head = bytes.fromhex("450000730000400040110000c0a80001c0a800c7")
    assert ip.checksum(head) == 0xB861


@given(data=st.binary(max_size=64))
def test_the_checksum_is_the_sum_word_by_word(data: bytes) -> None:
    padded = data + b"\0" * (len(data) & 1)
    total = sum(int.from_bytes(padded[at : at + 2], "big") for at in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert ip.checksum(data) == (0xFFFF - total if total not in (0, 0xFFFF) else 0xFFFF - total if total else 0)


def talk(flow: ip.TcpFlow, up: bytes, down: bytes) -> ip.Packets:
    return [
        *flow.open(),
        *flow.opened(),
        *flow.data(SENT, up),
        *flow.acknowledge(SENT, len(up)),
        *flow.data(RECEIVED, down),
        *flow.acknowledge(RECEIVED, len(down)),
        *flow.finish(SENT),
        *flow.finish(RECEIVED),
    ]


@pytest.mark.parametrize("ends", [(HERE, THERE), SIX], ids=["IPv4", "IPv6"])
def test_tshark_reassembles_and_finds_no_fault(
    ends: tuple[ip.Endpoint, ip.Endpoint], tmp_path: Path, tshark: Tshark
) -> None:
    up = b"GET /long?" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    body = bytes(range(256)) * 700  # more than a window without acknowledgement
    down = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/x-a\r\n\r\n" % len(body) + body
    ends = (ends[0], ends[1]._replace(port=80))
    flow = ip.TcpFlow(*ends, mtu=1358)
    path = tmp_path / "t.pcapng"
    with TraceWriter.open(path, run_id="r") as writer:
        for direction, packet in talk(flow, up, down):
            writer.lane("ip:link").record(direction, packet)
    checks = ("-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
    fields = (
        "tcp.checksum.status",
        "ip.checksum.status",
        "tcp.analysis.flags",
        "_ws.expert.severity",
        "media.type",
    )
    rows = tshark(path, *fields, "tcp.len", "frame.packet_flags_direction", "frame.len", options=checks)
    assert {row[0] for row in rows} == {"1"}
    assert {row[1] for row in rows} == ({"1"} if ":" not in ends[0].host else {""})
    assert {row[2] for row in rows} == {""}
    warning = 6 << 20
    assert [row for row in rows if any(int(level) >= warning for level in row[3].split(";") if level)] == []
    bodies = [row[4] for row in rows if row[4]]
    assert bodies == [body.hex()]
    assert max(int(row[7]) for row in rows) <= 1358
    assert {row[6] for row in rows} == {"0x00000001", "0x00000002"}


def test_a_stream_has_as_many_bytes_as_a_network_bills() -> None:
    """40 bytes a segment, an acknowledgement of 40 for every second (fixtures.sim.air)."""
    flow = ip.TcpFlow(HERE, THERE, mtu=1358)
    flow.open(), flow.opened()
    for count in (1, 1318, 1319, 2636, 2637, 10_000):
        data, back = flow.data(SENT, b"x" * count), flow.acknowledge(SENT, count)
        segments = -(-count // 1318)
        assert sum(len(packet) for _, packet in data) == count + 40 * segments
        assert [len(packet) for _, packet in back] == [40] * ((segments + 1) // 2)
        assert {direction for direction, _ in back} == {RECEIVED}
        last = ip.parse(back[-1][1])
        assert last is not None


def test_an_end_is_told_once_and_a_refusal_too() -> None:
    flow = ip.TcpFlow(HERE, THERE)
    flow.open(), flow.opened()
    assert len(flow.finish(SENT)) == 2
    assert flow.finish(SENT) == []
    assert len(flow.finish(RECEIVED)) == 2
    assert flow.reset(SENT) == []
    refused = ip.TcpFlow(HERE, THERE)
    refused.open()
    ((direction, packet),) = refused.reset(RECEIVED)
    found = ip.parse(packet)
    assert found is not None
    assert (direction, found.flags) == (RECEIVED, ip.RST | ip.ACK)


@pytest.mark.parametrize("ends", [(HERE, THERE), SIX], ids=["IPv4", "IPv6"])
def test_datagrams_one_for_one(ends: tuple[ip.Endpoint, ip.Endpoint]) -> None:
    flow = ip.UdpFlow(*ends)
    for payload in (b"", b"a", b"ab" * 600):
        for direction in (SENT, RECEIVED):
            packet = flow.datagram(direction, payload)
            found = ip.parse(packet)
            assert found is not None
            assert (found.protocol, found.payload) == (ip.UDP, payload)
            assert len(packet) == len(payload) + (28 if packet[0] >> 4 == 4 else 48)
            assert (found.source[1] == 49153) is (direction is SENT)
    assert len(flow.datagram(SENT, bytes(70_000))) <= 65_535 + 40


def test_two_families_are_no_flow() -> None:
    with pytest.raises(ValueError, match="two families"):
        ip.UdpFlow(HERE, SIX[1])
    with pytest.raises(ValueError, match="does not appear"):
        ip.TcpFlow(ip.Endpoint("eim.example", 1), THERE)


@given(data=st.binary(max_size=120), first=st.sampled_from((0x45, 0x60, 0x4F, 0x00)))
def test_any_bytes_are_described(data: bytes, first: int) -> None:
    for packet in (data, bytes((first,)) + data):
        assert ip.describe(packet)
        parsed = ip.parse(packet)
        if parsed is not None:
            ip.client_random(parsed)


def test_what_a_line_says() -> None:
    flow = ip.TcpFlow(HERE, THERE)
    (syn,) = flow.open()
    assert ip.describe(syn[1]) == "TCP 10.64.1.3:49153 > 203.0.113.1:443 [SYN]"
    flow.opened()
    hello = bytes.fromhex("160301002a01000026" + "0303") + bytes(range(32)) + b"\0\0"
    ((_, packet),) = flow.data(SENT, hello)
    assert ip.describe(packet).endswith(f"{len(hello)} bytes, TLS ClientHello")
    parsed = ip.parse(packet)
    assert parsed is not None
    assert ip.client_random(parsed) == bytes(range(32))
    datagram = bytes.fromhex("16fefd00000000000000000036" + "01000026000000000000002a" + "fefd") + bytes(range(32, 64))
    packet = ip.UdpFlow(HERE, THERE).datagram(SENT, datagram)
    parsed = ip.parse(packet)
    assert parsed is not None
    assert ip.client_random(parsed) == bytes(range(32, 64))
    assert ip.describe(packet).endswith("DTLS ClientHello")
