"""ESipa messages of the conversion between SGP.32 v1.2 and v1.0 (bench.rsp.dialect)."""

from __future__ import annotations

from typing import Final

from bench.rsp import tlv
from bench.rsp.dialect_parts import (
    UNDEFINED,
    check_package,
    fields_of,
    known_code,
    one_list,
    package_result_old,
    pending_old,
    raws,
    result_list_new,
    result_list_old,
    rewrite,
    without,
)
from bench.rsp.errors import DecodeError
from bench.rsp.tlv import Tlv, build

# --- IpaEuiccData -----------------------------------------------------------------------------------------------------


def _tags(data: bytes) -> list[int]:
    tags, at = [], 0
    while at < len(data):
        start = at
        at += 1
        if data[start] & 0x1F == 0x1F:
            while at < len(data) and data[at] & 0x80:
                at += 1
            at += 1
        if at > len(data):
            raise DecodeError("the last tag of the tagList is cut off", where="IpaEuiccDataRequest")
        tags.append(int.from_bytes(data[start:at], "big"))
    return tags


def _tag_list(tags: list[int]) -> bytes:
    return build(0x5C, *(tlv.tag_bytes(tag) for tag in dict.fromkeys(tags)))


def _data_request_old(node: Tlv) -> bytes:
    fields = fields_of(node)
    asked = _tags(fields[0x5C].value) if 0x5C in fields else []
    notifications, results = 0xA0 in asked, 0xA2 in asked
    asked = [{0xA0: 0xBF2B, 0xA2: 0xBF2B, 0x81: 0x80}.get(tag, tag) for tag in asked]
    criteria = b""
    if results and not notifications:
        criteria = build(0xA1, fields[0xA2].value if 0xA2 in fields else build(0x82))
    elif 0xA1 in fields:
        criteria = fields[0xA1].raw
    return build(node.tag, _tag_list(asked), raws(fields.get(0x04)), criteria)


def _data_request_new(node: Tlv) -> bytes:
    fields = fields_of(node)
    inner = fields[0xA1].children()[:1] if 0xA1 in fields else []
    criterion = inner[0] if inner else None
    lists = {None: [0xA0, 0xA2], 0x80: [0xA0, 0xA2], 0x81: [0xA0], 0x82: [0xA2]}
    wanted = lists.get(criterion.tag if criterion is not None else None, [0xA0])
    asked: list[int] = []
    # 88: what a comment in the ASN.1 of v1.0 calls ipaCapabilities, and one eIM asks for.
    renamed = {0x80: 0x81, 0x88: 0xA8}
    for tag in _tags(fields[0x5C].value) if 0x5C in fields else []:
        asked += wanted if tag == 0xBF2B else [renamed.get(tag, tag)]
    searches = b""
    if criterion is not None and criterion.tag != 0x82:
        searches = build(0xA1, criterion.raw) + (build(0xA2, criterion.raw) if criterion.tag == 0x80 else b"")
    return build(node.tag, _tag_list(asked), raws(fields.get(0x04)), searches)


_DATA_FIELDS: Final = (0xBF20, 0xBF22, 0x83, 0x84, 0xA5, 0xA6)


def _data_response_old(node: Tlv) -> bytes:
    error, data = node.find(0xA1), node.find(0xA0)
    if data is None:
        code = error.find(0x02) if error is not None else None
        if code is None:
            raise DecodeError("neither data nor an error code", where="IpaEuiccDataResponse")
        return build(node.tag, known_code(code, (1, 5, UNDEFINED), 0x81))
    fields = fields_of(data)
    address, notes, results = fields.get(0x81), fields.get(0xA0), fields.get(0xA2)
    pending = rewrite(notes, pending_old) if notes is not None else b""
    if notes is not None and results is not None:
        retrieved = build(0xBF2B, build(0xA3, pending, build(0xA1, results.value)))
    elif results is not None:
        retrieved = build(0xBF2B, results.raw)
    else:
        retrieved = build(0xBF2B, pending) if notes is not None else b""
    capabilities = fields.get(0xA8)
    return build(
        node.tag,
        build(
            0xA0,
            build(0x80, address.value) if address is not None else b"",
            raws(*(fields.get(tag) for tag in _DATA_FIELDS)),
            without(0xA2)(capabilities) if capabilities is not None else b"",
            raws(fields.get(0xA9)),
            retrieved,  # the last member: a decoder of v1.0 passes over whatever follows it
        ),
    )


def _data_response_new(node: Tlv) -> bytes:
    data, code = node.find(0xA0), node.find(0x81)
    if data is None:
        if code is None:
            raise DecodeError("neither data nor an error code", where="IpaEuiccDataResponse")
        return build(node.tag, build(0xA1, build(0x02, code.value)))
    fields = fields_of(data)
    address, retrieved = fields.get(0x80), fields.get(0xBF2B)
    notes = results = b""
    if retrieved is not None:
        if retrieved.find(0xA0) is not None or retrieved.find(0xA3) is not None:
            notes = one_list(retrieved)
        found = retrieved.find(0xA2) or retrieved.find(0xA3, 0xA1)
        results = build(0xA2, found.value) if found is not None else b""
    return build(
        node.tag,
        build(
            0xA0,
            notes,
            build(0x81, address.value) if address is not None else b"",
            results,
            raws(*(fields.get(tag) for tag in (*_DATA_FIELDS, 0xA8, 0xA9))),
        ),
    )


# --- ESipa ------------------------------------------------------------------------------------------------------------


def _trigger_result_old(node: Tlv) -> bytes:
    def change(child: Tlv) -> bytes | None:
        if child.tag != 0x30:
            return None
        response = child.find(0x04)
        return build(0x30, build(0x80, response.value) if response is not None else b"")

    return rewrite(node, change)


def _trigger_result_new(node: Tlv) -> bytes:
    def change(child: Tlv) -> bytes | None:
        if child.tag != 0x30:
            return None
        response = child.find(0x80)
        reason = build(0x80, bytes((UNDEFINED,)))
        return build(0x30, reason, build(0x04, response.value) if response is not None else b"")

    return rewrite(node, change)


def provided_old(node: Tlv) -> bytes:
    """BF50 from the IPA: the alternative alone; the error is a bare INTEGER."""

    def change(child: Tlv) -> bytes | None:
        if child.tag == 0x5A:
            return b""
        if child.tag == 0xA0:
            code = child.find(0x02)
            return build(0x02, code.value if code is not None else bytes((UNDEFINED,)))
        return _alternative_old(child)

    return rewrite(node, change)


def _alternative_old(child: Tlv) -> bytes | None:
    changes = {
        0xBF51: package_result_old,
        0x30: result_list_old,
        0xBF52: _data_response_old,
        0xBF54: _trigger_result_old,
    }
    return changes[child.tag](child) if child.tag in changes else None


def alternative_new(child: Tlv) -> bytes | None:
    """An alternative of EimPackageResult; None when it is the same in both."""
    changes = {0x30: result_list_new, 0xBF52: _data_response_new, 0xBF54: _trigger_result_new}
    return changes[child.tag](child) if child.tag in changes else None


def provided_new(node: Tlv) -> bytes:
    """BF50 from an IPA of v1.0: the bare error goes into A0."""
    return rewrite(node, lambda child: build(0xA0, child.raw) if child.tag == 0x02 else alternative_new(child))


def handled_old(node: Tlv) -> bytes:
    """BF3D: the result stands in A1, which replaces its tag."""

    def change(child: Tlv) -> bytes | None:
        if child.tag == 0xBF50:
            return tlv.retag(provided_old(child), 0xA1)
        return rewrite(child, pending_old) if child.tag == 0xA0 else None

    return rewrite(node, change)


def handled_new(node: Tlv) -> bytes:
    """BF3D from an IPA of v1.0: A1 becomes BF50."""

    def change(child: Tlv) -> bytes | None:
        return provided_new(tlv.first(tlv.retag(child.raw, 0xBF50))) if child.tag == 0xA1 else None

    return rewrite(node, change)


def with_eid(node: Tlv, eid: bytes) -> bytes:
    """BF50, also in BF3D, with an eidValue (5A) unless it has one."""
    if node.tag == 0xBF3D and node.find(0xBF50) is not None:
        return rewrite(node, lambda child: with_eid(child, eid))
    if node.tag != 0xBF50 or node.find(0x5A) is not None:
        return node.raw
    return build(node.tag, build(0x5A, eid), node.value)


def query_old(node: Tlv) -> bytes:
    """BF4F from the IPA: 81 is the rPLMN."""
    fields = fields_of(node)
    plmn = fields.get(0x82)
    return build(
        node.tag, raws(fields.get(0x5A), fields.get(0x80)), build(0x81, plmn.value) if plmn is not None else b""
    )


def query_new(node: Tlv) -> bytes:
    """BF4F from an IPA of v1.0: 81 is the rPLMN."""
    return rewrite(node, lambda child: build(0x82, child.value) if child.tag == 0x81 else None)


def offered_old(node: Tlv) -> bytes:
    """BF4F from the eIM."""

    def change(child: Tlv) -> bytes | None:
        if child.tag == 0xBF51:
            check_package(child.raw)
        if child.tag == 0x02:
            return known_code(child, (1, UNDEFINED))
        return _data_request_old(child) if child.tag == 0xBF52 else None

    return rewrite(node, change)


def offered_new(node: Tlv) -> bytes:
    """BF4F or BF4E from an eIM of v1.0."""
    return rewrite(node, lambda child: _data_request_new(child) if child.tag == 0xBF52 else None)


def acknowledged_old(node: Tlv) -> bytes:
    """BF50 from the eIM: what is not an acknowledgement is an empty SEQUENCE, errors too: nothing is acknowledged."""
    return rewrite(node, lambda child: None if child.tag == 0xBF53 else b"")


def acknowledged_new(node: Tlv) -> bytes:
    """BF50 from an eIM of v1.0: nothing in it is the empty response."""
    return node.raw if node.value else build(node.tag, build(0x30))


def transferred_old(node: Tlv) -> bytes:
    """BF4E from the IPA."""

    def change(child: Tlv) -> bytes | None:
        if child.tag == 0xBF60:
            return build(0x05)
        if child.tag == 0xBF61:
            code = child.find(0x81)
            return build(0x02, code.value if code is not None else bytes((UNDEFINED,)))
        return _alternative_old(child)

    return rewrite(node, change)
