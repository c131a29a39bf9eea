"""A serial port with somebody behind it: a pty whose far end answers every line, from a thread."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def port(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """Yield the device; ``answer`` is given each line without its end (CR or LF) and returns what is said to it."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def serve() -> None:
        line = b""
        while True:
            try:
                byte = os.read(master, 1)
            except OSError:
                return
            line += byte
            if byte in (b"\r", b"\n"):
                os.write(master, answer(line.strip()))
                line = b""

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        os.close(master)


NUMATO = {b"ver": b"ver\n\r00000008\n\r>", b"id get": b"id get\n\rAB12CD34\n\r>"}


def numato(line: bytes) -> bytes:
    """Answer as a Numato relay board does: it echoes and prompts; every relay is off."""
    return NUMATO.get(line, line + (b"\n\roff\n\r>" if line.startswith(b"relay read") else b"\n\r>"))
