"""The process that holds the one connection of an instrument which several stations use, each for a channel of its own.

Why a process, and why TCP: many supplies take a single client, or a second one only on paper, and some do not bear
being connected to for every exchange; so one process keeps the connection and the stations take turns. It listens on
127.0.0.1, because so no driver and no library need to know about it: the resource of a station leads there instead
(``bench.station.sharing``). It is started on demand, belongs to nobody's process group, and ends by itself when its
last client has gone. A lock file names its port; the kernel frees the lock when it dies, however it dies.

A turn is a transaction: a query is over with its answer; a command is over when its sender has found the error queue
empty, or has been silent for ``HOLD`` s, so that nobody reads the error of another. What a client left behind in the
middle of an exchange is never answered to the next: the connection to the instrument is made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import socket
import sys
from collections.abc import Callable
from typing import Final

HOLD: Final = 0.25
"""Seconds of silence after a command that end a turn."""
LINGER: Final = 2.0
"""Seconds without clients after which the broker ends: the instrument is then free for other programs."""
CONNECT: Final = 3.0
DRAIN: Final = 1.0
"""Seconds in which an answer that nobody waits for any more may still come."""
_FREE: Final = 0.05
"""Seconds that an instrument of one session is given to see that the last connection is closed."""
_LIMIT: Final = 64 << 20
"""Longest answer in bytes: a record of a fast log."""
_ERROR_QUERY: Final = re.compile(rb"(ERR(or)?(:NEXT)?|EER|QER)\?\s*$", re.IGNORECASE)
_NO_ERROR: Final = re.compile(rb"\s*[+-]?0(\D|$)")
_QUOTED: Final = re.compile(rb"\"[^\"]*\"|'[^']*'")


def asks(line: bytes) -> bool:
    """Whether a program message is a query: a question mark outside of strings."""
    return b"?" in _QUOTED.sub(b"", line)


class _Watched(asyncio.StreamReader):
    """A reader that tells when the other side has gone, also while nobody reads."""

    def __init__(self, gone: Callable[[], None]) -> None:
        super().__init__(limit=_LIMIT)
        self._gone = gone

    def feed_eof(self) -> None:
        super().feed_eof()
        self._gone()

    def set_exception(self, exc: BaseException) -> None:
        super().set_exception(exc)  # type: ignore[arg-type]
        self._gone()


class Instrument:
    """The one connection to the instrument; made when it is needed."""

    def __init__(self, host: str, port: int) -> None:
        self.on_lost: Callable[[], None] = lambda: None
        """Called when the instrument has closed the connection; not for ``drop``."""
        self._address = (host, port)
        self._used = False
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection that the instrument has not closed, as far as is known."""
        return self._writer is not None and self._reader is not None and not self._reader.at_eof()

    async def write(self, line: bytes) -> None:
        """Send one line, connecting first where there is no connection. Raises OSError, TimeoutError."""
        if not self.connected:
            if self._used:
                self.drop()
                await asyncio.sleep(_FREE)
            self._used = True
            loop = asyncio.get_running_loop()
            reader = _Watched(lambda: self._lost(reader))
            async with asyncio.timeout(CONNECT):
                transport, protocol = await loop.create_connection(
                    lambda: asyncio.StreamReaderProtocol(reader), *self._address
                )
            self._reader, self._writer = reader, asyncio.StreamWriter(transport, protocol, reader, loop)
            sock = self._writer.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert self._writer is not None
        self._writer.write(line)
        await self._writer.drain()

    async def answer(self) -> bytes:
        """Return one answer with its end: a line, or a definite length block (IEEE 488.2 section 8.7.9).

        Raises OSError when the instrument closes before it is whole.
        """
        reader = self._reader
        if reader is None:
            raise ConnectionResetError("not connected")
        try:
            first = await reader.readexactly(1)
            if first != b"#":
                rest = b"" if first == b"\n" else await reader.readuntil(b"\n")
                return first + rest
            digits = await reader.readexactly(1)
            if not digits.isdigit() or digits == b"0":
                return first + digits + await reader.readuntil(b"\n")
            length = await reader.readexactly(int(digits))
            block = await reader.readexactly(int(length))
            return first + digits + length + block + await reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise ConnectionResetError(f"the answer broke off: {error}") from error

    def _lost(self, reader: asyncio.StreamReader) -> None:
        if reader is self._reader:
            self.on_lost()

    def drop(self) -> None:
        """Close the connection: nothing of it is answered to anybody any more."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()


class Broker:
    """Lets clients take turns at one instrument."""

    def __init__(self, instrument: Instrument, *, hold: float = HOLD) -> None:
        self.clients: set[asyncio.StreamWriter] = set()
        self.idle = asyncio.Event()
        self.idle.set()
        self._instrument = instrument
        self._instrument.on_lost = self._begin_anew
        self._hold = hold
        self._turn = asyncio.Lock()
        self._talking: set[asyncio.StreamWriter] = set()
        """Clients that have said something; the others only keep the broker (``sharing.Way``)."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it or the instrument goes away."""
        self.clients.add(writer)
        self.idle.clear()
        sock = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._client(reader, writer)
        except (OSError, TimeoutError):
            self._begin_anew()
        finally:
            self.clients.discard(writer)
            self._talking.discard(writer)
            writer.transport.abort()
            if not self.clients:
                self._instrument.drop()
                self.idle.set()

    def _begin_anew(self) -> None:
        """Close every connection: who answers after this must be asked who it is, by every client."""
        self._instrument.drop()
        for client in self.clients & self._talking:
            client.transport.abort()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await _line(reader)
        self._talking.add(writer)
        while line:
            async with self._turn:
                line = await self._transaction(line, reader, writer)
            if not line:
                line = await _line(reader)

    async def _transaction(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Carry out lines until the turn is over; return a line of this client that came too early, else b''."""
        unchecked = False
        while line:
            await self._instrument.write(line)
            following: asyncio.Future[bytes] | None = None
            if asks(line):
                answer, following = await self._answered(reader)
                if answer is None:
                    return b""
                with contextlib.suppress(OSError):  # a client that has just gone; the instrument's answer is taken
                    writer.write(answer)
                    await writer.drain()
                if _ERROR_QUERY.search(line.rstrip()) and _NO_ERROR.match(answer):
                    unchecked = False
            else:
                unchecked = True
            if not unchecked:
                return await following if following is not None else b""
            line = await self._next(reader, following)
        return b""

    async def _answered(self, reader: asyncio.StreamReader) -> tuple[bytes | None, asyncio.Future[bytes] | None]:
        """Wait for the instrument's answer; None when the client has gone meanwhile, and with it the connection.

        Returns also the wait for the client's next line, when one has begun to come.
        """
        answering = asyncio.ensure_future(self._instrument.answer())
        following = asyncio.ensure_future(_line(reader))
        try:
            await asyncio.wait({answering, following}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done() and following.done() and not following.result():
                # Its answer is taken and thrown away; one that does not come leaves with the connection.
                await asyncio.wait({answering}, timeout=DRAIN)
                if not answering.done() or answering.exception() is not None:
                    self._instrument.drop()
                return None, None
            answer = await answering
        finally:
            answering.cancel()
            if not following.done():
                # Cancelling readline takes nothing out of the reader's buffer.
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await following
                following = None  # type: ignore[assignment]
        return answer, following

    async def _next(self, reader: asyncio.StreamReader, following: asyncio.Future[bytes] | None) -> bytes:
        """Return the client's next line within the time that a turn is kept for it, b'' when there is none."""
        if following is not None:
            return await following
        try:
            async with asyncio.timeout(self._hold):
                return await _line(reader)
        except TimeoutError:
            return b""


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line of a client, b'' at its end."""
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return b""
    except (asyncio.LimitOverrunError, OSError):
        return b""
    return line


# --- the process ------------------------------------------------------------------------------------------------------


async def _run(listener: socket.socket, host: str, port: int, linger: float) -> None:
    broker = Broker(Instrument(host, port))
    server = await asyncio.start_server(broker.serve, sock=listener, limit=_LIMIT)
    async with server:
        while True:
            await broker.idle.wait()
            await asyncio.sleep(linger)
            if not broker.clients:
                return


def main(argv: list[str]) -> int:
    """``HOST PORT LOCKFILE``: take the lock, listen, tell the port on stdout, go on in the background.

    Prints ``{"port": 0}`` when another broker has the lock.
    """
    host, port, path = argv[1], int(argv[2]), argv[3]
    lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(json.dumps({"port": 0}), flush=True)
        return 0
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    chosen = listener.getsockname()[1]
    told = json.dumps({"port": chosen})
    if os.fork():
        print(told, flush=True)
        os._exit(0)
    os.setsid()
    text = json.dumps({"what": f"broker of {host}:{port}", "pid": os.getpid(), "port": chosen}).encode()
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    asyncio.run(_run(listener, host, port, LINGER))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
