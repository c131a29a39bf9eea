"""TLVs as the field findings write them: ``BF51{A0{30{80:65 81:01} 5F37:AABB}}`` to bytes, lengths worked out here."""

from __future__ import annotations


def octets(text: str) -> bytes:
    """Return the bytes of TLVs written as TAG{...} or TAG:HEX, separated by blanks."""
    data, rest = _several(text.strip())
    assert not rest, rest
    return data


def _several(text: str) -> tuple[bytes, str]:
    data = b""
    while text and text[0] != "}":
        end = min(index for index in (text.find("{"), text.find(":")) if index >= 0)
        tag, kind, text = bytes.fromhex(text[:end]), text[end], text[end + 1 :]
        if kind == "{":
            content, text = _several(text.lstrip())
            text = text[1:]
        else:
            digits = len(text) - len(text.lstrip("0123456789abcdefABCDEF"))
            content, text = bytes.fromhex(text[:digits]), text[digits:]
        length = len(content)
        octets_of_length = length.to_bytes(max(1, (length.bit_length() + 7) // 8), "big")
        header = octets_of_length if length < 128 else bytes((0x80 | len(octets_of_length),)) + octets_of_length
        data += tag + header + content
        text = text.lstrip()
    return data, text
