"""A server, clients and a lossy way between them, in one process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiocoap.numbers import codes
from OpenSSL import SSL

from bench.station.datagrams import DatagramStream, SocketDatagrams
from fixtures.coaps.blockwise import Reply
from fixtures.coaps.client import Client, Trust, opened
from fixtures.coaps.contexts import client_context, server_context
from fixtures.coaps.server import Handler, Server
from fixtures.coaps.timers import LoopTimers
from fixtures.pki import Pki

NAME = "eim.bench.example"
LONG = 60_000
SHORT_TIMEOUT = 0.05
"""Seconds after which our side sends a flight again; OpenSSL's own second comes on top."""


async def echo(request: Any, body: bytes) -> Reply:
    """POST gives the body back, GET 60 kB."""
    if request.code == codes.POST:
        return Reply(codes.CHANGED, body)
    return Reply(codes.CONTENT, bytes(range(256)) * (LONG // 256) + b"end")


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the loop is about to do; the test's deadline ends it."""
    while not condition():  # noqa: ASYNC110  # it is another party's state, of which no event tells
        await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(
    pki: Pki, handler: Handler = echo, *, files: tuple[Path, Path] | None = None, **options: Any
) -> AsyncIterator[tuple[Server, int]]:
    """A server and its port."""
    options.setdefault("first_timeout", SHORT_TIMEOUT)
    server = Server(server_context(*(files or pki.eim_tls.tls_files())), handler, **options)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    try:
        yield server, transport.get_extra_info("sockname")[1]
    finally:
        await server.close()


def trusting(pki: Pki) -> Trust:
    """Trust in the CI, whatever the server's name."""
    anchor = pki.ci.certificate

    def check(_: SSL.Connection, certificate: bytes, depth: int, why: str) -> str:
        return why

    return Trust(client_context(check, anchor=anchor), lambda certificate: "" if certificate else "nobody")


async def udp(port: int, local: int = 0) -> DatagramStream:
    """A UDP socket with the server."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", local))
    sock.connect(("127.0.0.1", port))
    return await SocketDatagrams.open(sock, "test", lambda sent, received: None)


@asynccontextmanager
async def client(port: int, trust: Trust, *, local: int = 0, **options: Any) -> AsyncIterator[Client]:
    """A client that has shaken hands."""
    options.setdefault("first_timeout", SHORT_TIMEOUT)
    made = await opened(
        lambda: udp(port, local), lambda stream: Client(stream, trust, NAME, LoopTimers(), **options)
    )  # fmt: skip
    try:
        yield made
    finally:
        await made.close()


async def post(made: Client, body: bytes = b"ping", **options: Any) -> bytes:
    """POST; return the body of the answer."""
    code, answer = await made.exchange(code=codes.POST, path=("a",), body=body, longest=1 << 20, **options)
    assert code == codes.CHANGED, code
    return answer


@dataclass
class Way(asyncio.DatagramProtocol):
    """A UDP relay that loses, repeats or only counts datagrams: ``up``, ``down`` get the number (from 1) and bytes,
    and return how many copies pass."""

    port: int = 0
    target: int = 0
    up: Callable[[int, bytes], int] = lambda number, data: 1
    down: Callable[[int, bytes], int] = lambda number, data: 1
    seen_up: list[bytes] = field(default_factory=list)
    seen_down: list[bytes] = field(default_factory=list)
    sockets: dict[Any, asyncio.DatagramTransport] = field(default_factory=dict)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if addr not in self.sockets:
            self.sockets[addr] = None  # type: ignore[assignment]
            self.opening = asyncio.ensure_future(self._open(data, addr))
        elif self.sockets[addr] is not None:
            self._up(data, addr)

    async def _open(self, data: bytes, addr: Any) -> None:
        way = self

        class Back(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: Any) -> None:
                way.seen_down.append(data)
                for _copy in range(way.down(len(way.seen_down), data)):
                    way.transport.sendto(data, addr)  # type: ignore[attr-defined]

        self.sockets[addr], _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Back, remote_addr=("127.0.0.1", self.target)
        )
        self._up(data, addr)

    def _up(self, data: bytes, addr: Any) -> None:
        self.seen_up.append(data)
        for _ in range(self.up(len(self.seen_up), data)):
            self.sockets[addr].sendto(data)

    def rebind(self) -> None:
        """As a NAT that has forgotten: what comes next goes up from another port."""
        for transport in self.sockets.values():
            transport.close()
        self.sockets.clear()


@asynccontextmanager
async def way(port: int, **rules: Any) -> AsyncIterator[Way]:
    """A relay to a server's port."""
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Way(target=port, **rules), local_addr=("127.0.0.1", 0)
    )
    try:
        yield made
    finally:
        made.rebind()
        transport.close()
