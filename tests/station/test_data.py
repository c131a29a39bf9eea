"""Data paths: sockets of the host, bound to an interface, through a CONNECT proxy; DNS over TCP."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from fake_host import FakeHost
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ConfigurationError, InstrumentError, InstrumentTimeout
from bench.station import dns
from bench.station.clock import RealClock
from bench.station.data import open_path
from bench.station.host import Host
from bench.station.modem_path import ModemPath, interface_of


def answer(question: bytes, *records: tuple[int, bytes], flags: int = 0x8180, name: bytes = b"\xc0\x0c") -> bytes:
    """Build the answer to a query by hand (RFC 1035 section 4.1)."""
    head = question[:2] + flags.to_bytes(2, "big") + b"\0\1" + len(records).to_bytes(2, "big") + bytes(4)
    body = b"".join(
        name + kind.to_bytes(2, "big") + b"\0\1" + (60).to_bytes(4, "big") + len(data).to_bytes(2, "big") + data
        for kind, data in records
    )
    return head + question[12:] + body


# Captured from the question for example.com A with identity 0x1234, as every resolver sends it.
VECTOR = bytes.fromhex("123401000001000000000000076578616d706c6503636f6d0000010001")


def test_the_question_is_the_literal_one():
    assert dns.query(0x1234, "example.com", dns.A) == VECTOR
    assert dns.query(0x1234, "example.com.", dns.A) == VECTOR


def test_addresses_of_an_answer_with_an_alias():
    found = answer(VECTOR, (5, b"\x03www\xc0\x0c"), (dns.A, bytes((192, 0, 2, 1))), (dns.A, bytes((192, 0, 2, 2))))
    assert dns.addresses(found, 0x1234, dns.A) == ("192.0.2.1", "192.0.2.2")
    assert dns.addresses(found, 0x1234, dns.AAAA) == ()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (answer(VECTOR, flags=0x8183), "NXDOMAIN"),
        (answer(VECTOR, flags=0x8185), "REFUSED"),
        (answer(VECTOR, flags=0x818B), "code 11"),
        (VECTOR, "a question"),
        (b"\x99\x99" + answer(VECTOR)[2:], "another question"),
        (answer(VECTOR, (dns.A, b"\1\2\3")), "3 bytes"),
        (answer(VECTOR, (dns.A, b"\1\2\3\4"))[:-1], "cut off"),
        (answer(VECTOR, (dns.A, b"\1\2\3\4"), name=b"\x81"), "unknown kind"),
        (b"\x12\x34", "cut off"),
    ],
)
def test_answers_that_say_no(message, text):
    with pytest.raises(dns.DnsError, match=text):
        dns.addresses(message, 0x1234, dns.A)


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".com", ".".join(["abc"] * 70)])
def test_names_that_are_none(name):
    with pytest.raises(dns.DnsError):
        dns.query(1, name, dns.A)


@given(st.binary(max_size=120))
def test_any_bytes_are_an_answer_or_an_error(data):
    for message in (data, b"\x12\x34\x81\x80" + data):
        with contextlib.suppress(dns.DnsError):
            dns.addresses(message, 0x1234, dns.A)


# --- paths ------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def server(handle):
    async def guarded(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()

    found = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield found.sockets[0].getsockname()[1]
    finally:
        found.close()


async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()


async def name_server(reader, writer):
    while True:
        length = int.from_bytes(await reader.readexactly(2), "big")
        question = await reader.readexactly(length)
        kind = int.from_bytes(question[-4:-2], "big")
        if b"nowhere" in question:
            message = answer(question, flags=0x8183)
        elif kind == dns.A:
            message = answer(question, (dns.A, bytes((192, 0, 2, 7))))
        else:
            message = answer(question)
        framed = len(message).to_bytes(2, "big") + message
        writer.write(framed[:5])
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(framed[5:])
        await writer.drain()


def proxy(ports, refuse=""):
    """A CONNECT proxy that leads by a table, as the simulated link does."""

    async def handle(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split()[1]
        if refuse:
            body = refuse.encode()
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            return
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", ports[target])
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source, sink):
            with contextlib.suppress(ConnectionError):
                while data := await source.read(1000):
                    sink.write(data)
                    await sink.drain()
                sink.close()

        await asyncio.gather(pump(reader, upstream), pump(upstream_reader, writer))

    return handle


def test_the_host_path_connects_and_counts():
    async def run():
        async with server(echo) as port:
            path = open_path("host")
            assert path.bearer == "host" and path.proxy is None
            stream = await path.connect("127.0.0.1", port, timeout=2.0)
            await stream.write(b"hello")
            assert await stream.read() == b"hello"
            await stream.close()
            return await path.counters()

    assert asyncio.run(run()) == (5, 5)


def test_the_proxy_path_connects_resolves_and_counts():
    async def run():
        async with server(echo) as inner, server(name_server) as names:
            async with server(proxy({"eim.example:443": inner, "10.0.0.53:53": names})) as port:
                path = open_path(f"proxy:http://127.0.0.1:{port}")
                assert path.proxy == f"http://127.0.0.1:{port}"
                stream = await path.connect("eim.example", 443, timeout=2.0)
                await stream.write(b"hello")
                assert await stream.read() == b"hello"
                await stream.close()
                assert await path.resolve("eim.example", server="10.0.0.53", timeout=2.0) == ("192.0.2.7",)
                assert await path.resolve("192.0.2.9", server="10.0.0.53", timeout=2.0) == ("192.0.2.9",)
                with pytest.raises(InstrumentError, match=r"nowhere\.example: no such name"):
                    await path.resolve("nowhere.example", server="10.0.0.53", timeout=2.0)
                sent, received = await path.counters()
                assert sent > 5 and received > 5

    asyncio.run(run())


def test_a_refusal_of_the_link_is_told_with_its_reason():
    async def run():
        async with server(proxy({}, refuse="the PDP context is not active")) as port:
            path = open_path(f"proxy:http://127.0.0.1:{port}")
            with pytest.raises(InstrumentError, match="refused it with 502 the PDP context is not active"):
                await path.connect("eim.example", 443, timeout=2.0)

    asyncio.run(run())


@pytest.mark.parametrize("reply", [b"", b"nonsense\r\n\r\n", b"x" * 100000])
def test_what_is_no_proxy(reply):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()

    async def run():
        async with server(handle) as port:
            with pytest.raises(InstrumentError):
                await open_path(f"proxy:http://127.0.0.1:{port}").connect("a.b", 1, timeout=2.0)

    asyncio.run(run())


def test_deadlines_hold():
    async def silent(reader, writer):
        await reader.read()

    async def run():
        async with server(silent) as port:
            path = open_path(f"proxy:http://127.0.0.1:{port}", RealClock())
            with pytest.raises(InstrumentTimeout, match=r"within 0\.2 s"):
                await path.connect("a.b", 1, timeout=0.2)
            with pytest.raises(InstrumentTimeout, match=r"0\.2 s"):
                await path.resolve("a.b", server="10.0.0.53", timeout=0.2)

    asyncio.run(run())


def test_the_interface_path_binds_its_sockets():
    async def run():
        async with server(echo) as port:
            path = open_path("interface:lo")
            stream = await path.connect("127.0.0.1", port, timeout=2.0)
            await stream.write(b"hello")
            assert await stream.read() == b"hello"
            await stream.close()
            sent, received = await path.counters()
            assert sent >= 5 and received >= 5
            with pytest.raises(InstrumentError, match="a name, not an address"):
                await path.connect("localhost", port, timeout=2.0)
            missing = open_path("interface:wwan9")
            with pytest.raises(InstrumentError, match="cannot use interface wwan9"):
                await missing.connect("127.0.0.1", port, timeout=2.0)
            assert await missing.counters() == (0, 0)

    asyncio.run(run())


@pytest.mark.parametrize(
    "path", ["", "radio", "interface:", "proxy:", "proxy:https://x:1", "proxy:http://x", "proxy:http://x:y"]
)
def test_paths_that_are_none(path):
    with pytest.raises(ConfigurationError):
        open_path(path)


def test_the_host_finds_the_benchs_servers_by_name_and_holds_station_time() -> None:
    from contextlib import contextmanager

    from bench.station.data import HostPath

    held: list[str] = []

    class Clock(RealClock):
        @contextmanager
        def busy(self):
            held.append("held")
            yield

    async def run() -> None:
        async def answer(reader, writer):
            writer.write(await reader.readexactly(4))
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        path = HostPath(Clock())
        path.routes = {"eim.bench.example": f"127.0.0.1:{port}"}
        # The device's DNS server is not asked: it is not on the host's network.
        assert await path.resolve("EIM.bench.example", server="10.64.0.53", timeout=5.0) == ("127.0.0.1",)
        assert "127.0.0.1" in await path.resolve("localhost", server="10.64.0.53", timeout=5.0)
        with pytest.raises(InstrumentError, match="it is not known"):
            await path.resolve("no-such-name.invalid", server="10.64.0.53", timeout=5.0)
        stream = await path.connect("eim.bench.example", 443, timeout=5.0)
        before = len(held)
        await stream.write(b"ping")
        assert await stream.read() == b"ping"
        assert len(held) >= before + 2
        await stream.close()
        server.close()

    asyncio.run(run())


def test_the_modems_interface_is_that_of_its_usb_device_whatever_its_name_is_now(tmp_path: Path) -> None:
    fake = FakeHost(tmp_path)
    for place in ("1-1.4", "1-1.5"):
        fake.usb(place, "2c7c", "0296", "BG96")
    fake.interface("1-1.4", 2, "tty", "ttyUSB2")
    fake.interface("1-1.5", 4, "net", "wwan0")
    assert interface_of("usb:1-1.4:if02", fake.host) == "", "another modem's interface is none of ours"
    folder = fake.interface("1-1.4", 4, "net", "wwan1")
    for port in ("usb:1-1.4:if02", "usb:1-1.4", "/dev/ttyUSB2"):
        assert interface_of(port, fake.host) == "wwan1"
    (folder / "net" / "wwan1").rename(folder / "net" / "wwan7")  # after it came back
    assert interface_of("usb:1-1.4:if02", fake.host) == "wwan7"
    assert interface_of("usb:1-1.5:if02", fake.host) == "wwan0"
    assert interface_of("/tmp/pty", fake.host) == interface_of("usb:1-1.6", fake.host) == ""


def test_nothing_leaves_while_the_modem_has_no_interface(tmp_path: Path) -> None:
    async def run() -> None:
        arrived: list[object] = []
        server = await asyncio.start_server(lambda reader, writer: arrived.append(writer), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            path = ModemPath("usb:1-1.4:if02", RealClock(), host=Host(root=tmp_path))
            assert path.bearer == "modem"
            with pytest.raises(InstrumentError, match=r"the modem at usb:1-1\.4:if02 has no network interface"):
                await path.connect("127.0.0.1", port, timeout=2.0)
            assert await path.counters() == (0, 0)
            assert not arrived

    asyncio.run(run())


def test_the_path_modem_needs_a_modem_and_a_simulated_one_has_a_proxy() -> None:
    with pytest.raises(ConfigurationError, match="'modem' is no data path"):
        open_path("modem")
    assert isinstance(open_path("modem", port="usb:1-1.4"), ModemPath)
    simulated = open_path("modem:http://127.0.0.1:4711")
    assert (simulated.bearer, simulated.proxy) == ("modem", "http://127.0.0.1:4711")
