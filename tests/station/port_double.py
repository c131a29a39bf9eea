"""A serial port or a TCP port with somebody behind it, served from threads."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def port(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """A pty whose far end answers every line; yields its device.

    ``answer`` is given each line without its end (CR or LF) and returns what is said to it.
    """
    master, slave = os.openpty()
    tty.setraw(slave)
    ended, end = os.pipe()

    def serve() -> None:
        line = b""
        while True:
            if ended in select.select([master, ended], [], [])[0]:
                return
            try:
                byte = os.read(master, 1)
            except OSError:
                return
            line += byte
            if byte in (b"\r", b"\n"):
                os.write(master, answer(line.strip()))
                line = b""

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(end)
        thread.join()  # before the numbers of its descriptors are another double's
        for descriptor in (slave, master, ended):
            os.close(descriptor)


NUMATO = {b"ver": b"ver\n\r00000008\n\r>", b"id get": b"id get\n\rAB12CD34\n\r>"}


def numato(line: bytes) -> bytes:
    """Answer as a Numato relay board does: it echoes and prompts; every relay is off."""
    return NUMATO.get(line, line + (b"\n\roff\n\r>" if line.startswith(b"relay read") else b"\n\r>"))


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that gives each connection to ``serve`` in a thread of its own and closes it. Yields the port."""
    server = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # a client that goes away, or refuses a certificate
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
