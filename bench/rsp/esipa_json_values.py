"""How single values are written in the JSON binding of ESipa (SGP.32 section 6.4.1): a TLV to a JSON value and back.

Used by bench.rsp.esipa_json. ``read`` raises DecodeError.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Protocol

from bench.rsp import ids, tlv
from bench.rsp.errors import DecodeError
from bench.rsp.interpretation import Interpretation
from bench.rsp.tlv import Tlv, build

_LARGEST = 1 << 31


class Kind(Protocol):
    """A way to write a value."""

    def write(self, node: Tlv, reading: Interpretation) -> Any:
        """Return the JSON value of a TLV."""
        ...

    def read(self, tag: int, value: Any) -> bytes:
        """Return the TLV of a JSON value; empty when it stands for nothing. Raises DecodeError."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a JSON object and the field of the ASN.1 type that it is. ``also``: other keys that are seen."""

    key: str
    tag: int
    kind: Kind
    also: tuple[str, ...] = ()

    def read(self, value: Any, where: str) -> bytes:
        """Return the TLV. Raises DecodeError, which names the function and the key."""
        try:
            return self.kind.read(self.tag, value)
        except DecodeError as error:
            raise DecodeError(f"{self.key}: {error.what}", where=where) from error


def decoded(value: Any) -> bytes:
    """Return what base64 text stands for; without padding and with line breaks as well. Raises DecodeError."""
    if not isinstance(value, str):
        raise DecodeError(f"{type(value).__name__} where base64 text is due")
    packed = "".join(value.split()).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError(f"no base64: {error}") from error


def encoded(data: bytes) -> str:
    """Return base64 text with padding."""
    return base64.b64encode(data).decode("ascii")


def _whole(data: bytes) -> int | None:
    """Return the tag of the TLV that ``data`` is, by its outermost header alone; None when it is none."""
    try:
        tag, start, length = tlv.header(data)
    except DecodeError:
        return None
    return tag if start + length == len(data) else None


@dataclass(frozen=True, slots=True)
class _Tagged:
    size: int = 0

    def write(self, node: Tlv, reading: Interpretation) -> str:
        bare = self.size and reading.json_values == "bare"
        return encoded(node.value if bare else node.raw)

    def read(self, tag: int, value: Any) -> bytes:
        data = decoded(value)
        if self.size and len(data) == self.size:  # before the tag is looked for: random octets may look like one
            return build(tag, data)
        if _whole(data) != tag:
            raise DecodeError(f"not one TLV {tag:X}: {data[:8].hex()}")
        return data


def tagged(size: int = 0) -> Kind:
    """Base64 of the TLV with its tag; ``size``: octets of a value that comes without its tag from some."""
    return _Tagged(size)


@dataclass(frozen=True, slots=True)
class _Octets:
    size: int

    def write(self, node: Tlv, reading: Interpretation) -> str:
        return encoded(node.value)

    def read(self, tag: int, value: Any) -> bytes:
        data = decoded(value)
        if len(data) != self.size and _whole(data) in (0x04, tag):
            data = tlv.first(data).value
        return build(tag, data)


def octets(size: int) -> Kind:
    """Base64 of the value alone; with its tag it is read as well."""
    return _Octets(size)


class _Hexadecimal:
    def write(self, node: Tlv, reading: Interpretation) -> str:
        return node.value.hex().upper()

    def read(self, tag: int, value: Any) -> bytes:
        try:
            data = bytes.fromhex(value) if isinstance(value, str) else b""
        except ValueError:
            data = b""
        if not 1 <= len(data) <= 16:
            raise DecodeError(f"{str(value)[:40]!r} is no transaction id: 1 to 16 octets in hexadecimal digits are due")
        return build(tag, data)


class _Text:
    def write(self, node: Tlv, reading: Interpretation) -> str:
        try:
            return node.value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError(f"{node.tag:X} is not UTF-8") from error

    def read(self, tag: int, value: Any) -> bytes:
        if not isinstance(value, str):
            raise DecodeError(f"{type(value).__name__} where text is due")
        try:
            return build(tag, value.encode("utf-8"))
        except UnicodeEncodeError as error:  # a lone surrogate
            raise DecodeError("no text that UTF-8 can write") from error


class _Number:
    def write(self, node: Tlv, reading: Interpretation) -> int:
        if not 0 < len(node.value) <= 8:
            raise DecodeError(f"{node.tag:X}: an INTEGER of {len(node.value)} octets")
        return int.from_bytes(node.value, "big", signed=True)

    def read(self, tag: int, value: Any) -> bytes:
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not -_LARGEST <= value < _LARGEST:
            raise DecodeError(f"{str(value)[:40]!r} where a number is due")
        return build(tag, value.to_bytes((8 + (value + (value < 0)).bit_length()) // 8, "big", signed=True))


class _Flag:
    def write(self, node: Tlv, reading: Interpretation) -> bool:
        return True

    def read(self, tag: int, value: Any) -> bytes:
        if not isinstance(value, bool):
            raise DecodeError(f"{type(value).__name__} where true or false is due")
        return build(tag) if value else b""


class _Eid:
    def write(self, node: Tlv, reading: Interpretation) -> str:
        return node.value.hex().upper()

    def read(self, tag: int, value: Any) -> bytes:
        if not isinstance(value, str):
            raise DecodeError(f"{type(value).__name__} where an EID is due")
        digits = value.strip()
        if len(digits) == ids.EID_DIGITS:
            try:
                return build(tag, bytes.fromhex(digits))
            except ValueError:
                pass
        return build(tag, digits.encode("utf-8", "replace")[:64])  # no EID: the eIM's answer says so


class _Plmn:
    def write(self, node: Tlv, reading: Interpretation) -> str:
        return encoded(node.value)

    def read(self, tag: int, value: Any) -> bytes:
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) in (5, 6):
            return build(tag, ids.plmn_bytes(value))
        if isinstance(value, str) and len(value) == 6:
            try:
                return build(tag, bytes.fromhex(value))
            except ValueError:
                pass
        return build(tag, decoded(value))


class _Context:
    """ctxParams1: a CHOICE, so that its tag stands around it in ASN.1 and does not here."""

    def write(self, node: Tlv, reading: Interpretation) -> str:
        return encoded(node.value)

    def read(self, tag: int, value: Any) -> bytes:
        data = decoded(value)
        whole = _whole(data)
        if whole is None:
            raise DecodeError("not one TLV")
        return data if whole == tag else build(tag, data)


class _Response:
    """The eUICC's CancelSessionResponse: in ASN.1, A1 takes the place of its tag BF41."""

    def write(self, node: Tlv, reading: Interpretation) -> str:
        return encoded(tlv.retag(node.raw, 0xBF41))

    def read(self, tag: int, value: Any) -> bytes:
        data = decoded(value)
        whole = _whole(data)
        if whole == 0xBF41:
            return tlv.retag(data, tag)
        if whole in (0xA0, 0x81, 0xA2):
            return build(tag, data)
        if whole != tag:
            raise DecodeError(f"not one TLV BF41: {data[:8].hex()}")
        return data


class _Pending:
    """One PendingNotification: in ASN.1, A0 stands around it."""

    def write(self, node: Tlv, reading: Interpretation) -> str:
        return encoded(node.value)

    def read(self, tag: int, value: Any) -> bytes:
        data = decoded(value)
        node = tlv.first(data)
        inside = node.children() if node.tag == tag else []
        # A0 is also the tag of a compact installation result, whose content is two TLVs.
        return data if len(inside) == 1 and inside[0].tag in (0xBF37, 0x30) else build(tag, data)


class _Result:
    """ProvideEimPackageResult, whole or only the result in it."""

    def write(self, node: Tlv, reading: Interpretation) -> str:
        return encoded(node.raw)

    def read(self, tag: int, value: Any) -> bytes:
        data = decoded(value)
        return data if tlv.first(data).tag == tag else build(tag, data)


class _Listed:
    """PendingNotificationList: SEQUENCE OF here, A0 in ASN.1; also BF2B{A0}, as the eUICC answers."""

    def write(self, node: Tlv, reading: Interpretation) -> str:
        return encoded(tlv.retag(node.raw, 0x30))

    def read(self, tag: int, value: Any) -> bytes:
        node = tlv.first(decoded(value))
        if node.tag == 0xBF2B and (inner := node.find(tag)) is not None:
            return inner.raw
        if node.tag not in (0x30, tag):
            raise DecodeError(f"{node.tag:X} is no list of notifications")
        return tlv.retag(node.raw, tag)


hexadecimal: Kind = _Hexadecimal()
text: Kind = _Text()
number: Kind = _Number()
flag: Kind = _Flag()
eid: Kind = _Eid()
plmn: Kind = _Plmn()
context: Kind = _Context()
response: Kind = _Response()
pending: Kind = _Pending()
result: Kind = _Result()
listed: Kind = _Listed()
