"""DNS messages (RFC 1035): one question, the addresses of the answer. Bytes to values, no I/O."""

from __future__ import annotations

import ipaddress

from bench.errors import InstrumentError

A = 1
AAAA = 28
_IN = 1
_RCODES = {
    1: "the server could not read the question (FORMERR)",
    2: "the server failed (SERVFAIL)",
    3: "no such name (NXDOMAIN)",
    4: "the server does not do that (NOTIMP)",
    5: "the server refuses (REFUSED)",
}


class DnsError(InstrumentError):
    """A DNS answer that is none, or that says no."""


def query(identity: int, name: str, kind: int) -> bytes:
    """Return a recursive query for one record type. Raises DnsError for a name that cannot be written."""
    try:
        labels = [label.encode("ascii" if label.isascii() else "idna") for label in name.rstrip(".").split(".")]
    except UnicodeError as error:
        raise DnsError(f"'{name}' is no name") from error
    if any(not 1 <= len(label) <= 63 for label in labels) or sum(len(label) + 1 for label in labels) > 254:
        raise DnsError(f"'{name}' is no name")
    question = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    header = identity.to_bytes(2, "big") + b"\x01\x00" + (1).to_bytes(2, "big") + bytes(6)
    return header + question + kind.to_bytes(2, "big") + _IN.to_bytes(2, "big")


def addresses(message: bytes, identity: int, kind: int) -> tuple[str, ...]:
    """Return the addresses of type ``kind`` (A or AAAA) in an answer, in its order.

    No record of that type gives an empty tuple; NXDOMAIN and refusals raise DnsError, as do broken messages.
    """
    if len(message) < 12:
        raise DnsError("the answer is cut off")
    if int.from_bytes(message[:2], "big") != identity:
        raise DnsError("the answer belongs to another question")
    flags = int.from_bytes(message[2:4], "big")
    if not flags & 0x8000:
        raise DnsError("that is a question, not an answer")
    code = flags & 0x0F
    if code:
        raise DnsError(_RCODES.get(code, f"the server answers code {code}"))
    questions = int.from_bytes(message[4:6], "big")
    answers = int.from_bytes(message[6:8], "big")
    at = 12
    for _ in range(questions):
        at = _after_name(message, at) + 4
    found = []
    for _ in range(answers):
        at = _after_name(message, at)
        if at + 10 > len(message):
            raise DnsError("the answer is cut off")
        this = int.from_bytes(message[at : at + 2], "big")
        length = int.from_bytes(message[at + 8 : at + 10], "big")
        data = message[at + 10 : at + 10 + length]
        if len(data) < length:
            raise DnsError("the answer is cut off")
        at += 10 + length
        if this == kind:
            if len(data) != (4 if kind == A else 16):
                raise DnsError(f"an address of {len(data)} bytes")
            found.append(str(ipaddress.ip_address(data)))
    return tuple(found)


def _after_name(message: bytes, at: int) -> int:
    """Return the place after a name; a compression pointer ends it (RFC 1035 section 4.1.4)."""
    while True:
        if at >= len(message):
            raise DnsError("the answer is cut off")
        length = message[at]
        if length == 0:
            return at + 1
        if length & 0xC0 == 0xC0:
            return at + 2
        if length & 0xC0:
            raise DnsError("a label of an unknown kind")
        at += 1 + length
