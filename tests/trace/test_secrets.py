"""Session secrets: before the packets that need them, once, and never unasked."""

from __future__ import annotations

import asyncio
import ssl
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.trace import Direction, TraceReader, TraceWriter, blocks, ip, keylog, read
from bench.trace.held import PATIENCE, HeldFlows
from bench.trace.rewrite import raw_blocks, secrets_first, without_secrets

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
RANDOM = bytes(range(32))
HELLO = bytes.fromhex("160301002a010000260303") + RANDOM + b"\0\0"
TLS_1_2 = b"CLIENT_RANDOM " + RANDOM.hex().encode() + b" " + b"ab" * 48
TLS_1_3 = [
    label + b" " + RANDOM.hex().encode() + b" " + b"cd" * 32
    for label in (
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET",
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        b"EXPORTER_SECRET",
        b"SERVER_TRAFFIC_SECRET_0",
        b"CLIENT_TRAFFIC_SECRET_0",
    )
]


def connection(port: int = 49153) -> tuple[ip.TcpFlow, list[bytes]]:
    flow = ip.TcpFlow(ip.Endpoint("10.0.0.1", port), ip.Endpoint("10.0.0.2", 443))
    return flow, [packet for _, packet in (*flow.open(), *flow.opened())]


def only(packets: ip.Packets) -> bytes:
    ((_, packet),) = packets
    return packet


def test_a_flow_waits_from_its_hello_until_its_secrets_are_all_there() -> None:
    held: HeldFlows[str] = HeldFlows()
    flow, begin = connection()
    for number, packet in enumerate(begin):
        assert held.offer(packet, f"begin {number}", 0.0) == [f"begin {number}"]
    assert held.offer(only(flow.data(SENT, HELLO)), "hello", 0.0) == []
    assert held.offer(only(flow.data(RECEIVED, b"\x16\x03\x03\0\x01\x02")), "server hello", 0.01) == []
    other, _ = connection(50000)
    assert held.offer(only(other.data(SENT, b"GET /")), "no TLS", 0.01) == ["no TLS"]
    for line in TLS_1_3[:4]:
        assert held.key(line) == []
    assert held.key(TLS_1_3[4]) == ["hello", "server hello"]
    assert held.offer(only(flow.data(SENT, b"\x17\x03\x03\0\x01x")), "data", 0.02) == ["data"]
    assert not held.waiting
    assert held.late == 0


def test_secrets_that_come_first_hold_nothing() -> None:
    held: HeldFlows[str] = HeldFlows()
    held.key(TLS_1_2)
    flow, _ = connection()
    assert held.offer(only(flow.data(SENT, HELLO)), "hello", 0.0) == ["hello"]


def test_patience_counts_from_the_last_packet_and_a_late_secret_is_counted() -> None:
    held: HeldFlows[str] = HeldFlows()
    flow, _ = connection()
    held.offer(only(flow.data(SENT, HELLO)), "hello", 0.0)
    held.offer(only(flow.data(RECEIVED, b"\x16\x03\x03\0\x01\x02")), "server hello", 0.15)
    assert held.expire(PATIENCE + 0.01) == []
    assert held.expire(0.15 + PATIENCE) == ["hello", "server hello"]
    held.offer(only(flow.data(SENT, b"\x16\x03\x03\0\x01\x10")), "key exchange", 1.0)
    assert held.key(TLS_1_2) == ["key exchange"], "a slow link: the rest is still in time"
    assert held.late == 1


def test_application_data_without_secrets_ends_the_waiting() -> None:
    held: HeldFlows[str] = HeldFlows()
    flow, _ = connection()
    held.offer(only(flow.data(SENT, HELLO)), "hello", 0.0)
    held.offer(only(flow.data(SENT, b"\x17\x03\x03\0\x01x")), "data", 0.0)
    assert held.expire(1.0) == ["hello", "data"]
    assert held.offer(only(flow.data(SENT, b"\x17\x03\x03\0\x01x")), "more", 1.0) == ["more"]
    held.key(TLS_1_2)
    assert held.late == 1


def test_a_handshake_that_fails_waits_for_nothing() -> None:
    held: HeldFlows[str] = HeldFlows()
    flow, _ = connection()
    held.offer(only(flow.data(SENT, HELLO)), "hello", 0.0)
    found = [held.offer(packet, "end", 0.0) for _, packet in flow.finish(RECEIVED)]
    assert found == [["hello", "end"], ["end"]]


@given(
    packets=st.lists(
        st.tuples(st.sampled_from((SENT, RECEIVED)), st.sampled_from((HELLO, b"\x17x", b"", b"\x16\x03")))
    ),
    keys=st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([TLS_1_2, *TLS_1_3]))),
)
def test_nothing_is_lost_or_told_twice(packets: list[tuple[Direction, bytes]], keys: list[bytes]) -> None:
    held: HeldFlows[int] = HeldFlows()
    flow = ip.UdpFlow(ip.Endpoint("10.0.0.1", 1), ip.Endpoint("10.0.0.2", 443))
    stream = ip.TcpFlow(ip.Endpoint("10.0.0.1", 2), ip.Endpoint("10.0.0.2", 443))
    out: list[int] = []
    number = 0
    for at, (direction, payload) in enumerate(packets):
        made = [flow.datagram(direction, payload)] + [packet for _, packet in stream.data(direction, payload)]
        for packet in made:
            out += held.offer(packet, number, at / 10)
            number += 1
        if at < len(keys):
            out += held.key(keys[at])
        out += held.expire(at / 10)
    out += held.end()
    assert sorted(out) == list(range(number))


def test_a_trace_has_them_before_the_packets_and_once(tmp_path: Path) -> None:
    path = tmp_path / "t.pcapng"
    with TraceWriter.open(path, run_id="r", session_keys=True) as writer:
        lane = writer.lane("ip:link")
        flow, begin = connection()
        for packet in (*begin, only(flow.data(SENT, HELLO))):
            lane.record(SENT, packet)
        for line in (*TLS_1_3, *TLS_1_3):
            writer.session_secret(line + b"\n")
        lane.record(SENT, only(flow.data(SENT, b"\x17\x03\x03\0\x01x")))
    kinds = [kind for kind, _ in raw_blocks(path)]
    assert kinds.count(blocks.DECRYPTION_SECRETS) == len(TLS_1_3)
    last_secret = len(kinds) - 1 - kinds[::-1].index(blocks.DECRYPTION_SECRETS)
    assert kinds[last_secret + 1 :] == [blocks.ENHANCED_PACKET] * 2, "hello and data"
    assert path.stat().st_mode & 0o077 == 0
    reader = TraceReader(path)
    assert len(reader.poll()) == 5
    assert reader.secrets == len(TLS_1_3)


def test_without_the_option_none_is_written(tmp_path: Path) -> None:
    path = tmp_path / "t.pcapng"
    with TraceWriter.open(path, run_id="r") as writer:
        writer.session_secret(TLS_1_2)
        flow, _ = connection()
        writer.lane("ip:link").record(SENT, only(flow.data(SENT, HELLO)))
    assert b"CLIENT_RANDOM" not in path.read_bytes()
    assert [packet.lane for packet in read(path)] == ["ip:link"]


def test_a_secret_that_never_comes_is_not_waited_for_long(tmp_path: Path) -> None:
    path = tmp_path / "t.pcapng"
    came = threading.Event()
    with TraceWriter.open(path, run_id="r", session_keys=True) as writer:
        flow, _ = connection()
        writer.lane("ip:link").record(SENT, only(flow.data(SENT, HELLO)))
        reader = TraceReader(path)
        for _ in range(600):
            if reader.poll():
                came.set()
                break
            came.wait(0.01)
        assert came.is_set()
        assert writer.late_secrets == 0
        writer.session_secret(TLS_1_2)
        assert writer.late_secrets == 1
    packets = list(read(path))
    assert secrets_first(path) == 1
    assert secrets_first(path) == 0
    assert list(read(path)) == packets
    kinds = [kind for kind, _ in raw_blocks(path)]
    assert kinds.index(blocks.DECRYPTION_SECRETS) == 1
    assert path.stat().st_mode & 0o077 == 0
    assert without_secrets(path, tmp_path / "clean") == 1
    assert b"CLIENT_RANDOM" not in (tmp_path / "clean").read_bytes()
    assert [packet.data for packet in read(tmp_path / "clean")] == [packet.data for packet in packets]


def test_packets_still_held_at_the_end_are_written(tmp_path: Path) -> None:
    path = tmp_path / "t.pcapng"
    with TraceWriter.open(path, run_id="r", session_keys=True) as writer:
        flow, _ = connection()
        writer.lane("ip:link").record(SENT, only(flow.data(SENT, HELLO)))
    assert len(list(read(path))) == 1


def test_a_context_of_the_ssl_module_tells_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both sides, through the pipe and never through a file; with SSLKEYLOGFILE into that file."""
    from cryptography import x509

    certificate, key = self_signed(tmp_path)
    assert x509.load_pem_x509_certificate(certificate.read_bytes())

    def handshake() -> None:
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_context.load_cert_chain(certificate, key)
        client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client_context.load_verify_locations(certificate)
        for context in (server_context, client_context):
            keylog.watch(context)
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(down, up, server_hostname="localhost")
        server = server_context.wrap_bio(up, down, server_side=True)
        for side in (client, server, client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass

    async def told() -> list[bytes]:
        lines: list[bytes] = []
        came = asyncio.Event()

        def sink(line: bytes) -> None:
            lines.append(line)
            came.set()

        keylog.start(sink)
        try:
            await asyncio.to_thread(handshake)
            keylog.drain()
            first = len(lines)
            handshake()
            await asyncio.wait_for(came.wait(), 10)
            keylog.drain()
            assert len(lines) == 2 * first
        finally:
            keylog.stop()
        return lines

    lines = asyncio.run(told())
    assert {line.split()[0] for line in lines} >= {line.split()[0] for line in TLS_1_3}
    assert len(set(lines)) * 2 == len(lines), "client and server say the same of one session"
    handshake()  # told to nobody
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    handshake()
    assert b"CLIENT_TRAFFIC_SECRET_0" in (tmp_path / "keys").read_bytes()


def self_signed(folder: Path) -> tuple[Path, Path]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private
