"""What SCPI emulators tell of a device and of themselves, as text to values; no I/O.

Every function takes whatever may come and raises AnswerError for what is no answer to its question: garbage or another
question's answer is never "nobody is attached".
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from instruments.scpi import parse
from instruments.scpi.parse import AnswerError

_NONE = frozenset({"", "NAV", "INV", "NCAP", "OFF", "NONE", "N/A"})
"""How an emulator says that there is nothing to tell: R&S by NAV, INV and NCAP, others by an empty string."""


@dataclass(frozen=True, slots=True)
class CellReading:
    """What an answer says of a cell; neither ``on`` nor ``off`` while it is on its way."""

    text: str
    on: bool
    off: bool


def switched(answer: str) -> CellReading:
    """Read a plain ON or OFF. Raises AnswerError."""
    on = parse.boolean(answer)
    return CellReading("ON" if on else "OFF", on, not on)


def imsi(answer: str) -> str:
    """Read an IMSI of 6 to 15 digits, empty where there is none. Raises AnswerError."""
    return _digits(answer, "IMSI", 6, 15)


def imei(answer: str) -> str:
    """Read an IMEI (15 digits, or 14 without its check digit) or IMEISV (16), empty where there is none.

    Raises AnswerError.
    """
    return _digits(answer, "IMEI", 14, 16)


def _digits(answer: str, what: str, shortest: int, longest: int) -> str:
    text = parse.text(answer)
    if text.upper() in _NONE or not text.strip("-"):
        return ""
    if not re.fullmatch(rf"[0-9]{{{shortest},{longest}}}", text):
        raise AnswerError(f"'{answer.strip()[:60]}' is no {what}")
    return text


def addresses(answer: str) -> tuple[str, ...]:
    """Read IP addresses with commas between them; those of a device without one are none. Raises AnswerError."""
    parts = [part.strip(" \"'") for part in answer.split(",")]
    told = [part for part in parts if part.upper() not in _NONE]
    try:
        return tuple(part for part in told if not ipaddress.ip_address(part).is_unspecified)
    except ValueError:
        raise AnswerError(f"'{answer.strip()[:60]}' is no IP address") from None


def installed(answer: str) -> list[str]:
    """Read *OPT? (IEEE 488.2 section 10.20): names with commas between them, 0 for none. Raises AnswerError."""
    parts = [part.strip() for part in parse.text(answer).split(",")]
    if any(not re.fullmatch(r"[A-Za-z0-9_./:+ -]{0,64}", part) for part in parts):
        raise AnswerError(f"'{answer.strip()[:60]}' is no list of options")
    return [part for part in parts if part not in ("", "0")]
