"""What the sockets of a data path carry, for the lane ``ip:NAME`` of the trace, where no link relay tells it.

A socket of a kind of its own sees each byte that asyncio gives to the kernel and takes from it: below TLS, so that the
lane has what was on the wire. Payload and addresses are real; TCP's headers are made (``bench.trace.ip``).
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from bench.trace import ip
from bench.trace.lane import Direction, Lane

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED


class TappedSocket(socket.socket):
    """A TCP socket whose bytes are recorded; never fails for what the lane does."""

    _lane: Lane | None = None
    _flow: ip.TcpFlow | None = None

    def tap(self, lane: Lane) -> None:
        """Record from now on."""
        self._lane = lane

    def _tell(self, packets: ip.Packets) -> None:
        assert self._lane is not None
        for direction, packet in packets:
            self._lane.record(direction, packet)

    def _ready(self) -> ip.TcpFlow | None:
        """Return the flow; the first look at a connected socket shows how it was connected."""
        if self._lane is None or self._flow is not None:
            return self._flow
        flow = _between(self)
        if flow is not None:
            self._flow = flow
            self._tell(flow.open())
            self._tell(flow.opened())
        return flow

    def _sent(self, data: Any, count: int) -> None:
        flow = self._ready()
        if flow is not None and count > 0:
            self._tell(flow.data(SENT, bytes(memoryview(data)[:count])))
            self._tell(flow.acknowledge(SENT, count))

    def _received(self, data: bytes) -> None:
        flow = self._ready()
        if flow is None:
            return
        if data:
            self._tell(flow.data(RECEIVED, data))
            self._tell(flow.acknowledge(RECEIVED, len(data)))
        else:
            self._tell(flow.finish(RECEIVED))

    def send(self, data: Any, flags: int = 0) -> int:
        """Send, as socket.send does."""
        count = super().send(data, flags)
        self._sent(data, count)
        return count

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Receive, as socket.recv does."""
        data = super().recv(bufsize, flags)
        self._received(data)
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive, as socket.recv_into does."""
        count = super().recv_into(buffer, nbytes, flags)
        self._received(bytes(memoryview(buffer)[:count]))
        return count

    def shutdown(self, how: int) -> None:
        """Shut down, as socket.shutdown does."""
        super().shutdown(how)
        if self._flow is not None and how != socket.SHUT_RD:
            self._tell(self._flow.finish(SENT))

    def close(self) -> None:
        """Close, as socket.close does."""
        if self._flow is not None:
            flow, self._flow, lane = self._flow, None, self._lane
            self._lane = None
            assert lane is not None
            for direction, packet in flow.finish(SENT):
                lane.record(direction, packet)
        super().close()


def _between(sock: socket.socket) -> ip.TcpFlow | None:
    with contextlib.suppress(OSError, ValueError):
        here, there = sock.getsockname(), sock.getpeername()
        return ip.TcpFlow(_end(here), _end(there), first=here[1])
    return None


def _end(address: Any) -> ip.Endpoint:
    host = str(address[0]).partition("%")[0]
    return ip.Endpoint(host, int(address[1]))


def stream_socket(lane: Lane | None, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """Return a TCP socket, recorded where there is a lane. Raises OSError."""
    if lane is None:
        return socket.socket(family, kind, protocol)
    made = TappedSocket(family, kind, protocol)
    made.tap(lane)
    return made


class UdpTap:
    """What one UDP socket sends and receives."""

    def __init__(self, lane: Lane, sock: socket.socket) -> None:
        self._lane = lane
        self._flow: ip.UdpFlow | None = None
        with contextlib.suppress(OSError, ValueError):
            self._flow = ip.UdpFlow(_end(sock.getsockname()), _end(sock.getpeername()))

    def datagram(self, direction: Direction, data: bytes) -> None:
        """Record one datagram."""
        if self._flow is not None:
            self._lane.record(direction, self._flow.datagram(direction, data))
