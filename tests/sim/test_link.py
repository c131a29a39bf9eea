"""The device's data link: CONNECT proxy, delays and counts, DNS, cuts; instant time against real servers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from bench.station.clock import SocketClock
from fixtures.sim import dns

from .process import AtClient, WorldProcess

NAME = "eim.bench.example"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


class TlsServer:
    """Answers each line with ``<line> <size> bytes`` after ``delay`` real seconds, in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), False).sign(key, hashes.SHA256())
        )  # fmt: skip
        self.pem = folder / "server.pem"
        self.pem.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.delay = 0.0
        self.port = 0
        self.requests = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def __enter__(self) -> TlsServer:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5)

    async def _main(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                self.requests += 1
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(line.strip() + b" " + b"x" * int(line.split()[-1]) + b"\n")
                await writer.drain()
            writer.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    with TlsServer(tmp_path_factory.mktemp("tls")) as running:
        yield running


async def connect(world: WorldProcess, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    proxy = int(world.announcement["proxy"].rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy, limit=1 << 20)
    writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    status = (await reader.readline()).decode().strip()
    while (await reader.readline()).strip():
        pass
    return reader, writer, status


async def registered(world: WorldProcess, clock: SocketClock) -> AtClient:
    with clock.busy():
        world.power_on()
    modem = AtClient(clock, world.parts["modem"]["port"])
    for _ in range(600):
        with clock.busy():
            state = world.state()
        if state["registered"]:
            return modem
        await clock.sleep(1)
    raise AssertionError(state)


@asynccontextmanager
async def station(world: WorldProcess) -> AsyncIterator[SocketClock]:
    clock = await SocketClock.connect(world.announcement["clock"])
    modem = await registered(world, clock)
    yield clock
    modem.close()
    await clock.close()


async def tls(world: WorldProcess, server: TlsServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer, status = await connect(world, NAME, 443)
    assert " 200 " in status
    context = ssl.create_default_context(cafile=str(server.pem))
    await writer.start_tls(context, server_hostname=NAME)
    return reader, writer


def test_exchanges_take_the_radios_time_and_no_more(home: Path, server: TlsServer) -> None:
    """A slow server (real time) never makes the device's station time run out, and its slowness costs none."""

    async def main(world: WorldProcess) -> None:
        async with station(world) as clock:
            for delay in (0.0, 0.4):
                server.delay = delay
                begin, requests = clock.now(), server.requests
                async with clock.timeout(8):
                    reader, writer = await tls(world, server)
                connected = clock.now() - begin
                assert connected == pytest.approx(0.4, abs=0.05)  # TCP and TLS 1.3: a round trip each
                for number in range(3):
                    begin = clock.now()
                    async with clock.timeout(8):
                        writer.write(b"request %d 100\n" % number)
                        line = await reader.readline()
                    assert line.startswith(b"request %d" % number)
                    assert clock.now() - begin == pytest.approx(0.2, abs=0.02)
                begin = clock.now()
                async with clock.timeout(60):
                    writer.write(b"profile 60000\n")
                    assert len(await reader.readline()) > 60000
                assert clock.now() - begin == pytest.approx(0.2 + 60000 * 8 / 1e6, rel=0.1)
                assert server.requests - requests == 4
                writer.close()
            server.delay = 0.0

    with WorldProcess(home, "--profile", "unit", "--route", f"{NAME}=127.0.0.1:{server.port}") as world:
        asyncio.run(main(world))
        state = world.state()
        assert state["link"]["received"] > 120000
        assert state["bearers"]["1"]["received"] == state["link"]["received"]


def test_many_exchanges_are_fast(home: Path, server: TlsServer) -> None:
    async def main(world: WorldProcess) -> float:
        async with station(world) as clock:
            async with clock.timeout(60):
                reader, writer = await tls(world, server)
            begin = time.perf_counter()
            for number in range(200):
                async with clock.timeout(8):
                    writer.write(b"request %d 50\n" % number)
                    await reader.readline()
            real = time.perf_counter() - begin
            begin = time.perf_counter()
            await clock.sleep(3600)  # an open but silent connection holds nothing for long
            assert time.perf_counter() - begin < 1.5
            writer.close()
            return real

    with WorldProcess(home, "--profile", "unit", "--route", f"{NAME}=127.0.0.1:{server.port}") as world:
        real = asyncio.run(main(world))
    assert real < 4.0  # 200 round trips, four jumps each


def test_a_server_that_never_answers_ends_by_the_clients_timeout(home: Path, server: TlsServer) -> None:
    async def main(world: WorldProcess) -> None:
        async with station(world) as clock:
            async with clock.timeout(60):
                reader, writer = await tls(world, server)
            server.delay = 60.0
            begin, real = clock.now(), time.perf_counter()
            with pytest.raises(TimeoutError):
                async with clock.timeout(20):
                    writer.write(b"never 1\n")
                    await reader.readline()
            assert clock.now() - begin == pytest.approx(20)
            assert time.perf_counter() - real < 8
            writer.close()
            server.delay = 0.0

    with WorldProcess(home, "--profile", "unit", "--route", f"{NAME}=127.0.0.1:{server.port}") as world:
        asyncio.run(main(world))


def test_no_link_without_registration_or_route(home: Path, server: TlsServer) -> None:
    async def main(world: WorldProcess) -> None:
        _, writer, status = await connect(world, NAME, 443)
        assert status.startswith("HTTP/1.1 504")
        writer.close()
        world.registered()
        _, writer, status = await connect(world, NAME, 443)
        assert status.startswith("HTTP/1.1 502")
        writer.close()
        assert world.ask("route", name=NAME, port=443, target=f"127.0.0.1:{server.port}")["ok"]
        reader, writer = await tls(world, server)
        writer.write(b"hello 10\n")
        assert await reader.readline() == b"hello 10 " + b"x" * 10 + b"\n"
        world.ask("fault", do="cell-off", cell=1)
        with pytest.raises((OSError, ssl.SSLError, AssertionError)):
            async with asyncio.timeout(10):
                assert await reader.readline() != b""  # reset, or end without close_notify
        world.wait("lost", lambda state: not state["registered"])
        _, writer, status = await connect(world, NAME, 443)
        assert status.startswith("HTTP/1.1 504")
        writer.close()

    with WorldProcess(home, "--clock", "scaled:50") as world:
        asyncio.run(main(world))


def test_power_loss_cuts_connections(home: Path, server: TlsServer) -> None:
    async def main(world: WorldProcess) -> None:
        world.registered()
        reader, _ = await tls(world, server)
        with world.scpi() as supply:
            supply.write("OUTP OFF,(@1)")
        with contextlib.suppress(OSError):
            async with asyncio.timeout(10):
                assert await reader.readline() == b""
        assert world.state()["link"]["connections"] == 0

    with WorldProcess(home, "--clock", "scaled:50", "--route", f"{NAME}=127.0.0.1:{server.port}") as world:
        asyncio.run(main(world))


def test_names_are_resolved_over_the_link(home: Path, server: TlsServer) -> None:
    async def main(world: WorldProcess) -> None:
        world.registered()
        reader, writer, status = await connect(world, "10.64.0.53", 53)
        assert " 200 " in status

        async def ask(name: str) -> bytes:
            question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0\0\1\0\1"
            query = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + question
            writer.write(len(query).to_bytes(2, "big") + query)
            length = int.from_bytes(await reader.readexactly(2), "big")
            return await reader.readexactly(length)

        answer = await ask(NAME)
        assert answer[:2] == b"\x12\x34"
        assert answer[3] & 15 == 0
        address = ".".join(map(str, answer[-4:]))
        assert (await ask("unknown.example"))[3] & 15 == 3
        writer.close()
        _, writer, status = await connect(world, address, 443)
        assert " 200 " in status
        writer.close()

    with WorldProcess(home, "--clock", "scaled:50", "--route", f"{NAME}=127.0.0.1:{server.port}") as world:
        asyncio.run(main(world))


@given(st.binary(max_size=200))
def test_dns_takes_any_bytes(message: bytes) -> None:
    answer = dns.answer(message, lambda name: "203.0.113.1")
    if answer is not None:
        assert answer[:2] == message[:2]
        assert answer[2] & 0x80


@given(st.lists(st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True), min_size=1, max_size=5))
def test_dns_answers_names(labels: list[str]) -> None:
    name = ".".join(labels)
    question = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0\0\1\0\1"
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0" + question
    asked = []
    answer = dns.answer(query, lambda text: asked.append(text) or "203.0.113.7")  # type: ignore[func-returns-value]
    assert asked == [name]
    assert answer is not None
    assert answer.endswith(bytes([203, 0, 113, 7]))
