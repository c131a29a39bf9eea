"""Request and answer of an exchange as trees of named fields, by what it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bench.trace import decode_at, decode_cat, decode_files, decode_scpi, fields
from bench.trace.decode import status_word
from bench.trace.tree import Field, generic, shown

if TYPE_CHECKING:
    from bench.trace.calls import Exchange

_WRITES: Final = (0xD6, 0xDC)
_READS: Final = (0xB0, 0xB2)
_PINS: Final = (0x20, 0x24, 0x26, 0x28, 0x2C)


def fields_of(made: Exchange) -> tuple[Field, Field | None]:
    """Return request and answer of ``made``; never raises."""
    kind = made.kind
    if kind == "card":
        return _card(made)
    if kind in ("esipa", "es9plus", "es2plus"):
        reader = fields.esipa if kind == "esipa" else fields.es9plus
        request = reader(made.request, answer=False)
        answer = reader(made.answer, answer=True) if made.answer is not None else None
        if request.name in ("ES9+", "ESipa"):
            request.name = made.function
        if answer is not None and answer.name in ("ES9+", "ESipa"):
            answer.name = made.function
        return request, answer
    if kind == "at":
        if made.answer is None:
            return decode_at.command(made.request), None
        answer = decode_at.answer(made.lines)
        answer.children.append(Field("result", made.result, made.result.encode("utf-8", "replace")))
        return decode_at.command(made.request), answer
    if kind == "urc":
        return Field(made.function), decode_at.answer_line(made.lines[0] if made.lines else "", asked=False)
    if kind == "scpi":
        request = decode_scpi.command(made.request)
        if made.answer is None:
            return request, None
        return request, decode_scpi.answer(made.answer, decode_scpi.text_of(made.request))
    return _plain(made, made.request), _plain(made, made.answer) if made.answer is not None else None


def _plain(made: Exchange, data: bytes) -> Field:
    if data[:1] == b"{":
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            return Field(
                made.function, "", data, [Field(str(key), json.dumps(value)[:300]) for key, value in body.items()]
            )
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        text = ""
    return Field(made.function, text[:500] if text.isprintable() else shown(data), data)


def _card(made: Exchange) -> tuple[Field, Field | None]:
    request = _card_request(made)
    if made.status is None and made.answer is None:
        return request, None
    answer = _card_answer(made)
    if made.status is not None:
        word = status_word(made.status)
        answer.children.append(Field("status", word, made.status.to_bytes(2, "big"), kind="StatusWord"))
    return request, answer


def _instruction(made: Exchange) -> int:
    return made.header[1] if len(made.header) > 1 else -1


def _card_request(made: Exchange) -> Field:
    instruction, data = _instruction(made), made.request
    if instruction == 0xE2:
        request = fields.es10(data, answer=False)
        request.name = made.function
        return request
    if instruction == 0x14:
        return decode_cat.terminal_response(data)
    if instruction == 0xC2:
        return decode_cat.envelope(data)
    request = Field(made.function, "", data)
    if len(made.header) == 4:
        request.children.append(Field("P1P2", made.header[2:].hex().upper(), made.header[2:]))
    if instruction in _PINS:
        request.children += [Field("PIN", f"{len(data)} bytes, hidden", b"")] if data else []
    elif instruction in _WRITES:
        offset = 0 if instruction == 0xDC or made.header[2] & 0x80 else made.header[2] << 8 | made.header[3]
        request.children.append(decode_files.contents(made.file.rpartition("/")[2], data, offset=offset))
    elif instruction == 0xAA:
        request.children += generic(data)
    elif data:
        request.children.append(Field("data", shown(data), data))
    return request


def _card_answer(made: Exchange) -> Field:
    instruction, data = _instruction(made), made.answer or b""
    if instruction == 0xE2:
        if not data:
            return Field(made.function)
        return fields.es10(data, answer=True)
        # A package is answered by ProfileInstallationResult, which is a function of its own only on other lanes.
    if instruction == 0x12:
        return decode_cat.proactive(data)
    answer = Field(made.function, "", data)
    if not data:
        return answer
    if instruction in (0xA4, 0xF2, 0xC0):
        answer.children = decode_files.template(data)
    elif instruction in _READS:
        offset = 0 if instruction == 0xB2 or made.header[2] & 0x80 else made.header[2] << 8 | made.header[3]
        answer.children = [decode_files.contents(made.file.rpartition("/")[2], data, offset=offset)]
    elif instruction == 0x88:
        answer.children = [_authentication(data)]
    elif data[0] in (0xBF, 0xE3):
        answer.children = [fields.es10(data, answer=True)]
    else:
        answer.children = [Field("data", shown(data), data)]
    return answer


def _authentication(data: bytes) -> Field:
    """Return the answer of AUTHENTICATE without its keys (3GPP TS 31.102 section 7.1.2.1)."""
    if data[0] == 0xDC and len(data) > 1:
        return Field(
            "synchronisationFailure", f"AUTS {data[2 : 2 + data[1]].hex()}", data[2 : 2 + data[1]], kind="Random"
        )
    if data[0] == 0xDB and len(data) > 1:
        size = data[1]
        return Field("success", f"RES {data[2 : 2 + size].hex()}, keys hidden", data[2 : 2 + size], kind="Random")
    return Field("data", f"{len(data)} bytes", b"")
