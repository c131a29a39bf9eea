"""The secrets of TLS and DTLS sessions, from the library that made them to whoever records (NSS key log format).

Only contexts that carry what a trace records are given to ``watch``. Nothing happens there unless this process was told
to ``start``, or has SSLKEYLOGFILE in its environment as curl and browsers have it. Lines go through a pipe: they are
never in a file of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import ssl

FILE: Final = "SSLKEYLOGFILE"
_CHUNK: Final = 65536


class KeyLog:
    """Takes the key lines of every context that is watched, and gives each once to ``sink``."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._rest = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def watch(self, context: ssl.SSLContext) -> None:
        """Have a context of the ssl module log here."""
        context.keylog_filename = f"/proc/self/fd/{self._write}"
        self._listen()

    def take(self, line: bytes) -> None:
        """Take one line of another library."""
        self._sink(line.strip())

    def drain(self) -> None:
        """Give on what has come."""
        with self._lock:
            while True:
                try:
                    data = os.read(self._read, _CHUNK)
                except (BlockingIOError, OSError):
                    return
                if not data:
                    return
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    if line and not line.startswith(b"#"):
                        self._sink(line)

    def _listen(self) -> None:
        """Read as lines come, where there is a loop: a pipe that is full would hold up a handshake."""
        with contextlib.suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            if self._loop is not loop:
                self._loop = loop
                loop.add_reader(self._read, self.drain)

    def close(self) -> None:
        """Give on the last lines and end; contexts that still log do it into nothing."""
        self.drain()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._read)
        self._sink = _nowhere
        for fd in (self._write, self._read):
            with contextlib.suppress(OSError):
                os.close(fd)


def _nowhere(_line: bytes) -> None:
    pass


_current: KeyLog | None = None


def start(sink: Callable[[bytes], None]) -> KeyLog:
    """Have the contexts that are watched from now on tell ``sink`` their secrets. One for a process."""
    global _current
    _current = KeyLog(sink)
    return _current


def stop() -> None:
    """End what ``start`` began."""
    global _current
    if _current is not None:
        _current.close()
        _current = None


def drain() -> None:
    """Give on what has come by now, for who is about to write a packet."""
    if _current is not None:
        _current.drain()


def watch(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have the sessions of a context tell their secrets, if this process was told so; return the context."""
    if _current is not None:
        _current.watch(context)
    elif path := os.environ.get(FILE):
        with contextlib.suppress(OSError):
            context.keylog_filename = path
    return context


def watch_dtls(context: Any) -> None:
    """The same for a context of pyOpenSSL."""
    log, path = _current, os.environ.get(FILE)
    if log is not None:
        context.set_keylog_callback(lambda _connection, line: log.take(line))
    elif path:
        context.set_keylog_callback(lambda _connection, line: _append(path, line))


def _append(path: str, line: bytes) -> None:
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, line.strip() + b"\n")
        finally:
            os.close(fd)
