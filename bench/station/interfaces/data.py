"""The device's data connection."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bench.trace.lane import Lane


class ByteStream(Protocol):
    """A connected byte stream."""

    async def read(self, limit: int = 65536) -> bytes:
        """Return what has come, b'' at the end."""

    async def write(self, data: bytes) -> None:
        """Send."""

    async def close(self) -> None:
        """Close."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One HTTPS exchange over the device's data path."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    bytes_sent: int = 0
    bytes_received: int = 0


@runtime_checkable
class BoundPath(Protocol):
    """A data path whose sockets have to be bound to it: unbound ones take the host's own way."""

    name_servers: tuple[str, ...]
    """DNS servers of the PDP context, set by whoever activates it; empty: not known."""

    def bind(self, sock: socket.socket) -> socket.socket:
        """Bind a socket before it is connected. Raises InstrumentError when the interface is not there."""


@runtime_checkable
class TappedPath(Protocol):
    """A data path that can have what its sockets carry recorded."""

    lane: Lane | None
    """Lane ``ip:NAME`` for whole IP packets; None: nothing is recorded."""


class DataPath(Protocol):
    """The device's data connection (bench.toml ``data.path``). Every ``timeout`` is in seconds of station time.

    What waits raises InstrumentTimeout when its time is over, InstrumentError with the reason otherwise.
    """

    bearer: str
    """``host`` (not the radio), ``interface:NAME``, ``proxy:URL`` or ``modem``."""
    proxy: str | None
    """URL of an HTTP CONNECT proxy that leads through the device's link, None when sockets connect directly."""

    async def resolve(self, name: str, *, server: str, timeout: float) -> tuple[str, ...]:
        """Resolve ``name`` at the DNS server of the PDP context over the data path."""

    async def connect(self, host: str, port: int, *, timeout: float) -> ByteStream:
        """Open a TCP connection over the data path."""

    async def counters(self) -> tuple[int, int]:
        """Return bytes sent and received by the device on this path so far."""
