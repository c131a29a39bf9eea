"""UDP over the device's data path: a connected socket of the host or of an interface, or connect-udp (RFC 9298)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from bench.errors import InstrumentError, InstrumentTimeout, Refused
from bench.station.capsules import Reader, capsule
from bench.station.clock import Clock
from bench.station.interfaces import DataPath
from bench.station.tap import UdpTap
from bench.trace.lane import Direction

_GONE = "open a new one: the device's link may have changed its address, or lost its registration"
_DNS = "give an address, or add the name to the DNS of this host"
_QUEUE = 1024
"""Datagrams kept for a reader that is late; more are dropped, as a socket does."""


class DatagramStream(Protocol):
    """A UDP socket with one peer. What is sent may be lost; nobody tells."""

    def send(self, data: bytes) -> None:
        """Send one datagram. Raises InstrumentError when the socket is gone (the bearer it belonged to is down)."""

    async def receive(self) -> bytes:
        """Wait for the next datagram; the caller sets the deadline. Raises InstrumentError as ``send``."""

    def close(self) -> None:
        """Close."""


@runtime_checkable
class DatagramPath(Protocol):
    """A data path that carries UDP too. ``timeout`` in seconds, of station time unless the host resolves the name."""

    async def datagrams(self, host: str, port: int, *, timeout: float) -> DatagramStream:
        """Open a UDP socket with one peer. Raises InstrumentTimeout, or InstrumentError with the reason."""


async def open_datagrams(path: DataPath, host: str, port: int, *, timeout: float) -> DatagramStream:
    """Open a UDP socket over a data path; ``timeout`` in seconds of station time.

    Raises Refused where it carries TCP only, InstrumentTimeout, InstrumentError.
    """
    if not isinstance(path, DatagramPath):
        raise Refused(
            "this data path carries no UDP", where=path.bearer, hint="use 'interface:NAME', or a proxy with connect-udp"
        )
    return await path.datagrams(host, port, timeout=timeout)


class Queue:
    """What all sockets have in common: datagrams in, and the end."""

    def __init__(self, where: str, count: Callable[[int, int], None]) -> None:
        self._where = where
        self._count = count
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE)
        self._gone = ""

    def arrived(self, data: bytes) -> None:
        """Keep a datagram for the reader."""
        self._count(0, len(data))
        with contextlib.suppress(asyncio.QueueFull):
            self._arrived.put_nowait(data)

    def ended(self, why: str) -> None:
        """The socket is gone."""
        if not self._gone:
            self._gone = why
            if self._arrived.full():
                self._arrived.get_nowait()
            self._arrived.put_nowait(None)

    def check(self) -> None:
        """Raise InstrumentError when the socket is gone."""
        if self._gone:
            raise InstrumentError(f"the socket is gone: {self._gone}", where=self._where, hint=_GONE)

    def sent(self, count: int) -> None:
        """Count what was sent."""
        self._count(count, 0)

    async def receive(self) -> bytes:
        """Wait for the next datagram, as long as the caller's scope lasts. Raises InstrumentError for a lost socket."""
        data = await self._arrived.get()
        if data is None:
            self._arrived.put_nowait(None)
            raise InstrumentError(f"the socket is gone: {self._gone}", where=self._where, hint=_GONE)
        return data


class SocketDatagrams(asyncio.DatagramProtocol):
    """A UDP socket of this host."""

    def __init__(self, where: str, count: Callable[[int, int], None], tap: UdpTap | None = None) -> None:
        self._queue = Queue(where, count)
        self._tap = tap
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(
        cls, sock: socket.socket, where: str, count: Callable[[int, int], None], tap: UdpTap | None = None
    ) -> SocketDatagrams:
        """Take over a connected socket; ``tap`` has what it carries recorded."""
        loop = asyncio.get_running_loop()
        transport, stream = await loop.create_datagram_endpoint(lambda: cls(where, count, tap), sock=sock)
        stream._transport = transport
        return stream

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Keep a datagram (called by the event loop)."""
        if self._tap is not None:
            self._tap.datagram(Direction.RECEIVED, data)
        self._queue.arrived(data)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: the datagram is lost, the socket stays (called by the event loop)."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone (called by the event loop)."""
        self._queue.ended(str(exc or "closed"))

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        self._queue.check()
        if self._transport is not None:
            if self._tap is not None:
                self._tap.datagram(Direction.SENT, data)
            self._transport.sendto(data)
            self._queue.sent(len(data))

    async def receive(self) -> bytes:
        """Wait for the next datagram."""
        return await self._queue.receive()

    def close(self) -> None:
        """Close."""
        if self._transport is not None:
            self._transport.close()


class ProxyDatagrams:
    """A UDP socket at the far end of a proxy."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        where: str,
        count: Callable[[int, int], None],
    ) -> None:
        self._writer = writer
        self._queue = Queue(where, count)
        self._task = asyncio.create_task(self._read(reader), name=f"UDP {where}")

    async def _read(self, stream: asyncio.StreamReader) -> None:
        reader, why = Reader(), "the proxy closed it"
        try:
            while data := await stream.read(65536):
                for payload in reader.feed(data):
                    self._queue.arrived(payload)
        except (OSError, ValueError) as error:
            why = str(error) or type(error).__name__
        finally:
            self._queue.ended(why)

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        self._queue.check()
        self._writer.write(capsule(data))
        self._queue.sent(len(data))

    async def receive(self) -> bytes:
        """Wait for the next datagram."""
        return await self._queue.receive()

    def close(self) -> None:
        """Close."""
        self._task.cancel()
        self._writer.close()


async def connected_socket(
    host: str, port: int, clock: Clock, where: str, bind: Callable[[socket.socket], object] | None, timeout: float
) -> socket.socket:
    """Return a UDP socket connected to ``host``:``port``, bound by ``bind`` before.

    ``timeout`` in real seconds, for the name. Raises InstrumentTimeout, InstrumentError.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            with clock.busy():
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except TimeoutError:
        raise InstrumentTimeout(f"{host} was not resolved within {timeout:g} s", where=where, hint=_DNS) from None
    except OSError as error:
        raise InstrumentError(f"{host} is not known: {error}", where=where, hint=_DNS) from error
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        if bind is not None:
            bind(sock)
        sock.connect(address)
    except OSError as error:
        sock.close()
        raise InstrumentError(
            f"no UDP socket: {error}", where=where, hint="is the interface up, and has it a route to that address?"
        ) from error
    except BaseException:
        sock.close()
        raise
    return sock
