from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.rsp import tlv
from bench.rsp.errors import DecodeError

MESSAGE = bytes.fromhex("bf5114300a8003656565820101a0003006020101020102")


def test_slices_keep_the_bytes_they_were_read_from() -> None:
    outer = tlv.first(MESSAGE)
    assert (outer.tag, outer.header, outer.start, outer.raw) == (0xBF51, 3, 0, MESSAGE)
    first, second = outer.children()
    assert (first.tag, first.start, first.raw) == (0x30, 3, MESSAGE[3:15])
    assert second.start == 15
    assert MESSAGE[second.start : second.start + len(second.raw)] == second.raw
    found = outer.find(0x30, 0x82)
    assert found is not None
    assert found.value == b"\x01"
    assert found.start == MESSAGE.index(b"\x82\x01\x01")
    assert outer.find(0x30, 0x99) is None
    assert outer.find() is outer
    assert [child.value for child in second.find_all(0x02)] == [b"\x01", b"\x02"]


def test_primitive_has_no_children() -> None:
    node = tlv.first(bytes.fromhex("040430023000"))
    assert not node.constructed
    assert node.children() == []


def test_long_lengths_are_taken_and_der_ones_made() -> None:
    node = tlv.first(bytes.fromhex("30820003040100"))
    assert (node.header, node.value) == (4, b"\x04\x01\x00")
    assert tlv.build(0x04, bytes(127))[:2] == b"\x04\x7f"
    assert tlv.build(0x04, bytes(128))[:3] == b"\x04\x81\x80"
    assert tlv.build(0xBF51, bytes(256))[:5] == b"\xbf\x51\x82\x01\x00"
    assert tlv.build(0x5F37, b"a", b"b") == b"\x5f\x37\x02ab"
    assert tlv.build(0x9F8001) == b"\x9f\x80\x01\x00"


def test_retag_changes_the_tag_alone() -> None:
    assert tlv.retag(bytes.fromhex("3081020500"), 0xBF51) == bytes.fromhex("bf5181020500")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "no data"),
        ("0400ff", "the length of FF|cut off"),
        ("04000400", "2 bytes follow the TLV 4"),
        ("bf", "the tag at offset 0 is cut off"),
        ("bf8080808001 00".replace(" ", ""), "longer than 4 bytes"),
        ("04", "the length of 4 at offset 0 is missing"),
        ("0480", "indefinite"),
        ("048201", "cut off or longer"),
        ("0405aabb", "says 5 bytes, but 2 are left"),
        ("3003040300", "4 at offset 2 says 3 bytes, but 1 are left"),
        ("300430020402", "4 at offset 4 says 2 bytes, but 0 are left"),
    ],
)
def test_what_is_wrong_is_said(data: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        tlv.first(bytes.fromhex(data))


def test_bounds() -> None:
    deep = b""
    for _ in range(33):
        deep = tlv.build(0x30, deep)
    with pytest.raises(DecodeError, match="deeper than 32"):
        tlv.parse(deep)
    assert tlv.parse(deep, max_depth=33)[0].tag == 0x30
    with pytest.raises(DecodeError, match="limit of 4"):
        tlv.parse(bytes.fromhex("0403000000"), limit=4)


trees = st.recursive(
    st.binary(max_size=40).map(lambda data: (0x04, data)),
    lambda inner: st.tuples(st.sampled_from([0x30, 0xA0, 0xBF51, 0xE3]), st.lists(inner, max_size=4)),
    max_leaves=20,
)


def _build(tree: Any) -> bytes:
    tag, content = tree
    return tlv.build(tag, content if isinstance(content, bytes) else b"".join(map(_build, content)))


def _read(node: tlv.Tlv) -> object:
    return (node.tag, [_read(child) for child in node.children()] if node.constructed else node.value)


@settings(deadline=None, database=None)
@given(st.lists(trees, max_size=4))
def test_what_is_built_is_read(forest: list[Any]) -> None:
    data = b"".join(map(_build, forest))
    parsed = tlv.parse(data)
    assert [_read(node) for node in parsed] == [tuple(tree) for tree in forest]
    assert b"".join(node.raw for node in parsed) == data
    assert tlv.check(data) == len(forest)


@settings(deadline=1000, max_examples=500, database=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_walked_or_refused(data: bytes) -> None:
    try:
        parsed = tlv.parse(data)
    except DecodeError:
        return
    assert b"".join(node.raw for node in parsed) == data

    def walk(node: tlv.Tlv) -> None:
        assert data[node.start : node.start + len(node.raw)] == node.raw
        for child in node.children():
            walk(child)

    for node in parsed:
        walk(node)
