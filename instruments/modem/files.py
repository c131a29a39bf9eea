"""Elementary files of the card through the modem: +CRSM (27.007 section 8.18), and what EF.ICCID and EF.IMSI hold."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from bench.errors import ConfigurationError, DeviceFailure
from bench.rsp import ids
from bench.rsp.errors import DecodeError
from instruments.modem import parse

EF_ICCID = 0x2FE2
EF_IMSI = 0x6F07
_READ_BINARY = 176
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
