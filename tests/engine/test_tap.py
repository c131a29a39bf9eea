"""What sockets of a data path carry comes into the trace as it was on the wire, and nothing is otherwise for it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from bench.errors import InstrumentError
from bench.station.clock import RealClock
from bench.station.data import HostPath
from bench.station.tap import TappedSocket, stream_socket
from bench.trace import Direction, Packet, TraceWriter, ip, read


def payload(packets: list[Packet], direction: Direction) -> bytes:
    found = [ip.parse(packet.data) for packet in packets if packet.direction is direction]
    return b"".join(parsed.payload for parsed in found if parsed is not None)


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data.upper())
    writer.close()


def test_a_stream_and_a_datagram(tmp_path: Path) -> None:
    sent = b"abc" * 40_000

    async def main(path: HostPath) -> int:
        server = await asyncio.start_server(upper, "127.0.0.1", 0)
        port = int(server.sockets[0].getsockname()[1])
        path.routes["eim.example"] = f"127.0.0.1:{port}"
        stream = await path.connect("eim.example", 443, timeout=10)
        writing = asyncio.create_task(stream.write(sent))
        got = b""
        while len(got) < len(sent):
            got += await stream.read()
        await writing
        assert got == sent.upper()
        await stream.close()
        server.close()
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(("127.0.0.1", 0))
        datagrams = await path.datagrams("127.0.0.1", peer.getsockname()[1], timeout=5)
        datagrams.send(b"ping")
        peer.settimeout(5)
        data, address = await asyncio.to_thread(peer.recvfrom, 100)
        peer.sendto(data + data, address)
        assert await datagrams.receive() == b"pingping"
        datagrams.close()
        peer.close()
        return port

    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        path = HostPath(RealClock())
        path.lane = writer.lane("ip:host")
        port = asyncio.run(main(path))
    packets = list(read(tmp_path / "t"))
    streams = [packet for packet in packets if packet.data[9] == ip.TCP]
    assert payload(streams, Direction.SENT) == sent
    assert payload(streams, Direction.RECEIVED) == sent.upper()
    first = ip.parse(streams[0].data)
    assert first is not None
    assert (first.target, first.flags) == ((bytes((127, 0, 0, 1)), port), ip.SYN)
    last = [parsed.flags for packet in streams if (parsed := ip.parse(packet.data)) is not None]
    assert sum(bool(flags & ip.FIN) for flags in last) >= 1
    others = [packet for packet in packets if packet.data[9] == ip.UDP]
    assert [payload([packet], packet.direction or Direction.SENT) for packet in others] == [b"ping", b"pingping"]


def test_a_refused_connection_is_what_it_was(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        async def main(path: HostPath) -> None:
            with pytest.raises(InstrumentError, match="no connection: Connect call failed"):
                await path.connect("127.0.0.1", port, timeout=10)

        with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
            path = HostPath(RealClock())
            path.lane = writer.lane("ip:host")
            asyncio.run(main(path))
    assert list(read(tmp_path / "t")) == []


def test_without_a_lane_it_is_a_plain_socket() -> None:
    made = stream_socket(None, socket.AF_INET, socket.SOCK_STREAM)
    assert type(made) is socket.socket
    made.close()


def test_a_socket_that_was_never_connected_closes_quietly(tmp_path: Path) -> None:
    with TraceWriter.open(tmp_path / "t", run_id="r") as writer:
        made = stream_socket(writer.lane("ip:host"), socket.AF_INET, socket.SOCK_STREAM)
        assert isinstance(made, TappedSocket)
        with pytest.raises(OSError, match=r"Broken pipe|not connected"):
            made.send(b"x")
        made.close()
    assert list(read(tmp_path / "t")) == []
