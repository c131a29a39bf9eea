"""Pseudonyms of identifiers: by the recipient's key, of the same form, length and check digits.

The same value has the same pseudonym in every bundle for one recipient, and another one for another recipient. What
says which network, issuer or type it is stays, since the recipient works with it: MCC and MNC of an IMSI, the issuer
of an ICCID (7 digits), the EUM of an EID (8 digits), the type allocation code of an IMEI (8 digits), the top-level
domain of a name.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import string
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from bench.rsp.ids import eid_with_check_digits, luhn_digit

IMSI: Final = "IMSI"
EID: Final = "EID"
ICCID: Final = "ICCID"
IMEI: Final = "IMEI"
MSISDN: Final = "MSISDN"
TMSI: Final = "M-TMSI"
KEY: Final = "key"
CODE: Final = "code"
CREDENTIAL: Final = "credential"
ADDRESS: Final = "address"
HOST: Final = "host name"
NAME: Final = "name"
LOGIN: Final = "login name"
"""A person's or a host's name that is also a word of the bench's own: replaced in paths and before or after @."""
CELL: Final = "cell id"

DIGITS: Final = (IMSI, EID, ICCID, IMEI, MSISDN)
TEXTS: Final = (CODE, CREDENTIAL, HOST, NAME, LOGIN)
BYTES: Final = (TMSI, KEY)

KEPT_DIGITS: Final = {IMSI: 5, EID: 8, ICCID: 7, IMEI: 8, MSISDN: 2}
"""How many leading digits stay."""
_TRIES: Final = 1000


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """One identifier: ``value`` is digits, text, an address, or hexadecimal bytes (M-TMSI, keys, cell ids)."""

    kind: str
    value: str


class PseudonymError(ValueError):
    """There is no pseudonym of this form left."""


class _Stream:
    """Pseudo-random numbers of one identifier: HMAC-SHA-256 in counter mode."""

    def __init__(self, key: bytes, kind: str, value: str, attempt: int) -> None:
        self.attempt = attempt
        self._key, self._seed = key, f"{kind}\0{value}\0{attempt}\0".encode()
        self._counter = 0
        self._left = b""

    def bytes(self, count: int) -> bytes:
        while len(self._left) < count:
            self._left += hmac.new(self._key, self._seed + self._counter.to_bytes(4, "big"), sha256).digest()
            self._counter += 1
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def below(self, limit: int) -> int:
        """A number below ``limit``; 8 bytes more than needed, so that no value is noticeably more likely."""
        return int.from_bytes(self.bytes((limit.bit_length() + 7) // 8 + 8), "big") % limit

    def digits(self, count: int) -> str:
        return f"{self.below(10**count):0{count}d}" if count else ""


def make(key: bytes, identifier: Identifier, *, avoid: Collection[str] = (), kept: int | None = None) -> str:
    """Return the pseudonym of an identifier, of the same length, none of ``avoid`` and not the value itself.

    ``kept``: leading digits that stay, instead of the kind's own figure. Raises PseudonymError.
    """
    for attempt in range(_TRIES):
        found = _draw(_Stream(key, identifier.kind, identifier.value, attempt), identifier, key, kept)
        if len(found) != len(identifier.value):
            raise PseudonymError(f"a pseudonym of another length for a {identifier.kind}")
        if found != identifier.value and found not in avoid:
            return found
    raise PseudonymError(f"no pseudonym left for a {identifier.kind} of {len(identifier.value)} characters")


def _draw(stream: _Stream, identifier: Identifier, key: bytes, kept: int | None) -> str:
    kind, value = identifier.kind, identifier.value
    if kind in DIGITS:
        return _digits(stream, kind, value, KEPT_DIGITS[kind] if kept is None else kept)
    if kind in BYTES:
        return stream.bytes(len(value) // 2).hex()
    if kind == ADDRESS:
        return _address(key if not stream.attempt else key + stream.attempt.to_bytes(4, "big"), value)
    if kind == CELL:
        return _cell(stream, value)
    if kind == HOST:
        head, dot, last = value.rpartition(".")
        return _text(stream, head) + dot + last if dot else _text(stream, value)
    return _text(stream, value)


def _digits(stream: _Stream, kind: str, value: str, kept: int) -> str:
    kept = max(0, min(kept, len(value) - 6))
    if kind == EID and len(value) == 32:
        return eid_with_check_digits(value[:kept] + stream.digits(30 - kept))
    checked = (kind == ICCID or (kind == IMEI and len(value) == 15)) and luhn_digit(value[:-1]) == value[-1]
    body = value[:kept] + stream.digits(len(value) - kept - checked)
    return body + luhn_digit(body) if checked else body


def _text(stream: _Stream, value: str) -> str:
    """Replace letters by letters and digits by digits; everything else stays where it is.

    A letter that UTF-8 writes with more bytes becomes one of as many.
    """
    classes = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    found = []
    for character in value:
        group = next((group for group in classes if character in group), None)
        if group is not None:
            found.append(group[stream.below(len(group))])
        elif character.isascii():
            found.append(character)
        else:  # a letter of as many bytes: Latin, Greek and Cyrillic letters have two
            found.append(_WIDE.get(len(character.encode()), character))
    return "".join(found)


_WIDE: Final = {2: "é", 3: "東", 4: "𝔞"}


def _cell(stream: _Stream, value: str) -> str:
    """A cell identity (hexadecimal, 7 digits): as many significant digits in both number systems."""
    number = int(value, 16)
    low = max(10 ** (len(str(number)) - 1), 16 ** (len(f"{number:x}") - 1))
    high = min(10 ** len(str(number)), 16 ** len(f"{number:x}"))
    if number < 16:  # too small to mean anything
        return value
    return f"{low + stream.below(max(1, high - low)):0{len(value)}x}"


# --- addresses: prefix by prefix, so that what was one subnet is one subnet ------------------------------------------

_V4: Final = (range(0, 10), range(10, 100), range(100, 256))
_V6: Final = (range(0, 1), range(1, 10), range(10, 16), range(16, 100), range(100, 256))
"""Bytes that are written with as many digits, in decimal (and, for IPv6, in hexadecimal)."""
_FIXED: Final = frozenset((0, 1, 254, 255))
"""Bytes that stay: networks, gateways and broadcasts remain what they are."""


def _address(key: bytes, value: str) -> str:
    """Map an address octet by octet, each by a keyed permutation that depends on the octets before it."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError as error:
        raise PseudonymError(f"{value!r} is no address") from error
    packed = address.packed
    groups = _V4 if address.version == 4 else _V6
    mapped = bytes(_octet(key, packed[:at], octet, groups) for at, octet in enumerate(packed))
    return str(ipaddress.ip_address(mapped))


def _octet(key: bytes, prefix: bytes, octet: int, groups: tuple[range, ...]) -> int:
    # What begins the private and shared networks (RFC 1918, 6598, 3927, 4193) stays, so that private stays private.
    beginnings = (0, 10, 100, 127, 169, 172, 192, *range(224, 256)) if groups is _V4 else (0, 0xFD, 0xFE, 0xFF)
    fixed = _FIXED if prefix else frozenset(beginnings)
    if octet in fixed:
        return octet
    members = [member for member in next(group for group in groups if octet in group) if member not in fixed]
    label = bytes((len(groups),)) + prefix
    ordered = sorted(members, key=lambda each: hmac.new(key, label + bytes((each,)), sha256).digest())
    return ordered[members.index(octet)]


_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")


def valid(identifier: Identifier) -> bool:
    """Whether the value has the form of its kind; what has not is no identifier."""
    kind, value = identifier.kind, identifier.value
    if kind in DIGITS:
        least = {IMSI: 10, EID: 32, ICCID: 18, IMEI: 14, MSISDN: 7}[kind]
        return value.isascii() and value.isdecimal() and least <= len(value) <= 32 and len(set(value)) > 1
    if kind in BYTES:
        return len(value) >= 8 and bool(_HEX.fullmatch(value)) and len(set(value)) > 2
    if kind == CELL:
        return (
            len(value) in (7, 9) and all(c in "0123456789abcdef" for c in value) and 0xFF < int(value, 16) != 0xFFFFFFF
        )
    if kind == ADDRESS:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        return str(address) == value and not (
            address.is_loopback or address.is_unspecified or address.is_multicast or value.startswith(("255.", "0."))
        )
    return len(value) >= 3 and value.isprintable() and len(set(value)) > 1
