"""Lines of a USB relay board that speaks Numato Lab's ASCII protocol: what to send, what the answer says. No I/O.

A command ends with CR. The board echoes it, writes what there is to answer with LF CR around it, and then ``>``. Relays
are named 0 to 9 and A to V. It says nothing about a command that it does not understand.
"""

from __future__ import annotations

import re

from bench.errors import InstrumentError

PROMPT = b">"
MAX_ANSWER = 512
"""Bytes after which what comes is no answer."""
_NAMES = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
MAX_RELAY = len(_NAMES) - 1
_BREAKS = re.compile(r"[\r\n]+")


def relay_name(number: int) -> str:
    """Return the board's name of a relay (0 to 31). Raises ValueError."""
    if not 0 <= number <= MAX_RELAY:
        raise ValueError(f"there is no relay {number}: 0 to {MAX_RELAY}")
    return _NAMES[number]


def line(command: str) -> bytes:
    """Return a command as it goes to the board."""
    return command.encode("ascii") + b"\r"


def complete(received: bytes) -> bool:
    """Whether the prompt has come."""
    return received.rstrip(b"\r\n \0").endswith(PROMPT)


def caught_up(command: str, received: bytes) -> bool:
    """Whether the answer to ``command`` is the last that came, whatever came before it."""
    echo = re.escape(command.encode())
    return re.search(echo + rb"[\r\n]+[^\r\n>]+[\r\n]+>[\r\n \0]*\Z", received) is not None


def answer(command: str, received: bytes, *, where: str = "") -> str:
    """Return what the board answered to ``command``, '' for nothing: without echo and prompt.

    Raises InstrumentError when the echo is another command's, or when there is more than one line of answer.
    """
    text = received.decode("latin-1").replace("\0", "").rstrip("\r\n ")
    lines = [part.strip() for part in _BREAKS.split(text.removesuffix(">"))]
    lines = [part.lstrip(">").strip() for part in lines if part.strip("> ")]
    if not lines or lines[0] != command:
        raise InstrumentError(
            f"the relay board echoes {repr(lines[0][:40]) if lines else 'nothing'} instead of '{command}'",
            where=where,
            hint="is it a relay board with Numato's ASCII protocol, and does no other program use its port?",
        )
    if len(lines) > 2:
        raise InstrumentError(
            f"the relay board answers {len(lines) - 1} lines to '{command}'",
            where=where,
            hint="does another program use its port?",
        )
    return lines[1] if len(lines) == 2 else ""


def state(command: str, received: bytes, *, where: str = "") -> bool:
    """Return whether ``relay read`` says on. Raises InstrumentError for anything but ``on`` and ``off``."""
    said = answer(command, received, where=where)
    if said not in ("on", "off"):
        raise InstrumentError(
            f"the relay board answers {said[:40]!r} to '{command}'", where=where, hint="does it have this relay?"
        )
    return said == "on"
