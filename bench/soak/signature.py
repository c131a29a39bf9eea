"""The signature of a failure: what equal failures have in common, whatever numbers they carry."""

from __future__ import annotations

import re
from typing import Final

_STEP_NUMBER: Final = re.compile(r"(?<=-)[0-9]+$")
_CODES: Final = re.compile(
    r"\b(?:SW ?=? ?[0-9A-Fa-f]{4}|[0-9]+\.[0-9]+(?:\.[0-9]+)+|HTTP [0-9]{3}|cause [#0-9]+|\+CM[ES] ERROR: [0-9]+|"
    r"result(?: code)? [0-9]+|code [0-9]+|stat [0-9]+|6[0-9A-F]{3}|9[0-9A-F]{3})\b"
)
_PLACE: Final = re.compile(r"(?:/[^\s:/]+)+/([^\s:/]+):[0-9]+")
_HEX: Final = re.compile(r"\b(?=[0-9A-Fa-f]*[0-9])[0-9A-Fa-f]{8,}\b")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_LONGEST: Final = 300


def context_of(message: str) -> str:
    """Return the decoded codes of a message (status word, reject cause, HTTP status, subject code), '' for none."""
    return ", ".join(dict.fromkeys(found.group() for found in _CODES.finditer(message)))


def normalised(message: str) -> str:
    """Return a message without what differs between equal failures: identifiers, figures, lines of source."""
    line = message.splitlines()[0] if message else ""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found.group())
        return chr(0xE000 + len(kept) - 1)

    line = _PLACE.sub(r"\1", line[:4000])
    line = _CODES.sub(keep, line)
    line = _NUMBER.sub("#", _HEX.sub("#", line))
    for number, code in enumerate(kept):
        line = line.replace(chr(0xE000 + number), code)
    return line[:_LONGEST]


def signature(step: str, message: str) -> str:
    """Return the signature of a failure in a step: step and message, their varying parts taken out."""
    names = [_STEP_NUMBER.sub("#", name) for name in step.split("/") if name]
    return f"{'/'.join(names)}: {normalised(message)}"
