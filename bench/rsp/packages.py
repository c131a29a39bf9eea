"""eUICC Packages: what an eIM signs and what the eUICC answers (SGP.32 sections 2.11.1.1 and 2.11.2.1).

Everything here works on raw TLVs, because a signature is over the bytes as sent. EIDs and ICCIDs are digits or their
wire bytes; counters, codes and tokens are ints; transaction ids are 1 to 16 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec

from bench.rsp import codec, ecdsa, ids, names, tlv
from bench.rsp.errors import DecodeError, EncodeError
from bench.rsp.orders import (
    add_eim,
    configure_immediate_enable,
    delete,
    delete_eim,
    disable,
    enable,
    get_rat,
    list_eim,
    list_profile_info,
    set_default_dp_address,
    set_fallback_attribute,
    unset_fallback_attribute,
    update_eim,
)
from bench.rsp.tlv import Tlv, build

__all__ = [
    "COUNTER_MAXIMUM",
    "PackageRequest",
    "PackageResult",
    "add_eim",
    "build_error_signed",
    "build_error_unsigned",
    "build_request",
    "build_result",
    "command",
    "configure_immediate_enable",
    "delete",
    "delete_eim",
    "disable",
    "enable",
    "get_rat",
    "list_eim",
    "list_profile_info",
    "parse_request",
    "parse_result",
    "result",
    "set_default_dp_address",
    "set_fallback_attribute",
    "signing_input",
    "unset_fallback_attribute",
    "update_eim",
    "verify_request",
    "verify_result",
]

COUNTER_MAXIMUM = 0x7FFFFF
"""Largest counterValue that eUICCs accept."""
SIGNATURE = 0x5F37

Kind = Literal["psmo", "eco"]
ResultForm = Literal["signed", "error-signed", "error-unsigned"]
Result = tuple[str, Any]


# --- request --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PackageRequest:
    """An EuiccPackageRequest as received. Nothing is verified yet: see ``verify_request``."""

    eim_id: str
    eid: str
    counter: int
    transaction_id: bytes | None
    kind: Kind
    commands: list[Tlv]
    """PSMOs or eCOs in order, not looked into; ``command`` reads one."""
    signed_raw: bytes
    """euiccPackageSigned as sent, with its tag."""
    signature: bytes


def signing_input(
    signed_tlv: bytes, association_token: int | None, *, token_when_none: Literal["zero", "nothing"] = "zero"
) -> bytes:
    """Return the bytes that eIM and eUICC sign: the signed TLV as sent and the associationToken DO (84).

    Without a token the DO is ``84 01 00``, as cards confirm (SGP.32 sections 2.11.1.1 and 2.11.2.1), or, read
    otherwise (bench.rsp.interpretation), nothing.
    """
    if association_token is None and token_when_none == "nothing":
        return signed_tlv
    token = association_token or 0
    length = (8 + (token + (token < 0)).bit_length()) // 8
    return signed_tlv + build(0x84, token.to_bytes(length, "big", signed=True))


def build_request(
    *,
    eim_id: str,
    eid: str | bytes,
    counter: int,
    transaction_id: bytes | None = None,
    psmos: Sequence[bytes] | None = None,
    ecos: Sequence[bytes] | None = None,
    key: ec.EllipticCurvePrivateKey,
    association_token: int | None = None,
    token_when_none: Literal["zero", "nothing"] = "zero",
    signature_format: Literal["raw", "der"] = "raw",
) -> bytes:
    """Return a signed EuiccPackageRequest (BF51) with PSMOs or eCOs, of which exactly one list must be given.

    ``token_when_none``, ``signature_format``: other readings of the standard (bench.rsp.interpretation).
    """
    if (psmos is None) == (ecos is None):
        raise EncodeError("an eUICC Package has either PSMOs or eCOs")
    commands = build(0xA0, *psmos) if psmos is not None else build(0xA1, *(ecos or ()))
    signed = build(
        0x30,
        build(0x80, eim_id.encode()),
        build(0x5A, ids.eid_bytes(eid)),
        build(0x81, _integer(counter)),
        _optional(0x82, transaction_id),
        commands,
    )
    signature = ecdsa.sign(key, signing_input(signed, association_token, token_when_none=token_when_none))
    if signature_format == "der":
        signature = ecdsa.to_der(signature)
    return build(0xBF51, signed, build(SIGNATURE, signature))


def parse_request(data: bytes) -> PackageRequest:
    """Return the parts of an EuiccPackageRequest (BF51). Raises DecodeError."""
    signed, signature = _signed_pair(tlv.first(data), 0xBF51)
    fields = _fields(signed)
    psmos, ecos = fields.get(0xA0), fields.get(0xA1)
    if (psmos is None) == (ecos is None):
        raise DecodeError("an eUICC Package has neither or both of psmoList (A0) and ecoList (A1)")
    chosen = psmos or ecos
    assert chosen is not None
    return PackageRequest(
        eim_id=_text(fields, 0x80, "eimId"),
        eid=ids.eid_digits(_value(fields, 0x5A, "eidValue")),
        counter=_number(_value(fields, 0x81, "counterValue")),
        transaction_id=fields[0x82].value if 0x82 in fields else None,
        kind="psmo" if psmos is not None else "eco",
        commands=chosen.children(),
        signed_raw=signed.raw,
        signature=signature,
    )


def verify_request(
    request: PackageRequest, public_key: ec.EllipticCurvePublicKey, association_token: int | None
) -> bool:
    """Return whether the eIM's signature over the package is right for this association."""
    return ecdsa.verify(public_key, request.signature, signing_input(request.signed_raw, association_token))


def command(raw: bytes, kind: Kind) -> Result:
    """Return name and value (bench.rsp.codec) of one PSMO or eCO. Raises DecodeError for one that is not known."""
    name, value = codec.decode("Psmo" if kind == "psmo" else "Eco", raw)
    return name, value


# --- result ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PackageResult:
    """An EuiccPackageResult as received. Nothing is verified yet: see ``verify_result``."""

    form: ResultForm
    eim_id: str
    counter: int | None
    """None in an unsigned error, which has none."""
    transaction_id: bytes | None
    seq: int | None
    """Sequence number to acknowledge; None in errors, which are not stored."""
    results: list[Result] = field(default_factory=list)
    """(command, code) in order; for listProfileInfo, getRAT and listEim the list, for addEim also ("addEim",
    {"associationToken": n}); an unknown result is (tag in hexadecimal, its bytes)."""
    error_code: int | None = None
    """EuiccPackageErrorCode or EuiccPackageUnsignedErrorCode."""
    association_token: int | None = None
    """Of an unsigned error."""
    signed_raw: bytes = b""
    signature: bytes = b""


def result(name: str, code: int) -> bytes:
    """Return the result TLV of a PSMO or eCO: ``result("enable", 0)`` is ``83 01 00``. Raises EncodeError."""
    tag = next((tag for tag, (command_name, _) in names.RESULTS.items() if command_name == name), None)
    if tag is None:
        raise EncodeError(f"no PSMO or eCO {name!r}", hint=", ".join(item for item, _ in names.RESULTS.values()))
    value = _integer(code)
    if name in ("listProfileInfo", "listEim"):
        return build(tag, build(0x81, value))
    if name == "addEim":
        return build(tag, build(0x02, value))
    if name == "setDefaultDpAddress":
        return build(tag, build(0x80, value))
    if name == "getRAT":
        raise EncodeError("getRAT has no result code: give the Rules Authorisation Table")
    return build(tag, value)


def build_result(
    *,
    eim_id: str,
    counter: int,
    transaction_id: bytes | None,
    seq: int,
    results: Sequence[bytes],
    key: ec.EllipticCurvePrivateKey,
    association_token: int | None,
) -> bytes:
    """Return a signed EuiccPackageResult (BF51 A0); ``results``: TLVs of EuiccResultData, see ``result``."""
    signed = build(
        0x30,
        build(0x80, eim_id.encode()),
        build(0x81, _integer(counter)),
        _optional(0x82, transaction_id),
        build(0x83, _integer(seq)),
        build(0x30, *results),
    )
    return _signed_result(0xA0, signed, key, association_token)


def build_error_signed(
    *,
    eim_id: str,
    counter: int,
    transaction_id: bytes | None,
    error_code: int,
    key: ec.EllipticCurvePrivateKey,
    association_token: int | None,
) -> bytes:
    """Return a signed error (BF51 A1); ``error_code``: see names.EuiccPackageErrorCode."""
    signed = build(
        0x30,
        build(0x80, eim_id.encode()),
        build(0x81, _integer(counter)),
        _optional(0x82, transaction_id),
        build(0x02, _integer(error_code)),
    )
    return _signed_result(0xA1, signed, key, association_token)


def build_error_unsigned(
    *,
    eim_id: str,
    transaction_id: bytes | None = None,
    association_token: int | None = None,
    error_code: int | None = None,
) -> bytes:
    """Return an unsigned error (BF51 A2): eIM not known or its signature wrong. ``error_code``: 15 or 127."""
    return build(
        0xBF51,
        build(
            0xA2,
            build(0x80, eim_id.encode()),
            _optional(0x82, transaction_id),
            b"" if association_token is None else build(0x84, _integer(association_token)),
            b"" if error_code is None else build(0x8F, _integer(error_code)),
        ),
    )


def parse_result(data: bytes | Tlv) -> PackageResult:
    """Return the parts of an EuiccPackageResult (BF51), also in its bare form. Raises DecodeError.

    A TLV given as such has been checked (``tlv.parse``) with what it was in.
    """
    outer = data if isinstance(data, Tlv) else tlv.first(data)
    if outer.tag != 0xBF51:
        raise DecodeError(f"an EuiccPackageResult has the tag BF51, not {outer.tag:X}")
    children = outer.children()
    if not children:
        raise DecodeError("the EuiccPackageResult is empty")
    inner = children[0]
    if inner.tag == 0xA2:
        fields = _fields(inner)
        return PackageResult(
            form="error-unsigned",
            eim_id=_text(fields, 0x80, "eimId"),
            counter=None,
            transaction_id=fields[0x82].value if 0x82 in fields else None,
            seq=None,
            error_code=_number(fields[0x8F].value) if 0x8F in fields else None,
            association_token=_number(fields[0x84].value) if 0x84 in fields else None,
        )
    # Production silicon sends A0 or A1 around the pair; known answers of one project stand bare (bench.rsp.forms).
    signed, signature = _signed_pair(outer if inner.tag == 0x30 else inner, None)
    fields = _fields(signed)
    error = 0x02 in fields and 0x30 not in fields
    if inner.tag not in (0xA0, 0xA1, 0x30) or (inner.tag == 0xA0 and error) or (inner.tag == 0xA1 and not error):
        raise DecodeError(f"alternative {inner.tag:X} of EuiccPackageResult does not hold what belongs there")
    return PackageResult(
        form="error-signed" if error else "signed",
        eim_id=_text(fields, 0x80, "eimId"),
        counter=_number(_value(fields, 0x81, "counterValue")),
        transaction_id=fields[0x82].value if 0x82 in fields else None,
        seq=None if error else _number(_value(fields, 0x83, "seqNumber")),
        results=[]
        if error
        else [_result(item) for item in fields[0x30].children()]
        if 0x30 in fields
        else _no_results(),
        error_code=_number(fields[0x02].value) if error else None,
        signed_raw=signed.raw,
        signature=signature,
    )


def verify_result(
    result: PackageResult,
    public_key: ec.EllipticCurvePublicKey,
    association_token: int | None,
    *,
    accept_no_token: bool = False,
) -> bool:
    """Return whether the eUICC's signature over the result is right; an unsigned error never is.

    ``accept_no_token``: take also a signature over the data alone, as some eUICCs without a token make it.
    """
    if result.form == "error-unsigned":
        return False
    if ecdsa.verify(public_key, result.signature, signing_input(result.signed_raw, association_token)):
        return True
    return accept_no_token and not association_token and ecdsa.verify(public_key, result.signature, result.signed_raw)


def _no_results() -> list[Result]:
    raise DecodeError("euiccResult (30) is missing in the EuiccPackageResult")


def _result(item: Tlv) -> Result:
    known = names.RESULTS.get(item.tag)
    if known is None:
        return f"{item.tag:X}", item.raw
    name = known[0]
    if item.constructed:
        value = codec.decode("EuiccResultData", item.raw)[1]
        if name == "getRAT":
            return name, value
        if name == "setDefaultDpAddress":
            return name, value["setDefaultDpAddressResult"]
        alternative, content = value
        return name, {"associationToken": content} if alternative == "associationToken" else content
    return name, _number(item.value)


def _signed_result(
    alternative: int, signed: bytes, key: ec.EllipticCurvePrivateKey, association_token: int | None
) -> bytes:
    signature = ecdsa.sign(key, signing_input(signed, association_token))
    return build(0xBF51, build(alternative, signed, build(SIGNATURE, signature)))


def _signed_pair(outer: Tlv, tag: int | None) -> tuple[Tlv, bytes]:
    if tag is not None and outer.tag != tag:
        raise DecodeError(f"tag {tag:X} is expected, not {outer.tag:X}")
    children = outer.children()
    if len(children) < 2 or children[0].tag != 0x30 or children[1].tag != SIGNATURE:
        raise DecodeError(f"{outer.tag:X} does not hold signed data (30) and a signature (5F37)")
    return children[0], children[1].value


def _fields(node: Tlv) -> dict[int, Tlv]:
    """Return the children by tag; the first of each, as the codec does."""
    fields: dict[int, Tlv] = {}
    for child in node.children():
        fields.setdefault(child.tag, child)
    return fields


def _value(fields: Mapping[int, Tlv], tag: int, name: str) -> bytes:
    if tag not in fields:
        raise DecodeError(f"{name} ({tag:X}) is missing")
    return fields[tag].value


def _text(fields: Mapping[int, Tlv], tag: int, name: str) -> str:
    try:
        return _value(fields, tag, name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError(f"{name} ({tag:X}) is not UTF-8") from error


def _number(value: bytes) -> int:
    if not 0 < len(value) <= 8:
        raise DecodeError(f"an INTEGER of {len(value)} octets is no counter, code or token")
    return int.from_bytes(value, "big", signed=True)


def _integer(number: int) -> bytes:
    return number.to_bytes((8 + (number + (number < 0)).bit_length()) // 8, "big", signed=True)


def _optional(tag: int, value: bytes | None) -> bytes:
    return b"" if value is None else build(tag, value)
