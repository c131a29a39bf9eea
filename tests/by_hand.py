"""BER-TLV by hand, for tests: nothing of bench.rsp, lest two halves agree on a fault."""

from __future__ import annotations


def tlv(tag: str, *values: bytes) -> bytes:
    """Return a TLV with its length in DER; ``tag`` in hexadecimal."""
    content = b"".join(values)
    size = len(content)
    if size < 128:
        return bytes.fromhex(tag) + bytes((size,)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes.fromhex(tag) + bytes((0x80 | len(octets),)) + octets + content


def number(value: int) -> bytes:
    """Return the content of an INTEGER that is not negative."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def split(data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Return tag, content and whole TLV of each of the TLVs that ``data`` is made of."""
    found = []
    at = 0
    while at < len(data):
        start = at
        at += 1
        if data[start] & 0x1F == 0x1F:
            while data[at] & 0x80:
                at += 1
            at += 1
        tag = data[start:at]
        size = data[at]
        at += 1
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[at : at + count], "big")
            at += count
        assert at + size <= len(data), f"{tag.hex()} runs out of {data.hex()}"
        found.append((tag, data[at : at + size], data[start : at + size]))
        at += size
    return found
