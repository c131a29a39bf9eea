"""Files of a UICC: SELECT, READ and UPDATE, FCP, and the toolkit commands (ETSI TS 102 221 sections 11.1 and 11.2)."""

from __future__ import annotations

from dataclasses import dataclass

from bench.apdu.channel import LogicalChannel
from bench.apdu.errors import CardAnswerError
from bench.apdu.exchange import expect, transceive
from bench.apdu.iso7816 import MAX_SHORT_ANSWER, ApduError, Command
from bench.rsp import tlv
from bench.rsp.errors import DecodeError

MF = 0x3F00
EF_ICCID = 0x2FE2
EF_DIR = 0x2F00
EF_IMSI = 0x6F07
ADF_USIM = 0x7FFF
"""The application that is selected on the channel."""

_STRUCTURES = {1: "transparent", 2: "linear-fixed", 6: "cyclic", 0: "directory"}


@dataclass(frozen=True, slots=True)
class FileParameters:
    """File control parameters (TS 102 221 section 11.1.1.3)."""

    raw: bytes
    structure: str
    """transparent, linear-fixed, cyclic, ber-tlv or directory."""
    size: int | None = None
    """Bytes of the whole file."""
    record_length: int | None = None
    record_count: int | None = None
    file_id: int | None = None
    aid: bytes = b""


def select_file(file_id: int) -> Command:
    """SELECT by file identifier, FCP asked for."""
    return Command(0x00, 0xA4, 0x00, 0x04, file_id.to_bytes(2, "big"), MAX_SHORT_ANSWER)


def select_path(*file_ids: int, from_mf: bool = True) -> Command:
    """SELECT by path from the MF, or from the current DF; the MF itself is not part of a path."""
    path = b"".join(file_id.to_bytes(2, "big") for file_id in file_ids)
    return Command(0x00, 0xA4, 0x08 if from_mf else 0x09, 0x04, path, MAX_SHORT_ANSWER)


def read_binary(offset: int, length: int) -> Command:
    """READ BINARY of up to 256 bytes of the selected EF."""
    return Command(0x00, 0xB0, *_offset(offset), le=length)


def update_binary(offset: int, data: bytes) -> Command:
    """UPDATE BINARY of the selected EF."""
    return Command(0x00, 0xD6, *_offset(offset), data=data)


def read_record(number: int, length: int) -> Command:
    """READ RECORD, absolute mode; records count from 1."""
    return Command(0x00, 0xB2, number, 0x04, le=length)


def update_record(number: int, data: bytes) -> Command:
    """UPDATE RECORD, absolute mode; records count from 1."""
    return Command(0x00, 0xDC, number, 0x04, data)


def status(length: int = MAX_SHORT_ANSWER) -> Command:
    """STATUS of the current directory; terminals poll for proactive commands with it."""
    return Command(0x80, 0xF2, 0x00, 0x00, le=length)


def terminal_profile(profile: bytes) -> Command:
    """TERMINAL PROFILE: what the terminal can do of the toolkit (TS 102 223 section 5)."""
    return Command(0x80, 0x10, 0x00, 0x00, profile)


def terminal_capability(lpa_functions: int = 0x07) -> Command:
    """TERMINAL CAPABILITY with the eUICC capabilities (tag 83); some eUICCs hide ISD-R without it."""
    return Command(0x80, 0xAA, 0x00, 0x00, tlv.build(0xA9, tlv.build(0x83, bytes((lpa_functions,)))))


def fetch(length: int) -> Command:
    """FETCH the proactive command announced by 91xx; 0 stands for 256."""
    return Command(0x80, 0x12, 0x00, 0x00, le=length or MAX_SHORT_ANSWER)


def terminal_response(data: bytes) -> Command:
    """TERMINAL RESPONSE to a proactive command."""
    return Command(0x80, 0x14, 0x00, 0x00, data)


def _offset(offset: int) -> tuple[int, int]:
    if not 0 <= offset <= 0x7FFF:
        raise ApduError(f"offset {offset} is not in 0 to 32767")
    return offset >> 8, offset & 0xFF


def file_parameters(raw: bytes) -> FileParameters:
    """Read the FCP template (62) that SELECT answered. Raises CardAnswerError."""
    try:
        template = tlv.first(raw)
        fields = {child.tag: child.value for child in template.children()}
    except DecodeError as error:
        raise CardAnswerError(f"no file control parameters: {error.what}", where="SELECT") from error
    descriptor = fields.get(0x82, b"")
    if template.tag != 0x62 or not descriptor:
        raise CardAnswerError(f"no file control parameters: {raw.hex()}", where="SELECT")
    first = descriptor[0]
    structure = "directory" if first & 0x38 == 0x38 and not first & 0x07 else _STRUCTURES.get(first & 0x07, "unknown")
    if first & 0x3F == 0x39:
        structure = "ber-tlv"
    records = len(descriptor) >= 5
    return FileParameters(
        raw=bytes(raw),
        structure=structure,
        size=int.from_bytes(fields[0x80], "big") if 0x80 in fields else None,
        record_length=int.from_bytes(descriptor[2:4], "big") if records else None,
        record_count=descriptor[4] if records else None,
        file_id=int.from_bytes(fields[0x83], "big") if 0x83 in fields else None,
        aid=fields.get(0x84, b""),
    )


async def read_transparent(channel: LogicalChannel, *file_ids: int, timeout: float | None = 10.0) -> bytes:
    """Select a transparent EF by path from the MF (or by identifier, when one is given) and read all of it.

    Raises StatusWordError when the card refuses, CardAnswerError when the file is not transparent.
    """
    command = select_file(file_ids[0]) if len(file_ids) == 1 else select_path(*file_ids)
    selected = expect(await transceive(channel, command, timeout=timeout), command)
    parameters = file_parameters(selected.data)
    if parameters.structure != "transparent" or parameters.size is None:
        raise CardAnswerError(f"the file is {parameters.structure}", where=f"{file_ids[-1]:04X}")
    content = bytearray()
    while len(content) < parameters.size:
        read = read_binary(len(content), min(MAX_SHORT_ANSWER, parameters.size - len(content)))
        response = expect(await transceive(channel, read, timeout=timeout), read, allowed=(0x6282,))
        content += response.data
        if not response.data or response.status_word == 0x6282:
            break
    return bytes(content)


async def read_records(channel: LogicalChannel, *file_ids: int, timeout: float | None = 10.0) -> list[bytes]:
    """Select a record-oriented EF as in ``read_transparent`` and read all its records."""
    command = select_file(file_ids[0]) if len(file_ids) == 1 else select_path(*file_ids)
    selected = expect(await transceive(channel, command, timeout=timeout), command)
    parameters = file_parameters(selected.data)
    if parameters.record_length is None or parameters.record_count is None:
        raise CardAnswerError(f"the file is {parameters.structure}", where=f"{file_ids[-1]:04X}")
    records = []
    for number in range(1, parameters.record_count + 1):
        read = read_record(number, parameters.record_length)
        records.append(expect(await transceive(channel, read, timeout=timeout), read).data)
    return records
