"""SCPI for the safe process: blocking, a fresh connection, a deadline for everything, and no PyVISA for TCP sockets.

The safe sequence must be over in a second, and importing PyVISA alone takes a part of it.
"""

from __future__ import annotations

import socket
import time
from types import TracebackType

from bench.errors import InstrumentError, InstrumentTimeout
from bench.station.interfaces import Identity
from instruments.scpi import parse
from instruments.scpi.link import ConnectionLost, VisaLink

_AGAIN = 0.1
_ANSWER = 1.0
_BY_HAND = "switch off by hand"


class DirectScpi:
    """A blocking connection that lives until ``until`` (monotonic seconds)."""

    def __init__(self, resource: str, *, until: float) -> None:
        self.resource = resource
        self.until = until
        self._address = parse.tcp_socket(resource)
        self._socket: socket.socket | None = None
        self._link: VisaLink | None = None
        self._rest = b""

    def left(self) -> float:
        """Return the seconds left. Raises InstrumentTimeout when there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise InstrumentTimeout("the deadline is over", where=self.resource, hint=_BY_HAND)
        return left

    def open(self) -> None:
        """Connect, again and again until the deadline: the dead owner's connection may have to time out first."""
        while True:
            try:
                self._connect()
                return
            except ConnectionLost:
                if self.left() <= _AGAIN:
                    raise
                time.sleep(_AGAIN)

    def _connect(self) -> None:
        self.close()
        if self._address is None:
            self._link = VisaLink(self.resource, open_timeout=min(self.left(), 3.0))
            self._link.open()
            return
        try:
            self._socket = socket.create_connection(self._address, timeout=min(self.left(), 3.0))
        except OSError as error:
            raise ConnectionLost(
                f"cannot connect: {(error.strerror or str(error)).lower()}", where=self.resource
            ) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close what is open."""
        sock, self._socket = self._socket, None
        link, self._link = self._link, None
        self._rest = b""
        if sock is not None:
            sock.close()
        if link is not None:
            link.close()

    def __enter__(self) -> DirectScpi:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, command: str) -> None:
        """Send a command. Raises ConnectionLost."""
        if self._link is not None:
            self._link.write(command)
            return
        if self._socket is None:
            raise ConnectionLost("not connected", where=self.resource)
        try:
            self._socket.settimeout(min(self.left(), _ANSWER))
            self._socket.sendall(command.encode("ascii", "replace") + b"\n")
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}", where=self._where(command)) from error

    def query(self, command: str) -> str:
        """Send a query and return its answer. Raises InstrumentTimeout, ConnectionLost."""
        self.write(command)
        timeout = min(self.left(), _ANSWER)
        if self._link is not None:
            return self._link.read(command, timeout).decode("latin-1").strip()
        assert self._socket is not None
        until = time.monotonic() + timeout
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left <= 0:
                raise InstrumentTimeout(f"no answer within {timeout:.2g} s", where=self._where(command), hint=_BY_HAND)
            self._socket.settimeout(left)
            try:
                chunk = self._socket.recv(65536)
            except TimeoutError:
                continue
            except OSError as error:
                raise ConnectionLost(f"the connection broke: {error}", where=self._where(command)) from error
            if not chunk:
                raise ConnectionLost("the instrument closed the connection", where=self._where(command))
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("latin-1").strip()

    def _where(self, command: str) -> str:
        return f"{self.resource}: {parse.shown(command)}"

    def check_serial(self, serial: str) -> Identity:
        """Ask *IDN? and compare the serial number with the pinned one, if there is one. Raises InstrumentError."""
        found = parse.identity(self.query("*IDN?"))
        if serial and found.serial != serial:
            raise InstrumentError(
                f"serial number '{found.serial}' answers instead of '{serial}': not touched",
                where=self.resource,
                hint="another instrument has this address now: switch off by hand, and correct 'resource'",
            )
        return found
