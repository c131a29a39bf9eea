"""The JSON binding of ESipa (SGP.32 section 6.4): its bodies to the messages of the ASN.1 binding and back, no I/O.

Both bindings carry the same functions, so eIM and IPA speak ASN.1 inside and change over at their edge. What a server
or an eUICC has signed passes as the slice it came in: base64 of the TLV, never encoded again. What section 6.4.1 asks
for is written; what programs in the field send beside it is read as well (see ``read_from_ipa``, ``read_from_eim``).

A message of ours is one TLV (BF39, BF3A, BF3B, BF3D, BF41, BF4E, BF4F, BF50), a body is UTF-8 JSON: one object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.rsp import ids, tlv
from bench.rsp.errors import DecodeError, EncodeError
from bench.rsp.esipa_json_values import (
    Member,
    context,
    decoded,
    eid,
    flag,
    hexadecimal,
    listed,
    number,
    octets,
    pending,
    plmn,
    response,
    result,
    tagged,
    text,
)
from bench.rsp.esipa_status import ERRORS, UNDEFINED_ERROR, header, refusal
from bench.rsp.interpretation import DEFAULT, Interpretation
from bench.rsp.tlv import Tlv, build

PATH: Final = "/gsma/rsp2/esipa/"
"""Before the name of the function (SGP.32 section 6.4.1)."""
CONTENT_TYPE: Final = "application/json;charset=UTF-8"
MEDIA_TYPE: Final = "application/json"

INITIATE_AUTHENTICATION, GET_BOUND_PROFILE_PACKAGE, AUTHENTICATE_CLIENT = 0xBF39, 0xBF3A, 0xBF3B
HANDLE_NOTIFICATION, CANCEL_SESSION, TRANSFER_EIM_PACKAGE = 0xBF3D, 0xBF41, 0xBF4E
GET_EIM_PACKAGE, PROVIDE_EIM_PACKAGE_RESULT = 0xBF4F, 0xBF50

FUNCTIONS: Final[Mapping[str, int]] = {
    "initiateAuthentication": INITIATE_AUTHENTICATION,
    "authenticateClient": AUTHENTICATE_CLIENT,
    "getBoundProfilePackage": GET_BOUND_PROFILE_PACKAGE,
    "transferEimPackage": TRANSFER_EIM_PACKAGE,
    "getEimPackage": GET_EIM_PACKAGE,
    "provideEimPackageResult": PROVIDE_EIM_PACKAGE_RESULT,
    "handleNotification": HANDLE_NOTIFICATION,
    "cancelSession": CANCEL_SESSION,
}
"""Last part of the path -> outer tag of the messages in the ASN.1 binding."""
_NAMES: Final = {tag: name for name, tag in FUNCTIONS.items()}

_TRANSACTION: Final = Member("transactionId", 0x80, hexadecimal)

_REQUESTS: Final[dict[int, tuple[Member, ...]]] = {
    INITIATE_AUTHENTICATION: (
        Member("euiccChallenge", 0x81, octets(16)),
        Member("smdpAddress", 0x83, text),
        Member("euiccInfo1", 0xBF20, tagged()),
        Member("eimTransactionId", 0x82, hexadecimal),
    ),
    AUTHENTICATE_CLIENT: (_TRANSACTION, Member("authenticateServerResponse", 0xBF38, tagged())),
    GET_BOUND_PROFILE_PACKAGE: (_TRANSACTION, Member("prepareDownloadResponse", 0xBF21, tagged())),
    CANCEL_SESSION: (_TRANSACTION, Member("cancelSessionResponse", 0xA1, response)),
    GET_EIM_PACKAGE: (
        Member("eidValue", 0x5A, eid),
        Member("notifyStateChange", 0x80, flag),
        Member("stateChangeCause", 0x81, number),
        Member("rPlmn", 0x82, plmn, ("rPLMN", "rplmn")),
    ),
    HANDLE_NOTIFICATION: (
        Member("pendingNotification", 0xA0, pending),
        Member("provideEimPackageResult", PROVIDE_EIM_PACKAGE_RESULT, result),
    ),
}

_AUTHENTICATION: Final = (
    _TRANSACTION,
    Member("serverSigned1", 0x30, tagged()),
    Member("serverSignature1", 0x5F37, tagged(64)),
    Member("euiccCiPKIdentifierToBeUsed", 0x04, tagged(20), ("euiccCiPKIdToBeUsed",)),
    Member("serverCertificate", 0x30, tagged()),
    Member("matchingId", 0x0C, text),
    Member("ctxParams1", 0xA2, context),
)
_CLIENT_DP: Final = (
    _TRANSACTION,
    Member("profileMetadata", 0xBF25, tagged(), ("profileMetaData",)),
    Member("smdpSigned2", 0x30, tagged()),
    Member("smdpSignature2", 0x5F37, tagged(64)),
    Member("smdpCertificate", 0x30, tagged()),
    Member("hashCc", 0x04, tagged(32)),
)
_CLIENT_DS: Final = (_TRANSACTION, Member("profileDownloadTrigger", 0xBF54, tagged()))
_BOUND: Final = (_TRANSACTION, Member("boundProfilePackage", 0xBF36, tagged()))

_PACKAGES: Final = (
    Member("euiccPackageRequest", 0xBF51, tagged()),
    Member("ipaEuiccDataRequest", 0xBF52, tagged()),
    Member("eimAcknowledgements", 0xBF53, tagged()),
    Member("profileDownloadTriggerRequest", 0xBF54, tagged()),
)
_EPR_AND_NOTIFICATIONS: Final = (
    Member("euiccPackageResult", 0xBF51, tagged()),
    Member("notificationList", 0xA0, listed),
)
_RESULTS: Final = (
    Member("euiccPackageResult", 0xBF51, tagged()),
    Member("ipaEuiccDataResponse", 0xBF52, tagged()),
    Member("profileDownloadTriggerResult", 0xBF54, tagged()),
    Member("eimPackageReceived", 0x05, flag),
    Member("eimPackageReceivedWithCid", 0xBF60, tagged()),
    Member("eimPackageError", 0x02, number),
    Member("eimPackageErrorWithCid", 0xBF61, tagged()),
)
"""Alternatives of TransferEimPackageResponse beside ePRAndNotifications; some IPAs put them into the result too."""

_RESULT_ERRORS: Final = ("provideEimPackageResultError", "eimPackageError")


def function(url_path: str) -> int | None:
    """Return the outer tag of the function at a path (``/gsma/rsp2/esipa/getEimPackage``), None for another path."""
    return FUNCTIONS.get(url_path.removeprefix(PATH)) if url_path.startswith(PATH) else None


def path(tag: int) -> str:
    """Return the path of a function by its outer tag. Raises EncodeError for what is no function of ESipa."""
    if tag not in _NAMES:
        raise EncodeError(f"{tag:X} is no function of ESipa")
    return PATH + _NAMES[tag]


# --- from the IPA ---------------------------------------------------------------------------------------------------


def read_from_ipa(tag: int, body: bytes) -> bytes:
    """Return the message (outer tag ``tag``) of what an IPA sent: a request, for TransferEimPackage the answer.

    Also read: base64 without padding or broken into lines, a whole BF50 as eimPackageResult, an alternative without its
    BF50 in handleNotification, the alternatives of a result under their own names, hexadecimal digits in any case,
    rPLMN as digits. What is no EID goes on as it is, so that the eIM answers invalidEid. Raises DecodeError, which
    names function and key.
    """
    given = _object(tag, body)
    where = _NAMES[tag]
    if tag == PROVIDE_EIM_PACKAGE_RESULT:
        return _provided(given, where)
    if tag == TRANSFER_EIM_PACKAGE:
        return build(tag, _one_of(given, _RESULTS, where, _together(given, where)))
    if tag == HANDLE_NOTIFICATION:
        return build(tag, _one_of(given, _REQUESTS[tag], where))
    return build(tag, *_read(given, _REQUESTS[tag], where))


def write_from_ipa(message: bytes, *, reading: Interpretation = DEFAULT) -> bytes:
    """Return the body for a message from the IPA. Raises DecodeError, EncodeError."""
    node = _outermost(message)
    tag = node.tag
    if tag == PROVIDE_EIM_PACKAGE_RESULT:
        found: dict[str, Any] = {}
        for child in node.children():
            if child.tag == 0x5A:
                found["eidValue"] = eid.write(child, reading)
            else:
                found["eimPackageResult"] = tagged().write(child, reading)
        return _body(found)
    if tag == TRANSFER_EIM_PACKAGE:
        together = node.find(0x30)
        if together is not None:
            return _body({"ePRAndNotifications": _write(together, _EPR_AND_NOTIFICATIONS, reading)})
        return _body(_write(node, _RESULTS, reading))
    if tag not in _REQUESTS:
        raise EncodeError(f"{tag:X} is no message from an IPA")
    return _body(_write(node, _REQUESTS[tag], reading))


def owner(body: bytes) -> str | None:
    """Return the digits of eidValue in a body that cannot be read otherwise, None without."""
    try:
        given = json.loads(body)
        value = given.get("eidValue") if isinstance(given, dict) else None
        return ids.eid_digits(ids.eid_bytes(value.strip())) if isinstance(value, str) else None
    except (ValueError, RecursionError, EncodeError):
        return None


def _provided(given: Mapping[str, Any], where: str) -> bytes:
    whose = _read(given, (Member("eidValue", 0x5A, eid),), where)
    value = given.get("eimPackageResult")
    if isinstance(value, Mapping):
        given, value = value, None
    if value is None:
        return build(PROVIDE_EIM_PACKAGE_RESULT, *whose, _one_of(given, _RESULTS, where, _together(given, where)))
    found = tlv.first(Member("eimPackageResult", PROVIDE_EIM_PACKAGE_RESULT, result).read(value, where))
    if found.find(0x5A) is not None:
        return found.raw
    return build(PROVIDE_EIM_PACKAGE_RESULT, *whose, found.value)


def _together(given: Mapping[str, Any], where: str) -> bytes | None:
    value = given.get("ePRAndNotifications")
    if isinstance(value, Mapping):
        return build(0x30, *_read(value, _EPR_AND_NOTIFICATIONS, where))
    return Member("ePRAndNotifications", 0x30, tagged()).read(value, where) if value is not None else None


# --- from the eIM ---------------------------------------------------------------------------------------------------


def read_from_eim(tag: int, body: bytes) -> bytes:
    """Return the message (outer tag ``tag``) of what an eIM sent: an answer, for TransferEimPackage the request.

    An error comes as codes in the header; it is known by its name in ``message`` or by subject and reason, and becomes
    127 when by neither. Also read: no header, ``eimPackageError`` 0 beside a package, signatures and key identifiers
    without their tag, names of ES9+. Raises DecodeError.
    """
    given = _object(tag, body)
    where = _NAMES[tag]
    refused = refusal(tag, given)
    if tag == GET_EIM_PACKAGE:
        packages = [part for member in _PACKAGES for part in _read(given, (member,), where)]
        code = given.get("eimPackageError")
        if not packages and code is None and refused is None:
            packages = _unknown(given)
            if not packages:
                raise DecodeError("neither a package nor eimPackageError", where=where)
        if not packages:
            packages = _read(given, (Member("eimPackageError", 0x02, number),), where) or [_error(tag, refused)]
        return build(tag, *packages)
    if tag == PROVIDE_EIM_PACKAGE_RESULT:
        return build(tag, _acknowledged(tag, given, refused, where))
    if tag == TRANSFER_EIM_PACKAGE:
        return build(tag, _one_of(given, _PACKAGES, where))
    if refused is not None:
        return build(tag, _error(tag, refused))
    if tag == AUTHENTICATE_CLIENT and "smdpSigned2" not in given:
        return build(tag, build(0xA1, *_read(given, _CLIENT_DS, where)))
    answers = {
        INITIATE_AUTHENTICATION: _AUTHENTICATION,
        AUTHENTICATE_CLIENT: _CLIENT_DP,
        GET_BOUND_PROFILE_PACKAGE: _BOUND,
        CANCEL_SESSION: (),
    }
    if tag not in answers:
        raise DecodeError("this function has no answer", where=where)
    return build(tag, build(0xA0, *_read(given, answers[tag], where)))


def _unknown(given: Mapping[str, Any]) -> list[bytes]:
    """Return the one package of a kind that the binding does not know: the IPA is to answer unknownPackage."""
    found = []
    for key, value in given.items():
        if key == "header":
            continue
        try:
            found.append(tlv.first(decoded(value)).raw)
        except DecodeError:
            continue
    return found if len(found) == 1 and tlv.first(found[0]).constructed else []


def _acknowledged(tag: int, given: Mapping[str, Any], refused: int | None, where: str) -> bytes:
    numbers = _read(given, (_PACKAGES[2],), where)
    if numbers:
        return numbers[0]
    for key in _RESULT_ERRORS:
        found = _read(given, (Member(key, 0x02, number),), where)
        if found and found[0] != b"\x02\x01\x00":
            return found[0]
    return _error(tag, refused) if refused is not None else build(0x30)


def write_from_eim(message: bytes, *, reading: Interpretation = DEFAULT) -> bytes:
    """Return the body for a message from the eIM; answers have a header. Raises DecodeError, EncodeError."""
    node = _outermost(message)
    tag = node.tag
    children = node.children()
    if tag == TRANSFER_EIM_PACKAGE:
        return _body(_write(node, _PACKAGES, reading))
    if tag not in ERRORS:
        raise EncodeError(f"{tag:X} is no message from an eIM")
    error = next((_number(child) for child in children if child.tag == ERRORS[tag][0]), None)
    if tag == GET_EIM_PACKAGE:
        # The function itself went well: what it has to say is a number among its own members.
        packages = (*_PACKAGES, Member("eimPackageError", 0x02, number))
        # A package of a kind that the binding does not know has its tag for a name.
        known = {member.tag for member in packages}
        others = tuple(Member(f"{item.tag:X}", item.tag, tagged()) for item in children if item.tag not in known)
        return _body(header() | _write(node, (*packages, *others), reading))
    if tag == PROVIDE_EIM_PACKAGE_RESULT:
        if error is not None:
            return _body(header(tag, error) | {reading.json_result_error: error})
        return _body(header() | _write(node, (_PACKAGES[2],), reading))
    if error is not None:
        return _body(header(tag, error))
    if tag == CANCEL_SESSION:
        return _body(header())
    done = node.find(0xA0)
    if done is None:
        other = node.find(0xA1)
        if tag != AUTHENTICATE_CLIENT or other is None:
            raise EncodeError("neither a result nor an error", where=_NAMES[tag])
        return _body(header() | _write(other, _CLIENT_DS, reading))
    members = {INITIATE_AUTHENTICATION: _AUTHENTICATION, AUTHENTICATE_CLIENT: _CLIENT_DP}.get(tag, _BOUND)
    return _body(header() | _write(done, members, reading))


def _outermost(message: bytes) -> Tlv:
    """Return a message, read by its header alone: what is relayed in it may be broken; the eUICC is to judge."""
    tag, start, length = tlv.header(message)
    if start + length != len(message):
        raise DecodeError(f"{len(message) - start - length} bytes follow the TLV {tag:X}")
    return Tlv(tag, start, 0, message, message[start:])


# --- members --------------------------------------------------------------------------------------------------------


def _object(tag: int, body: bytes) -> Mapping[str, Any]:
    if tag not in _NAMES:
        raise DecodeError(f"{tag:X} is no function of ESipa")
    try:
        given = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and numbers of 5 000 digits are ValueErrors
        raise DecodeError(f"the body is no JSON: {error}", where=_NAMES[tag]) from error
    if not isinstance(given, dict):
        raise DecodeError(f"the body is a JSON {type(given).__name__}, an object is due", where=_NAMES[tag])
    return given


def _read(given: Mapping[str, Any], members: Sequence[Member], where: str) -> list[bytes]:
    """Return the TLVs of the members that are there, in the order of the ASN.1 type."""
    found = []
    for member in members:
        value = next((given[key] for key in (member.key, *member.also) if given.get(key) is not None), None)
        if value is not None and (made := member.read(value, where)):
            found.append(made)
    return found


def _one_of(given: Mapping[str, Any], members: Sequence[Member], where: str, other: bytes | None = None) -> bytes:
    """Return the one alternative that is there; an error number 0 beside a result is none."""
    found = [part for part in _read(given, members, where) if part != b"\x02\x01\x00"]
    found += [other] if other is not None else []
    if len(found) != 1:
        raise DecodeError(f"{len(found)} alternatives, one is due", where=where)
    return found[0]


def _write(node: Tlv, members: Sequence[Member], reading: Interpretation) -> dict[str, Any]:
    """Return the members of a SEQUENCE or CHOICE; fields of one tag follow each other as in the type."""
    found: dict[str, Any] = {}
    for child in node.children():
        for member in members:
            if member.tag == child.tag and member.key not in found:
                key = reading.json_plmn_key if member.key == "rPlmn" else member.key
                found[key] = member.kind.write(child, reading)
                break
    return found


def _error(tag: int, code: int | None) -> bytes:
    return build(ERRORS[tag][0], bytes((UNDEFINED_ERROR if code is None else code,)))


def _number(node: Tlv) -> int:
    if not 0 < len(node.value) <= 8:
        raise DecodeError(f"{node.tag:X}: an INTEGER of {len(node.value)} octets")
    return int.from_bytes(node.value, "big", signed=True)


def _body(found: Mapping[str, Any]) -> bytes:
    return json.dumps(found, separators=(",", ":")).encode()
