"""DTR and RTS for pseudo-terminals, which have none: their ioctls (tty_ioctl(2): TIOCMGET, TIOCMBIS, TIOCMBIC) are
answered by a thread that the kernel asks (seccomp_unotify(2)), so that a driver's real system calls meet real errors.

``install`` holds for the calling thread and every thread and process it starts, for good: for a process of its own.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import struct
import termios
import threading
from collections.abc import Callable
from typing import Any, Final

Answer = Callable[[int, int], "tuple[int, int] | None"]
"""Given request and bits, returns an error number (0 for none) and bits; None: it will be answered by ``later``."""

_SECCOMP: Final = {"x86_64": (317, 16, 0xC000003E), "aarch64": (277, 29, 0xC00000B7)}
"""Numbers of seccomp(2) and ioctl(2), and the audit architecture."""
_NO_NEW_PRIVILEGES, _SET_FILTER, _NEW_LISTENER = 38, 1, 1 << 3
_ASK, _ALLOW = 0x7FC00000, 0x7FFF0000
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_LOAD, _EQUAL, _AT_LEAST, _ABOVE, _RETURN = 0x20, 0x15, 0x35, 0x25, 0x06


class Unavailable(Exception):
    """This host's kernel asks nobody: no seccomp with a listener, or another machine."""


class ModemLines:
    """Who is asked for the lines of each terminal, by its device number."""

    def __init__(self) -> None:
        self.terminals: dict[int, Answer] = {}
        self._listener = -1
        self._asked: dict[int, int] = {}
        """Where the bits of a TIOCMGET that waits are to be written."""

    def install(self) -> None:
        """Be asked from now on. Raises Unavailable."""
        if platform.machine() not in _SECCOMP:
            raise Unavailable(f"seccomp on {platform.machine()}")
        number, ioctl, machine = _SECCOMP[platform.machine()]
        program = [
            (_LOAD, 0, 0, 4), (_EQUAL, 0, 6, machine), (_LOAD, 0, 0, 0), (_EQUAL, 0, 4, ioctl), (_LOAD, 0, 0, 24),
            (_AT_LEAST, 0, 2, termios.TIOCMGET), (_ABOVE, 1, 0, termios.TIOCMSET), (_RETURN, 0, 0, _ASK),
            (_RETURN, 0, 0, _ALLOW),
        ]  # fmt: skip
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
        filters = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        self._listener = libc.syscall(number, _SET_FILTER, _NEW_LISTENER, filters)
        if self._listener < 0:
            raise Unavailable(f"seccomp with a listener: {os.strerror(ctypes.get_errno())}")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            asked = bytearray(80)
            try:
                fcntl.ioctl(self._listener, _RECEIVE, asked)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue
                raise
            ticket, fd, request, pointer = *struct.unpack_from("=Q", asked), *struct.unpack_from("=3Q", asked, 32)
            try:
                answer = self.terminals.get(os.fstat(fd).st_rdev)
            except OSError:
                answer = None
            bits = 0 if request == termios.TIOCMGET else struct.unpack("=I", ctypes.string_at(pointer, 4))[0]
            self._asked[ticket] = pointer if request == termios.TIOCMGET else 0
            told = (errno.ENOTTY, 0) if answer is None else answer(request, bits)
            if told is None:
                threading.Timer(LATE, self._tell, (ticket, errno.EPROTO, 0)).start()
            else:
                self._tell(ticket, *told)

    def _tell(self, ticket: int, error: int, bits: int) -> None:
        pointer = self._asked.pop(ticket)
        if pointer and not error:
            ctypes.memmove(pointer, struct.pack("=I", bits), 4)
        try:
            fcntl.ioctl(self._listener, _SEND, struct.pack("=QqiI", ticket, 0, -error, 0))
        except OSError as gone:  # who asked was interrupted
            if gone.errno != errno.ENOENT:
                raise


LATE: Final = 0.5
"""Seconds after which a call that hangs ends, with an error of the bus."""
_lines: list[Any] = []


def installed() -> ModemLines:
    """Return the one of this process. Raises Unavailable."""
    if not _lines:
        made = ModemLines()
        made.install()
        _lines.append(made)
    found: ModemLines = _lines[0]
    return found
