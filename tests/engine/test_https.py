"""HTTPS over a byte stream: a real TLS server on loopback, and any bytes for the parsers."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from bench.engine.https import dechunk, get, parse_head
from bench.errors import ConfigurationError, DeviceFailure, InstrumentError, InstrumentTimeout
from bench.station.clock import RealClock
from bench.station.data import HostPath
from bench.station.interfaces import ByteStream, HttpAnswer

NAME = "server.bench.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "c.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "k.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "c.pem", folder / "k.pem"


class Path_(HostPath):
    """The host's path, with a name server of its own."""

    def __init__(self, port: int) -> None:
        super().__init__(RealClock())
        self.port = port
        self.asked: list[str] = []

    async def connect(self, host: str, port: int, *, timeout: float) -> ByteStream:
        self.asked.append(host)
        return await super().connect("127.0.0.1", self.port, timeout=timeout)

    async def resolve(self, name: str, *, server: str, timeout: float) -> tuple[str, ...]:
        return ("192.0.2.1",)


def fetch(
    certificate: tuple[Path, Path],
    reply: bytes | None,
    *,
    host: str = NAME,
    trust: bool = True,
    timeout: float = 5.0,
    dns: tuple[str, ...] = (),
    check: Callable[[Path_, list[bytes]], None] = lambda path, requests: None,
) -> HttpAnswer:
    async def run() -> HttpAnswer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        requests: list[bytes] = []
        closing = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            if reply is None:
                await closing.wait()
            else:
                for start in range(0, len(reply), 700):
                    writer.write(reply[start : start + 700])
                    await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        path = Path_(server.sockets[0].getsockname()[1])
        try:
            files = (str(certificate[0]),) if trust else ()
            url = f"https://{host}/a?b=c"
            return await get(path, RealClock(), url, timeout=timeout, dns=dns, trust=files)
        finally:
            closing.set()
            check(path, requests)
            server.close()

    return asyncio.run(run())


def test_answer_with_a_length(certificate: tuple[Path, Path]) -> None:
    def check(path: Path_, requests: list[bytes]) -> None:
        assert requests[0].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: server.bench.example\r\n")
        assert path.asked == [NAME]

    body = b"x" * 3000
    answer = fetch(certificate, b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\nX-A: 1\r\n\r\n" + body, check=check)
    assert (answer.status, answer.body, answer.headers["x-a"]) == (200, body, "1")
    assert answer.bytes_received > 3000
    assert answer.bytes_sent > 100


def test_other_ends_of_an_answer(certificate: tuple[Path, Path]) -> None:
    assert fetch(certificate, b"HTTP/1.0 404 No\r\n\r\nuntil the end").body == b"until the end"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n"
    assert fetch(certificate, chunked).body == b"abcdef"


@pytest.mark.parametrize(("bearer", "asked"), [("interface:wwan0", "192.0.2.1"), ("host", NAME)])
def test_paths_that_take_addresses_only_are_given_one(
    bearer: str, asked: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path_, "bearer", bearer)

    def check(path: Path_, requests: list[bytes]) -> None:
        assert path.asked == [asked]

    fetch(certificate, b"HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", dns=("192.0.2.53",), check=check)


def test_wrong_certificates_are_the_devices_failure(certificate: tuple[Path, Path]) -> None:
    with pytest.raises(DeviceFailure, match="certificate does not fit"):
        fetch(certificate, b"", host="other.bench.example")
    with pytest.raises(DeviceFailure, match="certificate does not fit"):
        fetch(certificate, b"", trust=False)


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (b"", "no HTTP answer"),
        (b"SSH-2.0-x\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "after 3 of 10 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "breaks off"),
    ],
)
def test_broken_answers(certificate: tuple[Path, Path], reply: bytes, complaint: str) -> None:
    with pytest.raises(InstrumentError, match=complaint):
        fetch(certificate, reply)


def test_silence_ends_at_the_timeout(certificate: tuple[Path, Path]) -> None:
    with pytest.raises(InstrumentTimeout, match=r"no answer within 0.2 s"):
        fetch(certificate, None, timeout=0.2)


@pytest.mark.parametrize("url", ["http://a/", "https:///", "https://a:x/", "https://ä/ü"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigurationError):
        asyncio.run(get(Path_(1), RealClock(), url, timeout=1.0))


@given(st.binary(max_size=200))
def test_any_bytes_in_the_parsers(data: bytes) -> None:
    for parser in (parse_head, dechunk):
        try:
            parser(data, "")
        except InstrumentError:
            continue


@given(st.lists(st.binary(min_size=1, max_size=50)), st.binary(max_size=10))
def test_chunks_come_back(chunks: list[bytes], after: bytes) -> None:
    body = b"".join(f"{len(chunk):X}\r\n".encode() + chunk + b"\r\n" for chunk in chunks) + b"0\r\n\r\n"
    assert dechunk(body + after, "") == b"".join(chunks)
