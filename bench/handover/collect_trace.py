"""Finding the identifiers in a trace: by lane, through AT commands, files of the card, TLVs and NAS messages."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Final

from bench.handover.collect import Found, crsm_file
from bench.handover.image import Image, ImagePacket, apdu_streams, lane_streams
from bench.handover.ip import addresses, flows, ip_start
from bench.handover.pseudonyms import ADDRESS, CODE, CREDENTIAL, EID, HOST, ICCID, IMEI, IMSI, KEY, MSISDN, NAME, TMSI
from bench.rsp.errors import DecodeError
from bench.rsp.ids import eid_digits, iccid_digits, imsi_digits, luhn_digit, unswap_nibbles
from bench.trace import redact
from bench.trace.decode_rsp import first, walk

_TEXT_LINES: Final = ("at", "scpi", "console", "switch", "rest", "ask")
_JSON_LANES: Final = ("steps", "radio", "power", "es9plus", "es2plus", "esipa", "rest")
_RADIO: Final = ("radio", "diag", "nas", "rrc")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")
_HEX: Final = re.compile(rb"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}){8,}(?![0-9A-Fa-f])")

_EID_TLV: Final = re.compile(rb"\x5a\x10(\x89[\s\S]{15})")
_ICCID_TLV: Final = re.compile(rb"\x5a\x0a([\s\S]{10})")
_IMEI_TLV: Final = re.compile(rb"\x82\x08([\s\S]{8})")
_NAMED: Final = re.compile(rb"[\x0c\x80-\x83\x16]([\x04-\x7f])")
_METADATA: Final = (b"\xbf\x2d", b"\xbf\x25", b"\xbf\x22")
_GUTI: Final = re.compile(rb"\x0b[\xf6\xf2][\s\S]{6}([\s\S]{4})")
_ATTACH_IMSI: Final = re.compile(rb"\x07\x41.\x08([\x09-\x99][\s\S]{7})", re.S)
_IDENTITY_IMSI: Final = re.compile(rb"\x07\x56\x08([\x09-\x99][\s\S]{7})")

_ICCID_FILE: Final = 0x2FE2
_IMSI_FILE: Final = 0x6F07
_MSISDN_FILE: Final = 0x6F40
_LOCI_FILE: Final = 0x6F7E
_PSLOCI_FILE: Final = 0x6F73
_EPSLOCI_FILE: Final = 0x6FE3
_SHORT_IDS: Final = {0x02: _ICCID_FILE, 0x07: _IMSI_FILE, 0x0B: _LOCI_FILE, 0x0C: _PSLOCI_FILE, 0x1E: _EPSLOCI_FILE}
"""Short file identifiers of ADF.USIM, and 02 of the MF (3GPP TS 31.102 section 4.2, ETSI TS 102 221 section 13.2)."""
_READS: Final = (0xB0, 0xB2, 0xD6, 0xDC)


def collect(found: Found, images: list[Image]) -> None:
    """Add everything that the packets of a trace name."""
    _lines(found, images)
    _files(found, images)
    for stream in apdu_streams(images).values():
        _binary(found, stream.get())
    for (lane, _), stream in lane_streams(images).items():
        data = stream.get()
        kind = lane.partition(":")[0]
        if kind not in ("apdu", "sniff", "at"):  # of APDUs only the data: a status word is no part of an identifier
            _binary(found, data)
        if kind in _TEXT_LINES or kind in _JSON_LANES:
            _embedded(found, data)
    for (lane, _), stream in flows(images).items():
        data = stream.get()
        _binary(found, data)
        _embedded(found, data)
        if lane.partition(":")[0] in _RADIO:
            _nas(found, data)
        found.text(data.decode("latin-1"))
    for image in images:
        for packet in image.packets:
            _packet(found, image, packet)
        for span in image.texts:
            found.text(bytes(image.buffer[span.start : span.end]).decode("utf-8", "replace"))


def _packet(found: Found, image: Image, packet: ImagePacket) -> None:
    start = ip_start(image, packet)
    if start is not None:
        for address in addresses(image, start):
            found.add(ADDRESS, ".".join(map(str, address)) if len(address) == 4 else _v6(address))
    if packet.kind in _JSON_LANES:
        data = image.bytes_of(packet)
        if data[:1] in (b"{", b"["):
            try:
                found.json(json.loads(data))
            except (ValueError, RecursionError):
                found.text(data.decode("utf-8", "replace"))
    if packet.kind in _RADIO or packet.dissector.startswith(("nas", "lte", "nr-", "gsm_a")):
        _nas(found, image.bytes_of(packet))


def _v6(packed: bytes) -> str:
    import ipaddress

    return str(ipaddress.IPv6Address(packed))


# --- lines -----------------------------------------------------------------------------------------------------------


def _lines(found: Found, images: list[Image]) -> None:
    """Go through the text lanes in order of time: what an answer is, the command before it says."""
    command: dict[str, str] = {}
    rest: dict[tuple[str, int], bytes] = {}
    for image in images:
        for packet in image.packets:
            if packet.kind not in _TEXT_LINES:
                continue
            data = image.bytes_of(packet)
            if packet.kind == "at":
                _masked(found, data, redact.at_line(data))
            elif packet.kind == "scpi":
                _masked(found, data, redact.scpi_line(data)[0])
            key = (packet.lane, packet.direction)
            *lines, rest[key] = re.split(rb"[\r\n]+", rest.get(key, b"") + data)
            for raw in [*lines, rest[key]]:
                line = raw.decode("utf-8", "replace")
                if packet.kind == "at":
                    if packet.direction == 0 or line.upper().startswith("AT"):
                        command[packet.lane] = line.upper() or command.get(packet.lane, "")
                    _at(found, line, command.get(packet.lane, ""))
                elif packet.kind == "scpi":
                    found.scpi_line(line)
                else:
                    found.text(line)
                    found.addresses(line)
            if len(rest[key]) > 4096:
                rest[key] = b""


def _at(found: Found, line: str, command: str) -> None:
    found.at_line(line, command)
    found.hexadecimal(line)
    if "+CRSM:" in line.upper():
        content = re.search(r'"([0-9A-Fa-f]+)"', line)
        number = crsm_file(command)
        if content is not None and number is not None and len(content[1]) % 2 == 0:
            _content(found, number, bytes.fromhex(content[1]))


def _masked(found: Found, data: bytes, hidden: bytes) -> None:
    """Add what a lane that was recorded with its secrets shows: it is hidden, and looked for everywhere else."""
    if data == hidden or len(data) != len(hidden):
        return
    text = "".join(chr(a) if a != b else "\n" for a, b in zip(data, hidden, strict=True))
    for part in re.findall(r"[^\n,\"']{3,}", text):
        found.add(KEY if re.fullmatch(r"(?:[0-9A-Fa-f]{2}){8,}", part) else CREDENTIAL, part)


# --- files of the card -----------------------------------------------------------------------------------------------


def _files(found: Found, images: list[Image]) -> None:
    """Follow SELECT on every channel; what is read or written then is the file's content."""
    selected: dict[tuple[str, int], int] = {}
    reading: dict[str, int] = {}
    for image in images:
        for packet in image.packets:
            if packet.kind not in ("apdu", "sniff"):
                continue
            data = image.bytes_of(packet)
            if packet.direction == 0 and len(data) >= 5:
                channel = 4 + (data[0] & 15) if data[0] & 0x40 else data[0] & 3
                key, body = (packet.lane, channel), data[5 : 5 + data[4]]
                if data[1] == 0xA4:
                    selected[key] = int.from_bytes(body[-2:], "big") if data[2] != 4 and len(body) >= 2 else 0
                elif data[1] in _READS:
                    short = data[2] & 0x1F if data[2] & 0x80 and data[1] in (0xB0, 0xD6) else 0
                    file = _SHORT_IDS.get(short, 0) if short else selected.get(key, 0)
                    reading[packet.lane] = file
                    if data[1] in (0xD6, 0xDC):
                        _content(found, file, body)
                elif data[1] != 0xC0:
                    reading[packet.lane] = 0
            elif packet.direction == 1 and len(data) > 2 and reading.get(packet.lane):
                _content(found, reading[packet.lane], data[:-2])


def _content(found: Found, file: int, data: bytes) -> None:
    try:
        if file == _ICCID_FILE:
            found.add(ICCID, iccid_digits(data[:10]))
        elif file == _IMSI_FILE:
            found.add(IMSI, imsi_digits(data))
    except DecodeError:
        pass
    if (file == _LOCI_FILE and len(data) >= 11) or (file == _PSLOCI_FILE and len(data) >= 14):
        found.add(TMSI, data[:4].hex())
    elif file == _EPSLOCI_FILE and len(data) >= 12 and data[:1] == b"\x0b":
        found.add(TMSI, data[8:12].hex())
    elif file == _MSISDN_FILE and len(data) >= 14:
        length = data[-14]
        if 2 <= length <= 11:
            found.add(MSISDN, unswap_nibbles(data[-12 : -12 + length - 1]).rstrip("f"))


# --- bytes -----------------------------------------------------------------------------------------------------------


def _embedded(found: Found, data: bytes) -> None:
    """Look into what is hexadecimal or base64 in a text."""
    for match in _HEX.finditer(data):
        _binary(found, bytes.fromhex(match.group().decode()))
        found.hexadecimal(match.group().decode())
    for match in _BASE64.finditer(data):
        try:
            _binary(found, base64.b64decode(match.group().rstrip(b"=")[: len(match.group()) // 4 * 4]))
        except (binascii.Error, ValueError):
            continue


def _binary(found: Found, data: bytes) -> None:
    for match in _EID_TLV.finditer(data):
        if match[1].hex().isdecimal():
            found.add(EID, eid_digits(match[1]))
    for match in _ICCID_TLV.finditer(data):
        digits = unswap_nibbles(match[1]).rstrip("f")
        if digits.isdecimal() and len(digits) >= 18:
            found.add(ICCID, digits)
    for match in _IMEI_TLV.finditer(data):
        for digits in (unswap_nibbles(match[1]), match[1].hex()):
            if digits[:15].isdecimal() and digits[15] in "f0" and luhn_digit(digits[:14]) == digits[14]:
                found.add(IMEI, digits[:15])
    for match in _NAMED.finditer(data):
        name = data[match.end() : match.end() + match[1][0]]
        if len(name) == match[1][0] and b"." in name and name.isascii():
            found.add(HOST, name.decode())
    text = data.decode("latin-1")
    if "LPA:1$" in text or "89" in text:
        found.text(text)
    for tag in _METADATA:
        at = data.find(tag)
        while at >= 0:
            _metadata(found, data[at : at + 8192])
            at = data.find(tag, at + 2)
    for tag in (b"\xbf\x38", b"\xbf\x21"):
        at = data.find(tag)
        while at >= 0:
            _download(found, data[at : at + 4096])
            at = data.find(tag, at + 2)


def _metadata(found: Found, data: bytes) -> None:
    """Add names in profile metadata: nickname 90, service provider 91, profile 92 (SGP.22 section 4.4)."""
    for tag, value in walk(data, 1):
        for content in [value] if tag != 0xBF2D else _profiles(value):
            for field, text in walk(content, 24):
                if field in (0x90, 0x91, 0x92):
                    found.add(NAME, text.decode("utf-8", "replace"))
                elif field == 0xB6:
                    for inner, address in walk(content, 24):
                        if inner == 0xB6:
                            for _, entry in walk(address, 16):
                                found.add(HOST, (first(entry, 0x81) or b"").decode("ascii", "replace"))


def _profiles(value: bytes) -> Iterator[bytes]:
    for tag, content in walk(first(value, 0xA0) or b"", 32):
        if tag == 0xE3:
            yield content


def _download(found: Found, data: bytes) -> None:
    """Add matchingId (AuthenticateServer) and hashCc, from which a code of few digits can be found by trying."""
    for tag, value in walk(data, 1):
        if tag == 0xBF38:
            for kind, content in walk(value, 12):
                if kind == 0xA0:
                    matching = first(content, 0x80)
                    if matching and len(matching) >= 3 and matching.isascii() and len(matching) != 16:
                        found.add(CODE, matching.decode())
        elif tag == 0xBF21:
            for kind, content in walk(value, 8):
                if kind == 0x04 and len(content) == 32:
                    found.add(KEY, content.hex())


def _nas(found: Found, data: bytes) -> None:
    """Add IMSI and M-TMSI of EPS NAS messages (3GPP TS 24.301 section 9.9.3.12), at any bit of an RRC message."""
    number, width = int.from_bytes(data, "big"), len(data) + 1
    for shift in range(8 if len(data) < 2000 else 1):
        window = (number << shift).to_bytes(width, "big")
        for pattern in (_ATTACH_IMSI, _IDENTITY_IMSI):
            for match in pattern.finditer(window):
                digits = unswap_nibbles(match[1])[1:].rstrip("f")
                if match[1][0] & 7 == 1 and digits.isdecimal() and len(digits) >= 14:
                    found.add(IMSI, digits)
        for match in _GUTI.finditer(window):
            plmn = match.group()[2:5].hex()
            if all(c.isdecimal() for at, c in enumerate(plmn) if at != 2) and plmn[2] in "0123456789f":
                found.add(TMSI, match[1].hex())
