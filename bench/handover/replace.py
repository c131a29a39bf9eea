"""Replacing identifiers in any bytes, whatever they are written in. The length of the bytes never changes.

What is looked at is decoded, not guessed: the bytes as text, as BCD digits with nibbles swapped or not and at any
nibble, everything in them that is hexadecimal or base64, and digits with separators between them; what is found inside
is decoded again. An identifier that was cut short (a comment has 300 characters) is replaced as far as it goes.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from bench.handover.pseudonyms import (
    ADDRESS,
    BYTES,
    CELL,
    DIGITS,
    EID,
    HOST,
    ICCID,
    IMEI,
    IMSI,
    KEPT_DIGITS,
    LOGIN,
    Identifier,
)

SWAP: Final = bytes((octet >> 4) | (octet & 15) << 4 for octet in range(256))
"""Nibbles of every byte swapped."""
_DEPTH: Final = 3
_GAP: Final = b"\xff\xfa\xff"
"""Between pieces that are looked at together: no digit, no text."""
_TELLING: Final = 6
"""Digits beyond those that stay from which on a part of an identifier is taken for one."""
_SHORTEST_BCD: Final = 9
_SHORT_TEXT: Final = 8

_HEX_RUN: Final = re.compile(rb"[0-9A-Fa-f]{8,}")
_BASE64_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-](?:(?:\\[nr])*[\r\n]*(?:\\(?=/))?[A-Za-z0-9+/_-]){11,}")
_BASE64_CHARACTER: Final = re.compile(rb"\\[nr]|\\(?=/)|[\r\n]|([A-Za-z0-9+/_-])")
_SEPARATED: Final = re.compile(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{1,8}(?:(?:,? ?0x|[ :.,_/\t-]{1,2})[0-9A-Fa-f]{1,8}){2,}")
_SEPARATORS: Final = re.compile(rb",? ?0x|[ :.,_/\t-]")
_CELL_KEY: Final = rb"(?:\b|_)(?:cell|cell_?id|ci|cid|eci|nci)[\"'\s:=]{1,6}"

Pair = tuple[bytes, bytes]
_Decoder = Callable[[bytes, int], "Iterable[_Piece]"]


class Replacer:
    """Replaces every identifier of a table by its pseudonym."""

    def __init__(self, given: Mapping[Identifier, str]) -> None:
        self._raw: list[Pair] = []
        self._patterns: list[tuple[bytes, re.Pattern[bytes], bytes]] = []
        """What must be in the bytes for a pattern to match at all, the pattern, and what it is replaced by."""
        self._digits: list[tuple[str, str]] = []
        self._cut: list[tuple[str, str, int]] = []
        self._cells: list[tuple[str, str]] = []
        self.addresses: dict[bytes, bytes] = {}
        """Packed addresses and what they become, for headers of IP packets."""
        for each, pseudonym in sorted(given.items(), key=lambda item: (-len(item[0].value), item[0])):
            if each.kind in DIGITS:
                self._add_digits(each, pseudonym)
            elif each.kind in BYTES:
                self._raw.append((bytes.fromhex(each.value), bytes.fromhex(pseudonym)))
            elif each.kind == ADDRESS:
                self._add_address(each.value, pseudonym)
            elif each.kind == CELL:
                self._add_cell(each.value, pseudonym)
            else:
                self._add_text(each, pseudonym)

    # --- what is looked for ---------------------------------------------------------------------------------------

    def _add_digits(self, each: Identifier, pseudonym: str) -> None:
        self._digits.append((each.value, pseudonym))
        for codec in ("utf-16-be", "utf-16-le"):
            self._raw.append((each.value.encode(codec), pseudonym.encode(codec)))
        if each.kind in (EID, ICCID, IMEI, IMSI):
            shared = next((at for at, (a, b) in enumerate(zip(each.value, pseudonym, strict=True)) if a != b), 0)
            self._cut.append((each.value, pseudonym, max(shared, KEPT_DIGITS[each.kind])))

    def _add_text(self, each: Identifier, pseudonym: str) -> None:
        if each.kind == LOGIN:
            self._patterns.append((each.value.encode(), re.compile(login_pattern(each.value)), pseudonym.encode()))
            return
        forms = {each.value: pseudonym}
        if each.kind == HOST:
            forms |= {each.value.upper(): pseudonym.upper(), each.value.lower(): pseudonym.lower()}
            forms |= {_dns(each.value): _dns(pseudonym)}
        for value, other in forms.items():
            for one, two in _written(value, other):
                if len(value) >= _SHORT_TEXT:
                    self._raw.append((one, two))
                else:  # short words: whole, or behind their own length as in a TLV
                    literal = re.escape(one)
                    pattern = rb"(?<=[\x01-\x1f])" + literal + rb"|(?<![A-Za-z0-9])" + literal + rb"(?![A-Za-z0-9])"
                    self._patterns.append((one, re.compile(pattern), two))
            for codec in ("utf-16-be", "utf-16-le"):
                self._raw.append((value.encode(codec), other.encode(codec)))

    def _add_address(self, value: str, pseudonym: str) -> None:
        one, two = ipaddress.ip_address(value), ipaddress.ip_address(pseudonym)
        self.addresses[one.packed] = two.packed
        forms = {value: pseudonym}
        if one.version == 6:
            forms |= {value.upper(): pseudonym.upper(), one.exploded: two.exploded}
            forms |= {one.exploded.upper(): two.exploded.upper()}
            forms |= {".".join(map(str, one.packed)): ".".join(map(str, two.packed))}  # 3GPP TS 27.007 section 10.1.1
            self._raw.append((one.packed, two.packed))
        for text, other in forms.items():
            pattern = rb"(?<![0-9A-Fa-f.:])" + re.escape(text.encode()) + rb"(?![0-9A-Fa-f:])"
            if one.version == 4:  # an address and its mask may stand in one string
                pattern = rb"(?<![0-9.])" + re.escape(text.encode()) + rb"(?![0-9])"
            self._patterns.append((text.encode(), re.compile(pattern), other.encode()))

    def _add_cell(self, value: str, pseudonym: str) -> None:
        self._cells.append((value, pseudonym))
        for width in range(len(value.lstrip("0")), 10):
            one, two = f"{int(value, 16):0{width}x}", f"{int(pseudonym, 16):0{width}x}"
            quotes = (b'"', b'"') if width < 7 else (b"", b"")
            for a, b in ((one, two), (one.upper(), two.upper())):
                pattern = rb"(?<![0-9A-Za-z+.])" + re.escape(a.encode()) + rb"(?![0-9A-Za-z.])"
                if quotes[0]:
                    pattern = rb'(?<=")' + a.encode() + rb'(?=")'
                self._patterns.append((a.encode(), re.compile(pattern), b.encode()))
        decimal = str(int(value, 16)).encode()
        self._patterns.append(
            (
                decimal,
                re.compile(rb"(?P<key>" + _CELL_KEY + rb")" + decimal + rb"(?![0-9])", re.IGNORECASE),
                str(int(pseudonym, 16)).encode(),
            )
        )

    # --- replacing ------------------------------------------------------------------------------------------------

    def replace(self, data: bytes, *, depth: int = 0) -> bytes:
        """Return ``data`` without the identifiers, of the same length."""
        if not data:
            return data
        data = self._plain(data)
        if depth < _DEPTH:
            data = self._through(data, _hexadecimal, 2, depth)
            data = self._through(data, _base64, 4, depth)
            data = self._through(data, _separated, 1, _DEPTH - 2)
        return data

    def comment(self, data: bytes) -> bytes:
        """As ``replace``, for a text that may end in the middle of an identifier."""
        data = self.replace(data)
        end = len(data.rstrip("…".encode()))
        for value, pseudonym, kept in self._cut:
            for length in range(min(kept + _TELLING, len(value) - 1), kept, -1):
                if data.endswith(value[:length].encode(), 0, end):
                    data = data[: end - length] + pseudonym[:length].encode() + data[end:]
                    break
        return data

    def bits(self, data: bytes) -> bytes:
        """As ``replace``, for PER-coded messages: identifiers begin at any bit (3GPP TS 36.331 section 8)."""
        data = self.replace(data)
        number, width = int.from_bytes(data, "big"), 8 * (len(data) + 1)
        for shift in range(8):
            window = (number << shift).to_bytes(width // 8, "big")
            found = self._cell_bits(self._plain(window) if shift else window)
            if found != window:
                number = int.from_bytes(found, "big") >> shift
        return number.to_bytes(len(data) + 1, "big")[-len(data) :] if data else data

    def _cell_bits(self, data: bytes) -> bytes:
        text = data.hex()
        for value, pseudonym in self._cells:
            text = text.replace(value, pseudonym)
        return bytes.fromhex(text)

    def _plain(self, data: bytes) -> bytes:
        for needle, other in self._raw:
            if needle in data:
                data = data.replace(needle, other)
        for literal, pattern, other in self._patterns:
            if literal in data:
                keyed = "key" in pattern.groupindex
                data = pattern.sub(lambda found, o=other, k=keyed: found["key"] + o if k else o, data)  # type: ignore[misc]
        data = self._digital(data)
        for swapped in (False, True):
            text = (data.translate(SWAP) if swapped else data).hex()
            found = self._nibbles(text)
            if found != text:
                data = bytes.fromhex(found)
                data = data.translate(SWAP) if swapped else data
        return data

    def _digital(self, data: bytes) -> bytes:
        for value, pseudonym in self._digits:
            if value.encode() in data:
                data = data.replace(value.encode(), pseudonym.encode())
        for value, pseudonym, kept in self._cut:
            data = _cut_short(data, value.encode(), pseudonym.encode(), kept + _TELLING)
        return data

    def _nibbles(self, text: str) -> str:
        for value, pseudonym in self._digits:
            if len(value) >= _SHORTEST_BCD and value in text:
                text = text.replace(value, pseudonym)
        for value, pseudonym, kept in self._cut:
            # In binary data, zeros alone are no part of anything.
            if value[: kept + _TELLING] in text and len(set(value[: kept + _TELLING])) > 3:
                text = _cut_short(text.encode(), value.encode(), pseudonym.encode(), kept + _TELLING).decode()
        return text

    def _through(self, data: bytes, decode: _Decoder, alignments: int, depth: int) -> bytes:
        """Replace inside of what is encoded: all pieces of one alignment at once, since few hold anything."""
        for alignment in range(alignments):
            pieces = list(decode(data, alignment))
            if not pieces:
                break
            batch = _GAP.join(piece.decoded for piece in pieces)
            found = self.replace(batch, depth=depth + 1)
            if found == batch:
                continue
            changed = bytearray(data)
            at = 0
            for piece in pieces:
                end = at + len(piece.decoded)
                if found[at:end] != piece.decoded:
                    piece.write(changed, found[at:end])
                at = end + len(_GAP)
            data = bytes(changed)
        return data


def _cut_short(data: bytes, value: bytes, pseudonym: bytes, least: int) -> bytes:
    """Replace what begins like ``value`` for at least ``least`` digits, as far as it goes on like it."""
    start = data.find(value[:least])
    if start < 0:
        return data
    changed = bytearray(data)
    while start >= 0:
        length = least
        while length < len(value) and data[start + length : start + length + 1] == value[length : length + 1]:
            length += 1
        changed[start : start + length] = pseudonym[:length]
        start = data.find(value[:least], start + length)
    return bytes(changed)


def _written(value: str, other: str) -> Iterator[Pair]:
    """Yield how a text is written: as it is, and escaped as JSON does."""
    yield value.encode(), other.encode()
    if not value.isascii() or '"' in value or "\\" in value or "/" in value:
        one, two = json.dumps(value)[1:-1], json.dumps(other)[1:-1]
        if len(one) == len(two):
            yield one.encode(), two.encode()


def login_pattern(name: str) -> bytes:
    """Return where a name that is a common word, too, is a name."""
    literal = re.escape(name.encode())
    end = rb"(?![A-Za-z0-9])"
    return (
        rb"(?<=/home/)" + literal + end + rb"|(?<=[/\\]Users[/\\])" + literal + end
        + rb"|(?<![A-Za-z0-9])" + literal + rb"(?=@)|(?<=@)" + literal + end
        + rb'|(?<="name": ")' + literal + rb'(?=")|(?<="name":")' + literal + rb'(?=")'
    )  # fmt: skip


def _dns(name: str) -> str:
    """Return a name as in DNS messages: each label after its length (RFC 1035 section 3.1)."""
    return "".join(chr(len(label)) + label for label in name.split(".")) if "." in name else name


# --- what is encoded in text -----------------------------------------------------------------------------------------


class _Piece(ABC):
    """Something decoded, and where it has to be written back."""

    def __init__(self, decoded: bytes, places: range | list[int]) -> None:
        self.decoded = decoded
        self.places = places

    @abstractmethod
    def write(self, data: bytearray, found: bytes) -> None:
        """Put ``found``, as long as what was decoded, back to where it came from."""


class _HexPiece(_Piece):
    def write(self, data: bytearray, found: bytes) -> None:
        text = found.hex().encode()
        for at, place in enumerate(self.places):
            if data[place] | 0x20 != text[at]:
                upper = _is_upper(data, self.places)
                data[place] = text[at : at + 1].upper()[0] if upper else text[at]


class _Base64Piece(_Piece):
    def write(self, data: bytearray, found: bytes) -> None:
        text = base64.b64encode(found)
        safe = any(data[place] in b"-_" for place in self.places)
        if safe:
            text = text.translate(bytes.maketrans(b"+/", b"-_"))
        for at, place in enumerate(self.places):
            data[place] = text[at]


def _is_upper(data: bytearray, places: range | list[int]) -> bool:
    letters = [data[place] for place in places if data[place] >= 0x41]
    return not letters or sum(letter < 0x61 for letter in letters) * 2 >= len(letters)


def _hexadecimal(data: bytes, alignment: int) -> Iterator[_Piece]:
    for run in _HEX_RUN.finditer(data):
        start = run.start() + alignment
        length = (run.end() - start) & ~1
        if length >= 8:
            yield _HexPiece(bytes.fromhex(data[start : start + length].decode()), range(start, start + length))


_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def _base64(data: bytes, alignment: int) -> Iterator[_Piece]:
    for run in _BASE64_RUN.finditer(data):
        text = run.group()
        places: range | list[int] = range(run.start(), run.end())
        if b"\\" in text or b"\n" in text or b"\r" in text:
            places = [run.start() + m.start() for m in _BASE64_CHARACTER.finditer(text) if m.group(1) is not None]
            text = bytes(data[place] for place in places)
        length = len(text) - alignment
        length -= length % 4 == 1  # one character alone is no byte
        text, places = text[alignment : alignment + length].translate(_STANDARD), places[alignment : alignment + length]
        if text:
            yield _Base64Piece(base64.b64decode(text + b"A" * (-length % 4)), places)


class _DigitPiece(_Piece):
    def write(self, data: bytearray, found: bytes) -> None:
        for place, octet in zip(self.places, found, strict=True):
            data[place] = octet


def _separated(data: bytes, alignment: int) -> Iterator[_Piece]:
    for run in _SEPARATED.finditer(data):
        places: list[int] = []
        at = run.start()
        for gap in [*((m.start(), m.end()) for m in _SEPARATORS.finditer(data, *run.span())), (run.end(), run.end())]:
            places.extend(range(at, gap[0]))
            at = gap[1]
        if len(places) >= 10:
            yield _DigitPiece(bytes(data[place] for place in places), places)
