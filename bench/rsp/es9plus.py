"""ES9+ in the JSON binding (SGP.22 sections 5.6 and 6.5): bodies to values and back, for whoever asks an SM-DP+.

Every TLV is handed on as the bytes that its base64 stands for.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.rsp import tlv
from bench.rsp.errors import DecodeError

PATH = "/gsma/rsp2/es9plus/"
USER_AGENT = "gsma-rsp-lpad"
CONTENT_TYPE = "application/json;charset=UTF-8"
_ADDRESS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253})(?::[0-9]{1,5})?")
_REFUSED = ("Failed", "Expired")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an SM-DP+ did not execute a function: status codes of SGP.22 section 5.2.6 and its words for people."""

    subject_code: str
    reason_code: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject_code}/{self.reason_code} {self.message}".rstrip()


def is_address(text: str) -> bool:
    """Return whether ``text`` can be an SM-DP+ address: a host name, with port where it is not 443."""
    return _ADDRESS.fullmatch(text) is not None


def encode(raw: bytes) -> str:
    """Return base64 as in the JSON binding."""
    return base64.b64encode(raw).decode("ascii")


def transaction(transaction_id: bytes) -> str:
    """Return a transactionId as in the JSON binding: upper-case hexadecimal."""
    return transaction_id.hex().upper()


def answer(body: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer. Raises DecodeError."""
    try:
        found = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DecodeError("the SM-DP+'s answer is no JSON object", hint=excerpt(body))
    return found


def refusal(found: Mapping[str, Any]) -> Refusal | None:
    """Return the refusal in the header of an answer (functionExecutionStatus), None when it is none."""
    header = found.get("header")
    execution = header.get("functionExecutionStatus") if isinstance(header, dict) else None
    status = execution.get("status") if isinstance(execution, dict) else None
    if status not in _REFUSED:
        return None
    data = execution.get("statusCodeData") if isinstance(execution, dict) else None
    data = data if isinstance(data, dict) else {}
    return Refusal(str(data.get("subjectCode", "")), str(data.get("reasonCode", "")), str(data.get("message", "")))


def slice_of(found: Mapping[str, Any], key: str, tag: int, *, bare: bool = False) -> bytes:
    """Return the TLV with ``tag`` in an answer, byte for byte.

    ``bare``: accept base64 of the value alone, as some servers send signatures and key identifiers. Only the outermost
    header is looked at: what is inside is for the eUICC. Raises DecodeError.
    """
    value = found.get(key)
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise DecodeError(f"{key} is missing or no base64 in the SM-DP+'s answer")
    try:
        outer, start, length = tlv.header(data)
        if outer == tag and start + length == len(data):
            return data
    except DecodeError:
        pass
    if bare and len(data) in (20, 64):
        return tlv.build(tag, data)
    raise DecodeError(f"{key} in the SM-DP+'s answer is not one TLV {tag:X}", hint=data[:16].hex())


def excerpt(body: bytes) -> str:
    """Return the beginning of a body for people."""
    return body[:120].decode("utf-8", "replace")


def session_id(server_signed1: bytes) -> bytes:
    """Return transactionId of a serverSigned1 (30), which is what the SM-DP+ signs. Raises DecodeError."""
    found = tlv.first(server_signed1).find(0x80)
    if found is None:
        raise DecodeError("serverSigned1 has no transactionId (80)")
    return found.value


def server_address(server_signed1: bytes) -> str:
    """Return serverAddress of a serverSigned1 (30). Raises DecodeError."""
    found = tlv.first(server_signed1).find(0x83)
    if found is None:
        raise DecodeError("serverSigned1 has no serverAddress (83)")
    return found.value.decode("utf-8", "replace")


def confirmation_code_required(smdp_signed2: bytes) -> bool:
    """Return ccRequiredFlag of an smdpSigned2 (30); False when it cannot be read: the eUICC judges it."""
    try:
        flag = tlv.first(smdp_signed2).find(0x01)
    except DecodeError:
        return False
    return flag is not None and any(flag.value)
