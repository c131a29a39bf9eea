"""Traces in memory: any bytes are read or refused, and what is kept is what was there."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.handover import apply
from bench.handover.book import Book
from bench.handover.check import Check
from bench.handover.collect import Found
from bench.handover.collect_trace import collect
from bench.handover.image import parse
from bench.handover.replace import Replacer
from bench.trace import TraceError, blocks, read

from .planted import Card, write


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("image") / "t"
    write(path, Card.draw(3), 3)
    return path.read_bytes()


def everything(data: bytes) -> bytes:
    image = parse(data)
    found = Found()
    collect(found, [image])
    given_ = Book("v", b"k" * 32).give(found.identifiers)
    size = len(image.buffer)
    apply.trace([image], Replacer(given_))
    assert len(image.buffer) == size
    Check(given_).file("t.pcapng", bytes(image.buffer))
    return bytes(image.buffer)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_damaged_trace_is_read_as_far_as_it_goes(whole: bytes, data: st.DataObject) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        kept = everything(cut)
    except TraceError:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t")
        path.write_bytes(kept)
        list(read(path))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        parse(data)
    except TraceError:
        pass
    head = blocks.section_header() + blocks.interface("ip:x", link_type=101)
    body = struct.pack("<IIIII", 0, 0, 0, len(data), len(data)) + data + blocks.PADDING[-len(data) & 3]
    everything(head + blocks.block(blocks.ENHANCED_PACKET, body))


def test_blocks_that_are_not_needed_are_left_out(whole: bytes) -> None:
    end = struct.unpack_from("<I", whole, 4)[0]
    names = blocks.block(4, b"\x01\x00\x10\x00" + bytes((10, 0, 0, 1)) + b"secret.host\0" + b"\0\0\0\0")
    image = parse(whole[:end] + names + whole[end:] + blocks.block(0xBAD, b"\0" * 8))
    assert (image.secrets, image.unknown, image.torn) == (0, 2, 0)
    assert bytes(image.buffer) == whole


def test_a_trace_of_the_other_byte_order() -> None:
    def block(kind: int, body: bytes) -> bytes:
        return struct.pack(">II", kind, 12 + len(body)) + body + struct.pack(">I", 12 + len(body))

    card = Card.draw(9)
    name, text = b"console:a", f"EID {card.eid}\r\n".encode()
    head = block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1))
    options = struct.pack(">HH", 2, len(name)) + name + b"\0" * (-len(name) & 3) + b"\0" * 4
    packet = struct.pack(">IIIII", 0, 0, 0, len(text), len(text)) + text + b"\0" * (-len(text) & 3)
    data = head + block(1, struct.pack(">HHI", 147, 0, 0) + options) + block(6, packet)
    assert card.eid.encode() not in everything(data)
