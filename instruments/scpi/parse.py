"""SCPI answers as text to values. Nothing here does I/O; every function takes whatever an instrument may send."""

from __future__ import annotations

import math
import re

from bench.errors import InstrumentError
from bench.station.interfaces import Identity

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_UNITS = frozenset({"V", "A", "W", "VA", "S", "HZ", "OHM", "DB", "DBM", "C", "%"})
_ERROR = re.compile(r"\s*([+-]?\d{1,9})\s*(?:[, ]\s*([A-Za-z\"'].*))?", re.DOTALL)
_SOCKET = re.compile(r"TCPIP\d*::(?P<host>[^:\s]+|\[[0-9a-f:]+\])::(?P<port>\d{1,5})::SOCKET", re.IGNORECASE)
_NOT_A_NUMBER = 9.9e37  # 9.91E37 is SCPI's NaN, 9.9E37 its infinity (SCPI-99 volume 1, 7.2.1.4 and 7.2.1.5)
_YES = frozenset({"1", "ON", "YES", "+1"})
_NO = frozenset({"0", "OFF", "NO", "+0", "-0"})


class AnswerError(InstrumentError):
    """An instrument answered something that is no answer to the question."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(
            what, where=where, hint=hint or "ask again; if it stays so, is it the model the driver is for?"
        )


class ScpiError(InstrumentError):
    """The instrument's error queue names an error of the command just sent."""

    def __init__(self, code: int, text: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(
            f"{code}, {text}", where=where, hint=hint or "the error number is explained in the instrument's manual"
        )
        self.code = code
        self.text = text


def identity(answer: str) -> Identity:
    """Read the answer of *IDN?: manufacturer, model, serial number, firmware. Missing parts are empty."""
    parts = [part.strip().strip('"') for part in answer.split(",", 3)]
    parts += [""] * (4 - len(parts))
    return Identity(*parts[:4])


def number(answer: str) -> float:
    """Read a number; a plain unit behind it (``5.000V``) is ignored. Raises AnswerError, also for NaN and infinity.

    Multiples (``5.000mV``) and any other word are no answer: they would be taken for another value.
    """
    text = answer.strip()
    found = _NUMBER.match(text)
    if found is None:
        raise AnswerError(f"'{_short(answer)}' is no number")
    value = float(found.group(0))
    rest = text[found.end() :].strip()
    if rest and rest.upper() not in _UNITS:
        raise AnswerError(f"'{_short(answer)}' is no number")
    if not math.isfinite(value) or abs(value) >= _NOT_A_NUMBER:
        raise AnswerError(f"'{_short(answer)}' means that there is no measurement")
    return value


def boolean(answer: str) -> bool:
    """Read 0/1, ON/OFF or YES/NO. Raises AnswerError."""
    text = answer.strip().upper()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise AnswerError(f"'{_short(answer)}' is neither on nor off")


def error(answer: str) -> tuple[int, str]:
    """Read an entry of the error queue: ``0,"No error"``, ``+0,"No error"``, ``0  No Error``, ``0``.

    Numbers where the text should be are an answer to another question. Raises AnswerError.
    """
    found = _ERROR.fullmatch(answer)
    if found is None:
        raise AnswerError(f"'{_short(answer)}' is no entry of an error queue")
    return int(found.group(1)), (found.group(2) or "").strip().strip('"')


def done(answer: str) -> None:
    """Read the answer of ``*OPC?``, which is 1 (IEEE 488.2 section 10.19). Raises AnswerError."""
    if answer.strip() not in ("1", "+1"):
        raise AnswerError(f"'{_short(answer)}' is no answer to *OPC?")


def text(answer: str) -> str:
    """Read a string answer, with or without quotes."""
    return answer.strip().strip("\"'")


def word(answer: str) -> str:
    """Read a word such as ``LTE`` or ``RST``, in capitals (character response data). Raises AnswerError."""
    found = text(answer).upper()
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{1,31}", found):
        raise AnswerError(f"'{_short(answer)}' is no word")
    return found


def shown(line: str) -> str:
    """Return a program message for people: a channel is selected in the same message, on a line of its own."""
    return line.replace("\n", " | ")


def tcp_socket(resource: str) -> tuple[str, int] | None:
    """Return host and port of a ``TCPIP::host::port::SOCKET`` resource, None for any other."""
    found = _SOCKET.fullmatch(resource.strip())
    if found is None or not 0 < int(found["port"]) <= 65535:
        return None
    return found["host"].strip("[]"), int(found["port"])


def _short(answer: str) -> str:
    return answer.strip()[:60]
