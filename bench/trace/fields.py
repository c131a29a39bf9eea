"""Every ES10, ESipa and ES9+ function to named fields, in the ASN.1 and the JSON binding.

Bytes to a tree (bench.trace.tree), without state and without I/O. Never raises on any bytes: what is no message of the
function is shown by its tags, what is no TLV as bytes.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
from typing import Any, Final

from bench.rsp import names
from bench.trace import decode_asn1, decode_values
from bench.trace.decode_asn1 import SGP22, SGP32, outer_types, read
from bench.trace.decode_rsp import json_function
from bench.trace.tree import Field, generic, nodes, rest_field, shown

_MODULES: Final = (SGP32, SGP22)
_ODD_REQUESTS: Final = {
    0xBF36: "BoundProfilePackage",
    0xBF23: "InitialiseSecureChannelRequest",
    0xBF24: "ConfigureISDPRequest",
    0xBF25: "StoreMetadataRequest",
    0xBF26: "ReplaceSessionKeysRequest",
    0xBF30: "NotificationSentRequest",
}
_ODD_RESPONSES: Final = {
    0xBF20: "EUICCInfo1",
    0xBF22: "EUICCInfo2",
    0xBF30: "NotificationSentResponse",
    0xBF37: "ProfileInstallationResult",
    0xBF51: "EuiccPackageResult",
}
_NOT_ES10: Final = ("Esipa", "Es9", "Es11", "EimPackage", "InitiateAuthentication", "AuthenticateClient", "GetBound")


@functools.cache
def es10_types(*, answer: bool) -> dict[int, tuple[str, str]]:
    """Return outer tag -> (module, type) of the ES10 requests or responses; SGP.32's type where both have one."""
    suffix, odd = ("Response", _ODD_RESPONSES) if answer else ("Request", _ODD_REQUESTS)
    found: dict[int, tuple[str, str]] = {}
    for module in _MODULES:
        for tag, types in outer_types(module).items():
            for name in types:
                fits = name == odd[tag] if tag in odd else name.endswith(suffix)
                if fits and tag not in found and not any(part in name for part in _NOT_ES10):
                    found[tag] = module, name
    return found


_SEGMENTS: Final = {
    0x86: "profileElements",
    0x87: "encryptedSegment",
    0x88: "metadataSegment",
    0xA0: "firstSequenceOf87",
    0xA1: "sequenceOf88",
    0xA2: "secondSequenceOf87",
    0xA3: "sequenceOf86",
}


def es10(data: bytes, *, answer: bool) -> Field:
    """Return an ES10 command or response (the data of STORE DATA, whole) as a field named by its function."""
    found, rest = nodes(data)
    if not found:
        return Field("ES10", "empty" if not data else "", data, generic(data))
    tag = found[0].tag
    name = names.function(tag) or _SEGMENTS.get(tag) or f"{tag:X}"
    where = es10_types(answer=answer).get(tag)
    if where is None:
        return Field(name, "", data, generic(data))
    made = read(where[1], found[0].raw, module=where[0], name=name)
    if answer and tag == 0xBF22:
        made = _info2(found[0].raw, name, made)
    for node in found[1:64]:
        made.children += generic(node.raw)
    if rest:
        made.children.append(rest_field(rest))
    return made


def _info2(raw: bytes, name: str, made: Field) -> Field:
    """Return EUICCInfo2 by the text of SGP.22 when the card is none of SGP.32: the two differ in fields of one tag."""
    if made.find("ipaMode") is None and made.find("iotSpecificInfo") is None:
        return read("EUICCInfo2", raw, module=SGP22, name=name)
    return made


def esipa(data: bytes, *, answer: bool) -> Field:
    """Return an ESipa body as a field named by its function; JSON where it begins with a brace."""
    if data[:1] in (b"{", b"["):
        return es9plus(data, answer=answer)
    if not data:
        return Field("ESipa", "no content" if answer else "empty body", data)
    found, rest = nodes(data)
    if not found:
        return Field("ESipa", "", data, generic(data))
    tag = found[0].tag
    name = names.function(tag) or f"{tag:X}"
    made = read("EsipaMessageFromEimToIpa" if answer else "EsipaMessageFromIpaToEim", found[0].raw)
    inner = made.children[0] if len(made.children) == 1 and names.function(tag) else made
    if inner.name == f"{tag:X}":  # an answer in the place of a request, or the other way round
        inner = Field(name, "", data, inner.children)
    inner.name = name
    if rest or found[1:]:
        inner.children += [*generic(b"".join(node.raw for node in found[1:64]) + rest)]
    return inner


_JSON_TYPES: Final = {
    "serverSigned1": "ServerSigned1",
    "serverCertificate": "Certificate",
    "smdpCertificate": "Certificate",
    "crlList": "CertificateList",
    "smdpSigned2": "SmdpSigned2",
    "euiccInfo1": "EUICCInfo1",
    "authenticateServerResponse": "AuthenticateServerResponse",
    "profileMetadata": "StoreMetadataRequest",
    "profileMetaData": "StoreMetadataRequest",
    "prepareDownloadResponse": "PrepareDownloadResponse",
    "boundProfilePackage": "BoundProfilePackage",
    "pendingNotification": "PendingNotification",
    "cancelSessionResponse": "CancelSessionResponse",
    "deviceInfo": "DeviceInfo",
    "euiccPackageRequest": "EuiccPackageRequest",
    "ipaEuiccDataRequest": "IpaEuiccDataRequest",
    "profileDownloadTriggerRequest": "ProfileDownloadTriggerRequest",
    "profileDownloadTrigger": "ProfileDownloadTriggerRequest",
    "eimAcknowledgements": "EimAcknowledgements",
    "eimPackageResult": "EimPackageResult",
    "provideEimPackageResult": "ProvideEimPackageResult",
    "euiccPackageResult": "EuiccPackageResult",
    "ipaEuiccDataResponse": "IpaEuiccDataResponse",
    "profileDownloadTriggerResult": "ProfileDownloadTriggerResult",
}
"""Keys of the JSON bindings whose value is base64 of a TLV, and its type (SGP.22 section 6.5, SGP.32 section 6.4)."""
_JSON_RAW: Final = {
    "euiccChallenge": "Octet16",
    "serverSignature1": "OCTET STRING",
    "smdpSignature2": "OCTET STRING",
    "hashCc": "Octet32",
    "euiccCiPKIdToBeUsed": "SubjectKeyIdentifier",
    "euiccCiPKIdentifierToBeUsed": "SubjectKeyIdentifier",
    "notificationList": "PendingNotificationList",
    "ctxParams1": "CtxParams1",
}
"""Keys whose base64 is a value, with or without its tag: programs differ."""
_JSON_HEX: Final = {"transactionId": "TransactionId", "eimTransactionId": "TransactionId"}
_JSON_NUMBERS: Final = {
    "stateChangeCause": "StateChangeCause",
    "eimPackageError": "GetEimPackageResponse.eimPackageError",
    "provideEimPackageResultError": "ProvideEimPackageResultResponse.provideEimPackageResultError",
    "reason": "CancelSessionReason",
}
STATUS_CODES: Final = {
    ("8.1", "4.8"): "not enough memory on the eUICC",
    ("8.1", "6.1"): "signature or challenge of the eUICC is wrong",
    ("8.1.1", "3.8"): "EID does not match the order",
    ("8.1.2", "6.1"): "certificate of the EUM cannot be verified",
    ("8.1.2", "6.3"): "certificate of the EUM has expired",
    ("8.1.3", "6.1"): "certificate of the eUICC cannot be verified",
    ("8.1.3", "6.3"): "certificate of the eUICC has expired",
    ("8.2", "1.2"): "profile is not released yet",
    ("8.2", "3.7"): "bound profile package is not available for a new binding",
    ("8.2.5", "4.3"): "no profile is eligible for this device",
    ("8.2.6", "3.8"): "matchingId is refused",
    ("8.2.7", "2.2"): "confirmation code is missing",
    ("8.2.7", "3.8"): "confirmation code is refused",
    ("8.2.7", "6.4"): "confirmation code was wrong too often",
    ("8.8.1", "3.8"): "SM-DP+ address is wrong",
    ("8.8.2", "3.1"): "no CI key that both sides have",
    ("8.8.3", "3.1"): "version of the eUICC is not supported",
    ("8.8.4", "3.7"): "no certificate of the SM-DP+ for this CI",
    ("8.8.5", "4.1"): "download order has expired",
    ("8.8.5", "6.4"): "download was tried too often",
    ("8.10.1", "3.9"): "transactionId is unknown",
    ("8.11.1", "3.9"): "CI key is unknown",
}
"""Subject and reason code of an SM-DP+ to what it means (SGP.22 sections 5.2.6 and 5.6)."""


def es9plus(data: bytes, *, answer: bool) -> Field:
    """Return an ES9+, ES2+ or JSON ESipa body as a field named by its function.

    The ASN.1 binding of ES9+ (A2, A3: RemoteProfileProvisioningRequest and its response) is understood too.
    """
    if not data:
        return Field("ES9+", "no content" if answer else "empty body", data)
    if data[:1] not in (b"{", b"[") and data[0] in (0xA2, 0xA3, 0xBF):
        return _remote(data, answer)
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return Field("ES9+", f"no JSON: {data[:80].decode('utf-8', 'replace')!r}", data)
    if not isinstance(body, dict):
        return Field("ES9+", shown(data), data)
    made = Field(json_function(body, answer=answer) or "ES9+", "", data)
    made.children = [_json_member(str(key), value, 0) for key, value in body.items()]
    return made


def _remote(data: bytes, answer: bool) -> Field:
    if data[0] in (0xA2, 0xA3):
        kind = "RemoteProfileProvisioningRequest" if data[0] == 0xA2 else "RemoteProfileProvisioningResponse"
        made = read(kind, data, module=SGP22)
        if len(made.children) == 1:
            inner = made.children[0]
            outer = nodes(data)[0]
            tag = nodes(outer[0].value)[0] if outer else []
            inner.name = (names.function(tag[0].tag) if tag else None) or inner.name
            return inner
        return made
    return esipa(data, answer=answer)


def _json_member(key: str, value: Any, depth: int) -> Field:
    if isinstance(value, dict) and depth < 8:
        made = Field(key, "", None, [_json_member(str(name), item, depth + 1) for name, item in value.items()])
        if key == "statusCodeData":
            known = STATUS_CODES.get((str(value.get("subjectCode")), str(value.get("reasonCode"))))
            made.children += [Field("meaning", known)] if known else []
        return made
    if isinstance(value, list) and depth < 8:
        return Field(key, "", None, [_json_member(f"{key} item", item, depth + 1) for item in value[:200]])
    if isinstance(value, str):
        return _json_text(key, value)
    if isinstance(value, bool) or value is None:
        return Field(key, json.dumps(value))
    if isinstance(value, int) and key in _JSON_NUMBERS and abs(value) < 1 << 31:
        known = names.result(_JSON_NUMBERS[key], value)
        return Field(key, f"{known}({value})" if known != str(value) else known, str(value).encode())
    return Field(key, json.dumps(value)[:200] if not isinstance(value, int) else _number(value))


def _number(value: int) -> str:
    return str(value) if abs(value) < 1 << 64 else hex(value)[:200]


def _json_text(key: str, value: str) -> Field:
    if key in _JSON_HEX:
        try:
            raw = bytes.fromhex(value)
        except ValueError:
            return Field(key, value[:200], value.encode("utf-8", "replace"))
        return Field(key, raw.hex(), raw, kind=_JSON_HEX[key])
    if key == "eidValue" and len(value) == 32 and value.isascii() and value.isalnum():
        try:
            return Field(key, value, bytes.fromhex(value), kind="Octet16")
        except ValueError:
            return Field(key, value, value.encode())
    if key in _JSON_TYPES or key in _JSON_RAW:
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return Field(key, f"no base64: {value[:80]}", value.encode("utf-8", "replace"))
        return _json_octets(key, raw)
    return Field(key, value[:500], value.encode("utf-8", "replace"))


def _json_octets(key: str, raw: bytes) -> Field:
    found, rest = nodes(raw)
    one = len(found) == 1 and not rest and not found[0].missing
    if key in _JSON_TYPES:
        kind = _JSON_TYPES[key]
        if kind == "BoundProfilePackage" or one:
            return read(kind, raw, module=SGP22 if kind == "BoundProfilePackage" else SGP32, name=key)
        return Field(key, "", raw, generic(raw))
    kind = _JSON_RAW[key]
    if kind in ("PendingNotificationList", "CtxParams1"):
        if not one:
            return Field(key, "", raw, generic(raw))
        return read(kind, b"\x30" + found[0].raw[1:] if kind == "PendingNotificationList" else raw, name=key)
    value = (
        found[0].value if one and found[0].tag in (0x5F37, 0x04, 0x80, 0x81) and len(raw) > len(found[0].value) else raw
    )
    return Field(key, shown(value), value, kind=kind)


def bpp_summary(package: bytes) -> str:
    """Return the segments of a Bound Profile Package in a line: counts and bytes."""
    found = nodes(package)[0]
    parts = nodes(found[0].value)[0] if found and found[0].tag == 0xBF36 else found
    told = []
    for part in parts:
        inner = nodes(part.value)[0] if part.tag in (0xA0, 0xA1, 0xA2, 0xA3) else []
        name = _SEGMENTS.get(part.tag) or names.function(part.tag) or f"{part.tag:X}"
        told.append(
            f"{name} {len(inner)} segments, {len(part.value)} bytes" if inner else f"{name} {len(part.value)} bytes"
        )
    return "; ".join(told)


__all__ = ["STATUS_CODES", "bpp_summary", "decode_asn1", "decode_values", "es9plus", "es10", "es10_types", "esipa"]
