"""One-liners of remote SIM provisioning: ES10, ESipa and ES9+ bodies, by table.

Only what a person wants to read first is looked at: the function, its short result, ICCID and EID. Nothing here checks
anything, nothing raises on any bytes, and no work is more than a walk over the outer TLVs.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any, Final

from bench.rsp import names

_SEGMENTS: Final = {
    0xBF23: "InitialiseSecureChannel",
    0x86: "BPP 86 profile elements",
    0x87: "BPP 87",
    0x88: "BPP 88 StoreMetadata",
    0xA0: "BPP A0 ConfigureISDP",
    0xA1: "BPP A1 header",
    0xA2: "BPP A2 ReplaceSessionKeys",
    0xA3: "BPP A3 header",
}
"""Units of a Bound Profile Package as STORE DATA carries them (SGP.22 section 2.5.5)."""

_EVENTS: Final = ("install", "enable", "disable", "delete")


def walk(data: bytes, limit: int = 64) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value of TLVs as far as they make sense; a value that is cut short is given as it is."""
    at, end = 0, len(data)
    while at < end and limit:
        limit -= 1
        tag = data[at]
        at += 1
        if tag & 0x1F == 0x1F:
            more = True
            while more and at < end and tag <= 0xFFFF:
                tag = tag << 8 | data[at]
                more = data[at] >= 0x80
                at += 1
        if at >= end:
            return
        length = data[at]
        at += 1
        if length >= 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 3:
                return
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
        yield tag, data[at : at + length]
        at += length


def first(data: bytes, *path: int) -> bytes | None:
    """Return the value at a path of tags, None where it is not."""
    for tag in path:
        for found, value in walk(data):
            if found == tag:
                data = value
                break
        else:
            return None
    return data


def _code(kind: str, value: bytes | None) -> str:
    """Name a code; ``kind`` as in bench.rsp.names.result. The number follows, except for ok."""
    if not value or len(value) > 4:
        return "?"
    code = int.from_bytes(value, "big")
    name = names.result(kind, code)
    return name if code == 0 or name == str(code) else f"{name}({code})"


def _coded(tag: int, value: bytes, *, esipa: bool = False) -> str:
    """Name the result codes or the error in an answer by the standard's own names; empty when there are none."""
    told: list[str] = []
    for field, path in names.codes(tag, esipa=esipa).items():
        content = first(value, field)
        if content and len(content) <= 2:
            told.append(f"{path.rpartition('.')[2]} {_code(path, content)}" if told else _code(path, content))
    return ", ".join(told)


def _swapped(value: bytes) -> str:
    return "".join(f"{octet & 15:X}{octet >> 4:X}" for octet in value).rstrip("F")


def _commands(value: bytes) -> str:
    """Name the commands of an eUICC Package body (tag A0 or A1 with its list)."""
    told = []
    for kind, table in ((0xA0, names.PSMOS), (0xA1, names.ECOS)):
        for tag, content in walk(first(value, kind) or b""):
            name = table.get(tag, f"{tag:X}")
            iccid = first(content, 0x5A) if tag in (0xA3, 0xA4, 0xA5, 0xA8) and kind == 0xA0 else None
            name += f" {_swapped(iccid)}" if iccid else ""
            name += " with rollback" if tag == 0xA3 and first(content, 0x05) is not None else ""
            told.append(name)
    return ", ".join(told) or "empty"


def _package_result(value: bytes) -> str:
    for form, content in walk(value):
        if form in (0xA0, 0x30):
            data = first(content, 0x30, 0x30) if form == 0xA0 else first(content, 0x30)
            told = []
            for tag, inner in walk(data or b""):
                name, kind = names.RESULTS.get(tag, (f"{tag:X}", ""))
                told.append(name if tag >= 0xA0 else f"{name} {_code(kind, inner)}")
            return ", ".join(told) or "empty result"
        if form == 0xA1:
            return f"signed error {_code('EuiccPackageErrorCode', first(content, 0x30, 0x02))}"
        if form == 0xA2:
            code = first(content, 0x8F)
            return "unsigned error" + (f" {_code('EuiccPackageUnsignedErrorCode', code)}" if code else "")
    return "empty"


def installation_result(value: bytes, *, compact: bool = False) -> str:
    """Tell a ProfileInstallationResult (content of BF37; ``compact``: of A0, the form for ESipa)."""
    final = first(value, 0xA0 if compact else 0xBF27, 0xA2)
    iccid = first(value, 0xBF27, 0xBF2F, 0x5A)
    of = f" {_swapped(iccid)}" if iccid else ""
    if final is None:
        return "PIR ?"
    error = first(final, 0xA1)
    if error is None:
        return f"PIR installed{of}"
    where, why = _code("BppCommandId", first(error, 0x80)), _code("ErrorReason", first(error, 0x81))
    return f"PIR failed{of}: {why} at {where}"


def notification(tag: int, value: bytes) -> str:
    """Tell a pending notification (BF37 or 30; A0 and A1 are their compact forms)."""
    if tag == 0xBF37:
        return installation_result(value)
    if tag == 0xA0:
        return f"{installation_result(value, compact=True)}, compact"
    metadata = first(value, 0xBF2F) or b""
    events = first(metadata, 0x81) or b""
    bits = events[1] if len(events) > 1 else 0
    told = "/".join(name for at, name in enumerate(_EVENTS) if bits & 0x80 >> at) or "?"
    iccid, sequence = first(metadata, 0x5A), first(metadata, 0x80)
    found = f"notification {told} {_swapped(iccid or b'')} #{int.from_bytes((sequence or b'')[:4], 'big')}"
    return f"{found}, compact" if tag == 0xA1 else found


def es10(data: bytes, *, answer: bool) -> str:
    """Tell the first bytes of an ES10 command or response (it may be cut short)."""
    for tag, value in walk(data, 1):
        name = names.function(tag)
        if not answer and tag in _SEGMENTS:
            return _SEGMENTS[tag]
        if name is None:
            return _SEGMENTS.get(tag, f"{tag:X}")
        detail = _answer(tag, value) if answer else _request(tag, value)
        return f"{name}: {detail}" if detail else name
    return ""


def _request(tag: int, value: bytes) -> str:
    if tag == 0xBF51:
        return _commands(first(value, 0x30) or b"")
    if tag in (0xBF31, 0xBF32, 0xBF33):
        iccid = first(value, 0xA0, 0x5A) or first(value, 0x5A)
        return _swapped(iccid) if iccid else ""
    if tag == 0xBF41:
        reason = first(value, 0x81)
        return _code("CancelSessionReason", reason) if reason else ""
    if tag == 0xBF38:
        matching = first(value, 0xA0, 0x80)
        return f"matchingId {matching.decode('utf-8', 'replace')}" if matching else ""
    if tag in (0xBF30, 0xBF2B):
        sequence = first(value, 0x80) or first(value, 0xA0, 0x80)
        return f"#{int.from_bytes(sequence[:4], 'big')}" if sequence else ""
    return ""


def _answer(tag: int, value: bytes) -> str:
    if tag == 0xBF37:
        return installation_result(value)
    if tag == 0xBF51:
        return _package_result(value)
    if tag in (0xBF38, 0xBF21):
        error = first(value, 0xA1, 0x02)
        kind = "AuthenticateErrorCode" if tag == 0xBF38 else "DownloadErrorCode"
        made = "ok, compact" if first(value, 0xA2) is not None else "ok"
        return made if error is None else f"error {_code(kind, error)}"
    if tag in (0xBF41, 0xBF57):
        code = _coded(tag, value)
        return f"error {code}" if code else "ok"
    if tag == 0xBF3E:
        return (first(value, 0x5A) or b"").hex()
    if tag == 0xBF2D:
        error = first(value, 0x81)
        if error is not None:
            return f"error {_coded(tag, value)}"
        profiles = [content for kind, content in walk(first(value, 0xA0) or b"") if kind == 0xE3]
        return ", ".join(
            _swapped(first(profile, 0x5A) or b"") + (" enabled" if first(profile, 0x9F70) == b"\x01" else "")
            for profile in profiles
        )
    if tag == 0xBF2B:
        told = [notification(kind, content) for kind, content in walk(first(value, 0xA0) or b"", 8)]
        told += [_package_result(content) for kind, content in walk(first(value, 0xA2) or b"", 8) if kind == 0xBF51]
        return ", ".join(told) or _coded(tag, value)
    return _coded(tag, value)


def _eim_package(value: bytes) -> str:
    """Tell what GetEimPackage answers, or TransferEimPackage brings."""
    for tag, content in walk(value, 1):
        if tag == 0x02:
            return _code("GetEimPackageResponse.eimPackageError", content)
        if tag == 0xBF51:
            return f"EuiccPackageRequest {_commands(first(content, 0x30) or b'')}"
        if tag == 0xBF54:
            code = first(content, 0xA0, 0x80)
            return "ProfileDownloadTrigger" + (f" {code.decode('utf-8', 'replace')}" if code else "")
        if tag == 0xBF52:
            return "IpaEuiccDataRequest"
        if tag == 0xBF53:
            return _acknowledged(content)
        return f"{tag:X}"
    return ""


def _acknowledged(value: bytes) -> str:
    numbers = [str(int.from_bytes(number[:4], "big")) for tag, number in walk(value) if tag == 0x80]
    return f"acknowledged {', '.join(numbers)}"


def _eim_result(value: bytes) -> str:
    """Tell what ProvideEimPackageResult, HandleNotification's BF50 (v1.0: A1) or TransferEimPackage brings back."""
    for tag, content in walk(value):
        if tag == 0xBF51:
            return _package_result(content)
        if tag == 0x30:
            result = first(content, 0xBF51)
            listed = first(content, 0xA0) or first(content, 0xBF2B, 0xA0) or b""
            pending = [notification(kind, inner) for kind, inner in walk(listed, 8)]
            return ", ".join([*([_package_result(result)] if result is not None else []), *pending])
        if tag == 0xBF54:
            result = first(content, 0xBF37)
            if result is not None:
                return f"download: {installation_result(result)}"
            reason = first(content, 0x30, 0x80)
            known = reason is not None and len(reason) == 1  # v1.0 has other data there
            return "download: error" + (f" {_code('ProfileDownloadTriggerResult', reason)}" if known else "")
        if tag == 0xBF52:
            error = first(content, 0xA1, 0x02) or first(content, 0x81)
            bare = first(content, 0xA0) is None and error is not None and len(error) == 1
            return "IpaEuiccData" + (f" error {_code('IpaEuiccDataErrorCode', error)}" if bare else "")
        if tag in (0xA0, 0x02, 0xBF61):
            code = content if tag == 0x02 else first(content, 0x81 if tag == 0xBF61 else 0x02)
            return f"error {_code('EimPackageResultErrorCode', code)}"
        if tag in (0x05, 0xBF60):
            return "received"
    return ""


def _esipa_request(tag: int, value: bytes) -> str:
    if tag == 0xBF4F:
        cause = first(value, 0x81)
        changed = f" {_code('StateChangeCause', cause)}" if cause and len(cause) == 1 else ""
        return (first(value, 0x5A) or b"").hex() + changed
    if tag == 0xBF50:
        return _eim_result(value)
    if tag == 0xBF4E:
        return _eim_package(value)
    if tag == 0xBF3D:
        result = first(value, 0xBF50) or first(value, 0xA1)
        pending = list(walk(first(value, 0xA0) or b"", 1))
        return _eim_result(result) if result is not None else notification(*pending[0]) if pending else ""
    if tag == 0xBF3B:
        return _answer(0xBF38, first(value, 0xBF38) or b"")
    if tag == 0xBF3A:
        return _answer(0xBF21, first(value, 0xBF21) or b"")
    if tag == 0xBF41:
        reason, short = first(value, 0xA1, 0xA0, 0x30, 0x82), first(value, 0xA1, 0xA2, 0x30, 0x80)
        return _code("CancelSessionReason", reason or short) if reason or short else ""
    return ""


def _esipa_answer(tag: int, value: bytes) -> str:
    if tag == 0xBF4F:
        return _eim_package(value)
    if tag == 0xBF4E:
        return _eim_result(value)
    if tag == 0xBF50:
        acknowledged = first(value, 0xBF53)
        return _acknowledged(acknowledged) if acknowledged is not None else _coded(tag, value)
    error = _coded(tag, value, esipa=True) if first(value, 0xA0) is None else ""
    return f"error {error}" if error else "ok"


def esipa(data: bytes, *, answer: bool) -> str:
    """Tell an ESipa body, in the ASN.1 or the JSON binding."""
    if data[:1] == b"{":
        return es9plus(data, answer=answer)
    if not data:
        return "204 no content" if answer else "empty body"
    for tag, value in walk(data, 1):
        name = names.function(tag) or f"{tag:X}"
        detail = _esipa_answer(tag, value) if answer else _esipa_request(tag, value)
        return f"{name} {'answer' if answer else 'request'}{': ' + detail if detail else ''}"
    return f"{len(data)} bytes"


_REQUEST_KEYS: Final = {
    "authenticateServerResponse": "AuthenticateClient",
    "prepareDownloadResponse": "GetBoundProfilePackage",
    "euiccChallenge": "InitiateAuthentication",
    "pendingNotification": "HandleNotification",
    "cancelSessionResponse": "CancelSession",
    "eimPackageResult": "ProvideEimPackageResult",
    "eidValue": "GetEimPackage",
}
_ANSWER_KEYS: Final = {
    "serverSigned1": "InitiateAuthentication",
    "smdpSigned2": "AuthenticateClient",
    "boundProfilePackage": "GetBoundProfilePackage",
    "euiccPackageRequest": "GetEimPackage",
    "profileDownloadTriggerRequest": "GetEimPackage",
    "ipaEuiccDataRequest": "GetEimPackage",
    "eimPackageError": "GetEimPackage",
    "eimAcknowledgements": "ProvideEimPackageResult",
}


def json_function(body: dict[str, Any], *, answer: bool) -> str:
    """Return the function whose JSON body this is, by its keys; empty when no key tells."""
    table = _ANSWER_KEYS if answer else _REQUEST_KEYS
    return next((told for key, told in table.items() if key in body), "")


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=False) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        return b""


def es9plus(data: bytes, *, answer: bool) -> str:
    """Tell an ES9+ (or JSON ESipa) body by its keys; a refusal by subject and reason code."""
    if not data:
        return "204 no content" if answer else "empty body"
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return f"no JSON, {len(data)} bytes"
    if not isinstance(body, dict):
        return f"JSON, {len(data)} bytes"
    name = json_function(body, answer=answer)
    return " ".join(part for part in (name, "answer" if answer else "request", _json_detail(body, answer)) if part)


def _json_detail(body: dict[str, Any], answer: bool) -> str:
    if answer:
        header = body.get("header")
        status = header.get("functionExecutionStatus") if isinstance(header, dict) else None
        if not isinstance(status, dict):
            return ""
        if status.get("status") == "Executed-Success":
            package = _base64(body.get("boundProfilePackage"))
            return f"ok, {len(package)} bytes" if package else "ok"
        why = status.get("statusCodeData")
        why = why if isinstance(why, dict) else {}
        told = f"{status.get('status')} {why.get('subjectCode', '?')}/{why.get('reasonCode', '?')}"
        return f"{told} {why['message']}"[:200] if why.get("message") else told
    for tag, value in walk(_base64(body.get("pendingNotification")), 1):
        return notification(tag, value)
    for _tag, value in walk(_base64(body.get("cancelSessionResponse")), 1):
        reason = first(value, 0xA0, 0x30, 0x82)
        return _code("CancelSessionReason", reason) if reason else ""
    for key, tag in (("authenticateServerResponse", 0xBF38), ("prepareDownloadResponse", 0xBF21)):
        for _tag, value in walk(_base64(body.get(key)), 1):
            return _answer(tag, value)
    return str(body.get("smdpAddress") or body.get("eidValue") or "")[:100]
