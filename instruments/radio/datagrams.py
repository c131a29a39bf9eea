"""The UDP port on which GSMTAP arrives from a program beside the bench."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Final

from bench.errors import InstrumentError

_AT_ONCE: Final = 256
"""Datagrams read in one turn of the event loop."""

Taken = Callable[[bytes, int, int], None]
"""Told a datagram, the UDP port it came from, and the wall time in ns at which it was read."""


class Datagrams:
    """Takes datagrams on an address of the loopback network."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._socket: socket.socket | None = None

    def open(self, host: str, port: int) -> int:
        """Listen; ``port`` 0 for any free one. Returns the port. Raises InstrumentError when it is taken."""
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        found.setblocking(False)
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        try:
            found.bind((host, port))
        except OSError as error:
            found.close()
            raise InstrumentError(
                f"UDP port {port} of {host} cannot be opened: {error.strerror}",
                hint="another program takes GSMTAP there; choose another address of 127.0.0.0/8",
            ) from error
        self._socket = found
        asyncio.get_running_loop().add_reader(found, self._readable)
        return int(found.getsockname()[1])

    def _readable(self) -> None:
        assert self._socket is not None
        for _ in range(_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(65536)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error of an earlier datagram
                continue
            self._taken(data, int(source[1]), time.time_ns())

    def close(self) -> None:
        """Read what is there and close."""
        if self._socket is not None:
            self._readable()
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
