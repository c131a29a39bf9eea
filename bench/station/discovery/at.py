"""Asking a serial port who is behind it: a modem (AT), or a relay board that echoes and prompts. Blocking, bounded.

A port that another program has open is never opened: the answers would be torn between the two. The list of commands
is short, because there are modems that stop answering at a rare one; nothing is changed that outlives the question.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from bench.station.host import MODEM_MANAGER, Holder, Host

State = Literal["modem", "relay", "silent", "other", "held", "refused", "gone"]

ANSWER = 1.0
"""Seconds for one answer."""
_TRIES: Final = 2
_SPEEDS: Final = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
    230400: termios.B230400,
    460800: termios.B460800,
    921600: termios.B921600,
}
_IMEI: Final = re.compile(r"\d{14,16}")
_LIMIT: Final = 4096
"""Bytes of an answer that are looked at: a port that chatters is no modem that answers."""


@dataclass(frozen=True, slots=True)
class PortAnswer:
    """What came of asking a port."""

    state: State
    text: str = ""
    hint: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    """IMEI of a modem, id of a relay board."""
    holders: tuple[Holder, ...] = field(default=())


def held(device: str, holders: Sequence[Holder]) -> PortAnswer:
    """Return the answer for a port that others have open, with what to do."""
    who = ", ".join(map(str, holders))
    if any(holder.name == MODEM_MANAGER for holder in holders):
        hint = (
            "sudo systemctl mask --now ModemManager, or leave it this device: "
            'ENV{ID_MM_DEVICE_IGNORE}="1" in a udev rule'
        )
    else:
        hint = f"end it (kill {holders[0].pid}) or use another port"
    return PortAnswer("held", f"{device} is held by {who}", hint, holders=tuple(holders))


def ask(device: str, host: Host, *, baudrate: int = 115_200, answer: float | None = None) -> PortAnswer:
    """Ask who is behind a port, within about six times ``answer`` seconds (default ``ANSWER``). Never raises.

    Nothing is sent to a port that another process holds.
    """
    holders = host.holders(device)
    if holders:
        return held(device, holders)
    access = host.access(device)
    if not access.allowed:
        return PortAnswer("refused", access.text, access.remedy)
    try:
        fd = os.open(host.path(device), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EACCES, errno.EPERM):
            text = f"{device} is in use by a program of another user, or not allowed: {(error.strerror or '').lower()}"
            return PortAnswer("held", text, f"sudo fuser -v {device}")
        return PortAnswer("gone", f"{device}: {(error.strerror or str(error)).lower()}")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # what pyserial's exclusive=True takes
        return _Port(fd, ANSWER if answer is None else answer, baudrate).ask()
    except BlockingIOError:
        return PortAnswer("held", f"{device} is locked by another program", f"sudo fuser -v {device}")
    except (OSError, termios.error) as error:
        return PortAnswer("gone", f"{device} went away: {error}")
    finally:
        os.close(fd)


class _Port:
    def __init__(self, fd: int, answer: float, baudrate: int) -> None:
        self._fd = fd
        self._answer = answer
        self._before = termios.tcgetattr(fd)
        raw = termios.tcgetattr(fd)
        raw[0] = raw[1] = raw[3] = 0
        # Without HUPCL: a modem must not see DTR fall when this is over.
        raw[2] = (raw[2] & ~(termios.CSIZE | termios.PARENB | termios.CSTOPB | termios.HUPCL)) | termios.CS8
        raw[2] |= termios.CREAD | termios.CLOCAL
        speed = _SPEEDS.get(baudrate, termios.B115200)
        raw[4] = raw[5] = speed
        termios.tcsetattr(fd, termios.TCSANOW, raw)
        termios.tcflush(fd, termios.TCIFLUSH)

    def ask(self) -> PortAnswer:
        try:
            return self._ask()
        finally:
            try:
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
            except termios.error:
                pass

    def _ask(self) -> PortAnswer:
        heard = b""
        for _ in range(_TRIES):
            heard = self._exchange(b"AT\r")
            if _final(heard) == "OK":
                return self._modem()
            if heard.rstrip().endswith(b">") and b"AT" in heard:
                return self._relay()
        if not heard:
            return PortAnswer("silent", "nothing answers AT", "is the device on? it may be a console or a data port")
        shown = " ".join(heard.decode("latin-1").split())[:60]
        return PortAnswer("other", f"what answers is no modem: {shown!r}", "a console of the device?")

    def _modem(self) -> PortAnswer:
        values = []
        for line in (b"AT+CGMI\r", b"AT+CGMM\r", b"AT+CGMR\r", b"AT+CGSN\r"):
            heard = self._exchange(line)
            values.append(information(heard, line.decode().strip()) if _final(heard) == "OK" else "")
        manufacturer, model, firmware, serial = values
        found = _IMEI.search(serial)
        imei = found.group(0) if found else ""
        return PortAnswer("modem", "answers AT", "", manufacturer, model, firmware, imei)

    def _relay(self) -> PortAnswer:
        """A board that echoes and prompts (Numato): ``ver`` and ``id get`` change nothing."""
        version, serial = (information(self._exchange(line), line.decode().strip()) for line in (b"ver\r", b"id get\r"))
        return PortAnswer("relay", "echoes and prompts as a relay board", "", "", "relay board", version, serial)

    def _exchange(self, line: bytes) -> bytes:
        """Send a line and return what comes until a final result, a prompt, or the end of the time."""
        os.write(self._fd, line)
        until = time.monotonic() + self._answer
        heard = b""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while (left := until - time.monotonic()) > 0 and len(heard) < _LIMIT:
            if not poll.poll(left * 1000):
                break
            chunk = os.read(self._fd, 4096)
            if not chunk:
                raise OSError(errno.EIO, "end of file")
            heard += chunk
            if _final(heard) or heard.endswith((b"\n>", b"\r>", b"\r> ", b"\n> ")):
                break
        return heard


def _final(heard: bytes) -> str:
    """Return the final result code in what was heard, '' while there is none."""
    for line in re.split(rb"[\r\n]+", heard):
        text = line.decode("latin-1").strip()
        if text in ("OK", "ERROR") or text.startswith(("+CME ERROR", "+CMS ERROR")):
            return text
    return ""


def information(heard: bytes, command: str) -> str:
    """Return the first line of information in an answer: no echo, no result code, no URC; prefix and quotes dropped."""
    name = command.removeprefix("AT").rstrip("?")
    for line in re.split(r"[\r\n>]+", heard.decode("latin-1")):
        text = line.strip(" \t\0")
        if not text or text == command or text in ("OK", "ERROR"):
            continue
        if name.startswith("+") and text.startswith(f"{name}:"):
            text = text.partition(":")[2]
        elif text.startswith(("+", "^", "%", "#", "*")) or text in ("RDY", "APP RDY"):
            continue
        return text.strip().strip('"')[:64]
    return ""
