"""UDP, counters and DNS over the simulated link, by the data path that recipes use."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import InstrumentError
from bench.station import dns as client_dns
from bench.station.capsules import Reader, capsule, integer, read_integer, request, target
from bench.station.clock import RealClock, SocketClock
from bench.station.data import HostPath, ProxyPath
from bench.station.datagrams import open_datagrams
from fixtures.sim import dns

from .process import WorldProcess, needs
from .test_link import registered

ECHO = "echo.bench.example"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@asynccontextmanager
async def data_path(world: WorldProcess) -> AsyncIterator[tuple[SocketClock, ProxyPath]]:
    clock = await SocketClock.connect(world.announcement["clock"])
    modem = await registered(world, clock)
    yield clock, ProxyPath(world.announcement["proxy"], clock)
    modem.close()
    await clock.close()


class UdpServer(asyncio.DatagramProtocol):
    """Answers with what came; notes the port each datagram came from."""

    def __init__(self) -> None:
        self.ports: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.ports.append(addr[1])
        self.transport.sendto(data, addr)  # type: ignore[attr-defined]


def test_datagrams_take_the_radios_time_and_die_at_the_mtu(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, path):
            before = await path.counters()
            stream = await open_datagrams(path, ECHO, 7, timeout=10)
            for size in (1, 1330):
                begin = clock.now()
                async with clock.timeout(5):
                    stream.send(b"x" * size)
                    assert await stream.receive() == b"x" * size
                assert clock.now() - begin == pytest.approx(0.2 + 2 * (size + 28) * 8 / 1e6, abs=0.005)
            after = await path.counters()
            assert (after[0] - before[0], after[1] - before[1]) == (1331 + 56, 1331 + 56)
            stream.send(b"x" * 1331)  # 1359 bytes of IP
            with pytest.raises(TimeoutError):
                async with clock.timeout(5):
                    await stream.receive()
            stream.close()

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))
        assert [entry["why"] for entry in world.log if entry["what"] == "datagram-lost"] == ["mtu"]


def test_t41_t42_a_server_sees_another_port_after_the_nat_has_forgotten(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        loop = asyncio.get_running_loop()
        _, server = await loop.create_datagram_endpoint(UdpServer, local_addr=("127.0.0.1", 0))
        world.ask("route", name="server.example", port=5000, target=f"127.0.0.1:{server.port}")
        async with data_path(world) as (clock, path):
            stream = await open_datagrams(path, "server.example", 5000, timeout=10)
            for pause in (25.0, 29.0, 35.0, 0.0):
                async with clock.timeout(5):
                    stream.send(b"hello")
                    assert await stream.receive() == b"hello"
                await clock.sleep(pause)
            first, second, third, fourth = server.ports
            assert first == second == third != fourth
            stream.close()
        server.transport.close()

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))
        assert [entry["what"] for entry in world.log if entry["what"].startswith("nat")] == ["nat-expired"]


class DtlsLikeServer(UdpServer):
    """Answers application data of an address that has shaken hands, and nothing else of that."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data[0] == 23 and addr[1] in self.ports:
            self.transport.sendto(data, addr)  # type: ignore[attr-defined]
        elif data[0] == 22:
            self.ports.append(addr[1])


def test_time_waits_for_no_answer_that_no_server_gives(home: Path) -> None:
    """The Finished of a flight that goes on, and data from an address that has no association, have none."""
    handshake, data = (bytes((kind, 0xFE, 0xFD)) + bytes(200) for kind in (22, 23))

    async def main(world: WorldProcess) -> None:
        loop = asyncio.get_running_loop()
        _, server = await loop.create_datagram_endpoint(DtlsLikeServer, local_addr=("127.0.0.1", 0))
        world.ask("route", name="server.example", port=5684, target=f"127.0.0.1:{server.port}")
        async with data_path(world) as (clock, path):

            async def meter() -> None:
                while True:
                    await clock.sleep(0.0005)  # between the arrivals of two datagrams

            stream = await open_datagrams(path, "server.example", 5684, timeout=10)
            beside = asyncio.create_task(meter())
            async with clock.timeout(5):
                stream.send(handshake)
                stream.send(data)
                assert await stream.receive() == data
            beside.cancel()
            assert world.state()["held"]["link"] < 4.0, "5 real seconds"
            await clock.sleep(35.0)  # longer than the NAT remembers
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with clock.timeout(2):
                        stream.send(data)
                        await stream.receive()
            assert world.state()["held"]["link"] < 8.0, "5 real seconds for each"
            stream.close()
        assert len(server.ports) == 1
        server.transport.close()

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))


def test_counters_have_what_other_connections_carry(home: Path) -> None:
    """The IPA's connections go through the proxy by themselves: the path must count them all the same."""

    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, path):
            other = ProxyPath(world.announcement["proxy"], clock)
            begin = await path.counters()
            stream = await other.connect(ECHO, 7, timeout=10)
            async with clock.timeout(10):
                await stream.write(b"y" * 5000)
                got = b""
                while len(got) < 5000:
                    got += await stream.read()
            await stream.close()
            sent, received = await path.counters()
            assert 5000 < sent - begin[0] < 5600
            assert 5000 < received - begin[1] < 5600
            assert (path.sent, path.received) == (0, 0)

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))


def test_a_proxy_without_counters_leaves_its_own() -> None:
    async def main() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        path = ProxyPath(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", RealClock())
        path.sent, path.received = 3, 4
        assert await path.counters() == (3, 4)
        with pytest.raises(InstrumentError, match="no socket"):
            await path.datagrams("a.example", 7, timeout=5)
        server.close()

    asyncio.run(main())


def test_the_sockets_end_with_the_bearer(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, path):
            stream = await open_datagrams(path, ECHO, 7, timeout=10)
            with clock.busy():
                world.ask("fault", do="cell-off", cell=1)
            with pytest.raises(InstrumentError, match="the socket is gone"):
                async with clock.timeout(10):
                    await stream.receive()
            with pytest.raises(InstrumentError):
                stream.send(b"x")
            with pytest.raises(InstrumentError, match="not registered"):
                await path.datagrams(ECHO, 7, timeout=10)

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))


def test_datagrams_of_the_host() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        _, server = await loop.create_datagram_endpoint(UdpServer, local_addr=("127.0.0.1", 0))
        path = HostPath(RealClock())
        stream = await open_datagrams(path, "127.0.0.1", server.port, timeout=5)
        stream.send(b"abc")
        async with asyncio.timeout(5):
            assert await stream.receive() == b"abc"
        assert await path.counters() == (3, 3)
        stream.close()
        server.transport.close()

    asyncio.run(main())


def test_downlink_to_a_sleeping_device_waits_or_is_lost(home: Path) -> None:
    """A server that speaks first reaches the device at a paging occasion, and not at all in PSM."""

    async def main(world: WorldProcess) -> None:
        loop = asyncio.get_running_loop()
        _, server = await loop.create_datagram_endpoint(UdpServer, local_addr=("127.0.0.1", 0))
        peers: list[tuple[str, int]] = []
        server.datagram_received = lambda data, addr: peers.append(addr)  # type: ignore[method-assign]
        world.ask("route", name="server.example", port=5000, target=f"127.0.0.1:{server.port}")
        async with data_path(world) as (clock, path):
            stream = await open_datagrams(path, "server.example", 5000, timeout=10)
            stream.send(b"register")
            await clock.sleep(15)  # idle by now, the NAT's 30 s are not over
            begin = clock.now()
            server.transport.sendto(b"wake up", peers[0])  # type: ignore[attr-defined]
            async with clock.timeout(20):
                assert await stream.receive() == b"wake up"
            assert 0.1 <= clock.now() - begin <= 1.28 + 0.2
            stream.close()
        server.transport.close()

    with WorldProcess(home, "--profile", "unit", "--rat", "lte-m") as world:
        asyncio.run(main(world))


# -- DNS


def ask(name: str, kind: int = 1, known: str = "eim.bench.example") -> bytes:
    query = client_dns.query(7, name, kind)
    answer = dns.answer(query, lambda asked: "203.0.113.1" if asked == known else None)
    assert answer is not None
    return answer


def test_negative_answers_have_the_soa() -> None:
    unknown = ask("www.nothing.example")
    assert (unknown[3] & 15, unknown[7], unknown[9]) == (3, 0, 1)  # NXDOMAIN, no answer, one authority record
    no_data = ask("eim.bench.example", 28)
    assert (no_data[3] & 15, no_data[7], no_data[9]) == (0, 0, 1)
    assert b"\x02ns\x05bench\x07example\x00" in no_data
    assert no_data.endswith((30).to_bytes(4, "big"))
    found = ask("eim.bench.example")
    assert (found[3] & 15, found[7], found[9]) == (0, 1, 0)
    assert client_dns.addresses(found, 7, 1) == ("203.0.113.1",)


def test_an_answer_too_long_for_udp_says_so() -> None:
    query = client_dns.query(7, ".".join(["a" * 60] * 4), 1)
    answer = dns.answer(query, lambda _: None, longest=300)
    assert answer is not None
    assert len(answer) <= 300
    assert answer[2] & 2


@needs("dig", "bind9-dnsutils")
def test_dig_reads_positive_and_negative_answers() -> None:
    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            answer = dns.answer(data, lambda name: "203.0.113.9" if name == "eim.bench.example" else None)
            self.transport.sendto(answer, addr)  # type: ignore[attr-defined]

    async def main() -> dict[str, str]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
        port = str(transport.get_extra_info("sockname")[1])
        shown = {}
        for name, kind in (("eim.bench.example", "A"), ("eim.bench.example", "AAAA"), ("no.bench.example", "A")):
            process = await asyncio.create_subprocess_exec(
                "dig", "-p", port, "@127.0.0.1", name, kind, "+tries=1", "+time=5", stdout=subprocess.PIPE
            )
            out, _ = await asyncio.wait_for(process.communicate(), 20)
            shown[f"{name} {kind}"] = out.decode()
        transport.close()
        return shown

    shown = asyncio.run(main())
    assert "203.0.113.9" in shown["eim.bench.example A"]
    empty = shown["eim.bench.example AAAA"]
    assert "status: NOERROR" in empty and "SOA\tns.bench.example. hostmaster.bench.example." in empty
    missing = shown["no.bench.example A"]
    assert "status: NXDOMAIN" in missing and "SOA\tns.bench.example." in missing
    assert not any("malformed" in text for text in shown.values())


def test_dns_over_udp_and_tcp(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        async with data_path(world) as (clock, path):
            assert await path.resolve(ECHO, server="10.64.0.53", timeout=10) == ("203.0.113.1",)
            with pytest.raises(InstrumentError, match="NXDOMAIN"):
                await path.resolve("nobody.example", server="10.64.0.53", timeout=10)
            stream = await open_datagrams(path, "10.64.0.53", 53, timeout=10)
            async with clock.timeout(5):
                stream.send(client_dns.query(9, ECHO, client_dns.A))
                answer = await stream.receive()
            assert client_dns.addresses(answer, 9, client_dns.A) == ("203.0.113.1",)
            stream.close()

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))


# -- capsules


@pytest.mark.parametrize(
    ("value", "coded"),
    [(37, "25"), (15293, "7bbd"), (494878333, "9d7f3e7d"), (151288809941952652, "c2197c5eff14e88c")],
)
def test_integers_as_in_rfc_9000_appendix_a(value: int, coded: str) -> None:
    assert integer(value).hex() == coded
    assert read_integer(bytes.fromhex(coded), 0) == (value, len(coded) // 2)


def test_the_request_is_that_of_rfc_9298() -> None:
    lines = request("example.org", "2001:db8::42", 443).decode().split("\r\n")
    assert lines[0] == "GET /.well-known/masque/udp/2001%3Adb8%3A%3A42/443/ HTTP/1.1"
    assert set(lines[1:5]) == {
        "Host: example.org", "Connection: Upgrade", "Upgrade: connect-udp", "Capsule-Protocol: ?1",
    }  # fmt: skip
    assert target(lines[0].split(" ")[1]) == ("2001:db8::42", 443)
    assert target("/.well-known/masque/udp/a/0/") is None
    assert target("/counters") is None


@given(st.lists(st.binary(max_size=70000), max_size=4), st.integers(1, 999))
def test_capsules_in_any_pieces(payloads: list[bytes], step: int) -> None:
    unknown = integer(0x1234) + integer(3) + b"abc"
    stream = unknown.join([b"", *(capsule(payload) for payload in payloads)])
    reader = Reader()
    found = []
    try:
        for offset in range(0, len(stream), step * 97):
            found += reader.feed(stream[offset : offset + step * 97])
    except ValueError:
        assert any(len(payload) > 65535 for payload in payloads)
        return
    assert found == payloads


@given(st.binary(max_size=300))
def test_any_bytes_are_capsules_or_refused(data: bytes) -> None:
    try:
        for payload in Reader().feed(data):
            assert len(payload) <= len(data)
    except ValueError:
        pass


def test_the_counters_are_a_page_of_the_proxy(home: Path) -> None:
    async def main(world: WorldProcess) -> None:
        host, port = world.announcement["proxy"].removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /counters HTTP/1.1\r\nHost: x\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 200 ")
        assert json.loads(await reader.read())["sent"] == 0
        writer.close()

    with WorldProcess(home, "--profile", "unit") as world:
        asyncio.run(main(world))
