"""The check before anything leaves: every identifier, written in every way, looked for in every file.

It goes the other way round than the replacing (bench.handover.replace): nothing is decoded to be searched, but each
identifier is encoded in each form, and that is searched for in the bytes of the file and in what belongs together in
the trace. A mistake in the one is not a mistake in the other.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bench.handover.image import DECRYPTION_SECRETS, apdu_streams, lane_streams, parse
from bench.handover.ip import addresses, flows, ip_start
from bench.handover.pseudonyms import ADDRESS, BYTES, CELL, DIGITS, HOST, ICCID, IMEI, LOGIN, NAME, Identifier
from bench.trace.errors import TraceError

_SHORTEST: Final = 8
"""Bytes of a form below which it is only searched for as a word of its own."""


@dataclass(frozen=True, slots=True)
class Left:
    """An identifier that is still there."""

    file: str
    place: str
    kind: str
    form: str
    value: str

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: {self.kind} {self.value} ({self.form})"


class _Forms:
    """What an identifier looks like. ``low``: compared without regard to case; ``nibbles``: in hexadecimal text."""

    def __init__(self, each: Identifier) -> None:
        self.identifier = each
        self.exact: list[tuple[str, bytes]] = []
        self.low: list[tuple[str, bytes]] = []
        self.nibbles: list[tuple[str, str]] = []
        self.words: list[tuple[str, re.Pattern[bytes]]] = []
        kind, value = each.kind, each.value
        if kind in DIGITS:
            self._digits(value)
            if kind == ICCID or (kind == IMEI and len(value) == 15):
                self._digits(value[:-1], "without check digit, ")
        elif kind in BYTES:
            raw = bytes.fromhex(value)
            self.exact.append(("bytes", raw))
            self._text(value, "hexadecimal")
            self._base64(raw)
        elif kind == ADDRESS:
            self._address(value)
        elif kind == CELL:
            for text in (f"{int(value, 16):07x}", f"{int(value, 16):08x}"):
                word = rb"(?<![0-9a-z+.])" + text.encode() + rb"(?![0-9a-z.])"
                self.words.append(("hexadecimal", re.compile(word, re.I)))
            number = rb"(?:cell_?id|cell|eci|nci|\bci|cid)[\"' :=]{1,4}" + str(int(value, 16)).encode() + rb"(?!\d)"
            self.words.append(("number", re.compile(number, re.I)))
        elif kind == LOGIN:
            word = re.escape(value.encode())
            self.words.append(("in a path", re.compile(rb"(?:/home|[/\\]Users)[/\\]+" + word + rb"(?![A-Za-z0-9])")))
            self.words.append(
                ("at a host", re.compile(rb"(?<![A-Za-z0-9])" + word + rb"@|@" + word + rb"(?![A-Za-z0-9])"))
            )
        elif len(value.encode()) >= _SHORTEST:
            self._words(value, kind)
        else:
            word = rb"(?<![A-Za-z0-9])" + re.escape(value.encode()) + rb"(?![A-Za-z0-9])"
            self.words.append(("text", re.compile(word)))
            self.nibbles.append(("hexadecimal of a TLV", f"{len(value):02x}{value.encode().hex()}"))

    def _digits(self, value: str, note: str = "") -> None:
        self.exact.append((f"{note}text", value.encode()))
        for codec in ("utf-16-be", "utf-16-le"):
            self.exact.append((f"{note}{codec}", value.encode(codec)))
        if len(value) >= 9:
            self._packed(value, note)
            for gap in (" ", "-", ":"):
                for count in (2, 4):
                    parts = gap.join(value[at : at + count] for at in range(0, len(value), count))
                    self.exact.append((f"{note}in groups", parts.encode()))
        self._text(value, f"{note}hexadecimal of text", plain=False)
        self._base64(value.encode(), note)

    def _packed(self, value: str, note: str) -> None:
        """BCD begins at either nibble; in hexadecimal text only with swapped nibbles is it other than the digits."""
        self.nibbles.append((f"{note}BCD", value))
        for first in (0, 1):
            head, body = value[:first], value[first:]
            swapped = "".join(body[at + 1] + body[at] for at in range(0, len(body) - 1, 2))
            # Half a byte at either end belongs to a neighbour and may hold anything.
            self.nibbles.append((f"{note}BCD swapped", swapped)) if first == 0 else self.nibbles.append(
                (f"{note}BCD swapped, odd", swapped)
            )
            self.low.append((f"{note}BCD swapped in hexadecimal", swapped.encode()))
            del head
            self._base64(bytes.fromhex(swapped), f"{note}BCD swapped in ")
            even = body[: len(body) & ~1]
            self._base64(bytes.fromhex(even), f"{note}BCD in ")

    def _text(self, value: str, form: str, *, plain: bool = True) -> None:
        if plain:
            self.low.append((form, value.lower().encode()))
        self.low.append((f"{form}, again", value.encode().hex().encode()))

    def _base64(self, raw: bytes, note: str = "") -> None:
        """The characters that only depend on ``raw``, for each of three places in a group."""
        for lead in range(3):
            text = base64.b64encode(bytes(lead) + raw)
            start, end = (8 * lead + 5) // 6, (8 * (lead + len(raw))) // 6
            part = text[start:end]
            if len(part) >= _SHORTEST:
                self.exact.append((f"{note}base64", part))
                if part.translate(bytes.maketrans(b"+/", b"-_")) != part:
                    self.exact.append((f"{note}base64url", part.translate(bytes.maketrans(b"+/", b"-_"))))
                if b"/" in part:
                    self.exact.append((f"{note}base64 in JSON", part.replace(b"/", b"\\/")))

    def _address(self, value: str) -> None:
        address = ipaddress.ip_address(value)
        texts = {value} if address.version == 4 else {value, address.exploded, ".".join(map(str, address.packed))}
        for text in texts:
            self.words.append(
                ("text", re.compile(rb"(?<![0-9a-f.:])" + re.escape(text.encode()) + rb"(?![0-9])", re.I))
            )
            self._text(text, "hexadecimal of text", plain=False)
        if address.version == 6:
            self.exact.append(("bytes", address.packed))

    def _words(self, value: str, kind: str) -> None:
        raw = value.encode()
        (self.low if kind == HOST else self.exact).append(("text", raw.lower() if kind == HOST else raw))
        escaped = json.dumps(value)[1:-1].encode()
        if escaped != raw:
            self.exact.append(("JSON", escaped))
        for codec in ("utf-16-be", "utf-16-le"):
            self.exact.append((codec, value.encode(codec)))
        self._text(value, "hexadecimal of text", plain=False)
        if kind != NAME or len(raw) >= _SHORTEST:
            self._base64(raw)


class Check:
    """The identifiers of a bundle in all their forms."""

    def __init__(self, given: Mapping[Identifier, str]) -> None:
        self._forms = [_Forms(each) for each in given]
        self._packed = {ipaddress.ip_address(each.value).packed: each for each in given if each.kind == ADDRESS}

    def file(self, name: str, data: bytes) -> list[Left]:
        """Return what is left in a file, at most one finding for a form of an identifier."""
        if not name.endswith(".pcapng"):
            return list(self._search(name, [("bytes", data)], binary=name.endswith(".f32")))
        try:
            image = parse(data, where=name)
        except TraceError as error:
            return [Left(name, "the whole file", "trace", "unreadable", str(error))]
        parts = [("the whole file", data)]
        parts += [(f"lane {lane}", stream.get()) for (lane, _), stream in lane_streams([image]).items()]
        parts += [(f"APDUs on {lane}", stream.get()) for (lane, *_), stream in apdu_streams([image]).items()]
        parts += [(f"connections on {lane}", stream.get()) for (lane, _), stream in flows([image]).items()]
        left = list(self._search(name, parts))
        if image.secrets or DECRYPTION_SECRETS.to_bytes(4, "little") + b"KSLT" in data:
            left.append(Left(name, "the whole file", "session keys", "Decryption Secrets Block", "of TLS or DTLS"))
        for packet in image.packets:
            start = ip_start(image, packet)
            for address in addresses(image, start) if start is not None else ():
                if address in self._packed:
                    left.append(Left(name, f"lane {packet.lane}", ADDRESS, "header", self._packed[address].value))
        return list(dict.fromkeys(left))

    def _search(self, name: str, parts: Iterable[tuple[str, bytes]], *, binary: bool = False) -> Iterator[Left]:
        for place, data in parts:
            low, plain = data.lower(), data.hex()
            for forms in self._forms:
                each = forms.identifier

                def left(form: str, each: Identifier = each, place: str = place) -> Left:
                    return Left(name, place, each.kind, form, each.value)

                yield from (left(form) for form, needle in forms.exact if needle in data)
                yield from (left(form) for form, needle in forms.low if needle in low)
                yield from (left(form) for form, needle in forms.nibbles if needle in plain)
                if not binary:
                    yield from (left(form) for form, pattern in forms.words if pattern.search(data))
