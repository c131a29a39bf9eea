"""Messages between SGP.32 v1.2, which the bench speaks, and v1.0, which some peers speak: bytes to bytes.

There is no version negotiation on ESipa, so the dialect is an option per peer: a party builds and reads v1.2, and at
its edge ``convert`` changes what differs. What is not about the difference keeps its bytes, signed parts first of all:
an EuiccPackageRequest and a signed EuiccPackageResult pass as they are. Where a card of v1.0 would sign other content
there are ``result_data_to_v1_0`` (before signing) and ``result_to_v1_2`` (to read, after verifying what was received).

Losses towards v1.0: stateChangeCause, eidValue and eimTransactionId where v1.0 has no field, codes that v1.0 does not
name (they become undefinedError). What v1.0 cannot say at all raises NotInDialect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from bench.rsp import codec, tlv
from bench.rsp import dialect_esipa as esipa
from bench.rsp.dialect_parts import (
    UNDEFINED,
    NotInDialect,
    check_package,
    errors,
    known_code,
    one_list,
    package_result_old,
    result_data_to_v1_0,
    result_to_v1_2,
    rewrite,
    signing_input,
    without,
)
from bench.rsp.errors import DecodeError
from bench.rsp.tlv import Tlv, build

__all__ = [
    "BINDINGS",
    "Binding",
    "Dialect",
    "Kind",
    "NotInDialect",
    "check_package",
    "code_name",
    "convert",
    "result_data_to_v1_0",
    "result_to_v1_2",
    "signing_input",
    "spoken",
]

Dialect = Literal["1.0", "1.2"]
Kind = Literal["ipa", "eim", "command", "response"]
"""ESipa from the IPA, ESipa from the eIM, ES10 command to the card, its response."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What the HTTP binding of a dialect asks for (SGP.32 section 6.1)."""

    admin_protocol: str
    user_agent: str
    """Of an IPAd; empty: not mandatory."""
    json: bool
    """The eIM must offer JSON beside ASN.1."""


BINDINGS: Final[dict[Dialect, Binding]] = {
    "1.0": Binding("gsma/rsp/v2.1.0", "", False),
    "1.2": Binding("gsma/rsp/v2.1.0", "gsma-rsp-ipad", True),
}


def convert(data: bytes, *, kind: Kind, to: Dialect, eid: bytes | None = None) -> bytes:
    """Return the message in the other dialect; one that is the same in both is returned as it is.

    ``data``: one message, in the dialect that ``to`` is not. ``eid`` (16 bytes): put into a ProvideEimPackageResult
    that goes to v1.2, which v1.0 sends without. Raises DecodeError for bytes that are no TLV, NotInDialect.
    """
    node = tlv.first(data)
    changed = _TABLES[kind, to].get(node.tag)
    converted = changed(node) if changed is not None else data
    if eid is not None and kind == "ipa" and to == "1.2":
        return esipa.with_eid(tlv.first(converted), eid)
    return converted


def spoken(data: bytes) -> Dialect | None:
    """Return which dialect an ESipa message from an IPA gives away, None when it may be either.

    An eidValue in BF50 or a stateChangeCause is v1.2; BF50{02}, a result in A1 of BF3D, BF2B in a list of
    notifications and an rPLMN under 81 are v1.0. Raises DecodeError.
    """
    node = tlv.first(data)
    children = node.children()
    tags = [child.tag for child in children]
    if node.tag == 0xBF3D:
        return "1.0" if tags == [0xA1] else "1.2" if tags == [0xBF50] else None
    if node.tag == 0xBF4F:
        field = node.find(0x81)
        return "1.2" if 0x82 in tags else None if field is None else "1.0" if len(field.value) == 3 else "1.2"
    if node.tag == 0xBF50:
        if 0x5A in tags or 0xA0 in tags:
            return "1.2"
        data_node = node.find(0xBF52, 0xA0)
        old = tags == [0x02] or node.find(0x30, 0xBF2B) is not None or node.find(0xBF52, 0x81) is not None
        old = old or (data_node is not None and (data_node.find(0x80) or data_node.find(0xBF2B)) is not None)
        return "1.0" if old else None
    return None


CODE_NAMES: Final[dict[str, dict[int, str]]] = {
    "AddInitialEimResponse.addInitialEimError": {2: "unsignedEimConfigDisallowed"},
    "GetBoundProfilePackageResponseEsipa.getBoundProfilePackageErrorEsipa": {6: "downloadOrderExpired"},
    "ListEimResult.listEimError": {7: "commandError"},
    "EuiccMemoryResetResponse.resetImmediateEnableConfigResult": {1: "resetAECNotSupported"},
}
"""Names of codes that mean something else in v1.0, by the path of the field in v1.2."""


def code_name(path: str, code: int, dialect: Dialect) -> str:
    """Return the name of a code in a dialect; ``path`` as for bench.rsp.names.result."""
    from bench.rsp import names

    old = CODE_NAMES.get(path, {}).get(code) if dialect == "1.0" else None
    return old or names.result(path, code)


# --- ES10 -------------------------------------------------------------------------------------------------------------

_RESET_BITS: Final = {0: 0, 1: 1, 2: 2, 5: 3, 6: 4}
"""resetOptions of v1.2 -> v1.0."""


def _reset_bits(node: Tlv, table: dict[int, int]) -> bytes:
    if len(node.value) < 1 or node.value[0] > 7:
        raise DecodeError("resetOptions is no BIT STRING", where="EuiccMemoryResetRequest")
    old = codec.positions((node.value[1:], 8 * (len(node.value) - 1) - node.value[0]))
    lost = sorted(position for position in old if position not in table)
    if lost:
        raise NotInDialect(f"v1.0 has no resetOptions {', '.join(map(str, lost))}", where="EuiccMemoryResetRequest")
    octets, count = codec.bits(*(table[position] for position in old))
    return build(0x82, bytes((-count % 8,)), octets)


def _reset_command(tag: int, table: dict[int, int]) -> Callable[[Tlv], bytes]:
    return lambda node: rewrite(node, lambda child: _reset_bits(child, table) if child.tag == 0x82 else None, tag)


def _reset_response_old(node: Tlv) -> bytes:
    return rewrite(
        node, lambda child: known_code(child, (0, 1, 5, UNDEFINED), 0x02) if child.tag == 0x80 else None, 0xBF34
    )


def _reset_response_new(node: Tlv) -> bytes:
    return rewrite(node, lambda child: build(0x80, child.value) if child.tag == 0x02 else None, 0xBF64)


def _renamed(tag: int) -> Callable[[Tlv], bytes]:
    return lambda node: tlv.retag(node.raw, tag)


def _absent(name: str) -> Callable[[Tlv], bytes]:
    def refuse(node: Tlv) -> bytes:
        raise NotInDialect(f"v1.0 has no function {name} ({node.tag:X})")

    return refuse


def _package_command(node: Tlv) -> bytes:
    check_package(node.raw)
    return node.raw


def _configurations_old(node: Tlv) -> bytes:
    """EimConfigurationData without indirectProfileDownload and proprietary protocol."""
    return rewrite(node, lambda entries: rewrite(entries, without(0x89, 0xAA)))


def _retrieved_new(node: Tlv) -> bytes:
    """BF2B{A3{A0, A1}}: v1.2 answers an unfiltered request with the notifications."""
    return build(node.tag, one_list(node)) if node.find(0xA3) is not None else node.raw


_ABSENT: Final = {
    0xBF5B: "EnableEmergencyProfile",
    0xBF5C: "DisableEmergencyProfile",
    0xBF5D: "ExecuteFallbackMechanism",
    0xBF5E: "ReturnFromFallback",
    0xBF5F: "GetConnectivityParameters",
}

_TABLES: Final[dict[tuple[Kind, Dialect], dict[int, Callable[[Tlv], bytes]]]] = {
    ("ipa", "1.0"): {
        0xBF39: without(0x82),
        0xBF3D: esipa.handled_old,
        0xBF4E: esipa.transferred_old,
        0xBF4F: esipa.query_old,
        0xBF50: esipa.provided_old,
    },
    ("ipa", "1.2"): {
        0xBF3D: esipa.handled_new,
        0xBF4E: lambda node: rewrite(node, esipa.alternative_new),
        0xBF4F: esipa.query_new,
        0xBF50: esipa.provided_new,
    },
    ("eim", "1.0"): {
        0xBF39: errors(0x81, (1, 2, 3, 50, 51, UNDEFINED)),
        0xBF4E: esipa.offered_old,
        0xBF4F: esipa.offered_old,
        0xBF50: esipa.acknowledged_old,
    },
    ("eim", "1.2"): {0xBF4E: esipa.offered_new, 0xBF4F: esipa.offered_new, 0xBF50: esipa.acknowledged_new},
    ("command", "1.0"): {
        0xBF51: _package_command,
        0xBF55: lambda node: build(node.tag),
        0xBF5A: lambda node: build(node.tag),
        0xBF64: _reset_command(0xBF34, _RESET_BITS),
        0xBF65: _renamed(0xBF3F),
        **{tag: _absent(name) for tag, name in _ABSENT.items()},
    },
    ("command", "1.2"): {
        0xBF34: _reset_command(0xBF64, {old: new for new, old in _RESET_BITS.items()}),
        0xBF5A: lambda node: node.raw if node.value else build(node.tag, build(0x80, b"\xff")),
    },
    ("response", "1.0"): {
        0xBF51: package_result_old,
        0xBF55: _configurations_old,
        0xBF57: errors(0x81, (1, 2, 3, 5, 6, UNDEFINED)),
        0xBF5A: errors(0x80, (0, 1, 4, UNDEFINED)),
        0xBF64: _reset_response_old,
        0xBF65: _renamed(0xBF3F),
    },
    ("response", "1.2"): {0xBF2B: _retrieved_new, 0xBF34: _reset_response_new},
}
