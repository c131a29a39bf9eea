"""One VISA connection, used by one thread: PyVISA with PyVISA-py and the measures against its faults.

- a closed port opens without an error: the socket is asked for its error right after opening;
- a peer that closes makes ``read`` spin until its timeout: the socket is watched (MSG_PEEK) before PyVISA reads;
- a timeout loses part of a line, and a late answer comes with the next query: PyVISA reads only complete lines, and
  after a timeout the connection is closed;
- waits are slices of at most 100 ms, so that whoever waits can be called away.
"""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from typing import Any

from bench.errors import InstrumentError, InstrumentTimeout
from instruments.scpi import parse
from instruments.scpi.parse import AnswerError

SLICE = 0.1
_PEEK = 65536
_HANGS_UP = getattr(select, "POLLRDHUP", 0)
"""The peer has closed, though what it sent before is still to be read (Linux)."""
_PART = 0.002  # seconds between two looks at an unfinished line
_LONGEST_BLOCK = 256 << 20
_opening = threading.Lock()


SILENT = "is it busy, or does it hang? what comes late is thrown away, and the next question asked anew"
"""What to do about an answer that does not come."""


class ConnectionLost(InstrumentError):
    """The connection to the instrument broke, or could not be made."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(
            what, where=where, hint=hint or "is it on, is it on the network, and did no other program take its session?"
        )


class Abandoned(InstrumentError):
    """The exchange was given up because something more urgent came."""


class VisaLink:
    """A connection to one resource. Every method blocks; only ``abandon`` may be called from another thread."""

    def __init__(self, resource: str, *, open_timeout: float = 3.0) -> None:
        self.resource = resource
        self.open_timeout = open_timeout
        self._instrument: Any = None
        self._session: Any = None
        self._socket: socket.socket | None = None
        self._poll: select.poll | None = None
        self._abandon = False

    @property
    def is_open(self) -> bool:
        """Whether a connection exists, as far as this side knows."""
        return self._instrument is not None

    def abandon(self) -> None:
        """End the wait that is going on with Abandoned, within one slice."""
        self._abandon = True

    def prepare(self) -> None:
        """Forget an ``abandon`` that came too late for the exchange it was meant for."""
        self._abandon = False

    def open(self) -> None:
        """Connect. Raises ConnectionLost with the reason."""
        import pyvisa

        try:
            with _opening:
                manager = pyvisa.ResourceManager("@py")
                self._instrument = manager.open_resource(
                    self.resource,
                    open_timeout=int(self.open_timeout * 1000),
                    timeout=int(SLICE * 1000),
                    read_termination="\n",
                    write_termination="\n",
                )
            self._find_socket()
        except InstrumentError:
            self.close()
            raise
        except Exception as error:  # PyVISA-py raises OSError, VisaIOError, ValueError and bare Exception here
            self.close()
            raise ConnectionLost(f"cannot connect: {_reason(error)}", where=self.resource) from error

    def _find_socket(self) -> None:
        """Take the socket out of PyVISA-py, to watch it; other kinds of resource have none."""
        self._session = getattr(self._instrument.visalib, "sessions", {}).get(self._instrument.session)
        found = getattr(self._session, "interface", None)
        if not isinstance(found, socket.socket):
            return
        failed = found.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise ConnectionLost(
                f"cannot connect: {_strerror(failed)}", where=self.resource, hint="is it on, and is the address right?"
            )
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = found
        self._poll = select.poll()
        self._poll.register(found, select.POLLIN | _HANGS_UP)

    def close(self) -> None:
        """Close; what is broken already is no error."""
        instrument, self._instrument = self._instrument, None
        self._socket = self._poll = self._session = None
        if instrument is None:
            return
        try:
            with _opening:
                instrument.close()
        except Exception:  # the connection is gone either way
            pass

    def alive(self) -> bool:
        """Whether the peer has not closed; what it sent unasked is thrown away (and returned by ``stale``)."""
        if self._instrument is None:
            return False
        if self._socket is None:
            return True
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def stale(self) -> bytes:
        """Take what came without a question: the late answer of an earlier one."""
        found = b""
        pending = getattr(self._session, "_pending_buffer", None)
        if pending:
            found = bytes(pending)
            pending.clear()
        if self._socket is not None:
            try:
                found += self._socket.recv(_PEEK, socket.MSG_DONTWAIT)
            except OSError:
                pass
        return found

    def write(self, line: str) -> None:
        """Send one line. Raises ConnectionLost."""
        try:
            self._instrument.write_raw(line.encode("ascii", "replace") + b"\n")
        except Exception as error:
            self.close()
            raise ConnectionLost(f"the connection broke: {_reason(error)}", where=self._where(line)) from error

    def read(self, line: str, timeout: float) -> bytes:
        """Return the answer to ``line`` without its end. Raises InstrumentTimeout, ConnectionLost, Abandoned."""
        until = time.monotonic() + timeout
        if self._socket is None:
            return self._read_blocking(line, timeout)
        return self._take(line, self._await_line(line, until, timeout))

    def look(self, line: str, milliseconds: int) -> bytes | None:
        """Return the answer to ``line`` if it is there within this time, else None: then ``read`` it."""
        if self._socket is None or self._poll is None or self._pending:
            return None
        if not self._poll.poll(milliseconds):
            return None
        try:
            seen = self._socket.recv(_PEEK, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return None  # what is wrong is said by ``read``
        end = seen.find(b"\n") + 1
        return self._take(line, end) if end else None

    @property
    def _pending(self) -> bool:
        """PyVISA-py has read more than it has returned."""
        return bool(getattr(self._session, "_pending_buffer", None))

    def _await_line(self, line: str, until: float, timeout: float) -> int:
        """Wait for a line; return its length, 0 for one that PyVISA is to put together."""
        watched, poll = self._socket, self._poll
        assert watched is not None and poll is not None
        if self._pending:
            return 0
        while True:
            if self._abandon:
                self.close()
                raise Abandoned("given up for something more urgent", where=self._where(line))
            left = until - time.monotonic()
            if left <= 0:
                raise InstrumentTimeout(f"no answer within {timeout:g} s", where=self._where(line), hint=SILENT)
            events = poll.poll(min(SLICE, left) * 1000)
            if not events:
                continue
            try:
                seen = watched.recv(_PEEK, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            except OSError as error:
                self.close()
                raise ConnectionLost(f"the connection broke: {_reason(error)}", where=self._where(line)) from error
            if not seen:
                self.close()
                raise ConnectionLost("the instrument closed the connection", where=self._where(line))
            end = seen.find(b"\n") + 1
            if end or len(seen) >= _PEEK:
                return end
            if events[0][1] & _HANGS_UP:
                self.close()
                raise ConnectionLost("the instrument closed the connection in its answer", where=self._where(line))
            time.sleep(_PART)

    def _take(self, line: str, length: int) -> bytes:
        """Return a line of ``length`` bytes that is there; 0: as long as it is."""
        try:
            if length and self._socket is not None:
                answer = self._socket.recv(length, socket.MSG_DONTWAIT)
            else:
                answer = self._instrument.read_raw()
        except Exception as error:
            self.close()
            raise ConnectionLost(f"the answer broke off: {_reason(error)}", where=self._where(line)) from error
        return answer.rstrip(b"\r\n")

    def _read_blocking(self, line: str, timeout: float) -> bytes:
        """Read from USB, GPIB, VXI-11 or a serial line, where a slice would lose what has come already."""
        import pyvisa

        self._instrument.timeout = max(1, int(timeout * 1000))
        try:
            return self._take_raw(line)
        except pyvisa.errors.VisaIOError as error:
            if error.error_code == pyvisa.constants.StatusCode.error_timeout:
                raise InstrumentTimeout(
                    f"no answer within {timeout:g} s", where=self._where(line), hint=SILENT
                ) from error
            self.close()
            raise ConnectionLost(f"the connection broke: {_reason(error)}", where=self._where(line)) from error

    def _take_raw(self, line: str) -> bytes:
        try:
            answer: bytes = self._instrument.read_raw()
        except OSError as error:
            self.close()
            raise ConnectionLost(f"the connection broke: {_reason(error)}", where=self._where(line)) from error
        return answer.rstrip(b"\r\n")

    def read_block(self, line: str, timeout: float) -> bytes:
        """Return the contents of a definite length block ``#<n><length><data>`` (IEEE 488.2 section 8.7.9).

        Raises InstrumentTimeout, ConnectionLost, Abandoned; AnswerError for what is no block: then it is closed, for
        nobody knows where the next answer begins.
        """
        if self._socket is None:
            return self._read_block_blocking(line, timeout)
        until = time.monotonic() + timeout
        buffer = bytearray(getattr(self._session, "_pending_buffer", b""))
        if buffer:
            self._session._pending_buffer.clear()
        self._fill(buffer, 2, line, until, timeout)
        size = self._block_header(bytes(buffer[:2]), line)
        self._fill(buffer, 2 + size, line, until, timeout)
        length = self._block_length(bytes(buffer[2 : 2 + size]), line)
        end = 2 + size + length
        self._fill(buffer, end + 1, line, until, timeout)  # the line's end belongs to the answer
        if buffer[end] == 13:
            self._fill(buffer, end + 2, line, until, timeout)
        return bytes(buffer[2 + size : end])

    def _block_header(self, head: bytes, line: str) -> int:
        if not re.fullmatch(rb"#[1-9]", head):
            self.close()
            raise AnswerError(f"{head!r} begins no data block", where=self._where(line))
        return head[1] - 48

    def _block_length(self, digits: bytes, line: str) -> int:
        if not digits.isdigit() or int(digits) > _LONGEST_BLOCK:
            self.close()
            raise AnswerError(f"{digits!r} is no length of a data block", where=self._where(line))
        return int(digits)

    def _fill(self, buffer: bytearray, size: int, line: str, until: float, timeout: float) -> None:
        """Receive until ``buffer`` holds ``size`` bytes."""
        watched, poll = self._socket, self._poll
        assert watched is not None and poll is not None
        while len(buffer) < size:
            if self._abandon:
                self.close()
                raise Abandoned("given up for something more urgent", where=self._where(line))
            left = until - time.monotonic()
            if left <= 0:
                raise InstrumentTimeout(
                    f"no complete data block within {timeout:g} s",
                    where=self._where(line),
                    hint="a longer 'timeout' in options, or a shorter record",
                )
            if not poll.poll(min(SLICE, left) * 1000):
                continue
            try:
                chunk = watched.recv(min(1 << 20, max(size - len(buffer), 2)), socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            except OSError as error:
                self.close()
                raise ConnectionLost(f"the connection broke: {_reason(error)}", where=self._where(line)) from error
            if not chunk:
                self.close()
                raise ConnectionLost("the instrument closed the connection", where=self._where(line))
            buffer += chunk

    def _read_block_blocking(self, line: str, timeout: float) -> bytes:
        """Read a block from USB, GPIB or VXI-11."""
        self._instrument.timeout = max(1, int(timeout * 1000))
        try:
            head = self._instrument.read_bytes(2)
            size = self._block_header(head, line)
            length = self._block_length(self._instrument.read_bytes(size), line)
            data: bytes = self._instrument.read_bytes(length)
            self._instrument.read_bytes(1)
        except InstrumentError:
            raise
        except Exception as error:
            self.close()
            raise ConnectionLost(f"the data block broke off: {_reason(error)}", where=self._where(line)) from error
        return data

    def clear(self) -> None:
        """Bring the connection into a known state after a timeout: a socket is closed, others get a device clear."""
        if self._socket is not None or self._instrument is None:
            self.close()
            return
        try:
            self._instrument.clear()
        except Exception:
            self.close()

    def _where(self, line: str) -> str:
        return f"{self.resource}: {parse.shown(line)}"


def warm() -> None:
    """Import PyVISA and its backend, which takes about 60 ms, before the first connection."""
    import pyvisa

    with _opening:
        pyvisa.ResourceManager("@py")


def _strerror(number: int) -> str:
    import os

    return os.strerror(number).lower()


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).strip() or type(error).__name__
