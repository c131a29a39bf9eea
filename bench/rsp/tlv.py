"""BER-TLV walker with raw slices (ISO/IEC 8825-1), for signatures over received bytes and for a first look.

Only definite lengths: the RSP specifications ask for DER, and a bounded walk is what protects the codec. Lengths that
are longer than they need to be (``81 05``) are accepted, since silicon sends them. Tags are ints as printed in the
standards: ``0x30``, ``0x5F37``, ``0xBF51``. Lengths and offsets are in bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from bench.rsp.errors import DecodeError

MAX_DEPTH = 32
LIMIT = 1 << 20
_SHORT = tuple(bytes((length,)) for length in range(0x80))
"""Length octets in the short form."""


class Tlv(NamedTuple):
    """One TLV and the bytes it was read from.

    ``header``: length of tag and length octets; ``start``: offset of the tag in the bytes given to ``parse``;
    ``raw``: the whole TLV as received; ``value``: its content.
    """

    tag: int
    header: int
    start: int
    raw: bytes
    value: bytes

    @property
    def constructed(self) -> bool:
        """Whether the content is made of TLVs."""
        return bool(self.raw[0] & 0x20)

    def children(self) -> list[Tlv]:
        """Return the TLVs of the content, none for a primitive one. Raises DecodeError when the content is broken."""
        if not self.constructed:
            return []
        return list(_siblings(self.value, self.start + self.header))

    def find(self, *tags: int) -> Tlv | None:
        """Return the TLV reached by going down through ``tags`` (the first of each), None when there is none."""
        here = self
        for tag in tags:
            for child in _siblings(here.value, here.start + here.header) if here.constructed else ():
                if child.tag == tag:
                    here = child
                    break
            else:
                return None
        return here

    def find_all(self, tag: int) -> list[Tlv]:
        """Return the children with ``tag`` in order."""
        return [child for child in self.children() if child.tag == tag]

    def __repr__(self) -> str:
        shown = self.value[:16].hex() + ("..." if len(self.value) > 16 else "")
        return f"Tlv({self.tag:X}, {len(self.value)} bytes: {shown})"


def parse(data: bytes, *, max_depth: int = MAX_DEPTH, limit: int = LIMIT) -> list[Tlv]:
    """Return the sibling TLVs that ``data`` is made of, after checking every length below them.

    Raises DecodeError when a length exceeds its parent, nesting is deeper than ``max_depth``, or ``data`` is longer
    than ``limit`` bytes.
    """
    check(data, max_depth=max_depth, limit=limit)
    return list(_siblings(bytes(data), 0))


def first(data: bytes, *, max_depth: int = MAX_DEPTH, limit: int = LIMIT) -> Tlv:
    """Return the one TLV that ``data`` is. Raises DecodeError when there is none or bytes follow it."""
    found = parse(data, max_depth=max_depth, limit=limit)
    if not found:
        raise DecodeError("no data where a TLV is expected")
    if len(found) > 1:
        raise DecodeError(f"{len(data) - len(found[0].raw)} bytes follow the TLV {found[0].tag:X}")
    return found[0]


def check(data: bytes, *, max_depth: int = MAX_DEPTH, limit: int = LIMIT) -> int:
    """Walk every TLV of ``data`` and return how many siblings stand at the top.

    Raises DecodeError at the first length, tag or depth that is wrong. Linear in the number of TLVs.
    """
    end = len(data)
    if end > limit:
        raise DecodeError(f"{end} bytes are more than the limit of {limit}")
    ends: list[int] = []
    offset = top = 0
    while True:
        while ends and offset == end:
            end = ends.pop()
        if offset == end:
            return top
        if not ends:
            top += 1
        first_octet = data[offset]
        content = offset + 2  # one octet of tag and one of length is nearly all there is: half the time for it
        if (
            first_octet & 0x1F != 0x1F
            and content <= end
            and (length := data[offset + 1]) < 0x80
            and content + length <= end
        ):
            offset = content
        else:
            _, offset, length = _header(data, offset, end)
        if first_octet & 0x20:
            if len(ends) + 1 > max_depth:
                raise DecodeError(f"TLVs are nested deeper than {max_depth} levels at offset {offset}")
            ends.append(end)
            end = offset + length
        else:
            offset += length


def header(data: bytes) -> tuple[int, int, int]:
    """Return tag, length of the header and length of the content of the TLV that ``data`` starts with.

    Only its header is looked at: the content may be broken (BSP segments with tag A6...), but must be there.
    Raises DecodeError.
    """
    if not data:
        raise DecodeError("no data where a TLV is expected")
    return _header(data, 0, len(data))


def build(tag: int, *values: bytes) -> bytes:
    """Return a TLV (DER length) with the concatenation of ``values`` as content; ``tag`` as printed: ``0xBF51``."""
    content = b"".join(values)
    return tag_bytes(tag) + length_bytes(len(content)) + content


@lru_cache(512)  # the standards have fewer; what somebody makes up does not fill the memory
def tag_bytes(tag: int) -> bytes:
    """Return the octets of a tag given as printed."""
    return tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big")


def length_bytes(length: int) -> bytes:
    """Return DER length octets."""
    if length < 0x80:
        return _SHORT[length]
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def retag(raw: bytes, tag: int) -> bytes:
    """Return the TLV ``raw`` with another tag: its length octets and content stay as they are."""
    old = first(raw, max_depth=MAX_DEPTH, limit=max(LIMIT, len(raw)))
    return tag_bytes(tag) + raw[len(tag_bytes(old.tag)) :]


def _header(data: bytes, offset: int, end: int) -> tuple[int, int, int]:
    """Return tag, offset of the content and its length; the TLV at ``offset`` must end at or before ``end``."""
    start = offset
    tag = data[offset]
    offset += 1
    if tag & 0x1F == 0x1F:
        while True:
            if offset >= end:
                raise DecodeError(f"the tag at offset {start} is cut off")
            octet = data[offset]
            offset += 1
            tag = tag << 8 | octet
            if not octet & 0x80:
                break
            if offset - start > 4:
                raise DecodeError(f"the tag at offset {start} is longer than 4 bytes")
    if offset >= end:
        raise DecodeError(f"the length of {tag:X} at offset {start} is missing")
    length = data[offset]
    offset += 1
    if length & 0x80:
        count = length & 0x7F
        if count == 0:
            raise DecodeError(f"{tag:X} at offset {start} has an indefinite length, which RSP does not allow")
        if count > 4 or offset + count > end:
            raise DecodeError(f"the length of {tag:X} at offset {start} is cut off or longer than 4 bytes")
        length = int.from_bytes(data[offset : offset + count], "big")
        offset += count
    if offset + length > end:
        raise DecodeError(f"{tag:X} at offset {start} says {length} bytes, but {end - offset} are left")
    return tag, offset, length


def _siblings(data: bytes, base: int) -> Iterator[Tlv]:
    offset, end = 0, len(data)
    while offset < end:
        tag, content = data[offset], offset + 2
        if tag & 0x1F == 0x1F or content > end or (length := data[offset + 1]) > 0x7F or content + length > end:
            tag, content, length = _header(data, offset, end)
        stop = content + length
        yield Tlv(tag, content - offset, base + offset, data[offset:stop], data[content:stop])
        offset = stop
