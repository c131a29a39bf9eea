"""The CoAPS listener as fuzzing targets: datagrams from anybody, and messages of a client that has shaken hands.

Client and server are one process without sockets; every input meets a server of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from OpenSSL import SSL

    from fixtures.coaps.server import Server

CLIENT, STRANGER = ("192.0.2.1", 40000), ("192.0.2.2", 40001)
GET = bytes.fromhex("40 01 f001")
"""GET of the root, message 0xf001."""


class Lost(Exception):
    """A client that did nothing wrong is not served any more, or the server keeps what it should not."""


@functools.cache
def _pki() -> Any:
    from fixtures.pki import Pki

    home = Path(tempfile.mkdtemp(prefix="fuzz-coaps-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return Pki.open(home)


@functools.cache
def _contexts() -> tuple[SSL.Context, SSL.Context]:
    from fixtures.coaps.contexts import client_context, server_context

    pki = _pki()
    return server_context(*pki.eim_tls.tls_files()), client_context(lambda *_: "", anchor=pki.ci.certificate)


class _Wire:
    """The server's socket: what it sends goes to whom it is for."""

    def __init__(self) -> None:
        self.receivers: dict[Any, Callable[[bytes], object]] = {}
        self.sent = 0

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("192.0.2.9", 5684)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def sendto(self, data: bytes, address: Any) -> None:
        self.sent += len(data)
        receiver = self.receivers.get(address)
        if receiver is not None:
            asyncio.get_running_loop().call_soon(receiver, data)

    def close(self) -> None:
        """Nothing is open."""


class Party:
    """A server and one client, perhaps in the middle of its handshake."""

    def __init__(self, server: Server) -> None:
        from OpenSSL import SSL

        from fixtures.coaps.session import Session
        from fixtures.coaps.timers import LoopTimers

        self.server, self.wire = server, _Wire()
        server.connection_made(self.wire)  # type: ignore[arg-type]
        connection = SSL.Connection(_contexts()[1], None)
        connection.set_connect_state()
        connection.set_ciphertext_mtu(1200)
        self.deaf = False
        self.hellos: list[bytes] = []
        self.got: list[bytes] = []
        self.session = Session(connection, self._up, LoopTimers(), failed=lambda error: None)
        self.wire.receivers[CLIENT] = self._down

    def _up(self, datagram: bytes) -> None:
        self.hellos.append(datagram)
        self.server.datagram_received(datagram, CLIENT)

    def _down(self, datagram: bytes) -> None:
        from fixtures.coaps.errors import DtlsError

        if not self.deaf:
            with contextlib.suppress(DtlsError):  # a handshake that a forger disturbed: the client begins anew
                self.got += self.session.feed(datagram)

    async def shake_hands(self, datagrams: int = 100) -> None:
        """Shake hands, or stop when so many datagrams have gone up."""
        self.session.start()
        for _ in range(200):
            await asyncio.sleep(0)
            self.deaf = len(self.hellos) >= datagrams
            if self.deaf or (self.session.state == "up" and CLIENT in self.server.associations):
                return

    async def served(self) -> None:
        """Ask for the root and get it. Raises Lost."""
        self.got.clear()
        self.session.write(GET)
        for _ in range(100):
            if any(answer[2:4] == GET[2:4] and answer[1] == 0x45 for answer in self.got):
                return
            await asyncio.sleep(0)
        raise Lost(f"no answer any more, {self.server.counts}")


def _play(work: Callable[[Party], Any]) -> None:
    async def run() -> None:
        from aiocoap.numbers import codes

        from fixtures.coaps.blockwise import Reply
        from fixtures.coaps.server import Limits, Server

        async def handler(request: Any, body: bytes) -> Reply:
            return Reply(codes.CONTENT if request.code == codes.GET else codes.CHANGED, body * 40 or b"eIM\n")

        limits = Limits(associations=4, handshakes=4, body=4096, bodies=16384)
        server = Server(_contexts()[0], handler, limits=limits)
        try:
            await work(Party(server))
            if len(server.handshakes) > limits.handshakes or len(server.associations) > limits.associations:
                raise Lost("more than the limits allow")
            if not 0 <= server.site.budget.used <= limits.bodies:
                raise Lost(f"{server.site.budget.used} bytes of transfers")
        finally:
            await server.close()
        if server.site.budget.used:
            raise Lost(f"{server.site.budget.used} bytes were not given back")

    asyncio.run(run())


def _cut(data: bytes) -> list[bytes]:
    """Cut an input: two bytes of length before each part."""
    found = []
    while len(data) > 2:
        length = int.from_bytes(data[:2], "big") % 1400
        found.append(data[2 : 2 + length])
        data = data[2 + length :]
    return found


def fuzz_dtls(data: bytes) -> None:
    """Datagrams from a stranger and under the client's address; the first byte says how far the client had come."""
    if not data:
        return

    async def work(party: Party) -> None:
        stage = data[0] % 4
        if stage:
            await party.shake_hands((0, 1, 2, 100)[stage])
        for number, datagram in enumerate(_cut(data[1:])):
            party.server.datagram_received(datagram, STRANGER if number % 2 else CLIENT)
            await asyncio.sleep(0)
        if stage == 3:
            await party.served()

    _play(work)


def fuzz_coap(data: bytes) -> None:
    """Messages inside an association: the next request is answered as ever."""

    async def work(party: Party) -> None:
        await party.shake_hands()
        for message in _cut(data):
            if message:
                party.session.write(message)
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        await party.served()

    _play(work)


def seeds(target: str) -> list[bytes]:
    """Return inputs to start from."""

    def framed(*parts: bytes) -> bytes:
        return b"".join(len(part).to_bytes(2, "big") + part for part in parts)

    if target == "coap":
        path = bytes.fromhex("b4 67736d61 04 72737032 04 61736e31")
        post = bytes.fromhex("42 02 1234 aabb") + path + b"\xff\xbf\x4f\x00"
        return [
            framed(post, post),
            framed(bytes.fromhex("40 00 0001"), bytes.fromhex("60 00 0002"), bytes.fromhex("70 00 0003")),
            framed(*(bytes.fromhex(f"40 02 000{n} d1 0e {n * 16 + 8:02x} ff") + bytes(16) for n in range(4))),
            framed(bytes.fromhex("40 02 0009 61 2a 61 10 ff 00"), bytes.fromhex("50 03 0001 d1 10 04 ff 01")),
        ]
    seen: list[bytes] = []

    async def record(party: Party) -> None:
        await party.shake_hands()
        seen.extend(party.hellos)

    _play(record)
    return [bytes((stage,)) + framed(*seen) for stage in range(4)] + [b"\x03" + framed(*reversed(seen))]
