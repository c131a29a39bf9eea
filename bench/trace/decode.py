"""One line a packet, for the comment in the trace, the TUI and the report.

By table and without state, so that it can run for every packet while recording. Never raises on any bytes. Keys and
PINs in AT and SCPI lines are hidden (bench.trace.redact).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from bench.trace import causes, decode_cat, decode_files, redact
from bench.trace.decode_rsp import es9plus, es10, esipa

_LONGEST: Final = 300
_MEMO: Final = 512
"""Packets up to this length are remembered: polling repeats itself."""

INSTRUCTIONS: Final = {
    0x04: "DEACTIVATE FILE",
    0x10: "TERMINAL PROFILE",
    0x12: "FETCH",
    0x14: "TERMINAL RESPONSE",
    0x20: "VERIFY PIN",
    0x24: "CHANGE PIN",
    0x26: "DISABLE PIN",
    0x28: "ENABLE PIN",
    0x2C: "UNBLOCK PIN",
    0x32: "INCREASE",
    0x44: "ACTIVATE FILE",
    0x70: "MANAGE CHANNEL",
    0x78: "GET IDENTITY",
    0x84: "GET CHALLENGE",
    0x88: "AUTHENTICATE",
    0xA2: "SEARCH RECORD",
    0xA4: "SELECT",
    0xAA: "TERMINAL CAPABILITY",
    0xB0: "READ BINARY",
    0xB2: "READ RECORD",
    0xC0: "GET RESPONSE",
    0xC2: "ENVELOPE",
    0xCA: "GET DATA",
    0xCB: "RETRIEVE DATA",
    0xD6: "UPDATE BINARY",
    0xDC: "UPDATE RECORD",
    0xE2: "STORE DATA",
    0xF2: "STATUS",
}
_APPLICATIONS: Final = {
    "a0000005591010ffffffff8900000100": "ISD-R",
    "a0000005591010ffffffff8900000200": "ECASD",
}
_STATUS_WORDS: Final = {
    0x9000: "ok",
    0x6200: "warning",
    0x6283: "file deactivated",
    0x6300: "verification failed",
    0x6581: "memory problem",
    0x6700: "wrong length",
    0x6881: "logical channel not supported",
    0x6882: "secure messaging not supported",
    0x6982: "security status not satisfied",
    0x6983: "PIN blocked",
    0x6984: "reference data not usable",
    0x6985: "conditions of use not satisfied",
    0x6986: "no file selected",
    0x6A80: "wrong data",
    0x6A81: "function not supported",
    0x6A82: "file or application not found",
    0x6A83: "record not found",
    0x6A84: "not enough memory",
    0x6A86: "wrong P1 P2",
    0x6A88: "referenced data not found",
    0x6B00: "wrong P1 P2",
    0x6D00: "instruction not supported",
    0x6E00: "class not supported",
    0x6F00: "technical problem",
    0x9300: "toolkit busy",
    0x9862: "authentication error, wrong MAC",
}


def status_word(word: int) -> str:
    """Return a status word with its meaning: ``6A82 file or application not found``."""
    name = _STATUS_WORDS.get(word)
    if name is None:
        high, low = word >> 8, word & 0xFF
        if high == 0x61:
            name = f"{low or 256} bytes to fetch"
        elif high == 0x6C:
            name = f"repeat with Le {low or 256}"
        elif high in (0x91, 0x9F):
            name = f"ok, proactive command of {low or 256} bytes" if high == 0x91 else f"{low or 256} bytes to fetch"
        elif word & 0xFFF0 == 0x63C0:
            name = f"verification failed, {low & 15} tries left"
    return f"{word:04X} {name}" if name else f"{word:04X}"


def _channel(class_byte: int) -> str:
    if class_byte >= 0xA0 and not class_byte & 0x40:
        return ""
    number = 4 + (class_byte & 0x0F) if class_byte & 0x40 else class_byte & 0x03
    return f"ch{number} " if number else ""


def _select(p1: int, data: bytes) -> str:
    text = data.hex()
    if p1 == 4:
        known = _APPLICATIONS.get(text)
        if known is None and text.startswith("a000000087100"):
            known = {"2": "USIM", "4": "ISIM"}.get(text[13:14])
        return f"SELECT {known or text.upper()}"
    directory, told = "", []
    for part in [text[at : at + 4] for at in range(0, min(len(text), 32), 4)] or ["3f00"]:
        told.append(decode_files.name(part, directory))
        directory = told[-1] if decode_files.is_directory(told[-1]) else directory
    return "SELECT " + "/".join(told)


def apdu_command(apdu: bytes) -> str:
    """Tell a command APDU: ``ch1 STORE DATA: GetEuiccInfo1``."""
    if len(apdu) < 4:
        return f"incomplete command {apdu.hex().upper()}"
    class_byte, instruction, p1, p2 = apdu[:4]
    length = apdu[4] if len(apdu) > 4 else 0
    data = apdu[5 : 5 + length] if len(apdu) > 5 else b""
    name = INSTRUCTIONS.get(instruction, f"INS {instruction:02X}")
    channel = _channel(class_byte)
    if instruction == 0xE2:
        more = "" if p1 & 0x80 else " more"
        if p2:
            return f"{channel}STORE DATA block {p2}{more or ' last'}, {len(data)} bytes"
        told = es10(data, answer=False)
        return f"{channel}STORE DATA{more}: {told}" if told else f"{channel}STORE DATA{more}, {len(data)} bytes"
    if instruction == 0xA4:
        return channel + _select(p1, data)
    if instruction == 0x70:
        if p1 == 0x80:
            return f"{channel}MANAGE CHANNEL close {p2}"
        return f"{channel}MANAGE CHANNEL open{f' {p2}' if p2 else ''}"
    if instruction in (0xC0, 0x12):
        return f"{channel}{name} {length or 256}"
    if instruction in (0xB0, 0xD6):
        count = len(data) if instruction == 0xD6 else length or 256
        where = f"SFI {p1 & 31:02X} offset {p2}" if p1 & 0x80 else f"offset {p1 << 8 | p2}"
        return f"{channel}{name} {where}, {count} bytes"
    if instruction in (0xB2, 0xDC):
        return f"{channel}{name} {p1}"
    if instruction == 0x14 and len(data) >= 12 and data[0] & 0x7F == 1:
        return f"{channel}{name} {decode_cat.terminal_response_name(data)}"
    if instruction == 0xC2 and data:
        return f"{channel}{name} {decode_cat.envelope_name(data)}"
    return f"{channel}{name}" + (f", {len(data)} bytes" if data else "")


def _response_data(data: bytes) -> str:
    head = data[0]
    if head in (0x6F, 0x62):
        return "FCI" if head == 0x6F else "FCP"
    if head in (0xBF, 0xE3):
        return es10(data, answer=True)
    if head == 0xD0 and len(data) >= 7 and data[2] & 0x7F == 1:
        return decode_cat.proactive_name(data)
    if head in (0xDB, 0xDC) and len(data) > 2 and data[1] <= len(data):
        return "authentication ok" if head == 0xDB else "synchronisation failure (AUTS)"
    return f"{len(data)} bytes"


def apdu_response(apdu: bytes) -> str:
    """Tell a response APDU: ``GetEuiccData: 8904… - 9000 ok``."""
    if len(apdu) < 2:
        return f"incomplete response {apdu.hex().upper()}"
    if apdu[0] in (0x3B, 0x3F) and apdu[-2] >> 4 not in (6, 9):
        return f"ATR {apdu.hex().upper()}"
    word = status_word(apdu[-2] << 8 | apdu[-1])
    return f"{_response_data(apdu[:-2])} - {word}" if len(apdu) > 2 else word


def _text(data: bytes) -> str:
    lines = data.decode("utf-8", "replace").replace("\r", "\n").split("\n")
    return " | ".join(
        line if line.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
        for line in lines
        if line.strip()
    )


_ERROR_LINE: Final = re.compile(r"\+(CM[ES]) ERROR: *(\d{1,6})")
_REGISTRATION_LINE: Final = re.compile(r"\+(C(?:E|G|5G)?REG): *([\d\"][^|]{0,200})")
_CAUSE_LINE: Final = re.compile(r"\+CNEC_(EMM|ESM): *(\d{1,3})")
_INNER_APDU: Final = re.compile(r"\+(CSIM|CGLA)([=:]) *[^\"|]*?,?\"?([0-9A-Fa-f]{4,})\"?")


def _at(direction: int, data: bytes) -> str:
    text = _text(redact.at_line(data))
    if "+CGLA" in text or "+CSIM" in text:
        found = _INNER_APDU.search(text)
        if found is not None and len(found[3]) % 2 == 0 and "*" not in text:
            inner = bytes.fromhex(found[3])
            told = apdu_command(inner) if found[2] == "=" else apdu_response(inner)
            return f"{'AT' if found[2] == '=' else ''}+{found[1]} {told}"
    if direction and "+C" in text:
        told = _named(text)
        if told:
            return f"{text} ({told})"
    return text


def _named(text: str) -> str:
    """Return the names of the codes in an answer: an error, a registration with its cause, a network error code."""
    error = _ERROR_LINE.search(text)
    if error is not None:
        return causes.name(error[1], int(error[2]))
    cause = _CAUSE_LINE.search(text)
    if cause is not None:
        return causes.name(cause[1], int(cause[2]))
    registration = _REGISTRATION_LINE.search(text)
    if registration is None:
        return ""
    values = [value.strip(' "') for value in registration[2].split(",")]
    # The answer to a question has <n> in front: then what follows is a digit or two, not an area in hexadecimal.
    if len(values) > 1 and values[1].isdigit() and len(values[1]) < 4:
        values = values[1:]
    stat = _small(values[0])
    told = causes.REGISTRATION.get(stat, "") if stat is not None else ""
    number = _small(values[5]) if len(values) == 6 and values[4] == "0" else None
    if told and number is not None and registration[1] != "C5GREG":  # stat, area, cell, AcT, cause_type, reject_cause
        told += f", EMM {number} {causes.name('EMM', number)}"
    return told


def _small(text: str) -> int | None:
    return int(text) if text.isdigit() and text.isascii() and len(text) <= 6 else None


def _scpi(_direction: int, data: bytes) -> str:
    return _text(redact.scpi_line(data)[0])


def _json_event(_direction: int, data: bytes) -> str:
    """Tell a step event or a sample: the telling values in order."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return _text(data)
    if not isinstance(event, dict):
        return _text(data)
    told: list[str] = []

    def tell(values: dict[str, object], depth: int) -> None:
        for key, value in values.items():
            if key in ("seq", "boot", "mono_ns", "wall", "t", "t_ns"):
                continue
            if isinstance(value, dict) and depth:
                tell(value, depth - 1)
            elif isinstance(value, str) and key in ("type", "step", "name", "event", "verdict", "message", "what"):
                told.append(value)
            elif isinstance(value, str | int | float) and not isinstance(value, bool):
                told.append(f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}")

    tell(event, 2)
    return " ".join(part for part in told if part)


def _apdu(direction: int, data: bytes) -> str:
    return apdu_response(data) if direction else apdu_command(data)


def _esipa(direction: int, data: bytes) -> str:
    return esipa(data, answer=bool(direction))


def _es9plus(direction: int, data: bytes) -> str:
    return es9plus(data, answer=bool(direction))


def _console(_direction: int, data: bytes) -> str:
    return _text(data)


def _bytes(_direction: int, data: bytes) -> str:
    return f"{len(data)} bytes"


_KINDS: Final[dict[str, Callable[[int, bytes], str]]] = {
    "apdu": _apdu,
    "at": _at,
    "scpi": _scpi,
    "console": _console,
    "esipa": _esipa,
    "es9plus": _es9plus,
    "es2plus": _es9plus,
    "steps": _json_event,
    "radio": _json_event,
    "power": _json_event,
}


def _tell(kind: str, direction: int, data: bytes) -> str:
    try:
        told = _KINDS.get(kind, _bytes)(direction, data)
    except Exception as error:  # a decoder must never stop a recording
        return f"{len(data)} bytes (decoder: {type(error).__name__})"
    return told if len(told) <= _LONGEST else told[: _LONGEST - 1] + "…"


_remembered = lru_cache(maxsize=1024)(_tell)


def one_liner(lane: str, direction: int, data: bytes) -> str:
    """Return what a packet of ``lane`` says, in at most 300 characters. Never raises on any bytes."""
    kind = lane.partition(":")[0]
    return _remembered(kind, int(direction), data) if len(data) <= _MEMO else _tell(kind, int(direction), data)
