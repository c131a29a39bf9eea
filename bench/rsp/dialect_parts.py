"""What the conversion between SGP.32 v1.2 and v1.0 is made of: rewriting of TLVs, results of packages, notifications.

Used by bench.rsp.dialect, which has the description and what callers import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.rsp import tlv
from bench.rsp.errors import DecodeError, RspError
from bench.rsp.tlv import Tlv, build

UNDEFINED: Final = 127


class NotInDialect(RspError, ValueError):
    """SGP.32 v1.0 has no such function, command or option."""


def rewrite(node: Tlv, change: Callable[[Tlv], bytes | None], tag: int | None = None) -> bytes:
    """Return ``node`` with each child as ``change`` gives it; None keeps the child's bytes."""
    parts = []
    for child in node.children():
        new = change(child)
        parts.append(child.raw if new is None else new)
    return build(node.tag if tag is None else tag, *parts)


def _code(node: Tlv) -> int:
    if not 0 < len(node.value) <= 4:
        raise DecodeError(f"{node.tag:X}: an INTEGER of {len(node.value)} octets is no code")
    return int.from_bytes(node.value, "big", signed=True)


def known_code(node: Tlv, allowed: tuple[int, ...], tag: int | None = None) -> bytes:
    """Return the code with ``tag``; one that v1.0 does not name is undefinedError."""
    value = node.value if _code(node) in allowed else bytes((UNDEFINED,))
    return build(node.tag if tag is None else tag, value)


def fields_of(node: Tlv) -> dict[int, Tlv]:
    """Return the children by tag, the first of each."""
    found: dict[int, Tlv] = {}
    for child in node.children():
        found.setdefault(child.tag, child)
    return found


def raws(*nodes: Tlv | None) -> bytes:
    """Return the TLVs that are there one after the other."""
    return b"".join(node.raw for node in nodes if node is not None)


def errors(tag: int, allowed: tuple[int, ...]) -> Callable[[Tlv], bytes]:
    """Return what makes codes under ``tag`` that v1.0 does not name undefinedError."""
    return lambda node: rewrite(node, lambda child: known_code(child, allowed) if child.tag == tag else None)


def without(*tags: int) -> Callable[[Tlv], bytes]:
    """Return what leaves out the fields with these tags."""
    return lambda node: rewrite(node, lambda child: b"" if child.tag in tags else None)


# --- results of packages ----------------------------------------------------------------------------------------------

_RESULT_CODES: Final = {
    0x83: (0, 1, 2, UNDEFINED),
    0x84: (0, 1, 2, UNDEFINED),
    0x85: (0, 1, 2, UNDEFINED),
}
_NEW_RESULTS: Final = (0x8D, 0x8E, 0xBF65)
_NEW_PSMOS: Final = {0xA8: "setFallbackAttribute", 0xA9: "unsetFallbackAttribute", 0xBF65: "setDefaultDpAddress"}


def result_data_to_v1_0(data: bytes) -> bytes:
    """Return euiccPackageResultDataSigned (30) or euiccPackageErrorDataSigned as a card of v1.0 would sign it.

    Raises DecodeError, NotInDialect for results of PSMOs that v1.0 does not have.
    """

    def result(node: Tlv) -> bytes | None:
        if node.tag in _NEW_RESULTS:
            raise NotInDialect(f"v1.0 has no result {node.tag:X}")
        if node.tag in _RESULT_CODES:
            return known_code(node, _RESULT_CODES[node.tag])
        if node.tag == 0xA8 and node.find(0x02) is not None:
            return rewrite(node, lambda code: known_code(code, (0, 1, 3, 5, 6, 7, UNDEFINED)))
        return _id_types(node, 0x82, 0x84) if node.tag == 0xAB else None

    def field(node: Tlv) -> bytes | None:
        if node.tag == 0x30:
            return rewrite(node, result)
        return known_code(node, (3, 4, 6, 15, UNDEFINED)) if node.tag == 0x02 else None

    return rewrite(tlv.first(data), field)


def result_to_v1_2(data: bytes) -> bytes:
    """Return an EuiccPackageResult (BF51) of v1.0 so that readers of v1.2 understand it: eimIdType in listEim.

    Its signature is over the bytes received: verify these. Raises DecodeError.
    """

    def walk(node: Tlv) -> bytes | None:
        if node.tag == 0xAB:
            return _id_types(node, 0x84, 0x82)
        return rewrite(node, walk) if node.tag in (0xBF51, 0xA0, 0x30) else None

    return walk(tlv.first(data)) or data


def _id_types(node: Tlv, old: int, new: int) -> bytes:
    """Rewrite the tag of eimIdType in ListEimResult (AB{A0{30{80, 82|84}}})."""

    def entry(info: Tlv) -> bytes:
        return rewrite(info, lambda field: build(new, field.value) if field.tag == old else None)

    return rewrite(node, lambda entries: rewrite(entries, entry) if entries.tag == 0xA0 else None)


def check_package(request: bytes) -> None:
    """Raise NotInDialect when an EuiccPackageRequest (BF51) has PSMOs that v1.0 does not have; DecodeError."""
    psmos = tlv.first(request).find(0x30, 0xA0)
    for psmo in psmos.children() if psmos is not None else ():
        if psmo.tag in _NEW_PSMOS:
            raise NotInDialect(f"v1.0 has no PSMO {_NEW_PSMOS[psmo.tag]} ({psmo.tag:X})", where="EuiccPackageRequest")


def signing_input(signed_tlv: bytes, association_token: int | None, *, eim_signature: bytes | None = None) -> bytes:
    """Return what a card signs over a result: in the text of v1.0 the eimSignature DO (5F37) of the request follows.

    Without ``eim_signature`` it is the associationToken DO of v1.2, which cards of v1.0 were seen to sign too.
    """
    from bench.rsp import packages

    if eim_signature is None:
        return packages.signing_input(signed_tlv, association_token)
    return signed_tlv + build(0x5F37, eim_signature)


def package_result_old(node: Tlv) -> bytes:
    """BF51: only the unsigned error may be changed."""

    def alternative(child: Tlv) -> bytes | None:
        return rewrite(child, lambda field: b"" if field.tag in (0x82, 0x8F) else None) if child.tag == 0xA2 else None

    return rewrite(node, alternative)


# --- notifications ----------------------------------------------------------------------------------------------------


def pending_old(node: Tlv) -> bytes | None:
    """CompactOtherSignedNotification (A1) has no eidValue and no CI key identifier."""
    return without(0x5A, 0x04)(node) if node.tag == 0xA1 else None


def result_list_old(node: Tlv) -> bytes:
    """ePRAndNotifications (30)."""

    def change(child: Tlv) -> bytes | None:
        if child.tag == 0xBF51:
            return package_result_old(child)
        return build(0xBF2B, rewrite(child, pending_old)) if child.tag == 0xA0 else None

    return rewrite(node, change)


def result_list_new(node: Tlv) -> bytes:
    """ePRAndNotifications (30) of v1.0."""
    return rewrite(node, lambda child: one_list(child) if child.tag == 0xBF2B else None)


def one_list(node: Tlv) -> bytes:
    """The notifications of a RetrieveNotificationsListResponse of v1.0 (BF2B{A0} or BF2B{A3{A0, A1}}) as A0."""
    found = node.find(0xA0) or node.find(0xA3, 0xA0)
    return build(0xA0, found.value if found is not None else b"")
