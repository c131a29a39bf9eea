"""asn1tools as the RSP messages need it: its BER and DER compilers with the corrections their use here asks for.

What differs from asn1tools 0.169, each with a test:

* an unknown alternative of a CHOICE is an error that names the tag (asn1tools: ``(None, None)``);
* unknown fields of a SEQUENCE are skipped wherever they stand, known ones found in any order (asn1tools: what follows
  an unknown field is lost);
* object identifiers of arc 2 decode right (asn1tools: 2.999.10 becomes 26.39.10);
* a BIT STRING with named bits loses its trailing zero bits in DER;
* certificates and public keys are opaque bytes, also where their tag is replaced;
* values of the wrong Python type and misspelt fields are EncodeErrors that say where (asn1tools: dropped, TypeError);
* types are compiled when first used, so that start-up pays only for the messages that are sent.

Decoding expects bytes that bench.rsp.tlv.check has accepted: only then are all lengths known to be inside.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Mapping
from copy import copy
from typing import Any

from asn1tools.codecs import DecodeError as CodecDecodeError
from asn1tools.codecs import EncodeError as CodecEncodeError
from asn1tools.codecs import ErrorWithLocation, ber

from bench.rsp import forms, tlv
from bench.rsp.asn1.schema import SCHEMA
from bench.rsp.forms import Form

MISMATCH = ber.TAG_MISMATCH
OPAQUE = frozenset({"Certificate", "CertificateList", "SubjectPublicKeyInfo"})
SEQUENCE = 0x30


class _Choice(ber.Choice):  # type: ignore[misc]
    """CHOICE that never invents a value; wire form of the alternatives is asn1tools'."""

    def __init__(self, name: str, members: list[Any]) -> None:
        super().__init__(name, members, None)

    def encode(self, data: Any, encoded: bytearray, values: Any = None) -> None:
        if not isinstance(data, tuple) or len(data) != 2:
            raise CodecEncodeError(f"expected a pair (alternative, value), got {_shown(data)}", location=self)
        if data[0] not in self.name_to_member:
            raise CodecEncodeError(f"no alternative {data[0]!r}{_near(data[0], self.name_to_member)}", location=self)
        super().encode(data, encoded, values)

    def get_member_tags(self, member: Any) -> list[bytes]:
        return _tags(member)


class _Sequence(ber.Sequence):  # type: ignore[misc]
    """SEQUENCE that skips what it does not know and refuses, on encoding, fields that it does not have."""

    def __init__(self, name: str, members: list[Any]) -> None:
        super().__init__(name, members, None)
        self._names = frozenset(member.name for member in members)
        self._tags: list[tuple[Any, frozenset[bytes]]] = [(member, frozenset(_tags(member))) for member in members]

    def encode_content(self, data: Any, values: Any = None) -> bytearray:
        if not isinstance(data, Mapping):
            raise CodecEncodeError(f"expected a mapping of fields, got {_shown(data)}", location=self)
        if not self._names.issuperset(data):
            name = next(name for name in data if name not in self._names)
            raise CodecEncodeError(f"no field {name!r}{_near(name, self._names)}", location=self)
        missing = [m for m in self.root_members if m.name not in data and not m.optional and not m.has_default()]
        if missing:
            raise CodecEncodeError(f"field {missing[0].name!r} is missing", location=self)
        return super().encode_content(data, values)  # type: ignore[no-any-return]

    def decode_content(self, data: bytearray, offset: int, length: int | None) -> tuple[dict[str, Any], int]:
        assert length is not None  # indefinite lengths do not pass the walk
        end = offset + length
        values: dict[str, Any] = {}
        members = self._tags
        following = 0
        while offset < end:
            tag = bytes(ber.read_tag(data, offset))
            # The next member in order first (two members may share a tag: 30 ... 30), then any that is still open.
            for index in (*range(following, len(members)), *range(following)):
                member, tags = members[index]
                if (tag in tags or not tags) and member.name not in values:
                    try:
                        value, offset = member.decode(data, offset)
                    except ErrorWithLocation as error:
                        error.add_location(member)
                        raise
                    values[member.name] = value
                    following = index + 1
                    break
            else:
                offset = ber.skip_tag_length_contents(data, offset)
        for member, _ in members:
            if member.name not in values:
                if member.has_default():
                    values[member.name] = member.get_default()
                elif not member.optional:
                    raise CodecDecodeError(f"field {member.name!r} is missing", offset=end, location=self)
        return values, end


class _Integer(ber.Integer):  # type: ignore[misc]
    def encode_content(self, data: Any, values: Any = None) -> bytes:
        if not isinstance(data, int) or isinstance(data, bool):
            raise CodecEncodeError(f"expected an integer, got {_shown(data)}", location=self)
        return super().encode_content(int(data), values)  # type: ignore[no-any-return]

    def decode_content(self, data: bytearray, offset: int, length: int) -> tuple[int, int]:
        if length == 0:
            raise CodecDecodeError("an INTEGER has no octets", offset=offset, location=self)
        return super().decode_content(data, offset, length)  # type: ignore[no-any-return]


class _Boolean(ber.Boolean):  # type: ignore[misc]
    def encode_content(self, data: Any, values: Any = None) -> bytearray:
        if not isinstance(data, bool):
            raise CodecEncodeError(f"expected a bool, got {_shown(data)}", location=self)
        return super().encode_content(data, values)  # type: ignore[no-any-return]


class _Null(ber.Null):  # type: ignore[misc]
    def encode(self, data: Any, encoded: bytearray, values: Any = None) -> None:
        if data is not None:
            raise CodecEncodeError(f"expected None, got {_shown(data)}", location=self)
        super().encode(data, encoded)

    def decode_content(self, data: bytearray, offset: int, length: int) -> tuple[None, int]:
        return None, offset + length


class _OctetString(ber.OctetString):  # type: ignore[misc]
    def encode_content(self, data: Any, values: Any = None) -> bytes:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise CodecEncodeError(f"expected bytes, got {_shown(data)}", location=self)
        return bytes(data)


class _Utf8String(ber.UTF8String):  # type: ignore[misc]
    def encode_content(self, data: Any, values: Any = None) -> bytes:
        if not isinstance(data, str):
            raise CodecEncodeError(f"expected text, got {_shown(data)}", location=self)
        return data.encode("utf-8")

    def decode_primitive_contents(self, data: bytearray, offset: int, length: int) -> str:
        try:
            return data[offset : offset + length].decode("utf-8")
        except UnicodeDecodeError as error:
            raise CodecDecodeError(f"text is not UTF-8: {error.reason}", offset=offset, location=self) from None


class _ObjectIdentifier(ber.ObjectIdentifier):  # type: ignore[misc]
    def encode_content(self, data: Any, values: Any = None) -> bytes:
        arcs = data.split(".") if isinstance(data, str) else []
        if len(arcs) < 2 or not all(arc.isascii() and arc.isdecimal() for arc in arcs) or int(arcs[0]) > 2:
            raise CodecEncodeError(f"expected a dotted object identifier, got {_shown(data)}", location=self)
        return bytes(super().encode_content(data, values))

    def decode_content(self, data: bytearray, offset: int, length: int) -> tuple[str, int]:
        content = bytes(data[offset : offset + length])
        if not content or content[-1] & 0x80:
            raise CodecDecodeError(f"object identifier {content.hex()!r} is cut off", offset=offset, location=self)
        arcs, number = [], 0
        for octet in content:
            number = number << 7 | octet & 0x7F
            if not octet & 0x80:
                arcs.append(number)
                number = 0
        root = min(arcs[0] // 40, 2)
        return ".".join(map(str, (root, arcs[0] - 40 * root, *arcs[1:]))), offset + length


class _BitString(ber.BitString):  # type: ignore[misc]
    """BIT STRING; values are pairs (bytes, number of bits)."""

    def __init__(self, name: str, named: bool, loose: bool) -> None:
        super().__init__(name, named)
        self._loose = loose

    def encode_content(self, data: Any, values: Any = None) -> bytearray:
        if (
            not isinstance(data, tuple)
            or len(data) != 2
            or not isinstance(data[0], bytes)
            or not isinstance(data[1], int)
        ):
            raise CodecEncodeError(f"expected a pair (bytes, number of bits), got {_shown(data)}", location=self)
        if not 0 <= data[1] <= 8 * len(data[0]):
            raise CodecEncodeError(f"{data[1]} bits do not fit {len(data[0])} bytes", location=self)
        cleaned = ber.clean_bit_string_value(data, self.has_named_bits)
        return super().encode_content((bytes(cleaned[0]), cleaned[1]), values)  # type: ignore[no-any-return]

    def decode_primitive_contents(self, data: bytearray, offset: int, length: int) -> tuple[bytes, int]:
        content = bytes(data[offset : offset + length])
        if len(content) == 1 and content[0] and self._loose:
            # No octet for the unused bits: what is there are the bits, lowest first as in a C flag word.
            return bytes((int(f"{content[0]:08b}"[::-1], 2),)), content[0].bit_length()
        if not content or content[0] > 7 or (len(content) == 1 and content[0]):
            raise CodecDecodeError(f"{content.hex()!r} is no content of a BIT STRING", offset=offset, location=self)
        unused = content[0]
        if unused:  # BER lets these bits be anything: they are not part of the value
            content = content[:-1] + bytes((content[-1] & (0xFF << unused & 0xFF),))
        return content[1:], 8 * (len(content) - 1) - unused

    def decode_constructed_contents(self, data: bytearray, offset: int, length: int | None) -> tuple[Any, int]:
        raise CodecDecodeError("a BIT STRING in pieces is not supported", offset=offset, location=self)


class _Any(ber.Any):  # type: ignore[misc]
    def decode(self, data: bytearray, offset: int, values: Any = None) -> tuple[bytes, int]:
        raw, end = super().decode(data, offset, values)
        return bytes(raw), end

    def encode(self, data: Any, encoded: bytearray, values: Any = None) -> None:
        if not isinstance(data, bytes):
            raise CodecEncodeError(f"expected the bytes of one TLV, got {_shown(data)}", location=self)
        super().encode(data, encoded)


class _Opaque(ber.Type):  # type: ignore[misc]
    """A certificate or public key: bytes of the TLV with tag 30; the message's own tag replaces the 30 on the wire.

    On decoding, a 30 left inside the message's tag (``A5{30{...}}``, known from the field) is seen and taken.
    """

    def __init__(self, name: str, type_name: str, *, nested: bool) -> None:
        super().__init__(name, type_name, ber.Tag.SEQUENCE, ber.Encoding.CONSTRUCTED)
        self._nested = nested

    def set_tag(self, number: int, flags: int) -> None:
        super().set_tag(number, flags | ber.Encoding.CONSTRUCTED)

    def encode(self, data: Any, encoded: bytearray, values: Any = None) -> None:
        whole = isinstance(data, bytes) and len(data) >= 2 and data[0] == SEQUENCE
        if not whole or ber.skip_tag_length_contents(bytearray(data), 0) != len(data):
            raise CodecEncodeError(f"expected the bytes of one TLV with tag 30, got {_shown(data)}", location=self)
        encoded.extend(self.tag)
        encoded.extend(data[1:])

    def decode(self, data: bytearray, offset: int, values: Any = None) -> tuple[Any, int]:
        content = offset + self.tag_len
        if data[offset:content] != self.tag:
            return MISMATCH, offset
        length, start = ber.decode_length(data, content)
        end = start + length
        if start < end and data[start] == SEQUENCE and ber.skip_tag_length_contents(data, start) == end:
            if not self._nested:
                raise CodecDecodeError("a 30 stands inside the tag that replaces it", offset=start, location=self)
            return bytes(data[start:end]), end
        return b"\x30" + bytes(data[content:end]), end


class _Tolerant(ber.Type):  # type: ignore[misc]
    """A type whose TLV is first brought from forms seen in the field into the standard's (bench.rsp.forms)."""

    def __init__(self, inner: Any, repairs: tuple[Any, ...]) -> None:
        super().__init__(inner.name, inner.type_name, None)
        self.inner = inner
        self._repairs = repairs
        self.tag, self.tag_len = inner.tag, getattr(inner, "tag_len", None)

    def set_tag(self, number: int, flags: int) -> None:
        self.inner = copy(self.inner)
        self.inner.set_tag(number, flags)
        self.tag, self.tag_len = self.inner.tag, self.inner.tag_len

    def encode(self, data: Any, encoded: bytearray, values: Any = None) -> None:
        self.inner.encode(data, encoded)

    def decode(self, data: bytearray, offset: int, values: Any = None) -> tuple[Any, int]:
        end = ber.skip_tag_length_contents(data, offset)
        raw = bytes(data[offset:end])
        repaired = raw
        for repair in self._repairs:
            repaired = repair(tlv.first(repaired)) or repaired
        if repaired is raw:
            return self.inner.decode(data, offset)  # type: ignore[no-any-return]
        value, _ = self.inner.decode(bytearray(repaired), 0)
        return value, offset if value is MISMATCH else end

    def format_tag(self) -> Any:
        return self.inner.format_tag()


def _tags(member: Any) -> list[bytes]:
    """Return the tags a member may start with, [] for ANY."""
    if isinstance(member, _Tolerant):
        return _tags(member.inner)
    if isinstance(member, ber.Choice):
        return list(member.tag_to_member)
    if member.tag is None:
        return []
    constructed = getattr(member, "constructed_tag", None)
    return [bytes(member.tag)] + ([bytes(constructed)] if constructed is not None else [])


class _Compiler(ber.Compiler):  # type: ignore[misc]
    """Makes the types above; one compiled form serves encoding (DER) and decoding (BER)."""

    def __init__(self, accept: frozenset[Form]) -> None:
        super().__init__(SCHEMA)
        self._accept = accept

    def compile_implicit_type(self, name: str, type_descriptor: dict[str, Any], module_name: str) -> Any:
        kind = type_descriptor["type"]
        if kind in OPAQUE:
            return self.opaque(name, kind)
        if kind == "CHOICE":
            return _Choice(name, self.compile_members(type_descriptor["members"], module_name)[0])
        if kind == "SEQUENCE":
            return _Sequence(name, self.compile_members(type_descriptor["members"], module_name)[0])
        if kind == "BIT STRING":
            loose = Form.BITS_WITHOUT_COUNT in self._accept and "NotificationEvent" in self.types_backtrace
            return _BitString(name, "named-bits" in type_descriptor, loose)
        leaf = _LEAVES.get(kind)
        return leaf(name) if leaf is not None else super().compile_implicit_type(name, type_descriptor, module_name)

    def compile_user_type(self, name: str, type_name: str, module_name: str) -> Any:
        return self.tolerant(type_name, super().compile_user_type(name, type_name, module_name))

    def opaque(self, name: str, type_name: str) -> Any:
        form = Form.NESTED_PUBLIC_KEY if "EimConfigurationData" in self.types_backtrace else Form.NESTED_CERTIFICATE
        return _Opaque(name, type_name, nested=form in self._accept)

    def tolerant(self, type_name: str, compiled: Any) -> Any:
        repairs = forms.hooked(type_name, self._accept)
        return _Tolerant(compiled, repairs) if repairs else compiled

    def top(self, name: str, module: str) -> Any:
        """Return the compiled type ``name`` as a message of its own."""
        self.types_backtrace_push(name)
        try:
            inner = (
                self.opaque(name, name)
                if name in OPAQUE
                else self.compile_type(name, SCHEMA[module]["types"][name], module)
            )
        finally:
            self.types_backtrace_pop()
        return ber.CompiledType(self.tolerant(name, inner))


_LEAVES: dict[str, Any] = {
    "INTEGER": _Integer,
    "BOOLEAN": _Boolean,
    "NULL": _Null,
    "OCTET STRING": _OctetString,
    "UTF8String": _Utf8String,
    "OBJECT IDENTIFIER": _ObjectIdentifier,
    "ANY": _Any,
}

_compilers: dict[frozenset[Form], _Compiler] = {}
_compiled: dict[tuple[str, str, frozenset[Form]], Any] = {}
_lock = threading.Lock()


def compiled(module: str, name: str, accept: frozenset[Form]) -> Any:
    """Return the compiled type, made at its first use. Raises KeyError for a type that the module does not have."""
    key = (module, name, accept)
    found = _compiled.get(key)
    if found is None:
        with _lock:
            if accept not in _compilers:
                _compilers[accept] = _Compiler(accept)
            found = _compiled[key] = _compilers[accept].top(name, module)
    return found


def _shown(value: Any) -> str:
    text = value.hex() if isinstance(value, bytes) else repr(value)
    return f"{type(value).__name__} {text[:40]}{'...' if len(text) > 40 else ''}"


def _near(name: Any, known: Any) -> str:
    close = difflib.get_close_matches(str(name), [str(item) for item in known], 1)
    return f", did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(map(str, known)))}"
