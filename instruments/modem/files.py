"""Elementary files of the card through the modem: +CRSM (27.007 section 8.18), and what EF.ICCID and EF.IMSI hold."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence

from bench.errors import ConfigurationError, DeviceFailure
from bench.rsp import ids, tlv
from bench.rsp.errors import DecodeError
from instruments.modem import parse
from instruments.modem.errors import ModemError

EF_ICCID = 0x2FE2
EF_IMSI = 0x6F07
EF_FPLMN = 0x6F7B
_READ_BINARY, _GET_RESPONSE, _UPDATE_BINARY = 176, 192, 214
_USIM = "3F007FFF"
_SHORTEST_FPLMN = 12
"""Bytes of four entries: the file is never shorter (31.102 section 4.2.16)."""
_CHUNK = 255

Command = Callable[[str], Awaitable[Sequence[str]]]


class CardFileError(DeviceFailure):
    """The card refused to read a file; ``status_word`` says why (ETSI TS 102 221 section 10.2)."""

    def __init__(self, what: str, *, status_word: int, where: str) -> None:
        super().__init__(what, where=where)
        self.status_word = status_word


async def read_binary(command: Command, file_id: int, length: int, path: str = "") -> bytes:
    """Read ``length`` bytes of a transparent EF. ``path`` (hexadecimal, ``3F00``) where the modem does not find it.

    Raises CardFileError with the status word, AnswerUnreadable, ModemError.
    """
    if not 0 <= file_id <= 0xFFFF or not 1 <= length <= 0x8000 or not re.fullmatch(r"([0-9A-Fa-f]{4})*", path):
        raise ConfigurationError("a file has an id of two bytes, 1 to 32768 bytes, and a path in hexadecimal")
    data = b""
    while len(data) < length:
        offset, count = len(data), min(_CHUNK, length - len(data))
        line = f"AT+CRSM={_READ_BINARY},{file_id},{offset >> 8},{offset & 0xFF},{count}"
        if path:
            line += f',,"{path}"'
        word, part = parse.restricted_sim_access(await command(line))
        if word >> 8 not in (0x90, 0x91) or not part:
            raise CardFileError(f"file {file_id:04X}: status word {word:04X}", status_word=word, where=line)
        data += part
    return data[:length]


async def update_binary(command: Command, file_id: int, data: bytes, path: str = "") -> None:
    """Write a transparent EF from its beginning by +CRSM 214. Raises CardFileError, AnswerUnreadable, ModemError."""
    for offset in range(0, len(data), _CHUNK):
        part = data[offset : offset + _CHUNK]
        line = f'AT+CRSM={_UPDATE_BINARY},{file_id},{offset >> 8},{offset & 0xFF},{len(part)},"{part.hex().upper()}"'
        if path:
            line += f',"{path}"'
        word, _ = parse.restricted_sim_access(await command(line))
        if word >> 8 not in (0x90, 0x91):
            raise CardFileError(f"file {file_id:04X}: status word {word:04X}", status_word=word, where=line)


async def size(command: Command, file_id: int, path: str = "") -> int:
    """Return the bytes of a transparent EF by +CRSM 192: its FCP (102 221 section 11.1.1.3), or the form of 51.011.

    Raises CardFileError; AnswerUnreadable when the answer has no size in it.
    """
    line = f"AT+CRSM={_GET_RESPONSE},{file_id},0,0,{0 if not path else f'0,,{chr(34)}{path}{chr(34)}'}"
    word, data = parse.restricted_sim_access(await command(line))
    if word >> 8 not in (0x90, 0x91):
        raise CardFileError(f"file {file_id:04X}: status word {word:04X}", status_word=word, where=line)
    if data[:1] == b"\x62":
        with contextlib.suppress(DecodeError):
            found = tlv.first(data).find(0x80)
            if found is not None and found.value:
                return int.from_bytes(found.value, "big")
    elif len(data) >= 6 and data[4:6] == file_id.to_bytes(2, "big"):
        return int.from_bytes(data[2:4], "big")
    raise parse.AnswerUnreadable(f"no size of file {file_id:04X} in {data.hex()[:60]}", where=line)


async def read_fplmn(command: Command) -> tuple[bytes, str]:
    """Return EF.FPLMN whole, with the path by which the modem finds it. The file may be longer than four entries."""
    for path in ("", _USIM):
        try:
            try:
                length = await size(command, EF_FPLMN, path)
            except (ModemError, parse.AnswerUnreadable):
                length = _SHORTEST_FPLMN  # a modem without GET RESPONSE: at least the entries that every file has
            return await read_binary(command, EF_FPLMN, length - length % 3, path), path
        except CardFileError as error:
            if path or error.status_word >> 8 not in (0x6A, 0x69, 0x94):
                raise
    raise AssertionError("not reached")


def plmns(data: bytes) -> tuple[str, ...]:
    """Return the PLMNs of EF.FPLMN; FFFFFF may stand at any place and does not end the list."""
    found = []
    for index in range(0, len(data) - 2, 3):
        entry = data[index : index + 3]
        if entry != b"\xff\xff\xff":
            with contextlib.suppress(DecodeError):
                found.append(ids.plmn_digits(entry))
    return tuple(found)


async def iccid(command: Command) -> str:
    """Return the digits of EF.ICCID (TS 102 221 section 13.2). Raises CardFileError, AnswerUnreadable."""
    return _digits(ids.iccid_digits, await _found(command, EF_ICCID, 10, "3F00"), "EF.ICCID")


async def imsi(command: Command) -> str:
    """Return the digits of EF.IMSI of the USIM (3GPP TS 31.102 section 4.2.2)."""
    return _digits(ids.imsi_digits, await _found(command, EF_IMSI, 9, "3F007FFF"), "EF.IMSI")


async def _found(command: Command, file_id: int, length: int, path: str) -> bytes:
    """Read a file where the modem looks for it by itself, else by its path."""
    try:
        return await read_binary(command, file_id, length)
    except CardFileError as error:
        if error.status_word >> 8 not in (0x6A, 0x69, 0x94):
            raise
        return await read_binary(command, file_id, length, path)


def _digits(decode: Callable[[bytes], str], data: bytes, name: str) -> str:
    try:
        return decode(data)
    except (DecodeError, ValueError) as error:
        raise parse.AnswerUnreadable(f"{name} holds {data.hex()}: {error}", where="+CRSM") from error
