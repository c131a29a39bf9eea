"""SCPI lines to named fields: what is asked or set, of which channel, and the answer with its unit. Raises on no bytes.

Headers in short or long form (SCPI-1999 volume 1 section 6.2). Keys are hidden (bench.trace.redact).
"""

from __future__ import annotations

import re
from typing import Final

from bench.trace import redact
from bench.trace.tree import Field

_COMMON: Final = {
    "*CLS": "clear status",
    "*ESE": "event status enable",
    "*ESR": "event status register",
    "*IDN": "identification",
    "*OPC": "operation complete",
    "*OPT": "options",
    "*RST": "reset",
    "*SRE": "service request enable",
    "*STB": "status byte",
    "*TRG": "trigger",
    "*TST": "self test",
    "*WAI": "wait",
}
_WORDS: Final = {
    "MEAS": "measure",
    "FETC": "fetch",
    "READ": "read",
    "SOUR": "source",
    "OUTP": "output",
    "INST": "instrument",
    "VOLT": "voltage",
    "CURR": "current",
    "POW": "power",
    "RES": "resistance",
    "SYST": "system",
    "ERR": "error",
    "STAT": "status",
    "PROT": "protection",
    "LEV": "level",
    "DC": "DC",
    "TRIP": "tripped",
    "CLE": "clear",
    "SENS": "sense",
    "SWE": "sweep",
    "TRIG": "trigger",
    "INIT": "initiate",
    "CELL": "cell",
    "CONF": "configure",
    "CALL": "call",
    "SIGN": "signalling",
    "REM": "remote",
    "LOC": "local",
    "VERS": "version",
    "SEL": "select",
    "NSEL": "number",
    "GEN": "general",
    "LIM": "limit",
    "RANG": "range",
    "FREQ": "frequency",
    "BAND": "band",
    "LTE": "LTE",
    "PSW": "packet switched",
}
_UNITS: Final = {"VOLT": "V", "CURR": "A", "POW": "W", "RES": "Ohm", "FREQ": "Hz"}
_ERRORS: Final = {
    -100: "command error",
    -102: "syntax error",
    -104: "data type error",
    -108: "parameter not allowed",
    -109: "missing parameter",
    -113: "undefined header",
    -200: "execution error",
    -203: "command protected",
    -221: "settings conflict",
    -222: "data out of range",
    -224: "illegal parameter value",
    -230: "data corrupt or stale",
    -241: "hardware missing",
    -310: "system error",
    -350: "queue overflow",
    -400: "query error",
    -410: "query INTERRUPTED",
    -420: "query UNTERMINATED",
}
_CHANNELS: Final = re.compile(r"\(@([0-9:,! ]{1,80})\)")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ERROR: Final = re.compile(r'([+-]?\d{1,6}) *, *"([^"]*)"?')


def text_of(data: bytes) -> str:
    """Return a line as text without keys."""
    return redact.scpi_line(data)[0].decode("utf-8", "replace").strip("\r\n\0 ")


def _short(word: str) -> str:
    """Return the short form of a mnemonic: four letters, three where the fourth is a vowel."""
    letters = word.rstrip("0123456789").upper()
    if len(letters) <= 4:
        return letters
    return letters[:3] if letters[3] in "AEIOU" else letters[:4]


def headers(line: str) -> list[tuple[str, bool]]:
    """Return the headers of a line in short form and whether each is a question: ``MEAS:VOLT``, True."""
    found = []
    for unit in line.split(";")[:32]:
        word = unit.strip().split(" ", 1)[0]
        if word:
            asked = word.endswith("?")
            parts = word.rstrip("?").lstrip(":").split(":")
            found.append((word.rstrip("?").upper() if word[0] == "*" else ":".join(map(_short, parts)), asked))
    return found


def asks(line: str) -> bool:
    """Return whether the line has an answer."""
    return any(asked for _, asked in headers(line))


def about(header: str) -> str:
    """Return what a header in short form is about: ``measure voltage``; empty when no word of it is known."""
    if header in _COMMON:
        return _COMMON[header]
    known = [_WORDS.get(word, "") for word in header.split(":")]
    return " ".join(word for word in known if word)


def unit_of(header: str) -> str:
    """Return the unit of a header's value, empty when it has none that is known."""
    words = header.split(":")
    if "STAT" in words or "RANG" in words or "TRIP" in words:
        return ""
    return next((_UNITS[word] for word in reversed(words) if word in _UNITS), "")


def command(data: bytes) -> Field:
    """Return what is sent, each unit of the line as a field."""
    line = text_of(data)
    made = Field("SCPI", "", data)
    for unit, (header, asked) in zip((part for part in line.split(";") if part.strip()), headers(line), strict=False):
        made.children.append(_unit(unit.strip(), header, asked))
    return made


def _unit(text: str, header: str, asked: bool) -> Field:
    field = Field(f"{header}{'?' if asked else ''}", about(header), text.encode("utf-8", "replace"))
    arguments = text.partition(" ")[2].strip()
    channels = _CHANNELS.search(arguments)
    if channels is not None:
        field.children.append(Field("channel", channels[1], channels[1].encode()))
        arguments = (arguments[: channels.start()] + arguments[channels.end() :]).strip(" ,")
    if arguments:
        unit = unit_of(header) if _NUMBER.fullmatch(arguments) else ""
        field.children.append(Field("value", f"{arguments[:300]} {unit}".strip(), arguments.encode("utf-8", "replace")))
    return field


def answer(data: bytes, question: str) -> Field:
    """Return an answer; ``question``: the line that it answers."""
    line = text_of(data)
    made = Field("answer", "", data)
    asked = [header for header, question_mark in headers(question) if question_mark]
    values = line.split(";") if len(asked) > 1 else [line]
    for at, value in enumerate(values[:64]):
        header = asked[at] if at < len(asked) else ""
        made.children.append(_value(header, value.strip()))
    return made


def _value(header: str, text: str) -> Field:
    raw = text.encode("utf-8", "replace")
    error = _ERROR.fullmatch(text)
    if error is not None:
        number = int(error[1])
        known = "" if number == 0 else _ERRORS.get(number, "")
        return Field("error", f"{number} {error[2] or known}", str(number).encode())
    if _NUMBER.fullmatch(text):
        return Field(header or "value", f"{float(text):g} {unit_of(header)}".strip(), raw)
    return Field(header or "value", text[:300], raw)


def is_error(data: bytes, question: str) -> str:
    """Return the error that an answer to SYST:ERR? tells, empty when it tells none."""
    if not any(header.startswith("SYST:ERR") for header, _ in headers(question)):
        return ""
    error = _ERROR.search(text_of(data))
    return f"{int(error[1])} {error[2]}" if error is not None and int(error[1]) != 0 else ""
